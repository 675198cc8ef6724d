package mailstoretest

import (
	"fmt"
	"testing"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

const (
	seen    = mailstore.FlagSeen
	flagged = mailstore.FlagFlagged
	deleted = mailstore.FlagDeleted
	draft   = mailstore.FlagDraft
)

func (w *world) store(f *mailstore.Folder, set mailstore.Set, mode mailstore.FlagMode, flags mailstore.Flags, words ...string) *mailstore.Flagged {
	w.t.Helper()
	r, err := w.Store.SetFlags(ctx, f.Place(), set, mailstore.FlagChange{Mode: mode, Flags: flags, Keywords: words})
	w.ok(err)
	return r
}

func flags(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(5)
	inbox := w.folder("INBOX")
	for _, c := range []struct {
		mode  mailstore.FlagMode
		flags mailstore.Flags
		set   mailstore.Set
		want  [5]mailstore.Flags
	}{
		{mailstore.AddFlags, seen | flagged, mailstore.SetOf(1, 3, 9), [5]mailstore.Flags{seen | flagged, 0, seen | flagged, 0, 0}},
		{mailstore.AddFlags, deleted, mailstore.Everything(), [5]mailstore.Flags{seen | flagged | deleted, deleted, seen | flagged | deleted, deleted, deleted}},
		{mailstore.RemoveFlags, flagged | deleted, spans(2, 3), [5]mailstore.Flags{seen | flagged | deleted, 0, seen, deleted, deleted}},
		{mailstore.ReplaceFlags, draft, mailstore.SetOf(5, 1), [5]mailstore.Flags{draft, 0, seen, deleted, draft}},
		{mailstore.ReplaceFlags, 0, mailstore.SetOf(5), [5]mailstore.Flags{draft, 0, seen, deleted, 0}},
	} {
		before := w.messages(inbox)
		high := w.folder("INBOX").HighestModSeq
		r := w.store(inbox, c.set, c.mode, c.flags)
		for i, m := range w.messages(inbox) {
			if m.Flags != c.want[i] {
				t.Fatalf("%v %v: message %d has %v, want %v", c.mode, c.flags, i+1, m.Flags, c.want[i])
			}
			if changed := m.Flags != before[i].Flags; changed != (m.ModSeq > high) {
				t.Fatalf("%v %v: message %d: modseq %d after %d", c.mode, c.flags, i+1, m.ModSeq, high)
			}
		}
		for _, s := range r.Messages {
			if m := w.messages(inbox)[s.UID-1]; s != (mailstore.FlagState{UID: m.UID, ModSeq: m.ModSeq, Flags: m.Flags}) {
				t.Fatalf("%+v is told, %+v is true", s, m)
			}
		}
		w.exact()
	}
	high := w.folder("INBOX").HighestModSeq
	if r := w.store(inbox, mailstore.SetOf(3), mailstore.AddFlags, seen); len(r.Messages) != 1 || w.folder("INBOX").HighestModSeq != high {
		t.Fatal("a change of nothing changed the modseq")
	}
	_, err := w.Store.SetFlags(ctx, mailstore.Place{Mailbox: w.Mailbox(t), Folder: inbox.ID}, mailstore.Everything(), mailstore.FlagChange{Flags: seen})
	w.is(err, models.NotFound)
}

func unchangedSince(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(4)
	inbox := w.folder("INBOX")
	high := inbox.HighestModSeq
	w.store(inbox, mailstore.SetOf(2), mailstore.AddFlags, flagged)
	r, err := w.Store.SetFlags(ctx, inbox.Place(), mailstore.Everything(), mailstore.FlagChange{Flags: seen, Conditional: true, UnchangedSince: high})
	w.ok(err)
	equal(t, "modified", r.Modified, mailstore.SetOf(2))
	if m := w.messages(inbox); len(r.Messages) != 3 || m[1].Flags != flagged || m[0].Flags != seen {
		t.Fatalf("%+v", m)
	}
	r, err = w.Store.SetFlags(ctx, inbox.Place(), mailstore.Everything(), mailstore.FlagChange{Flags: draft, Conditional: true})
	w.ok(err)
	equal(t, "modified", r.Modified, spans(1, 4))
	w.exact()
}

func keywords(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(2)
	inbox, archive := w.folder("INBOX"), w.folder("Archive")
	w.store(inbox, mailstore.SetOf(1), mailstore.AddFlags, 0, "$Forwarded", "Work")
	r := w.store(inbox, mailstore.SetOf(2), mailstore.AddFlags, 0, "work")
	equal(t, "words", r.Words, []string{"$Forwarded", "Work"})
	w.store(inbox, mailstore.SetOf(1), mailstore.RemoveFlags, 0, "$forwarded", "unknown")
	f := w.folder("INBOX")
	for _, m := range w.messages(f) {
		equal(t, "keywords", mailstore.KeywordNames(f.Keywords, m.Keywords), []string{"Work"})
	}
	w.store(archive, mailstore.Everything(), mailstore.AddFlags, 0, "other")
	_, err := w.Store.Copy(ctx, inbox.Place(), mailstore.SetOf(1), archive.Place(), mailstore.Quota{})
	w.ok(err)
	a := w.folder("Archive")
	equal(t, "keywords of the copy", mailstore.KeywordNames(a.Keywords, w.messages(a)[0].Keywords), []string{"Work"})

	_, err = w.Store.SetFlags(ctx, inbox.Place(), mailstore.SetOf(1), mailstore.FlagChange{Keywords: []string{"two words"}})
	w.is(err, models.Invalid)
	for i := len(f.Keywords); i < mailstore.MaxKeywords; i++ {
		w.store(inbox, mailstore.SetOf(1), mailstore.AddFlags, 0, fmt.Sprint("k", i))
	}
	_, err = w.Store.SetFlags(ctx, inbox.Place(), mailstore.SetOf(1), mailstore.FlagChange{Keywords: []string{"toomuch"}})
	w.is(err, models.Full)
	f = w.folder("INBOX")
	if n := len(mailstore.KeywordNames(f.Keywords, w.messages(f)[0].Keywords)); n != mailstore.MaxKeywords-1 {
		t.Fatalf("%d keywords", n)
	}
	w.store(inbox, mailstore.SetOf(1), mailstore.ReplaceFlags, seen)
	if m := w.messages(f)[0]; m.Keywords != 0 {
		t.Fatalf("%+v", m)
	}
	w.exact()
}

func appending(t *testing.T, open Opener) {
	w := newWorld(t, open)
	drafts := w.folder("Drafts")
	var list []mailstore.Appended
	for i := range 3 {
		staged, contents := w.Put(t, Message(i, 400))
		list = append(list, mailstore.Appended{Blob: staged, Contents: contents, Date: models.Micros(1000 + i), Flags: seen | draft, Keywords: []string{"Mine"}})
	}
	validity, uids, err := w.Store.Append(ctx, drafts.Place(), mailstore.Quota{Bytes: 1200}, list...)
	w.ok(err)
	equal(t, "UIDs", uids, []mailstore.UID{1, 2, 3})
	f := w.folder("Drafts")
	if validity != f.UIDValidity || f.Unseen != 0 || f.Messages != 3 || f.Bytes != 1200 {
		t.Fatalf("%+v", f)
	}
	for i, m := range w.messages(f) {
		if m.InternalDate != models.Micros(1000+i) || m.Flags != seen|draft || m.Keywords != 1 || string(w.read(&m)) != string(Message(i, 400)) {
			t.Fatalf("%+v", m)
		}
	}
	equal(t, "words", f.Keywords, []string{"Mine"})
	w.exact()
}

func appendRefused(t *testing.T, open Opener) {
	w := newWorld(t, open)
	drafts := w.folder("Drafts")
	try := func(p mailstore.Place, q mailstore.Quota, words ...string) error {
		var list []mailstore.Appended
		for i := range 3 {
			staged, contents := w.Put(t, Message(i, 400))
			list = append(list, mailstore.Appended{Blob: staged, Contents: contents, Keywords: words})
		}
		_, _, err := w.Store.Append(ctx, p, q, list...)
		return err
	}
	w.is(try(drafts.Place(), mailstore.Quota{Bytes: 1199}), models.Full)
	w.is(try(drafts.Place(), mailstore.Quota{Messages: 2}), models.Full)
	w.is(try(drafts.Place(), mailstore.Quota{}, "bad word"), models.Invalid)
	w.is(try(mailstore.Place{Mailbox: w.mailbox, Folder: 1}, mailstore.Quota{}), models.NotFound)
	w.is(try(mailstore.Place{Mailbox: w.Mailbox(t), Folder: drafts.ID}, mailstore.Quota{}), models.NotFound)
	if u, f := w.usage(), w.folder("Drafts"); u.Messages != 0 || f.UIDNext != 1 {
		t.Fatalf("%+v %+v", u, f)
	}
	w.exact()
}

func copying(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(4)
	inbox, archive := w.folder("INBOX"), w.folder("Archive")
	w.store(inbox, mailstore.SetOf(2), mailstore.AddFlags, seen|flagged)
	c, err := w.Store.Copy(ctx, inbox.Place(), spans(2, 3, 7, 9), archive.Place(), mailstore.Quota{})
	w.ok(err)
	equal(t, "from", c.From, []mailstore.UID{2, 3})
	equal(t, "to", c.To, []mailstore.UID{1, 2})
	from, to := w.messages(inbox), w.messages(archive)
	for i, m := range to {
		o := from[i+1]
		if m.Flags != o.Flags || m.InternalDate != o.InternalDate || m.BlobID != o.BlobID || m.EmailID != o.EmailID || m.Size != o.Size {
			t.Fatalf("%+v is no copy of %+v", m, o)
		}
	}
	if c.UIDValidity != archive.UIDValidity || w.usage().Messages != 6 {
		t.Fatalf("%+v", c)
	}
	w.exact()
	// Into the same folder: each once, though the copies are in the set as well.
	c, err = w.Store.Copy(ctx, inbox.Place(), mailstore.Everything(), inbox.Place(), mailstore.Quota{})
	w.ok(err)
	equal(t, "to", c.To, []mailstore.UID{5, 6, 7, 8})
	_, err = w.Store.Copy(ctx, inbox.Place(), mailstore.Everything(), mailstore.Place{Mailbox: w.mailbox, Folder: 1}, mailstore.Quota{})
	w.is(err, models.NotFound)
	_, err = w.Store.Copy(ctx, inbox.Place(), mailstore.Everything(), mailstore.Place{Mailbox: w.Mailbox(t), Folder: inbox.ID}, mailstore.Quota{})
	w.is(err, models.Invalid)
	w.exact()
}

func copyFull(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(10)
	inbox, archive := w.folder("INBOX"), w.folder("Archive")
	for _, q := range []mailstore.Quota{{Bytes: 2900}, {Messages: 15}} {
		_, err := w.Store.Copy(ctx, inbox.Place(), mailstore.Everything(), archive.Place(), q)
		w.is(err, models.Full)
	}
	if u := w.usage(); u.Messages != 10 {
		t.Fatalf("%+v", u)
	}
	_, err := w.Store.Copy(ctx, inbox.Place(), mailstore.Everything(), archive.Place(), mailstore.Quota{Bytes: 4000, Messages: 20})
	w.ok(err)
	w.exact()
}

func moving(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(5)
	inbox, trash := w.folder("INBOX"), w.folder("Trash")
	before := w.folder("INBOX").HighestModSeq
	c, err := w.Store.Move(ctx, inbox.Place(), mailstore.SetOf(2, 4, 8), trash.Place())
	w.ok(err)
	equal(t, "from", c.From, []mailstore.UID{2, 4})
	equal(t, "to", c.To, []mailstore.UID{1, 2})
	equal(t, "left", w.uids(inbox), []mailstore.UID{1, 3, 5})
	gone, complete, err := w.Store.Vanished(ctx, inbox.ID, before)
	w.ok(err)
	equal(t, "vanished", gone, mailstore.SetOf(2, 4))
	if !complete || w.usage().Messages != 5 {
		t.Fatal("counters")
	}
	w.exact()
	// Within the folder: new UIDs.
	c, err = w.Store.Move(ctx, inbox.Place(), mailstore.Everything(), inbox.Place())
	w.ok(err)
	equal(t, "to", c.To, []mailstore.UID{6, 7, 8})
	equal(t, "left", w.uids(inbox), []mailstore.UID{6, 7, 8})
	w.exact()
}

func expunging(t *testing.T, open Opener) {
	w := newWorld(t, open)
	w.fill(8)
	inbox := w.folder("INBOX")
	w.store(inbox, mailstore.SetOf(1, 2, 3, 6, 8), mailstore.AddFlags, deleted)
	start := w.folder("INBOX").HighestModSeq
	e, err := w.Store.Expunge(ctx, inbox.Place(), spans(2, 7), true)
	w.ok(err)
	equal(t, "expunged", e.UIDs, spans(2, 3, 6, 6))
	equal(t, "left", w.uids(inbox), []mailstore.UID{1, 4, 5, 7, 8})
	if f := w.folder("INBOX"); f.HighestModSeq != e.ModSeq || e.ModSeq <= start || f.Deleted != 2 {
		t.Fatalf("%+v %+v", f, e)
	}
	middle := e.ModSeq
	e, err = w.Store.Expunge(ctx, inbox.Place(), mailstore.SetOf(4, 6, 8, 99), false) // as POP3 does
	w.ok(err)
	equal(t, "expunged", e.UIDs, mailstore.SetOf(4, 8))
	for since, want := range map[mailstore.ModSeq]mailstore.Set{start: spans(2, 4, 6, 6, 8, 8), middle: mailstore.SetOf(4, 8), e.ModSeq: nil} {
		gone, complete, err := w.Store.Vanished(ctx, inbox.ID, since)
		w.ok(err)
		equal(t, "vanished", gone, want)
		if !complete {
			t.Error("not complete")
		}
	}
	e, err = w.Store.Expunge(ctx, inbox.Place(), mailstore.SetOf(5), true)
	if w.ok(err); len(e.UIDs) != 0 || e.ModSeq != 0 {
		t.Fatalf("%+v", e)
	}
	w.fill(1)
	if uids := w.uids(inbox); uids[len(uids)-1] != 9 {
		t.Fatalf("a UID was given twice: %v", uids)
	}
	w.exact()
}

// large runs every change over several pieces, with holes in between.
func large(t *testing.T, open Opener) {
	const n = 1300
	w := newWorld(t, open)
	w.fill(n)
	inbox, archive := w.folder("INBOX"), w.folder("Archive")
	var odd []mailstore.UID
	for u := mailstore.UID(1); u <= n; u += 2 {
		odd = append(odd, u)
	}
	if r := w.store(inbox, mailstore.Everything(), mailstore.AddFlags, seen); len(r.Messages) != n {
		t.Fatalf("%d", len(r.Messages))
	}
	w.store(inbox, mailstore.SetOf(odd...), mailstore.AddFlags, deleted)
	if f := w.folder("INBOX"); f.Unseen != 0 || f.Deleted != int64(len(odd)) {
		t.Fatalf("%+v", f)
	}
	c, err := w.Store.Copy(ctx, inbox.Place(), mailstore.SetOf(odd...), archive.Place(), mailstore.Quota{Messages: n * 2})
	if w.ok(err); len(c.To) != len(odd) || c.To[len(odd)-1] != mailstore.UID(len(odd)) {
		t.Fatalf("%d", len(c.To))
	}
	e, err := w.Store.Expunge(ctx, inbox.Place(), mailstore.Everything(), true)
	if w.ok(err); len(e.UIDs) != len(odd) {
		t.Fatalf("%d", len(e.UIDs))
	}
	_, err = w.Store.Move(ctx, inbox.Place(), spans(1, n/2), archive.Place())
	w.ok(err)
	count := 0
	w.ok(w.Store.InSet(ctx, archive.ID, mailstore.Everything(), func(m *mailstore.Message) error { count++; return nil }))
	if f := w.folder("Archive"); count != len(odd)+n/4 || f.Messages != int64(count) {
		t.Fatalf("%d messages, want %d", count, len(odd)+n/4)
	}
	w.exact()
}
