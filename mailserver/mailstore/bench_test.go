package mailstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

const benchSize = 8 << 10

// BenchmarkDeliver delivers 8 KiB messages to mailboxes of their own, each acknowledged only
// when durable, beside a yardstick that writes the same bytes and rows in the barest way. The aim
// for 32 writers is 80 % of it.
func BenchmarkDeliver(b *testing.B) {
	for _, base := range []struct {
		name   string
		config func(testing.TB) db.Config
	}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}} {
		for _, writers := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/writers=%d", base.name, writers), func(b *testing.B) {
				var bare float64
				b.Run("yardstick", func(b *testing.B) { bare = benchYardstick(b, mailstoretest.Seg(b, base.config(b)), writers) })
				b.Run("store", func(b *testing.B) {
					rate := benchStore(b, mailstoretest.Seg(b, base.config(b)), writers)
					if bare > 0 {
						b.ReportMetric(100*rate/bare, "%-of-yardstick")
					}
				})
			})
		}
	}
}

// parallel runs do b.N times from some goroutines and returns, and reports, messages per second.
func parallel(b *testing.B, writers int, do func(writer int) error) float64 {
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(w); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "msg/s")
	return rate
}

func benchMailboxes(b *testing.B, in *mailstoretest.Instance, n int) (ids []models.ID, inboxes []models.ID) {
	for range n {
		id := in.Mailbox(b)
		f, err := in.Store.Folder(context.Background(), id, "INBOX")
		if err != nil {
			b.Fatal(err)
		}
		ids, inboxes = append(ids, id), append(inboxes, f.ID)
	}
	return ids, inboxes
}

