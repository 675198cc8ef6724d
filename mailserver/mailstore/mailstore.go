// Package mailstore keeps who has which message: mailboxes, folders, UIDs, flags, counters and
// quotas, in rows. The bytes belong to package blob, what is in them to package mime.
//
// Tables mailbox_state, folders, messages, expunged and contents are written here and nowhere
// else. Invariants:
//
//   - Every change of a mailbox locks its row in mailbox_state first and raises the modseq there.
//     That row is what puts the changes of one mailbox in order, over all processes; whoever
//     changes several mailboxes locks their rows in order of their ids.
//   - The counters of mailbox_state and folders equal the rows of messages at every commit, so
//     STATUS, SELECT and quotas are answered from them. Recount proves it.
//   - A UID is given once in a folder and rises; a modseq is given once in a mailbox and rises;
//     an UIDVALIDITY is given once in a mailbox and rises, so that a folder made again under an
//     old name is never taken for the old one.
//   - A row of messages holds one reference on its blob, taken and given back in the transaction
//     that makes and removes the row.
//   - A folder that is being removed has a negative mailbox id: nobody sees it, its messages no
//     longer count, and what is left of it is removed in pieces, after a crash by Maintain.
package mailstore

import (
	"context"
	"log/slog"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Config is what a Store stands on.
type Config struct {
	DB    *db.DB
	Blobs *blob.Blobs
	Log   *slog.Logger // nil = none

	// Writers is how many transactions of arrivals may be open at once; 0 = 1. A second makes
	// groups half as large, and waits for the first where both are for one mailbox: it pays off
	// only where a database far away takes many mailboxes at once.
	Writers int
}

// Store is the mail store. Safe for concurrent use; any number of stores of any number of
// processes may work on one database, since none of them trusts its own memory.
type Store struct {
	db      *db.DB
	blobs   *blob.Blobs
	log     *slog.Logger
	queue   chan *item
	stop    context.CancelFunc
	life    context.Context // ends with Close
	stopped chan struct{}   // closed when the last writer has ended
}

// New returns a store and starts its writers; end them with Close. It registers with the blobs
// that contents go with them, so it is called before those are collected.
func New(c Config) *Store {
	s := &Store{db: c.DB, blobs: c.Blobs, log: c.Log, queue: make(chan *item, maxRows), stopped: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.blobs.OnRemove(removeContents)
	s.life, s.stop = context.WithCancel(context.Background())
	s.startWriters(max(c.Writers, 1))
	return s
}

// Close ends the writers after the transactions they have begun. Arrivals that still wait, and
// all later ones, fail as Unavailable.
func (s *Store) Close() {
	s.stop()
	<-s.stopped
}

func (s *Store) now() models.Micros { return models.At(s.db.Now()) }
