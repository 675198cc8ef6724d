package mailstoretest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const insertQueued = "INSERT INTO queue (id, blob_id, envelope_id, kind, prefix, size, created_at, expires_at) VALUES (?, ?, ?, 'submitted', ?, 1, 1, 1)"

// queueing makes n rows that refer to the blob, then returns err.
func (w *world) queueing(n int, err error) func(context.Context, *db.Tx, models.ID) error {
	return func(ctx context.Context, tx *db.Tx, blob models.ID) error {
		for range n {
			if _, err := tx.ExecContext(ctx, insertQueued, int64(w.DB.IDs().New()), int64(blob), int64(blob), []byte{}); err != nil {
				return err
			}
		}
		return err
	}
}

// alsoRows lets rows of another table refer to a blob, with and without folders beside them.
func alsoRows(t *testing.T, open Opener) {
	w := newWorld(t, open)
	for _, c := range []struct {
		mailboxes []models.ID
		refs      int
	}{{[]models.ID{w.mailbox}, 1}, {nil, 1}, {nil, 3}, {[]models.ID{w.mailbox, w.Mailbox(t)}, 0}} {
		a := w.Arrival(t, Message(1, 300), c.mailboxes...)
		a.Also, a.Refs = w.queueing(c.refs, nil), int64(c.refs)
		w.ok(w.Store.Deliver(ctx, a))
		if n := w.count("SELECT refs FROM blobs WHERE id = ?", int64(a.Blob.ID)); n != int64(c.refs+len(c.mailboxes)) {
			t.Errorf("%d references, want %d", n, c.refs+len(c.mailboxes))
		}
		w.exact()
	}
	w.is(w.Store.Deliver(ctx, mailstore.Arrival{Blob: w.Arrival(t, Message(2, 300)).Blob, Refs: -1}), models.Invalid)
}

// alsoPoison lets one Also in each group fail, after it has written something.
func alsoPoison(t *testing.T, open Opener) {
	w := newWorld(t, open)
	limited := models.Errorf(models.Limited, "limit.sending", "Too many.")
	const good, bad = 60, 6
	var wg sync.WaitGroup
	for i := range good {
		a := w.Arrival(t, Message(i, 300), w.mailbox)
		a.Also, a.Refs = w.queueing(1, nil), 1
		wg.Go(func() {
			if err := w.Store.Deliver(ctx, a); err != nil {
				t.Errorf("a good arrival failed: %v", err)
			}
		})
		if i%(good/bad) != 0 {
			continue
		}
		cause, kind := error(limited), models.Limited
		if i/(good/bad)%2 == 0 {
			cause, kind = errors.New("constraint"), models.Unavailable
		}
		b := w.Arrival(t, Message(i, 300), w.mailbox)
		b.Also, b.Refs = w.queueing(1, cause), 1
		wg.Go(func() {
			if err := w.Store.Deliver(ctx, b); !models.Is(err, kind) {
				t.Errorf("a bad arrival: %v", err)
			}
		})
	}
	wg.Wait()
	if n := w.usage().Messages; n != good {
		t.Errorf("%d messages, want %d", n, good)
	}
	if n := w.count("SELECT COUNT(*) FROM queue"); n != good {
		t.Errorf("%d rows, want %d", n, good)
	}
	w.exact()
}
