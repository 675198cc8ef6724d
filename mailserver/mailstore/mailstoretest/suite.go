package mailstoretest

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// Opener opens one more independent instance on the same database and blobs.
type Opener func(t testing.TB) *Instance

// Run runs the contract; fresh makes an empty migrated database and blob store for each test.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open Opener)
	}{
		{"a new mailbox has its folders", newMailbox},
		{"one message goes to many", deliverToMany},
		{"an arrival goes to all or to none", allOrNone},
		{"an unknown folder is the inbox", unknownFolder},
		{"quotas hold in a race", quotaRace},
		{"declared sizes must fit", declaredSize},
		{"a bad item fails alone", poison},
		{"an arrival with rows of others", alsoRows},
		{"an Also that fails does so alone", alsoPoison},
		{"a cancelled arrival is there or not", cancelled},
		{"a store that closes answers everybody", closing},
		{"UIDs and modseqs rise for every reader", rising},
		{"flags", flags},
		{"flags under a condition", unchangedSince},
		{"keywords", keywords},
		{"append", appending},
		{"append refuses as a whole", appendRefused},
		{"copy", copying},
		{"copy over quota leaves nothing", copyFull},
		{"move", moving},
		{"expunge", expunging},
		{"large folders are changed in pieces", large},
		{"folders are made and named", folders},
		{"folders are removed", removeFolder},
		{"the inbox is renamed by moving", renameInbox},
		{"readers", readers},
		{"contents", contents},
		{"a removed mailbox leaves nothing", removeMailbox},
		{"expunged ranges are forgotten", forget},
		{"recount finds and mends", recount},
		{"a random run equals the model", model},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

var ctx = context.Background()

// world is what most tests need: one instance with one mailbox, and a second, independent one
// that looks. Whatever the first has committed the other sees, with its own caches.
type world struct {
	*Instance
	other   *Instance
	t       testing.TB
	mailbox models.ID
}

func newWorld(t testing.TB, open Opener) *world {
	in := open(t)
	return &world{Instance: in, other: open(t), t: t, mailbox: in.Mailbox(t)}
}

func (w *world) folder(name string) *mailstore.Folder {
	w.t.Helper()
	f, err := w.other.Store.Folder(ctx, w.mailbox, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

func (w *world) messages(f *mailstore.Folder) []mailstore.Message {
	w.t.Helper()
	all, err := w.other.Store.Messages(ctx, f.ID, 0, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) uids(f *mailstore.Folder) []mailstore.UID {
	var all []mailstore.UID
	for _, m := range w.messages(f) {
		all = append(all, m.UID)
	}
	return all
}

// fill delivers n messages into the inbox.
func (w *world) fill(n int) {
	w.t.Helper()
	f := w.folder(mailstore.Inbox)
	for n > 0 {
		batch := make([]mailstore.Appended, min(n, 250))
		n -= len(batch)
		var wg sync.WaitGroup // they share the syncs
		for i := range batch {
			wg.Go(func() {
				staged, contents := w.Put(w.t, Message(i, 200))
				batch[i] = mailstore.Appended{Blob: staged, Contents: contents}
			})
		}
		wg.Wait()
		if _, _, err := w.Store.Append(ctx, f.Place(), mailstore.Quota{}, batch...); err != nil {
			w.t.Fatal(err)
		}
	}
}

// exact fails the test unless all counters of the mailbox and all references are right.
func (w *world) exact() {
	w.t.Helper()
	d, err := w.other.Store.Recount(ctx, w.mailbox, false)
	if err != nil {
		w.t.Fatal(err)
	}
	if d.Any() {
		w.t.Errorf("counters drifted: %+v", d)
	}
	refs, err := w.other.Store.RecountBlobs(ctx, false)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(refs) > 0 {
		w.t.Errorf("references drifted: %+v", refs)
	}
}

func (w *world) usage() models.MailboxUsage {
	w.t.Helper()
	u, err := w.other.Store.Usage(ctx, w.mailbox)
	if err != nil {
		w.t.Fatal(err)
	}
	return u[w.mailbox]
}

func (w *world) read(m *mailstore.Message) []byte {
	w.t.Helper()
	r, err := w.other.Store.Open(ctx, m)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) is(err error, kind models.Kind) {
	w.t.Helper()
	if err == nil || models.KindOf(err) != kind {
		w.t.Fatalf("error %v, want kind %v", err, kind)
	}
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// spans makes a set of pairs of first and last UID.
func spans(ends ...mailstore.UID) mailstore.Set {
	var s mailstore.Set
	for i := 0; i < len(ends); i += 2 {
		s = append(s, mailstore.Range{First: ends[i], Last: ends[i+1]})
	}
	return s
}
