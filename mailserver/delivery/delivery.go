// Package delivery takes an accepted envelope to where it is for: mailboxes here, and the queue
// to other servers.
//
// Each recipient's Route is found once, at RCPT. Then the order is always the same: the message
// is signed if it leaves, the bytes become one durable blob, one transaction makes the rows of
// all mailboxes and of the queue, and only when that is committed the sender is told. What fails
// on the way leaves nothing behind but bytes that nobody refers to, which the blob store
// collects. What follows an arrival and is owed to nobody, such as auto-replies, is done after
// the answer by Run.
package delivery

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/srs"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// Resolver finds where mail goes. Errors: NotFound recipient.unknown, Denied recipient.elsewhere
// for a domain that is not served here, others that refuse an address, Unavailable when it cannot
// be known now.
type Resolver interface {
	Route(ctx context.Context, addr address.Address) (*models.Route, error)
}

// Records is what else is asked of the account database.
type Records interface {
	// SetFullSince notes since when a mailbox is full, 0 that it has room again.
	SetFullSince(ctx context.Context, mailbox models.ID, since models.Micros) error

	// SendingUse returns the sending limits with what is used; CountSending counts n more
	// recipients, within the transaction of ctx, or returns Limited.
	SendingUse(ctx context.Context, limits models.SendingLimits, mailbox, domain models.ID) ([]models.LimitUse, error)
	CountSending(ctx context.Context, limits models.SendingLimits, mailbox, domain models.ID, n int64) error

	// CountBounces adds n recipients that were given up to the hour of their acceptance and
	// returns what that hour has; HoldSending keeps what a mailbox sends in the queue.
	CountBounces(ctx context.Context, mailbox models.ID, accepted models.Micros, n int64) (recipients, bounced int64, err error)
	HoldSending(ctx context.Context, mailbox models.ID, reason string) (bool, error)
	AccountByID(ctx context.Context, kind models.AccountKind, id models.ID) (*models.Account, error)

	// Suppressed reports whether an address has refused a mailbox's mail for good.
	Suppressed(ctx context.Context, mailbox models.ID, address string) (bool, error)

	// Answering is a mailbox's auto-reply; Inside reports whether a domain is an active one of a
	// customer; Answered reports whether a sender got the auto-reply after a moment; TakeReply is
	// true for the one who may answer him, part of the transaction of ctx.
	Answering(ctx context.Context, mailbox models.ID) (*models.AutoReply, error)
	Inside(ctx context.Context, customer models.ID, domain string) (bool, error)
	Answered(ctx context.Context, mailbox models.ID, sender string, after models.Micros) (bool, error)
	TakeReply(ctx context.Context, mailbox models.ID, sender string, now, notAfter models.Micros) (bool, error)
}

// Blobs takes bytes that Mailboxes makes durable; *blob.Blobs does.
type Blobs interface {
	Prepare(ctx context.Context, r io.Reader, size int64) (*blob.Prepared, error)
}

// Mailboxes keeps messages; *mailstore.Store does.
type Mailboxes interface {
	Deliver(ctx context.Context, a mailstore.Arrival) error
	Usage(ctx context.Context, mailboxes ...models.ID) (map[models.ID]models.MailboxUsage, error)
}

// Queue keeps what goes to other servers; *queue.Queue does.
type Queue interface {
	// Insert writes a message within the caller's transaction; Committed is told after its commit.
	Insert(ctx context.Context, tx *db.Tx, item *models.QueueItem, recipients []models.QueueRecipient) error
	Committed(recipients []models.QueueRecipient)
	// Hold keeps what a filter chooses from being tried.
	Hold(ctx context.Context, scope models.Scope, filter models.QueueFilter) (int64, error)
}

// Signer makes DKIM-Signature fields for a message as it goes out, each ended with CRLF; nil for
// a domain that has no key or is not this customer's (0 = the server's own message: any of ours).
type Signer interface {
	Sign(ctx context.Context, domain string, customer models.ID, r io.ReaderAt, size int64) ([]byte, error)
}

// Events takes the lines of the trace. Record never blocks.
type Events interface{ Record(models.Event) }

// Config is all that a Delivery needs.
type Config struct {
	Hostname  string
	Resolver  Resolver
	Records   Records // nil = no limits, suppressions, auto-replies; for tests
	Blobs     Blobs
	Mailboxes Mailboxes
	Queue     Queue         // nil = nothing goes to other servers
	Signer    Signer        // nil = nothing is signed
	SRS       *srs.Rewriter // nil = senders of forwarded mail stay as they are
	Events    Events        // nil = none

	Limits models.SendingLimits
	// FullGrace is how long a full mailbox has time to make room before its mail is refused for
	// good. 0 is 3 days.
	FullGrace time.Duration

	// Report makes the reports of deliveries that were asked for (RFC 3461, NOTIFY=SUCCESS);
	// nil = none.
	Report func(*Delivered) [][]byte

	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // nil = none
}

// Delivery delivers. Safe for concurrent use.
type Delivery struct {
	config Config
	usage  usage
	later  chan func(context.Context) // what Run does
}

// maxLater is how much may wait for Run: what comes on top is not done, and noted in the log.
const maxLater = 1_000

// New returns a Delivery; Run does what is left for after the answers.
func New(c Config) *Delivery {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.FullGrace <= 0 {
		c.FullGrace = 3 * 24 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Delivery{config: c, later: make(chan func(context.Context), maxLater)}
}

// Run does, one after the other, what is left for after the answers, until ctx ends.
func (d *Delivery) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case do := <-d.later:
			d.guarded(ctx, do)
		}
	}
}

// laterTime is how long one thing of Run may take.
const laterTime = 30 * time.Second

// guarded lets a fault end the one thing and not Run.
func (d *Delivery) guarded(ctx context.Context, do func(context.Context)) {
	defer func() {
		if fault := recover(); fault != nil {
			d.config.Log.Error("panic after a delivery", "panic", fault)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, laterTime)
	defer cancel()
	do(ctx)
}

// afterwards leaves something to Run; it never blocks.
func (d *Delivery) afterwards(what string, do func(context.Context)) {
	select {
	case d.later <- do:
	default:
		d.config.Log.Warn("too much to do after deliveries, left out", "what", what)
	}
}

func (d *Delivery) now() models.Micros { return models.At(d.config.Now()) }

func (d *Delivery) event(e models.Event) {
	if d.config.Events != nil {
		d.config.Events.Record(e)
	}
}

// Body is a message in its final form. Reading it again gives the same bytes.
type Body interface {
	io.ReaderAt
	Size() int64
}
