package mailstore

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Arrival is one message for one or many folders.
type Arrival struct {
	Blob     blob.Staged    // of bytes that are durable already; not with Body
	Body     *blob.Prepared // bytes that become so together with those of the arrivals that share the transaction
	Contents *mime.Contents // nil = built when first read
	Date     models.Micros  // internal date; 0 = now
	Targets  []Target       // at most MaxTargets; none only if Refs > 0

	// Also runs in the arrival's transaction after its rows, with the id of its blob; what it
	// writes is kept or lost with the arrival. It may run more than once, and must do no more
	// than a few statements. An error of kind Full, Limited, Denied, Suspended, Invalid or
	// NotFound fails the arrival with that error, any other one temporarily; either way alone,
	// without harm to those that share the transaction.
	Also func(ctx context.Context, tx *db.Tx, blob models.ID) error
	// Refs is how many rows that refer to the blob Also makes.
	Refs int64
}

// MaxTargets is how many folders one arrival may go to: RFC 5321, section 4.5.3.1.8 asks for
// 100 recipients, and all of them are one transaction.
const MaxTargets = 1000

// Target is one folder of an arrival.
type Target struct {
	Mailbox models.ID

	// Folder is a special use (`\Junk`) or a name; "" is the inbox. A folder that is not there
	// is the inbox too: mail is not refused because somebody removed a folder.
	Folder string

	Prefix []byte // headers of this copy alone; at most MaxPrefix bytes, counted in its size
	Flags  Flags

	QuotaBytes    int64 // 0 = no limit
	QuotaMessages int64 // 0 = no limit
	Declared      int64 // the size announced before (SIZE of MAIL), 0 = none; must fit into the quota
}

// Deliver puts a message into all its targets or into none, and returns when that is committed
// and visible to everybody. Full, with the mailbox's id as argument "mailbox", when a target is
// over its quota: the rule is used < quota, and used + Declared <= quota, with exact counters.
// NotFound when a mailbox is gone. Any other error is temporary, and nothing was stored, unless
// the database was lost in the middle of a COMMIT and stayed away.
//
// A ctx that ends while the arrival waits for its turn takes it back; once its transaction has
// begun, Deliver waits for the outcome. Arrivals of several callers share a transaction; one
// that fails does not harm the others. Deliver must not be called inside db.Write. The blob is
// settled or discarded here, whatever the outcome: after an error it is not to be used again.
func (s *Store) Deliver(ctx context.Context, a Arrival) error {
	l, err := a.letter()
	if err == nil {
		_, err = s.submit(ctx, []letter{l})
	}
	if a.Body == nil {
		s.settle(err, a.Blob)
	} else if err == nil || errors.Is(err, db.ErrUnknownCommit) {
		s.settle(err, a.Body.Staged)
	} else {
		s.blobs.Drop(a.Body)
	}
	return err
}

func (a *Arrival) letter() (letter, error) {
	if len(a.Targets) == 0 && a.Refs < 1 || len(a.Targets) > MaxTargets || a.Refs < 0 {
		return letter{}, models.Errorf(models.Invalid, "arrival.targets", "A message goes to 1 to %d folders at once.", MaxTargets)
	}
	l := letter{staged: a.Blob, body: a.Body, date: a.Date, also: a.Also, refs: a.Refs}
	if a.Body != nil {
		l.staged = a.Body.Staged
	}
	l.size, l.contents = l.staged.Size(), contentsRow(l.staged.ID, a.Contents)
	for _, t := range a.Targets {
		if len(t.Prefix) > MaxPrefix {
			return letter{}, models.Errorf(models.Invalid, "arrival.prefix", "The added headers are too long.")
		}
		l.targets = append(l.targets, target{
			mailbox: t.Mailbox, name: t.Folder, prefix: t.Prefix, flags: t.Flags & allFlags,
			quota: Quota{t.QuotaBytes, t.QuotaMessages}, declared: t.Declared,
		})
	}
	return l, nil
}

// settle tells the blobs what became of an arrival; what is not known they find out themselves.
func (s *Store) settle(err error, staged ...blob.Staged) {
	switch {
	case err == nil:
		s.blobs.Settle(staged...)
	case !errors.Is(err, db.ErrUnknownCommit):
		s.blobs.Discard(staged...)
	}
}

// Appended is one message of APPEND (RFC 9051, section 6.3.12; RFC 3502 for several).
type Appended struct {
	Blob     blob.Staged
	Contents *mime.Contents // nil = built when first read
	Date     models.Micros  // internal date; 0 = now
	Flags    Flags
	Keywords []string
}

