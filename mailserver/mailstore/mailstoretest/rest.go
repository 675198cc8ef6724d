package mailstoretest

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"context"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

func (w *world) names() []string {
	w.t.Helper()
	all, err := w.Store.Folders(ctx, w.mailbox)
	w.ok(err)
	var names []string
	for _, f := range all {
		if f.SpecialUse == "" {
			names = append(names, f.Name)
		}
	}
	return names
}

func folders(t *testing.T, open Opener) {
	w := newWorld(t, open)
	make := func(name, use string) (*mailstore.Folder, error) {
		return w.Store.CreateFolder(ctx, w.mailbox, mailstore.NewFolder{Name: name, SpecialUse: use})
	}
	f, err := make("a/b/c", "")
	w.ok(err)
	if g := w.folder("a/b/c"); g.ID != f.ID || g.UIDValidity != f.UIDValidity {
		t.Fatalf("%+v %+v", f, g)
	}
	_, err = make("کار", "")
	w.ok(err)
	equal(t, "names", w.names(), []string{"INBOX", "a", "a/b", "a/b/c", "کار"})
	_, err = make("a/b", "")
	w.is(err, models.Conflict)
	_, err = make("inbox", "")
	w.is(err, models.Conflict)
	_, err = make("second", `\Sent`)
	w.is(err, models.Conflict)
	_, err = make("x", `\Other`)
	w.is(err, models.Invalid)
	for _, bad := range []string{"", "a//b", "/a", "a/", "a*", "a\x01", "a\xff", "a "} {
		_, err = make(bad, "")
		w.is(err, models.Invalid)
	}
	_, err = w.Store.CreateFolder(ctx, w.DB.IDs().New(), mailstore.NewFolder{Name: "x"})
	w.is(err, models.NotFound)

	// A tree moves whole and keeps its ids.
	w.ok(w.Store.RenameFolder(ctx, w.mailbox, "a/b", "z/y"))
	equal(t, "names", w.names(), []string{"INBOX", "a", "z", "z/y", "z/y/c", "کار"})
	if g := w.folder("z/y/c"); g.ID != f.ID {
		t.Fatalf("%+v", g)
	}
	w.is(w.Store.RenameFolder(ctx, w.mailbox, "a", "z"), models.Conflict)
	w.is(w.Store.RenameFolder(ctx, w.mailbox, "none", "q"), models.NotFound)
	w.is(w.Store.RenameFolder(ctx, w.mailbox, "z", "z/z"), models.Denied)

	// Up into the place of a parent that is gone.
	w.ok(w.Store.DeleteFolder(ctx, w.mailbox, "z"))
	_, err = make("z/y/y", "")
	w.ok(err)
	w.ok(w.Store.DeleteFolder(ctx, w.mailbox, "z"))
	w.ok(w.Store.RenameFolder(ctx, w.mailbox, "z/y", "z"))
	equal(t, "names", w.names(), []string{"INBOX", "a", "z", "z/c", "z/y", "کار"})

	w.ok(w.Store.Subscribe(ctx, w.mailbox, "a", false))
	if w.folder("a").Subscribed || !w.folder("z").Subscribed {
		t.Fatal("subscriptions")
	}
	w.is(w.Store.Subscribe(ctx, w.mailbox, "none", true), models.NotFound)

	w.fill(2)
	for _, want := range []mailstore.UID{1, 3} {
		got, err := w.Store.TakeRecent(ctx, w.folder("INBOX").Place())
		if w.ok(err); got != want {
			t.Fatalf("recent from %d, want %d", got, want)
		}
	}
	w.exact()
}

func removeFolder(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(600)
	_, err := w.Store.CreateFolder(ctx, w.mailbox, mailstore.NewFolder{Name: "old/new"})
	w.ok(err)
	old := w.folder("old")
	_, err = w.Store.Copy(ctx, w.folder("INBOX").Place(), mailstore.Everything(), old.Place(), mailstore.Quota{})
	w.ok(err)
	w.ok(w.Store.DeleteFolder(ctx, w.mailbox, "old"))
	equal(t, "names", w.names(), []string{"INBOX", "old/new"})
	if u := w.usage(); u.Messages != 600 || u.Bytes != 600*200 {
		t.Fatalf("%+v", u)
	}
	if left := w.messages(old); len(left) != 0 {
		t.Fatalf("%d rows are left", len(left))
	}
	again, err := w.Store.CreateFolder(ctx, w.mailbox, mailstore.NewFolder{Name: "old"})
	w.ok(err)
	if again.UIDValidity <= old.UIDValidity || again.ID == old.ID {
		t.Fatalf("%+v after %+v", again, old)
	}
	w.is(w.Store.DeleteFolder(ctx, w.mailbox, "none"), models.NotFound)
	w.is(w.Store.DeleteFolder(ctx, w.mailbox, "InBox"), models.Denied)
	_, err = w.Store.SetFlags(ctx, old.Place(), mailstore.Everything(), mailstore.FlagChange{Flags: seen})
	w.is(err, models.NotFound)
	w.exact()
}

