package blob_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// prepare prepares messages whose bytes follow from their place in the list.
func prepare(t *testing.T, b *blob.Blobs, sizes ...int64) []*blob.Prepared {
	t.Helper()
	var all []*blob.Prepared
	for i, size := range sizes {
		p, err := b.Prepare(t.Context(), blobtest.Message(models.ID(i), size), size)
		if err != nil || p.ID == 0 || p.Size() != size {
			t.Fatal(p, err)
		}
		all = append(all, p)
	}
	return all
}

func TestPreparedMessagesAreFlushedOrDropped(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	syncs := 0
	shim := &blobtest.Shim{FS: blob.OS{}, Fail: func(_ int, op blobtest.Op) error {
		if op.Kind == blobtest.OpSync {
			syncs++
		}
		return nil
	}}
	b := storeOf(t, blob.Config{DB: d, Grace: -1}, seg.Config{Dir: t.TempDir(), FS: shim, LargeSize: 32 << 10})
	sizes := []int64{100, 0, 9000, 40_000, 300}
	all := prepare(t, b, sizes...)
	b.Drop(all[4])
	before := syncs
	b.Flush(t.Context(), all[:4])
	if syncs -= before; syncs != 1 {
		t.Errorf("%d syncs for three small messages; the large one was durable before", syncs)
	}
	for i, p := range all[:4] {
		if p.Err() != nil {
			t.Fatal(p.Err())
		}
		write(t, d, func(ctx context.Context, tx *db.Tx) error { return b.Insert(ctx, tx, 1, p.Staged) })
		b.Settle(p.Staged)
		if err := readable(b, p.ID, int64(i), sizes[i]); err != nil {
			t.Error(i, err)
		}
	}
	b.Flush(t.Context(), all[:4]) // nothing is left to do
	dropped := prepare(t, b, 50)[0]
	b.Flush(t.Context(), []*blob.Prepared{dropped})
	b.Drop(dropped) // as Discard
	if err := readable(b, dropped.ID, 0, 50); !models.Is(err, models.NotFound) {
		t.Error(err)
	}
}

func TestAFailedFlushFailsAll(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	failing := false
	shim := &blobtest.Shim{FS: blob.OS{}, Fail: func(_ int, op blobtest.Op) error {
		if failing && op.Kind == blobtest.OpSync {
			return &os.PathError{Op: "sync", Path: op.Name, Err: syscall.EIO}
		}
		return nil
	}}
	b := store(t, d, t.TempDir(), shim)
	all := prepare(t, b, 10, 20, 30)
	failing = true
	b.Flush(t.Context(), all)
	for _, p := range all {
		if !models.Is(p.Err(), models.Unavailable) {
			t.Error(p.Err())
		}
		b.Drop(p) // nothing to give up
	}
	failing = false
	again := prepare(t, b, 10)
	b.Flush(t.Context(), again)
	if again[0].Err() != nil {
		t.Error(again[0].Err())
	}
}
