package mailstore_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestDamage flips a bit, and then zeroes a page, at every 4 KiB of a segment: the messages that
// lie there cannot be read, which their readers and a check are told; the others are untouched.
func TestDamage(t *testing.T) {
	t.Parallel()
	config := dbtest.SQLite(t)
	in := mailstoretest.Seg(t, config)
	mailbox := in.Mailbox(t)
	const messages = 50
	for i := range messages {
		size := 500 + i*i*7
		if i%12 == 11 {
			size = 50_000 // of two blocks
		}
		in.Deliver(t, mailstoretest.Message(i, size), mailbox)
	}
	f, err := in.Store.Folder(t.Context(), mailbox, mailstore.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	all, err := in.Store.Messages(t.Context(), f.ID, 0, messages)
	if err != nil || len(all) != messages {
		t.Fatal(len(all), err)
	}
	files, err := filepath.Glob(filepath.Join(mailstoretest.SegDir(config), "*.seg"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	places := extents(t, in, int64(len(whole)))
	pages, hurt := 0, 0
	for page := 0; page < len(whole); page += 4096 {
		end := min(page+4096, len(whole))
		bit := page + (page/4096*613)%(end-page)
		flipped := []byte{whole[bit] ^ 1<<(page/4096%8)}
		for _, damage := range []struct {
			at int
			b  []byte
		}{{bit, flipped}, {page, make([]byte, end-page)}} {
			patch(t, files[0], damage.at, damage.b)
			hurt += damaged(t, in, all, places, int64(damage.at), int64(damage.at+len(damage.b)))
			patch(t, files[0], damage.at, whole[damage.at:damage.at+len(damage.b)])
			pages++
		}
	}
	t.Logf("%d times damaged, %d messages hurt by it", pages, hurt)
	if n := damaged(t, in, all, places, 0, 0); n != 0 {
		t.Errorf("%d messages are damaged though nothing is", n)
	}
}

type extent struct{ from, to int64 }

// extents returns where in the only segment each blob lies.
func extents(t *testing.T, in *mailstoretest.Instance, size int64) map[models.ID]extent {
	t.Helper()
	rows, err := in.DB.SQL().Query("SELECT id, position FROM blobs ORDER BY position DESC")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all, next := map[models.ID]extent{}, size
	for rows.Next() {
		var id models.ID
		var from int64
		if err := rows.Scan(&id, &from); err != nil {
			t.Fatal(err)
		}
		all[id] = extent{from, next}
		next = from
	}
	return all
}

func patch(t *testing.T, file string, at int, b []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, int64(at)); err != nil {
		t.Fatal(err)
	}
}

// damaged checks that exactly the messages with bytes in [from, to) are damaged, to readers and
// to a check, and returns how many that are.
func damaged(t *testing.T, in *mailstoretest.Instance, all []mailstore.Message, places map[models.ID]extent, from, to int64) (n int) {
	t.Helper()
	reported := map[models.ID]bool{}
	_, err := in.Blobs.Check(t.Context(), func(p blob.Problem) error {
		reported[p.ID] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		m := &all[i]
		e := places[m.BlobID]
		hit := e.from < to && from < e.to
		err := readThrough(t, in, m)
		if hit != errors.Is(err, blob.ErrDamaged) || hit != reported[m.BlobID] || !hit && err != nil || hit && !models.Is(err, models.Unavailable) {
			t.Errorf("bytes %d to %d: the message at %d to %d reads with %v, reported %v", from, to, e.from, e.to, err, reported[m.BlobID])
		}
		if hit {
			n++
		}
	}
	return n
}

func readThrough(t *testing.T, in *mailstoretest.Instance, m *mailstore.Message) error {
	r, err := in.Store.Open(t.Context(), m)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}
