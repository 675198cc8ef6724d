package mailstoretest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// twin is a mailbox in the simplest form that can be right.
type twin struct {
	rand    *rand.Rand
	folders map[string]*twinFolder
}

type twinFolder struct {
	next     mailstore.UID
	messages []twinMessage
	gone     []mailstore.UID
}

type twinMessage struct {
	uid   mailstore.UID
	flags mailstore.Flags
	work  bool // has keyword "Work"
	size  int64
	blob  models.ID
}

func (f *twinFolder) add(m twinMessage) {
	m.uid = f.next
	f.next++
	f.messages = append(f.messages, m)
}

// pick returns a random set and the messages in it.
func (tw *twin) pick(f *twinFolder) (mailstore.Set, func(twinMessage) bool) {
	var uids []mailstore.UID
	for u := mailstore.UID(1); u <= f.next; u++ {
		if tw.rand.IntN(3) == 0 {
			uids = append(uids, u)
		}
	}
	set := mailstore.SetOf(uids...)
	if tw.rand.IntN(4) == 0 {
		set = mailstore.Everything()
	}
	return set, func(m twinMessage) bool { return set.Contains(m.uid) }
}

// model runs random changes against a store, from two instances in turns, and against the
// twin, and compares them.
func model(t *testing.T, open Opener) {
	w := newWorld(t, open)
	second := &world{Instance: w.other, other: w.Instance, t: t, mailbox: w.mailbox}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	names := []string{"INBOX", "Archive", "Trash"}
	tw := &twin{rand: rand.New(rand.NewPCG(seed, 1)), folders: map[string]*twinFolder{}}
	for _, n := range names {
		tw.folders[n] = &twinFolder{next: 1}
	}
	for step := range 120 {
		on := []*world{w, second}[tw.rand.IntN(2)]
		tw.step(on, names)
		if step%20 == 19 {
			tw.compare(t, w, names)
		}
	}
	tw.compare(t, w, names)
	w.exact()
}

func (tw *twin) step(w *world, names []string) {
	from, to := names[tw.rand.IntN(len(names))], names[tw.rand.IntN(len(names))]
	f, g := tw.folders[from], tw.folders[to]
	set, in := tw.pick(f)
	switch tw.rand.IntN(7) {
	case 0, 1:
		size := 200 + tw.rand.IntN(500)
		a := w.Arrival(w.t, Message(1, size), w.mailbox)
		a.Targets[0].Folder = from
		w.ok(w.Store.Deliver(ctx, a))
		f.add(twinMessage{size: int64(size), blob: a.Blob.ID})
	case 2:
		staged, contents := w.Put(w.t, Message(1, 300))
		_, uids, err := w.Store.Append(ctx, w.folder(from).Place(), mailstore.Quota{}, mailstore.Appended{Blob: staged, Contents: contents, Flags: seen})
		w.ok(err)
		equal(w.t, "UID", uids, []mailstore.UID{f.next})
		f.add(twinMessage{size: 300, blob: staged.ID, flags: seen})
	case 3:
		tw.flag(w, from, set, in)
	case 4:
		_, err := w.Store.Copy(ctx, w.folder(from).Place(), set, w.folder(to).Place(), mailstore.Quota{})
		w.ok(err)
		for _, m := range slices.Clone(f.messages) {
			if in(m) {
				g.add(m)
			}
		}
	case 5:
		_, err := w.Store.Move(ctx, w.folder(from).Place(), set, w.folder(to).Place())
		w.ok(err)
		for _, m := range f.remove(in) {
			g.add(m)
		}
	case 6:
		only := tw.rand.IntN(2) == 0
		_, err := w.Store.Expunge(ctx, w.folder(from).Place(), set, only)
		w.ok(err)
		f.remove(func(m twinMessage) bool { return in(m) && (!only || m.flags&deleted != 0) })
	}
}

func (f *twinFolder) remove(in func(twinMessage) bool) []twinMessage {
	var gone, left []twinMessage
	for _, m := range f.messages {
		if in(m) {
			gone = append(gone, m)
			f.gone = append(f.gone, m.uid)
		} else {
			left = append(left, m)
		}
	}
	f.messages = left
	return gone
}

func (tw *twin) flag(w *world, name string, set mailstore.Set, in func(twinMessage) bool) {
	mode := mailstore.FlagMode(tw.rand.IntN(3))
	flags := mailstore.Flags(tw.rand.IntN(32))
	work := tw.rand.IntN(2) == 0
	var words []string
	if work {
		words = []string{"Work"}
	}
	w.store(w.folder(name), set, mode, flags, words...)
	list := tw.folders[name].messages
	for i := range list {
		m := &list[i]
		switch {
		case !in(*m):
		case mode == mailstore.AddFlags:
			m.flags, m.work = m.flags|flags, m.work || work
		case mode == mailstore.RemoveFlags:
			m.flags, m.work = m.flags&^flags, m.work && !work
		default:
			m.flags, m.work = flags, work
		}
	}
}

func (tw *twin) compare(t *testing.T, w *world, names []string) {
	t.Helper()
	var total models.MailboxUsage
	for _, name := range names {
		f, want := w.folder(name), tw.folders[name]
		var got []twinMessage
		var bytes, unseen, dead int64
		for _, m := range w.messages(f) {
			got = append(got, twinMessage{m.UID, m.Flags, len(mailstore.KeywordNames(f.Keywords, m.Keywords)) > 0, m.Size, m.BlobID})
			bytes += m.Size
			if m.Flags&seen == 0 {
				unseen++
			}
			if m.Flags&deleted != 0 {
				dead++
			}
			if m.ModSeq > f.HighestModSeq {
				t.Fatalf("%s: %d is over the highest modseq %d", name, m.ModSeq, f.HighestModSeq)
			}
		}
		equal(t, name, got, want.messages)
		if f.UIDNext != want.next || f.Messages != int64(len(got)) || f.Bytes != bytes || f.Unseen != unseen || f.Deleted != dead {
			t.Fatalf("%s: %+v; want next %d, %d bytes, %d unseen, %d deleted", name, f, want.next, bytes, unseen, dead)
		}
		gone, complete, err := w.Store.Vanished(ctx, f.ID, 0)
		w.ok(err)
		equal(t, name+" vanished", gone, mailstore.SetOf(want.gone...))
		if !complete {
			t.Fatal("not complete")
		}
		total.Bytes += bytes
		total.Messages += int64(len(got))
	}
	if u := w.usage(); u != total {
		t.Fatalf("usage %+v, want %+v", u, total)
	}
}
