// Package inbox gives the POP3 server what it asks for: accounts from package auth, and as a
// maildrop the INBOX of a mailbox from package mailstore.
package inbox

import (
	"context"
	"log/slog"
	"sort"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/pop3d"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// snapshotRows is how many rows are read at once when a maildrop is opened.
const snapshotRows = 1000

// aheadRows is how many rows are read at once when a client takes one message after another.
const aheadRows = 64

// Maildrops opens INBOXes. All sessions of a process must share one, since it keeps their
// locks.
type Maildrops struct {
	store *mailstore.Store
	locks *locks
}

// New returns the maildrops of a store. A nil log discards.
func New(store *mailstore.Store, d *db.DB, log *slog.Logger) *Maildrops {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Maildrops{store: store, locks: newLocks(d, log)}
}

// Open implements pop3d.Maildrops.
func (m *Maildrops) Open(ctx context.Context, account *models.Account) (pop3d.Maildrop, error) {
	release, err := m.locks.acquire(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	d, err := m.open(ctx, account.ID)
	if err != nil {
		release()
		return nil, err
	}
	d.release = release
	return d, nil
}

// open reads the maildrop of a mailbox that is locked.
func (m *Maildrops) open(ctx context.Context, mailbox models.ID) (*drop, error) {
	f, err := m.store.Folder(ctx, mailbox, "INBOX")
	if err != nil {
		return nil, err
	}
	d := &drop{store: m.store, place: f.Place(), validity: f.UIDValidity, messages: make([]pop3d.Message, 0, f.Messages)}
	for from := mailstore.UID(1); ; {
		page, err := m.store.Messages(ctx, f.ID, from, snapshotRows)
		if err != nil {
			return nil, err
		}
		for i := range page {
			d.messages = append(d.messages, pop3d.Message{UID: uint32(page[i].UID), Size: page[i].Size})
		}
		if len(page) < snapshotRows || page[len(page)-1].UID == mailstore.MaxUID {
			return d, nil
		}
		from = page[len(page)-1].UID + 1
	}
}

// drop is an INBOX as it was when it was opened.
type drop struct {
	store    *mailstore.Store
	place    mailstore.Place
	validity uint32
	messages []pop3d.Message
	release  func()

	ahead []mailstore.Message // rows read already, rising UIDs
	last  int                 // position of the message opened last, plus one
}

// UIDValidity implements pop3d.Maildrop.
func (d *drop) UIDValidity() uint32 { return d.validity }

// Messages implements pop3d.Maildrop.
func (d *drop) Messages() []pop3d.Message { return d.messages }

// Open implements pop3d.Maildrop. The rows of the messages that follow are read along when a
// client takes one after another. Removal by another session does not touch such a row, and
// while the bytes are there they can be had.
func (d *drop) Open(ctx context.Context, i int) (pop3d.Reader, error) {
	uid := mailstore.UID(d.messages[i].UID)
	row := d.find(uid)
	if row == nil {
		if err := d.read(ctx, i, uid); err != nil {
			return nil, err
		}
		row = d.find(uid)
	}
	d.last = i + 1
	if row == nil {
		return nil, errGone()
	}
	r, err := d.store.Open(ctx, row)
	if models.Is(err, models.NotFound) {
		return nil, errGone().Because(err)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func errGone() *models.Error {
	return models.Errorf(models.NotFound, "pop3.gone", "That message was removed meanwhile.")
}

// find returns the row of uid if it was read already.
func (d *drop) find(uid mailstore.UID) *mailstore.Message {
	k := sort.Search(len(d.ahead), func(k int) bool { return d.ahead[k].UID >= uid })
	if k < len(d.ahead) && d.ahead[k].UID == uid {
		return &d.ahead[k]
	}
	return nil
}

// read reads the row of a message, with those that follow if they will be wanted.
func (d *drop) read(ctx context.Context, i int, uid mailstore.UID) error {
	limit := 1
	if i == d.last {
		limit = aheadRows
	}
	var err error
	d.ahead, err = d.store.Messages(ctx, d.place.Folder, uid, limit)
	return err
}

// Remove implements pop3d.Maildrop.
func (d *drop) Remove(ctx context.Context, positions []int) error {
	uids := make([]mailstore.UID, len(positions))
	for k, i := range positions {
		uids[k] = mailstore.UID(d.messages[i].UID)
	}
	_, err := d.store.Expunge(ctx, d.place, mailstore.SetOf(uids...), false)
	return err
}

// Close implements pop3d.Maildrop.
func (d *drop) Close() { d.release() }
