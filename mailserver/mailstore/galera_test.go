package mailstore_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestGalera writes to the same mailboxes from both nodes of a cluster, where a row lock of one
// node means nothing to the other and the loser of a conflict learns of it at its COMMIT.
func TestGalera(t *testing.T) {
	if !dbtest.Interop() {
		t.Skip(dbtest.InteropEnv + " is not set: run make interop")
	}
	nodes, err := dbtest.StartCluster(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range nodes {
		t.Cleanup(s.Close)
	}
	configs := dbtest.OnCluster(t, nodes)
	segments := t.TempDir() // shared, as more than one node needs it
	var all []*mailstoretest.Instance
	for _, c := range configs {
		waitForSchema(t, c)
		all = append(all, mailstoretest.SegWith(t, c, seg.Config{Dir: segments}))
	}
	if all[0].DB.IDs().Node() == all[1].DB.IDs().Node() {
		t.Fatal("two nodes have one number")
	}
	g := &cluster{t: t, nodes: all}
	for range 3 {
		g.mailboxes = append(g.mailboxes, all[0].Mailbox(t))
	}
	t.Run("deliveries", g.deliveries)
	t.Run("quota", g.quota)
	t.Run("leases", g.leases)
	g.exact()
}

// cluster is a store with an instance on each node.
type cluster struct {
	t         *testing.T
	nodes     []*mailstoretest.Instance
	mailboxes []models.ID
}

// waitForSchema waits until a node has what another one has made.
func waitForSchema(t *testing.T, config db.Config) {
	t.Helper()
	pool, _, err := db.OpenPool(config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	within(t, 10*time.Second, "schema replicated", func() bool {
		var n int
		return pool.QueryRow("SELECT COUNT(*) FROM login_blocks").Scan(&n) == nil
	})
}

// within polls until ok, for ten times the bound.
func within(t *testing.T, bound time.Duration, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > 10*bound {
			t.Fatalf("%s: not after %v (bound %v)", what, time.Since(began), bound)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%s after %v (bound %v)", what, time.Since(began).Round(time.Millisecond), bound)
}

// deliveries go to all mailboxes from both nodes, with flags set beside, while readers on both
// nodes look whether UIDs and modseqs rise.
func (g *cluster) deliveries(t *testing.T) {
	const writers, each = 8, 25
	stop := make(chan struct{})
	var readers, work sync.WaitGroup
	for _, in := range g.nodes {
		for _, mailbox := range g.mailboxes {
			readers.Go(func() { watchFolder(t, in, mailbox, stop) })
		}
	}
	began := time.Now()
	for n, in := range g.nodes {
		for w := range writers {
			work.Go(func() {
				for i := range each {
					a := in.Arrival(t, mailstoretest.Message(n*1000+w*100+i, 600), g.mailboxes...)
					if err := in.Store.Deliver(context.Background(), a); err != nil {
						t.Errorf("node %d: %v", n+1, err)
					}
					if i%10 == 9 {
						g.flag(t, in)
					}
				}
			})
		}
	}
	work.Wait()
	took := time.Since(began)
	close(stop)
	readers.Wait()
	total := len(g.nodes) * writers * each
	t.Logf("%d messages for %d mailboxes each in %v: %.0f/s", total, len(g.mailboxes), took.Round(time.Millisecond), float64(total)/took.Seconds())
	for _, in := range g.nodes {
		for _, mailbox := range g.mailboxes {
			within(t, time.Second, "all seen on a node", func() bool {
				f, err := in.Store.Folder(t.Context(), mailbox, mailstore.Inbox)
				return err == nil && f.Messages == int64(total)
			})
			dense(t, in, mailbox, total)
		}
	}
}

func (g *cluster) flag(t *testing.T, in *mailstoretest.Instance) {
	f, err := in.Store.Folder(context.Background(), g.mailboxes[0], mailstore.Inbox)
	if err == nil {
		_, err = in.Store.SetFlags(context.Background(), f.Place(), mailstore.SetOf(1, 2, 3), mailstore.FlagChange{Mode: mailstore.AddFlags, Flags: mailstore.FlagSeen})
	}
	if err != nil {
		t.Error(err)
	}
}

// dense checks that UIDs are unique and without a gap.
func dense(t *testing.T, in *mailstoretest.Instance, mailbox models.ID, total int) {
	t.Helper()
	f, err := in.Store.Folder(t.Context(), mailbox, mailstore.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	uids, err := in.Store.UIDs(t.Context(), f.ID, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(uids) != total || !slices.IsSorted(uids) || int(uids[len(uids)-1]) != total || int(f.UIDNext) != total+1 {
		t.Errorf("%d UIDs up to %d, next %d, want %d", len(uids), uids[len(uids)-1], f.UIDNext, total)
	}
}

// watchFolder looks whether anything appears below what was seen already.
func watchFolder(t *testing.T, in *mailstoretest.Instance, mailbox models.ID, stop chan struct{}) {
	known := map[mailstore.UID]mailstore.ModSeq{}
	var top mailstore.UID
	var high mailstore.ModSeq
	for {
		select {
		case <-stop:
			return
		default:
		}
		f, err := in.Store.Folder(context.Background(), mailbox, mailstore.Inbox)
		if err != nil {
			t.Error(err)
			return
		}
		if f.HighestModSeq < high {
			t.Errorf("the highest modseq went from %d to %d", high, f.HighestModSeq)
		}
		highest, seen := high, top
		err = in.Store.Changed(context.Background(), f.ID, high, func(m *mailstore.Message) error {
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
		high, top = highest, seen
	}
}

// quota fills a mailbox from both nodes: exactly as many messages come in as may.
func (g *cluster) quota(t *testing.T) {
	mailbox := g.nodes[0].Mailbox(t)
	within(t, time.Second, "mailbox seen on the other node", func() bool {
		_, err := g.nodes[1].Store.Folder(t.Context(), mailbox, mailstore.Inbox)
		return err == nil
	})
	g.mailboxes = append(g.mailboxes, mailbox)
	const most = 57
	var stored atomic.Int64
	var work sync.WaitGroup
	for _, in := range g.nodes {
		for range 6 {
			work.Go(func() {
				for i := range 12 {
					a := in.Arrival(t, mailstoretest.Message(i, 500), mailbox)
					a.Targets[0].QuotaMessages = most
					switch err := in.Store.Deliver(context.Background(), a); {
					case err == nil:
						stored.Add(1)
					case !models.Is(err, models.Full):
						t.Error(err)
					}
				}
			})
		}
	}
	work.Wait()
	if stored.Load() != most {
		t.Errorf("%d messages came in, %d may", stored.Load(), most)
	}
	within(t, time.Second, "all seen", func() bool {
		f, err := g.nodes[0].Store.Folder(t.Context(), mailbox, mailstore.Inbox)
		return err == nil && f.Messages == most
	})
	dense(t, g.nodes[0], mailbox, most)
}

// leases are asked for on both nodes at once: one gets it, and its token is of nobody else.
func (g *cluster) leases(t *testing.T) {
	var holders atomic.Int64
	tokens := map[int64]int{}
	var mu sync.Mutex
	var work sync.WaitGroup
	taken := 0
	for _, in := range g.nodes {
		for range 3 {
			work.Go(func() {
				for range 30 {
					lease, err := in.DB.Leases().Acquire(context.Background(), "galera", 0)
					if models.Is(err, models.Conflict) {
						continue
					}
					if err != nil {
						t.Error(err)
						continue
					}
					if n := holders.Add(1); n != 1 {
						t.Errorf("%d hold the lease", n)
					}
					mu.Lock()
					taken++
					tokens[lease.Token]++
					mu.Unlock()
					holders.Add(-1)
					if err := lease.Release(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
			})
		}
	}
	work.Wait()
	t.Logf("%d times taken", taken)
	for token, n := range tokens {
		if n > 1 {
			t.Errorf("token %d was given %d times", token, n)
		}
	}
	if taken < 2 {
		t.Error("hardly anybody got the lease")
	}
}

func (g *cluster) exact() {
	for _, in := range g.nodes {
		exactStore(g.t, in, g.mailboxes...)
	}
}
