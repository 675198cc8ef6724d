package mailstoretest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

func newMailbox(t *testing.T, open Opener) {
	w := newWorld(t, open)
	all, err := w.Store.Folders(ctx, w.mailbox)
	w.ok(err)
	var names []string
	seen := map[uint32]bool{}
	for _, f := range all {
		names = append(names, f.Name+f.SpecialUse)
		if f.UIDValidity == 0 || seen[f.UIDValidity] || f.UIDNext != 1 || !f.Subscribed {
			t.Errorf("folder %+v", f)
		}
		seen[f.UIDValidity] = true
	}
	equal(t, "folders", names, []string{"INBOX", `Archive\Archive`, `Drafts\Drafts`, `Junk\Junk`, `Sent\Sent`, `Trash\Trash`})
	w.is(w.Store.CreateMailbox(ctx, w.mailbox), models.Conflict)
	w.exact()
}

func deliverToMany(t *testing.T, open Opener) {
	w := newWorld(t, open)
	message := Message(1, 3000)
	a := w.Arrival(t, message)
	a.Date = 1234567
	ids := []models.ID{w.mailbox}
	for range 40 {
		ids = append(ids, w.Mailbox(t))
	}
	for i, id := range ids {
		a.Targets = append(a.Targets, mailstore.Target{Mailbox: id, Prefix: fmt.Appendf(nil, "Delivered-To: %d\r\n", i), Flags: mailstore.FlagFlagged})
	}
	w.ok(w.Store.Deliver(ctx, a))
	for i, id := range ids {
		f, err := w.Store.Folder(ctx, id, "inbox")
		w.ok(err)
		all := w.messages(f)
		if len(all) != 1 || f.Messages != 1 || f.Unseen != 1 || f.UIDNext != 2 {
			t.Fatalf("mailbox %d: %+v %+v", i, f, all)
		}
		m := all[0]
		want := append(fmt.Appendf(nil, "Delivered-To: %d\r\n", i), message...)
		if got := w.read(&m); string(got) != string(want) {
			t.Fatalf("mailbox %d reads %d bytes, want %d", i, len(got), len(want))
		}
		if m.Size != int64(len(want)) || f.Bytes != m.Size || m.InternalDate != 1234567 || m.Flags != mailstore.FlagFlagged || m.BlobID != a.Blob.ID || m.SaveDate == 0 {
			t.Fatalf("%+v", m)
		}
	}
	w.exact()
}

func allOrNone(t *testing.T, open Opener) {
	w := newWorld(t, open)
	full := w.Mailbox(t)
	w.Deliver(t, Message(1, 500), full)

	a := w.Arrival(t, Message(2, 500), w.mailbox, full)
	a.Targets[1].QuotaBytes = 500
	err := w.Store.Deliver(ctx, a)
	w.is(err, models.Full)
	if got := models.Errors(err)[0].Args["mailbox"]; got != full {
		t.Fatalf("mailbox %v is full, want %v", got, full)
	}

	w.is(w.Store.Deliver(ctx, w.Arrival(t, Message(3, 500), w.mailbox, w.DB.IDs().New())), models.NotFound)
	if u := w.usage(); u != (models.MailboxUsage{}) {
		t.Fatalf("usage %+v", u)
	}
	if f := w.folder("INBOX"); f.UIDNext != 1 {
		t.Fatalf("a refused arrival took a UID: %+v", f)
	}
	w.is(w.Store.Deliver(ctx, w.Arrival(t, Message(4, 500))), models.Invalid)
	long := w.Arrival(t, Message(5, 500), w.mailbox)
	long.Targets[0].Prefix = make([]byte, mailstore.MaxPrefix+1)
	w.is(w.Store.Deliver(ctx, long), models.Invalid)
	w.exact()
}