func benchContents(b *testing.B, message []byte) *mime.Contents {
	c, err := mime.Build(bytes.NewReader(message), int64(len(message)))
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func benchStore(b *testing.B, in *mailstoretest.Instance, writers int) float64 {
	mailboxes, _ := benchMailboxes(b, in, writers)
	return benchStoreOf(b, in, writers, mailboxes)
}

// benchStoreOf delivers to mailboxes in turns, as mail that was received is: with its bytes yet
// to be synced.
func benchStoreOf(b *testing.B, in *mailstoretest.Instance, writers int, mailboxes []models.ID) float64 {
	ctx := context.Background()
	message := mailstoretest.Message(1, benchSize)
	contents := benchContents(b, message)
	next := turns(writers)
	return parallel(b, writers, func(w int) error {
		body, err := in.Blobs.Prepare(ctx, bytes.NewReader(message), benchSize)
		if err != nil {
			return err
		}
		mailbox := mailboxes[next(w)%len(mailboxes)]
		return in.Store.Deliver(ctx, mailstore.Arrival{Body: body, Contents: contents, Targets: []mailstore.Target{{Mailbox: mailbox, QuotaBytes: 1 << 40}}})
	})
}

// turns gives each writer numbers of its own: w, w+writers, w+2*writers and so on.
func turns(writers int) func(w int) int {
	at := make([]int, writers)
	return func(w int) int {
		at[w]++
		return w + (at[w]-1)*writers
	}
}

// yardstick appends to a file and syncs once for all who wait, then writes the rows of all who
// wait in one transaction.
type yardstick struct {
	file    *os.File
	at      int64
	appends chan *yardItem
	rows    chan *yardItem
	c       *mime.Contents
	message []byte
}

type yardItem struct {
	id      models.ID
	mailbox models.ID
	inbox   models.ID
	uid     int64
	done    chan error
}

func benchYardstick(b *testing.B, in *mailstoretest.Instance, writers int) float64 {
	mailboxes, inboxes := benchMailboxes(b, in, writers)
	return benchYardstickOf(b, in, writers, mailboxes, inboxes)
}

func benchYardstickOf(b *testing.B, in *mailstoretest.Instance, writers int, mailboxes, inboxes []models.ID) float64 {
	y := &yardstick{appends: make(chan *yardItem, 256), rows: make(chan *yardItem, 256), message: mailstoretest.Message(1, benchSize)}
	y.c = benchContents(b, y.message)
	file, err := os.Create(filepath.Join(b.TempDir(), "data"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	y.file = file
	var rate float64
	// The writer of package db stands by: its connection is taken for the whole run.
	err = in.DB.Write(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		var wg sync.WaitGroup
		wg.Go(func() { y.append() })
		wg.Go(func() { y.write(ctx, tx) })
		next := turns(writers)
		rate = parallel(b, writers, func(w int) error {
			n, id := next(w)%len(mailboxes), in.DB.IDs().New()
			it := &yardItem{id, mailboxes[n], inboxes[n], int64(id), make(chan error, 1)} // the id rises, as a UID must
			y.appends <- it
			return <-it.done
		})
		close(y.appends)
		wg.Wait()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return rate
}

func take(from chan *yardItem) []*yardItem {
	first, ok := <-from
	if !ok {
		return nil
	}
	group := []*yardItem{first}
	for len(group) < 256 {
		select {
		case it, ok := <-from:
			if !ok {
				return group
			}
			group = append(group, it)
		default:
			return group
		}
	}
	return group
}

func (y *yardstick) append() {
	defer close(y.rows)
	for group := take(y.appends); group != nil; group = take(y.appends) {
		buf := make([]byte, 0, len(group)*benchSize)
		for range group {
			buf = append(buf, y.message...)
		}
		_, err := y.file.WriteAt(buf, y.at)
		y.at += int64(len(buf))
		if err == nil {
			err = unix.Fdatasync(int(y.file.Fd()))
		}
		for _, it := range group {
			if err != nil {
				it.done <- err
				continue
			}
			y.rows <- it
		}
	}
}

// write commits by itself inside the transaction it was given: COMMIT and BEGIN are plain
// statements to Tx.
func (y *yardstick) write(ctx context.Context, tx *db.Tx) {
	begin := "BEGIN IMMEDIATE"
	if tx.Dialect() == db.MySQL {
		begin = "START TRANSACTION"
	}
	for group := take(y.rows); group != nil; group = take(y.rows) {
		err := y.insert(ctx, tx, group)
		if err == nil {
			_, err = tx.ExecContext(ctx, "COMMIT")
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, begin)
		}
		for _, it := range group {
			it.done <- err
		}
	}
}

// insert writes the rows of a group: one statement for each row on SQLite, where that is
// quickest, one for all rows of a table on MySQL, which saves round trips.
func (y *yardstick) insert(ctx context.Context, tx *db.Tx, group []*yardItem) error {
	for _, it := range group {
		for _, q := range []struct {
			query string
			args  []any
		}{
			{"UPDATE mailbox_state SET bytes = bytes + ?, messages = messages + 1, modseq = modseq + 1 WHERE mailbox_id = ? AND bytes < ?", []any{benchSize, int64(it.mailbox), 1 << 40}},
			{"UPDATE folders SET uidnext = uidnext + 1, highestmodseq = ?, messages = messages + 1, unseen = unseen + 1, bytes = bytes + ? WHERE id = ?", []any{it.uid, benchSize, int64(it.inbox)}},
		} {
			if _, err := tx.ExecContext(ctx, q.query, q.args...); err != nil {
				return err
			}
		}
	}
	for _, table := range []struct {
		head string
		row  func(it *yardItem) []any
	}{
		{"INSERT INTO blobs (id, driver, node, segment, position, length, refs, created_at) VALUES ", func(it *yardItem) []any {
			return []any{int64(it.id), "seg", 0, "000-00000000000-0000000000000000", y.at, benchSize, 1, 1}
		}},
		{"INSERT INTO contents (blob_id, version, envelope, structure, preview, base_subject, sent_date, sent_zone, message_id, reference_ids, thread_id) VALUES ", func(it *yardItem) []any {
			return []any{int64(it.id), 1, y.c.Envelope, y.c.Structure, y.c.Preview, y.c.BaseSubject, 0, 0, y.c.MessageID, "", y.c.ThreadID}
		}},
		{"INSERT INTO messages (folder_id, uid, modseq, flags, keywords, internal_date, save_date, size, email_id, blob_id, prefix) VALUES ", func(it *yardItem) []any {
			return []any{int64(it.inbox), it.uid, it.uid, 0, 0, 1, 1, benchSize, int64(it.id), int64(it.id), []byte{}}
		}},
	} {
		rows := 1
		if tx.Dialect() == db.MySQL {
			rows = len(group)
		}
		for part := range slices.Chunk(group, rows) {
			var args []any
			for _, it := range part {
				args = append(args, table.row(it)...)
			}
			one := "(" + strings.Repeat("?, ", len(args)/len(part)-1) + "?)"
			if _, err := tx.ExecContext(ctx, table.head+one+strings.Repeat(", "+one, len(part)-1), args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// benchFolder makes an inbox with 2^17 messages by doubling its rows.
func benchFolder(b *testing.B, in *mailstoretest.Instance) *mailstore.Folder {
	ctx := context.Background()
	mailbox := in.Mailbox(b)
	in.Deliver(b, mailstoretest.Message(1, 200), mailbox)
	f, err := in.Store.Folder(ctx, mailbox, mailstore.Inbox)
	if err != nil {
		b.Fatal(err)
	}
	for n := 1; n < 1<<17; n *= 2 {
		err := in.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO messages (folder_id, uid, modseq, flags, keywords, internal_date, save_date, size, email_id, blob_id, prefix)
				SELECT folder_id, uid + ?, modseq, flags, keywords, internal_date, save_date, size, email_id, blob_id, prefix FROM messages WHERE folder_id = ?`, n, int64(f.ID))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if _, err := in.Store.Recount(ctx, mailbox, true); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	return f
}

// BenchmarkLarge works on a folder of 131,072 messages.
func BenchmarkLarge(b *testing.B) {
	ctx := context.Background()
	for name, config := range map[string]func(testing.TB) db.Config{"sqlite": dbtest.SQLite, "mysql": dbtest.MySQL} {
		if name == "mysql" && os.Getenv(dbtest.Env) == "" {
			continue
		}
		in := mailstoretest.Seg(b, config(b))
		f := benchFolder(b, in)
		b.Run("UIDs/"+name, func(b *testing.B) {
			for b.Loop() {
				uids, err := in.Store.UIDs(ctx, f.ID, 1, 1<<20)
				if err != nil || len(uids) != 1<<17 {
					b.Fatal(len(uids), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(1<<17), "ns/msg")
		})
		b.Run("StoreFlags10000/"+name, func(b *testing.B) {
			mode := mailstore.AddFlags
			for b.Loop() {
				_, err := in.Store.SetFlags(ctx, f.Place(), mailstore.Set{{First: 1, Last: 10_000}}, mailstore.FlagChange{Mode: mode, Flags: mailstore.FlagSeen})
				if err != nil {
					b.Fatal(err)
				}
				mode = mailstore.RemoveFlags - mode
			}
		})
		b.Run("Changed10/"+name, func(b *testing.B) {
			g, err := in.Store.FolderByID(ctx, f.Place())
			if err != nil {
				b.Fatal(err)
			}
			if _, err := in.Store.SetFlags(ctx, f.Place(), mailstore.Set{{First: 50_000, Last: 50_009}}, mailstore.FlagChange{Flags: mailstore.FlagDraft}); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				n := 0
				if err := in.Store.Changed(ctx, f.ID, g.HighestModSeq, func(*mailstore.Message) error { n++; return nil }); err != nil || n != 10 {
					b.Fatal(n, err)
				}
			}
		})
		b.Run("Select/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := in.Store.Folder(ctx, f.Mailbox, mailstore.Inbox); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