func renameInbox(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(3)
	_, err := w.Store.CreateFolder(ctx, w.mailbox, mailstore.NewFolder{Name: "INBOX/below"})
	w.ok(err)
	w.ok(w.Store.RenameFolder(ctx, w.mailbox, "INBOX", "before"))
	equal(t, "names", w.names(), []string{"INBOX", "INBOX/below", "before"})
	if w.folder("INBOX").Messages != 0 || w.folder("before").Messages != 3 {
		t.Fatal("messages did not move")
	}
	w.exact()
}

func readers(t *testing.T, open Opener) {
	w := newWorld(t, open)
	body := Message(1, 100_000)
	prefix := []byte("Return-Path: <x@example.com>\r\n")
	a := w.Arrival(t, body, w.mailbox)
	a.Targets[0].Prefix = prefix
	w.ok(w.Store.Deliver(ctx, a))
	m := w.messages(w.folder("INBOX"))[0]
	want := append(slices.Clone(prefix), body...)
	r, err := w.Store.Open(ctx, &m)
	w.ok(err)
	defer r.Close()
	if r.Size() != int64(len(want)) {
		t.Fatalf("size %d, want %d", r.Size(), len(want))
	}
	for _, c := range [][2]int{{0, 5}, {3, len(prefix)}, {len(prefix) - 1, 2}, {len(prefix), 10}, {50_000, 40_000}, {len(want) - 3, 3}, {0, len(want)}} {
		got := make([]byte, c[1])
		if n, err := r.ReadAt(got, int64(c[0])); n != c[1] || err != nil && err != io.EOF || !bytes.Equal(got, want[c[0]:c[0]+c[1]]) {
			t.Fatalf("ReadAt(%d bytes at %d): %d %v", c[1], c[0], n, err)
		}
	}
	if n, err := r.ReadAt(make([]byte, 10), int64(len(want))-4); n != 4 || err != io.EOF {
		t.Fatalf("at the end: %d %v", n, err)
	}
	head := make([]byte, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := r.WriteTo(&rest); err != nil || !bytes.Equal(append(head, rest.Bytes()...), want) {
		t.Fatalf("WriteTo after Read: %d bytes, %v", rest.Len(), err)
	}
	if got := w.read(&m); !bytes.Equal(got, want) {
		t.Fatal("ReadAll")
	}
}

func contents(t *testing.T, open Opener) {
	w := newWorld(t, open)
	message := []byte("From: a@example.com\r\nDate: Tue, 3 Mar 2026 10:00:00 +0330\r\nSubject: Re: x\r\nMessage-ID: <m@x>\r\nReferences: <a@x> <b@x>\r\n\r\nhello\r\n")
	staged, want := w.Put(t, message)
	bare, _ := w.Put(t, message)
	to := []mailstore.Target{{Mailbox: w.mailbox}}
	w.ok(w.Store.Deliver(ctx, mailstore.Arrival{Blob: staged, Contents: want, Targets: to}))
	w.ok(w.Store.Deliver(ctx, mailstore.Arrival{Blob: bare, Targets: to}))
	for range 2 { // built, then kept
		got, err := w.Store.Contents(ctx, staged.ID, bare.ID)
		w.ok(err)
		for id, c := range got {
			if !bytes.Equal(c.Envelope, want.Envelope) || !bytes.Equal(c.Structure, want.Structure) || c.Preview != want.Preview || c.BaseSubject != want.BaseSubject ||
				c.MessageID != want.MessageID || !slices.Equal(c.References, want.References) || c.ThreadID != want.ThreadID ||
				c.SentDate.String()[:25] != want.SentDate.String()[:25] {
				t.Fatalf("%d: %+v, want %+v", id, c, want)
			}
		}
		if len(got) != 2 {
			t.Fatalf("%d contents", len(got))
		}
	}
	if n := w.count("SELECT COUNT(*) FROM contents"); n != 2 {
		t.Fatalf("%d rows of contents", n)
	}
	got, err := w.Store.Contents(ctx, 12345)
	if w.ok(err); len(got) != 0 {
		t.Fatalf("%v", got)
	}
}

func (w *world) count(query string, args ...any) (n int64) {
	w.t.Helper()
	w.ok(w.DB.SQL().QueryRowContext(ctx, query, args...).Scan(&n))
	return n
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.ok(w.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}))
}