func unknownFolder(t *testing.T, open Opener) {
	w := newWorld(t, open)
	for _, c := range []struct{ target, folder string }{{`\Junk`, "Junk"}, {"Archive", "Archive"}, {`\Nothing`, "INBOX"}, {"no/such", "INBOX"}} {
		before := w.folder(c.folder).Messages
		a := w.Arrival(t, Message(1, 200), w.mailbox)
		a.Targets[0].Folder = c.target
		w.ok(w.Store.Deliver(ctx, a))
		if after := w.folder(c.folder).Messages; after != before+1 {
			t.Errorf("%s did not go to %s", c.target, c.folder)
		}
	}
	w.exact()
}

// quotaRace delivers from two stores at once into one mailbox: the quota may be passed by the
// message that fills it and by no other.
func quotaRace(t *testing.T, open Opener) {
	w := newWorld(t, open)
	other := open(t)
	const size, parallel, each = 1000, 20, 3
	for _, c := range []struct {
		name string
		set  func(*mailstore.Target)
		want int64
	}{
		{"bytes", func(t *mailstore.Target) { t.QuotaBytes = 7500 }, 8},
		{"messages", func(t *mailstore.Target) { t.QuotaMessages = 11 }, 11},
	} {
		var done atomic.Int64
		var wg sync.WaitGroup
		for i := range parallel {
			in := []*Instance{w.Instance, other}[i%2]
			wg.Go(func() {
				for range each {
					a := in.Arrival(t, Message(1, size), w.mailbox)
					c.set(&a.Targets[0])
					switch err := in.Store.Deliver(ctx, a); {
					case err == nil:
						done.Add(1)
					case !models.Is(err, models.Full):
						t.Errorf("%s: %v", c.name, err)
					}
				}
			})
		}
		wg.Wait()
		u := w.usage()
		if u.Messages != c.want || u.Bytes != c.want*size {
			t.Fatalf("%s: used %+v, want %d messages", c.name, u, c.want)
		}
		w.exact()
	}
}

func declaredSize(t *testing.T, open Opener) {
	w := newWorld(t, open)
	try := func(declared int64) error {
		a := w.Arrival(t, Message(1, 1000), w.mailbox)
		a.Targets[0].QuotaBytes, a.Targets[0].Declared = 1500, declared
		return w.Store.Deliver(ctx, a)
	}
	w.is(try(1501), models.Full)
	w.ok(try(1500))
	w.is(try(501), models.Full)
	w.ok(try(0))
	w.is(try(0), models.Full)
	w.exact()
}

// poison puts an item into groups that the database refuses: a blob that is there already.
func poison(t *testing.T, open Opener) {
	w := newWorld(t, open)
	again := w.Arrival(t, Message(0, 300), w.mailbox)
	w.ok(w.Store.Deliver(ctx, again))
	const good = 120
	var bad atomic.Int64
	var wg sync.WaitGroup
	for i := range good {
		a := w.Arrival(t, Message(i, 300), w.mailbox)
		wg.Go(func() {
			if err := w.Store.Deliver(ctx, a); err != nil {
				t.Errorf("a good arrival failed: %v", err)
			}
		})
		if i%40 == 0 {
			wg.Go(func() {
				err := w.Store.Deliver(ctx, again)
				if !models.Is(err, models.Unavailable) {
					t.Errorf("a bad arrival: %v", err)
				}
				bad.Add(1)
			})
		}
	}
	wg.Wait()
	if n := w.usage().Messages; n != good+1 || bad.Load() != 3 {
		t.Fatalf("%d messages, want %d", n, good+1)
	}
	w.exact()
}

