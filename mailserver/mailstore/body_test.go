package mailstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// bodyOf prepares a message.
func bodyOf(t testing.TB, in *mailstoretest.Instance, message []byte) *blob.Prepared {
	t.Helper()
	p, err := in.Blobs.Prepare(context.Background(), bytes.NewReader(message), int64(len(message)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rowsOf(t testing.TB, in *mailstoretest.Instance, table string) (n int) {
	t.Helper()
	if err := in.DB.SQL().QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Messages that become durable with their group are delivered or refused one by one.
func TestBodiesAreDeliveredOrRefused(t *testing.T) {
	for name, config := range map[string]func(testing.TB) db.Config{"sqlite": dbtest.SQLite, "mysql": dbtest.MySQL} {
		t.Run(name, func(t *testing.T) {
			in := mailstoretest.Seg(t, config(t))
			mailbox := in.Mailbox(t)
			const n = 60
			var all sync.WaitGroup
			for i := range n {
				body := bodyOf(t, in, mailstoretest.Message(i, 500+i*100))
				a := mailstore.Arrival{Body: body, Targets: []mailstore.Target{{Mailbox: mailbox}}}
				want := models.Kind(-1)
				switch i % 4 {
				case 1:
					a.Targets[0].Mailbox, want = 12345, models.NotFound
				case 2:
					a.Targets[0].QuotaBytes, a.Targets[0].Declared, want = 10, 1000, models.Full
				}
				all.Go(func() {
					err := in.Store.Deliver(context.Background(), a)
					if want == -1 && err != nil || want != -1 && !models.Is(err, want) {
						t.Errorf("%d: %v", i, err)
					}
				})
			}
			all.Wait()
			if blobs, messages := rowsOf(t, in, "blobs"), rowsOf(t, in, "messages"); blobs != n/2 || messages != n/2 {
				t.Errorf("%d blobs and %d messages of %d", blobs, messages, n/2)
			}
			f, err := in.Store.Folder(t.Context(), mailbox, "INBOX")
			if err != nil {
				t.Fatal(err)
			}
			rows, err := in.Store.Messages(t.Context(), f.ID, 1, n)
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				r, err := in.Store.Open(t.Context(), &rows[i])
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if _, err := r.WriteTo(&b); err != nil || int64(b.Len()) != rows[i].Size {
					t.Errorf("%d bytes of %d: %v", b.Len(), rows[i].Size, err)
				}
				r.Close()
			}
		})
	}
}

// A body that is given up while it waits, or whose sync fails, leaves no row and no memory taken.
func TestBodiesThatAreNotKept(t *testing.T) {
	var failing atomic.Bool
	in := mailstoretest.SegWith(t, dbtest.SQLite(t), seg.Config{FS: &blobtest.Shim{FS: blob.OS{}, Fail: func(_ int, op blobtest.Op) error {
		if failing.Load() && op.Kind == blobtest.OpSync {
			return &os.PathError{Op: "sync", Path: op.Name, Err: syscall.EIO}
		}
		return nil
	}}})
	mailbox := in.Mailbox(t)
	deliver := func(ctx context.Context) error {
		body := bodyOf(t, in, mailstoretest.Message(1, 200<<10))
		return in.Store.Deliver(ctx, mailstore.Arrival{Body: body, Targets: []mailstore.Target{{Mailbox: mailbox}}})
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	stored := 0
	for i := range 400 { // 80 MB: more than all bodies together may take
		failing.Store(i%2 == 0)
		ctx := context.Background()
		if i >= 20 {
			ctx = over
		}
		err := deliver(ctx)
		switch {
		case err == nil:
			stored++
		case !models.Is(err, models.Unavailable):
			t.Fatal(err)
		}
		if i < 20 && (err == nil) != (i%2 == 1) {
			t.Fatal(fmt.Sprint(i, ": "), err)
		}
	}
	if n := rowsOf(t, in, "messages"); n != stored {
		t.Errorf("%d messages, %d acknowledged", n, stored)
	}
}