func removeMailbox(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(600)
	other := w.Mailbox(t)
	w.Deliver(t, Message(1, 300), w.mailbox, other)
	_, err := w.Store.Copy(ctx, w.folder("INBOX").Place(), spans(1, 50), w.folder("Sent").Place(), mailstore.Quota{})
	w.ok(err)
	w.ok(w.Store.DeleteFolder(ctx, w.mailbox, "Junk"))
	_, err = w.Store.Expunge(ctx, w.folder("INBOX").Place(), spans(1, 3), false)
	w.ok(err)
	w.ok(w.Store.RemoveMailbox(ctx, w.mailbox))
	w.ok(w.Store.RemoveMailbox(ctx, w.mailbox))
	w.is(w.Store.Deliver(ctx, w.Arrival(t, Message(2, 300), w.mailbox)), models.NotFound)
	if n := w.count("SELECT COUNT(*) FROM messages"); n != 1 {
		t.Fatalf("%d messages are left", n)
	}
	if n := w.count("SELECT COUNT(*) FROM folders WHERE mailbox_id <> ?", int64(other)) + w.count("SELECT COUNT(*) FROM expunged"); n != 0 {
		t.Fatalf("%d rows are left", n)
	}
	if _, err := w.Blobs.Collect(ctx); err != nil {
		t.Fatal(err)
	}
	if n := w.count("SELECT COUNT(*) FROM contents"); n != 1 {
		t.Fatalf("%d contents are left", n)
	}
	w.mailbox = other
	w.exact()
	// Begun and left, as by a crash.
	w.exec("UPDATE folders SET mailbox_id = -mailbox_id, name = CAST(id AS CHAR) WHERE mailbox_id = ?", int64(other))
	w.exec("DELETE FROM mailbox_state")
	w.ok(w.Store.Maintain(ctx))
	if n := w.count("SELECT COUNT(*) FROM messages") + w.count("SELECT COUNT(*) FROM folders"); n != 0 {
		t.Fatalf("%d rows are left", n)
	}
}

func forget(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(10)
	inbox := w.folder("INBOX")
	first, err := w.Store.Expunge(ctx, inbox.Place(), mailstore.SetOf(2, 4), false)
	w.ok(err)
	w.exec("UPDATE expunged SET at = at - ?", int64(91*24*3600*1e6))
	second, err := w.Store.Expunge(ctx, inbox.Place(), mailstore.SetOf(6), false)
	w.ok(err)
	w.ok(w.Store.Maintain(ctx))
	check := func(since mailstore.ModSeq, want mailstore.Set, whole bool) {
		t.Helper()
		gone, complete, err := w.Store.Vanished(ctx, inbox.ID, since)
		w.ok(err)
		equal(t, "vanished", gone, want)
		if complete != whole {
			t.Errorf("complete is %v", complete)
		}
	}
	check(first.ModSeq-1, mailstore.SetOf(6), false)
	check(first.ModSeq, mailstore.SetOf(6), true)

	// More than 10,000 ranges: the oldest go.
	w.ok(w.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		for i := range 10_100 {
			if _, err := tx.ExecContext(ctx, "INSERT INTO expunged (folder_id, modseq, uid_first, uid_last, at) VALUES (?, ?, ?, ?, ?)",
				int64(inbox.ID), int64(second.ModSeq)+1+int64(i), 100+2*i, 100+2*i, models.At(w.DB.Now())); err != nil {
				return err
			}
		}
		return nil
	}))
	w.ok(w.Store.Maintain(ctx))
	if n := w.count("SELECT COUNT(*) FROM expunged"); n != 10_000 {
		t.Fatalf("%d ranges are left", n)
	}
	if f := w.folder("INBOX"); f.VanishedFloor != second.ModSeq+100 {
		t.Fatalf("floor %d, want %d", f.VanishedFloor, second.ModSeq+100)
	}
}

func recount(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(6)
	w.store(w.folder("INBOX"), mailstore.SetOf(1, 2), mailstore.AddFlags, seen|deleted)
	w.exact()
	for _, damage := range []string{
		"UPDATE mailbox_state SET bytes = bytes + 7",
		"UPDATE mailbox_state SET messages = 0",
		"UPDATE folders SET unseen = unseen + 1, deleted = 0 WHERE name = 'INBOX'",
		"UPDATE folders SET bytes = 5, messages = 3 WHERE name = 'Sent'",
		"UPDATE folders SET uidnext = 2 WHERE name = 'INBOX'",
		"UPDATE folders SET highestmodseq = 1 WHERE name = 'INBOX'",
	} {
		w.exec(damage)
		d, err := w.Store.Recount(ctx, w.mailbox, false)
		if w.ok(err); !d.Any() || d.Fixed {
			t.Fatalf("%s: %+v", damage, d)
		}
		d, err = w.Store.Recount(ctx, w.mailbox, true)
		if w.ok(err); !d.Any() || !d.Fixed {
			t.Fatalf("%s: %+v", damage, d)
		}
		w.exact()
	}
	if f := w.folder("INBOX"); f.UIDNext != 7 || f.Unseen != 4 || f.Deleted != 2 {
		t.Fatalf("%+v", f)
	}
	w.exec("UPDATE blobs SET refs = refs + 1")
	refs, err := w.Store.RecountBlobs(ctx, true)
	if w.ok(err); len(refs) != 6 {
		t.Fatalf("%+v", refs)
	}
	w.exact()
	_, err = w.Store.Recount(ctx, w.DB.IDs().New(), false)
	w.is(err, models.NotFound)
}
