// Package queue keeps what is on its way to other servers, and tries until it is there.
//
// A message is one row of table queue: envelope, blob, and the header fields that go before it.
// Each recipient is a row of queue_recipients that exists while something is still to be done
// for it. Any number of processes work on the same rows: who tries a recipient claims its row
// by compare-and-swap (owner, token, until by the database's clock), renews the claim while the
// attempt lasts, gives the attempt up before the end of the data if it cannot, and writes the
// result only under the token that it got.
//
// Invariants:
//
//   - A recipient is gone from the table only in the transaction that settles it: delivered
//     elsewhere, reported to its sender, or dropped by hand. The last one takes the message and
//     its reference to the blob along.
//   - After the other server's 250 the next thing is the commit of that result. A process that
//     dies before it leaves the recipient to be tried again: the only way to a second copy.
//   - What is due is found by indexes, in windows of constant size, whatever the queue's length.
//   - Senders take turns, and so do destinations: neither a destination that hangs nor a sender
//     of very many messages holds up others.
package queue

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Blobs counts the references to messages; *blob.Blobs does.
type Blobs interface {
	Unref(ctx context.Context, tx *db.Tx, take map[models.ID]int64) error
}

// Events takes the lines of the trace. Record never blocks.
type Events interface{ Record(models.Event) }

// Letter is a message of the server's own to somebody who has sent something: a report of what
// became of it (RFC 3464).
type Letter struct {
	Kind       models.QueueKind // QueueBounce
	To         string           // envelope sender of the message it speaks of
	Body       []byte           // the whole message, lines end in CRLF
	Language   string           // "fa", "en" or "" = both
	CustomerID models.ID
	MailboxID  models.ID // that has sent the message; 0 = none of ours
	DomainID   models.ID // by whose smarthost it leaves
	EnvelopeID models.ID // of the message it speaks of, for the trace

	// Also removes or marks the rows that the letter speaks of. Run it in the transaction that
	// stores the letter, so that it is neither lost nor sent twice; an error of it is to undo that.
	Also func(ctx context.Context, tx *db.Tx) error
}

// Sender makes attempts; *outbound.Client does.
type Sender interface {
	Send(ctx context.Context, m *outbound.Message) *outbound.Attempt
}

// Routes says how the mail of a mailbox or domain leaves; errors are temporary.
type Routes interface {
	Route(ctx context.Context, mailbox, domain models.ID) (outbound.Route, error)
}

// Config is what a Queue needs. DB and Blobs are required; Open and Send only for Run.
type Config struct {
	DB     *db.DB
	Blobs  Blobs
	Open   func(ctx context.Context, blob models.ID) (Message, error) // the bytes of a message
	Routes Routes                                                     // nil = to the destination's own hosts
	Send   Sender
	Events Events // nil = none

	// Post sends a report. Its errors: temporary ones are tried again later; others end the
	// report, since there is nobody to be told.
	Post func(ctx context.Context, letter Letter) error

	// OnFailure is told within the result's transaction how many recipients of a message were
	// given up; nil = nobody.
	OnFailure func(ctx context.Context, tx *db.Tx, item *models.QueueItem, recipients int64) error

	Plan           Plan
	Concurrency    int           // attempts at once; 0 = 300
	PerDestination int           // of them for one domain; 0 = 10
	Lease          time.Duration // how long a claim lasts that is not renewed; 0 = 30 s

	// Alone says that no other server sends from this database: claims of one that is gone are
	// free at once.
	Alone bool

	Panicked func()           // told of a fault of ours in an attempt; nil = nobody
	Hostname string           // of this server, in reports
	Now      func() time.Time // nil = DB.Now
	Log      *slog.Logger     // nil = none
}

// Queue is the outbound queue. Safe for concurrent use.
type Queue struct {
	config      Config
	log         *slog.Logger
	now         func() time.Time
	lease       time.Duration
	schedule    *schedule
	claims      claims
	takings     batch[taking]
	settlements batch[[]*settlement]
	away        atomic.Bool // the database does not answer
	counts      [3]atomic.Int64

	ready   chan struct{} // the schedule has changed
	lookAll chan struct{} // somebody wants everything looked through
	slots   chan struct{} // workers
	workers sync.WaitGroup

	stopOnce sync.Once
	stopping chan struct{} // nothing more is begun
	stopped  chan struct{} // Run has returned
	cutting  context.Context
	cut      context.CancelFunc // ends the attempts under way
}

// New returns the queue over a database; Run makes it work.
func New(c Config) *Queue {
	if c.Now == nil {
		c.Now = c.DB.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 300
	}
	if c.PerDestination <= 0 {
		c.PerDestination = 10
	}
	if c.Lease <= 0 {
		c.Lease = defaultLease
	}
	c.Plan = c.Plan.withDefaults()
	q := &Queue{
		config: c, log: c.Log, now: c.Now, lease: c.Lease, schedule: newSchedule(c.Concurrency, c.PerDestination, c.Now), claims: claims{byID: map[models.ID]*claim{}},
		ready: make(chan struct{}, 1), lookAll: make(chan struct{}, 1), slots: make(chan struct{}, c.Concurrency),
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	q.takings = batch[taking]{most: 4 * claimRows, run: q.takeAll}
	q.settlements = batch[[]*settlement]{most: 2 * claimRows, run: q.writeAll}
	q.cutting, q.cut = context.WithCancel(context.Background())
	return q
}

// Stats counts recipients since the start, by what became of an attempt.
type Stats struct{ Sent, Deferred, Bounced int64 }

// Stats returns the counts.
func (q *Queue) Stats() Stats {
	return Stats{Sent: q.counts[outbound.Delivered].Load(), Deferred: q.counts[outbound.Deferred].Load(), Bounced: q.counts[outbound.Failed].Load()}
}

// Trying is how many recipients are claimed by this process now.
func (q *Queue) Trying() int {
	q.claims.mu.Lock()
	defer q.claims.mu.Unlock()
	return len(q.claims.byID)
}
