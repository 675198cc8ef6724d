package mailstore_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestLostCommits cuts connections at COMMIT: nothing may be lost, nothing doubled, and what
// Deliver says must be true.
func TestLostCommits(t *testing.T) {
	t.Parallel()
	plain := dbtest.MySQL(t)
	var on atomic.Bool
	config, cutter := dbtest.NewCutter(t, plain, dbtest.EveryThird(&on))
	direct, in := mailstoretest.Seg(t, plain), mailstoretest.Seg(t, config)

	mailbox := in.Mailbox(t)
	inbox, err := in.Store.Folder(context.Background(), mailbox, mailstore.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	on.Store(true)
	var mu sync.Mutex
	said := map[models.ID]error{}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for n := range 25 {
				a := in.Arrival(t, mailstoretest.Message(n, 300), mailbox)
				a.Targets[0].QuotaMessages = 1000
				err := in.Store.Deliver(context.Background(), a)
				mu.Lock()
				said[a.Blob.ID] = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	on.Store(false)

	good := truthful(t, direct, mailbox, inbox.ID, said)
	t.Logf("%d cuts before, %d within, %d during, %d after COMMIT; %d of %d delivered",
		cutter.Cuts(dbtest.CutBefore), cutter.Cuts(dbtest.CutWithin), cutter.Cuts(dbtest.CutDuring), cutter.Cuts(dbtest.CutAfter), good, len(said))
	for c := dbtest.CutBefore; c <= dbtest.CutAfter; c++ {
		if cutter.Cuts(c) == 0 {
			t.Error("one kind of cut was not made")
		}
	}
}

// truthful checks that each arrival is there once if Deliver said so and else not at all, and
// that everything is counted rightly. It returns how many are there.
func truthful(t *testing.T, in *mailstoretest.Instance, mailbox, inbox models.ID, said map[models.ID]error) (good int) {
	t.Helper()
	rows, err := in.Store.Messages(context.Background(), inbox, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	times := map[models.ID]int{}
	for _, m := range rows {
		times[m.BlobID]++
	}
	for id, err := range said {
		want := 0
		if err == nil {
			want = 1
			good++
		} else if !models.Is(err, models.Unavailable) {
			t.Errorf("blob %d: %v", id, err)
		}
		if times[id] != want {
			t.Errorf("blob %d is there %d times; Deliver said %v", id, times[id], err)
		}
	}
	d, err := in.Store.Recount(context.Background(), mailbox, false)
	if err != nil || d.Any() {
		t.Errorf("%+v %v", d, err)
	}
	refs, err := in.Store.RecountBlobs(context.Background(), false)
	if err != nil || len(refs) > 0 {
		t.Errorf("%+v %v", refs, err)
	}
	return good
}

// TestDatabaseAwayAfterCommit lets the database stay away after a COMMIT for longer than Write
// looks for its outcome: whoever waits for an arrival waits until it is known.
func TestDatabaseAwayAfterCommit(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]dbtest.Cut{"committed": dbtest.CutAfter, "not committed": dbtest.CutBefore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := dbtest.MySQL(t)
			var on atomic.Bool
			config, cutter := dbtest.NewCutter(t, plain, func() dbtest.Cut {
				if on.Swap(false) {
					return what
				}
				return dbtest.Pass
			})
			direct, in := mailstoretest.Seg(t, plain), mailstoretest.Seg(t, config)
			mailbox := in.Mailbox(t)
			inbox, err := in.Store.Folder(context.Background(), mailbox, mailstore.Inbox)
			if err != nil {
				t.Fatal(err)
			}
			a := in.Arrival(t, mailstoretest.Message(1, 300), mailbox)
			cutter.RefuseAfterCut()
			on.Store(true)
			answer := make(chan error, 1)
			go func() { answer <- in.Store.Deliver(context.Background(), a) }()
			select {
			case err := <-answer:
				t.Fatalf("answered without knowing: %v", err)
			case <-time.After(4 * time.Second):
			}
			if !cutter.Away() {
				t.Fatal("nothing was cut")
			}
			began := time.Now()
			cutter.Return()
			if err = <-answer; err != nil {
				t.Error(err)
			}
			t.Logf("%v, %v after the database came back", err, time.Since(began).Round(time.Millisecond))
			truthful(t, direct, mailbox, inbox.ID, map[models.ID]error{a.Blob.ID: err})
		})
	}
}