// cancelled gives up arrivals at random moments: what Deliver said must be true.
func cancelled(t *testing.T, open Opener) {
	w := newWorld(t, open)
	var mu sync.Mutex
	kept := map[models.ID]bool{}
	var wg sync.WaitGroup
	for i := range 200 {
		a := w.Arrival(t, Message(i, 300), w.mailbox)
		wg.Go(func() {
			c, cancel := context.WithTimeout(ctx, time.Duration(i%20)*300*time.Microsecond)
			defer cancel()
			err := w.Store.Deliver(c, a)
			if err != nil && !models.Is(err, models.Unavailable) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			kept[a.Blob.ID] = err == nil
		})
	}
	wg.Wait()
	there := map[models.ID]bool{}
	for _, m := range w.messages(w.folder("INBOX")) {
		if there[m.BlobID] {
			t.Fatalf("blob %d is there twice", m.BlobID)
		}
		there[m.BlobID] = true
	}
	for id, ok := range kept {
		if there[id] != ok {
			t.Errorf("blob %d: Deliver said %v, there is %v", id, ok, there[id])
		}
	}
	w.exact()
}

// closing closes a store under load: each arrival is there or was refused.
func closing(t *testing.T, open Opener) {
	w := newWorld(t, open)
	other := open(t)
	var good atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		a := other.Arrival(t, Message(i, 300), w.mailbox)
		wg.Go(func() {
			switch err := other.Store.Deliver(ctx, a); {
			case err == nil:
				good.Add(1)
			case !models.Is(err, models.Unavailable):
				t.Error(err)
			}
		})
		if i == 30 {
			wg.Go(other.Store.Close)
		}
	}
	wg.Wait()
	w.is(other.Store.Deliver(ctx, other.Arrival(t, Message(1, 300), w.mailbox)), models.Unavailable)
	if n := w.usage().Messages; n != good.Load() {
		t.Fatalf("%d messages, %d acknowledged", n, good.Load())
	}
	w.exact()
}

// rising writes from two stores and reads all the while: whoever has seen a UID or a modseq
// must never see a lower one appear.
func rising(t *testing.T, open Opener) {
	w := newWorld(t, open)
	other := open(t)
	inbox := w.folder("INBOX")
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	readers.Go(func() { watchRising(t, w, inbox, stop) })
	const parallel, each = 12, 15
	for i := range parallel {
		in := []*Instance{w.Instance, other}[i%2]
		writers.Go(func() {
			for n := range each {
				in.Deliver(t, Message(n, 300), w.mailbox)
				if n%5 == 0 {
					_, err := in.Store.SetFlags(ctx, inbox.Place(), mailstore.Everything(), mailstore.FlagChange{Mode: mailstore.AddFlags, Flags: mailstore.FlagSeen})
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	uids := w.uids(inbox)
	if len(uids) != parallel*each || !slices.IsSorted(uids) || uids[0] != 1 || int(uids[len(uids)-1]) != len(uids) {
		t.Fatalf("%d UIDs: %v", len(uids), uids)
	}
	w.exact()
}

func watchRising(t *testing.T, w *world, inbox *mailstore.Folder, stop chan struct{}) {
	known := map[mailstore.UID]mailstore.ModSeq{}
	var top mailstore.UID
	var high mailstore.ModSeq
	for {
		select {
		case <-stop:
			return
		default:
		}
		highest, seen := high, top
		err := w.Store.Changed(ctx, inbox.ID, high, func(m *mailstore.Message) error {
			if _, ok := known[m.UID]; !ok && m.UID <= top {
				t.Errorf("UID %d appeared after %d", m.UID, top)
			}
			if m.ModSeq <= known[m.UID] {
				t.Errorf("modseq of %d went from %d to %d", m.UID, known[m.UID], m.ModSeq)
			}
			known[m.UID] = m.ModSeq
			highest, seen = max(highest, m.ModSeq), max(seen, m.UID)
			return nil
		})
		if err != nil {
			t.Error(err)
			return
		}
		// Nothing that this reader could not see may hide below what it has seen.
		missing, err := w.Store.UIDs(ctx, inbox.ID, 1, 1<<20)
		if err != nil {
			t.Error(err)
			return
		}
		for _, u := range missing {
			if _, ok := known[u]; !ok && u <= seen {
				t.Errorf("UID %d was not in CHANGEDSINCE %d but lies below %d", u, high, seen)
			}
		}
		high, top = highest, seen
	}
}
