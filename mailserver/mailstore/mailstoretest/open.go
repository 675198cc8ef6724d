// Package mailstoretest is the contract of the mail store, run against every database and blob
// driver, and what tests of others need to have a store.
package mailstoretest

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// Instance is a store as one process has it, with its own handle on the database.
type Instance struct {
	DB    *db.DB
	Blobs *blob.Blobs
	Store *mailstore.Store
}

// Seg opens a store on a migrated database with the segment driver in its data folder, and
// closes it with the test. Called again with the same configuration it is a second process on
// the same store.
func Seg(t testing.TB, config db.Config) *Instance { return SegWith(t, config, seg.Config{}) }

// SegWith is Seg with segments of another size, in another file system or another folder; node
// and minimum of free space are set here.
func SegWith(t testing.TB, config db.Config, segments seg.Config) *Instance {
	t.Helper()
	d := dbtest.Open(t, config)
	segments.Node, segments.MinFree = d.IDs().Node(), -1
	if segments.Dir == "" {
		segments.Dir = SegDir(config)
	}
	driver, err := seg.Open(segments)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.New(blob.Config{DB: d, Drivers: []blob.Driver{driver}, Grace: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	store := mailstore.New(mailstore.Config{DB: d, Blobs: blobs})
	t.Cleanup(store.Close)
	return &Instance{DB: d, Blobs: blobs, Store: store}
}

// SegDir is the folder of the segments of Seg.
func SegDir(config db.Config) string { return filepath.Join(config.DataDir, "blobs") }

// Mailbox makes a mailbox and returns its id.
func (in *Instance) Mailbox(t testing.TB) models.ID {
	t.Helper()
	id := in.DB.IDs().New()
	if err := in.Store.CreateMailbox(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	return id
}

// Put makes the bytes of a message durable.
func (in *Instance) Put(t testing.TB, message []byte) (blob.Staged, *mime.Contents) {
	t.Helper()
	staged, err := in.Blobs.Put(context.Background(), bytes.NewReader(message), int64(len(message)))
	if err != nil {
		t.Fatal(err)
	}
	contents, err := mime.Build(bytes.NewReader(message), int64(len(message)))
	if err != nil {
		t.Fatal(err)
	}
	return staged, contents
}

// Arrival is an arrival of a message for the inboxes of mailboxes.
func (in *Instance) Arrival(t testing.TB, message []byte, mailboxes ...models.ID) mailstore.Arrival {
	t.Helper()
	staged, contents := in.Put(t, message)
	a := mailstore.Arrival{Blob: staged, Contents: contents}
	for _, m := range mailboxes {
		a.Targets = append(a.Targets, mailstore.Target{Mailbox: m})
	}
	return a
}

// Deliver puts a message into the inboxes of mailboxes.
func (in *Instance) Deliver(t testing.TB, message []byte, mailboxes ...models.ID) {
	t.Helper()
	if err := in.Store.Deliver(context.Background(), in.Arrival(t, message, mailboxes...)); err != nil {
		t.Fatal(err)
	}
}

// Message is a message of exactly size bytes, at least 100.
func Message(n, size int) []byte {
	head := fmt.Sprintf("From: a@example.com\r\nSubject: message %d\r\nMessage-ID: <%d@example.com>\r\n\r\n", n, n)
	line := strings.Repeat("x", 70) + "\r\n"
	body := strings.Repeat(line, size/len(line)+1)
	return []byte((head + body)[:size])
}