// Append puts messages into a folder, all or none, and returns the folder's UIDVALIDITY and
// their UIDs in order. Full when one does not fit, its size counted; NotFound when the folder
// is gone ([TRYCREATE]); Invalid or Full for keywords; else as Deliver.
func (s *Store) Append(ctx context.Context, p Place, q Quota, messages ...Appended) (uidvalidity uint32, uids []UID, err error) {
	if len(messages) == 0 || len(messages) > MaxTargets {
		return 0, nil, models.Errorf(models.Invalid, "append.count", "Between 1 and %d messages can be added at once.", MaxTargets)
	}
	letters, staged := make([]letter, len(messages)), make([]blob.Staged, len(messages))
	for i, m := range messages {
		staged[i] = m.Blob
		letters[i] = letter{
			staged: m.Blob, size: m.Blob.Size(), date: m.Date, contents: contentsRow(m.Blob.ID, m.Contents),
			targets: []target{{mailbox: p.Mailbox, folder: p.Folder, flags: m.Flags & allFlags, keywords: m.Keywords, quota: q, declared: m.Blob.Size()}},
		}
	}
	it, err := s.submit(ctx, letters)
	s.settle(err, staged...)
	if err != nil {
		return 0, nil, err
	}
	return it.uidvalidity, it.uids, nil
}

// item is what succeeds or fails as one: letters with their targets.
type item struct {
	letters []letter
	rows    int // messages it will make
	weight  int // bytes of SQL, roughly

	state atomic.Int32
	done  chan struct{}

	// Set by the transaction, reset when that runs again.
	err         error
	uidvalidity uint32
	uids        []UID
}

type letter struct {
	staged   blob.Staged
	body     *blob.Prepared // of staged, while it is not durable; nil = it is
	size     int64
	date     models.Micros
	contents []any // row of contents; nil = none
	targets  []target
	also     func(ctx context.Context, tx *db.Tx, blob models.ID) error // nil = nothing
	refs     int64                                                      // of the blob, beside those of targets
}

type target struct {
	mailbox  models.ID
	folder   models.ID // 0 = by name
	name     string
	prefix   []byte
	flags    Flags
	keywords []string
	quota    Quota
	declared int64
}

// alsoRows is what an Also counts for in the rows of a group.
const alsoRows = 4

// States of an item: it can be taken once, by a writer or back by its owner.
const (
	waiting int32 = iota
	taken
)

func (it *item) take() bool { return it.state.CompareAndSwap(waiting, taken) }

func (it *item) finish(err error) {
	it.err = err
	close(it.done)
}

func newItem(letters []letter) *item {
	it := &item{letters: letters, done: make(chan struct{})}
	for _, l := range letters {
		it.rows += len(l.targets)
		if l.also != nil {
			it.rows += alsoRows
		}
		it.weight += 300
		for _, v := range l.contents {
			switch v := v.(type) {
			case []byte:
				it.weight += 2 * len(v) // escaped on MySQL
			case string:
				it.weight += len(v)
			}
		}
		for _, t := range l.targets {
			it.weight += 150 + len(t.prefix)
		}
	}
	return it
}

// submit gives letters to the writers and waits for the outcome.
func (s *Store) submit(ctx context.Context, letters []letter) (*item, error) {
	if db.TxOf(ctx) != nil {
		return nil, errors.New("arrival inside a transaction: it would wait for itself")
	}
	it := newItem(letters)
	select {
	case s.queue <- it:
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	case <-s.life.Done():
		return nil, errClosed()
	}
	select {
	case <-it.done:
		return it, it.err
	case <-ctx.Done():
		if it.take() {
			return nil, unavailable(ctx.Err())
		}
	case <-s.stopped:
		// Queued behind the last look of the writers.
		if it.take() {
			return nil, errClosed()
		}
	}
	<-it.done
	return it, it.err
}

func unavailable(err error) error {
	return models.Unavailablef(err, "The message could not be stored in time.")
}

// text makes a string fit for a text column of MySQL, which refuses what is not UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// bytes makes a value for a column that is never NULL; drivers read and write empty as nil.
func bytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

var (
	insertContents  = insertOf("contents", contentsColumns...)
	contentsColumns = []string{"blob_id", "version", "envelope", "structure", "preview", "base_subject", "sent_date", "sent_zone", "message_id", "reference_ids", "thread_id"}
)

// contentsRow makes the row of contents; nil for nil.
func contentsRow(id models.ID, c *mime.Contents) []any {
	if c == nil {
		return nil
	}
	_, zone := c.SentDate.Zone()
	var structure any
	if c.Structure != nil {
		structure = c.Structure
	}
	return []any{
		int64(id), int64(c.Version), bytes(c.Envelope), structure, text(c.Preview), text(c.BaseSubject), int64(models.At(c.SentDate)), int64(zone),
		text(c.MessageID), text(strings.Join(c.References, "\n")), c.ThreadID,
	}
}
