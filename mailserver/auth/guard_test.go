package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
)

// guess tries n different wrong passwords, all of which must be refused as wrong.
func (w *world) guess(n int, name string, from netip.Addr) {
	w.t.Helper()
	for i := range n {
		wantKey(w.t, w.try(name, fmt.Sprint("guess ", i, w.clock.now()), from), models.Denied, "login.denied")
	}
}

func (w *world) wantBlocked(name string, from netip.Addr) {
	w.t.Helper()
	wantKey(w.t, w.try(name, "whatever", from), models.Limited, "login.blocked")
}

var (
	away   = netip.MustParseAddr("198.51.100.9")
	host6  = netip.MustParseAddr("2001:db8::1")
	other6 = netip.MustParseAddr("2001:db8::ffff:1")
)

func TestBlockDifferentPasswords(t *testing.T) {
	for _, name := range []string{"sara@example.com", "nobody@example.com", "bin@example.com"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.guess(10, name, home)
			w.comparisons()
			w.wantBlocked(name, home)
			wantKey(t, w.try(name, saraPassword, home), models.Limited, "login.blocked")
			if n := len(w.comparisons()); n != 0 {
				t.Errorf("%d comparisons for the blocked", n)
			}
			w.guess(1, name, away)
			w.clock.add(4*time.Minute + 59*time.Second)
			w.wantBlocked(name, home)
			w.clock.add(time.Second)
			w.guess(1, name, home)
		})
	}
}

func TestBlockTellsWhen(t *testing.T) {
	w := newWorld(t)
	w.guess(10, "sara@example.com", home)
	w.clock.add(90 * time.Second)
	var e *models.Error
	if err := w.try("sara@example.com", "x", home); !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Args["minutes"] != 4 || e.Args["until"] != models.At(w.clock.now().Add(210*time.Second)) {
		t.Errorf("args %v", e.Args)
	}
}

// One stale password on a device that tries every few seconds must not block its owner.
func TestBlockSamePasswordCountsOnce(t *testing.T) {
	for _, name := range []string{"sara@example.com", "nobody@example.com"} {
		w := newWorld(t)
		for range 200 {
			wantKey(t, w.try(name, "last year's", home), models.Denied, "login.denied")
			w.clock.add(59 * time.Second)
		}
		if n := len(w.comparisons()); n != 1 {
			t.Errorf("%s: %d comparisons", name, n)
		}
		w.guess(10, name, home)
		w.wantBlocked(name, home)
	}
	w := newWorld(t)
	for range 10 {
		wantKey(t, w.try("sara@example.com", "last year's", home), models.Denied, "login.denied")
		w.clock.add(61 * time.Second)
	}
	w.wantBlocked("sara@example.com", home) // repeated after more than 60 s, it was counted again
}

// A password known to be wrong is checked again when the account has another hash.
func TestBlockSamePasswordSetMeanwhile(t *testing.T) {
	w := newWorld(t)
	wantKey(t, w.try("sara@example.com", "new one", home), models.Denied, "login.denied")
	w.db.change(w.sara, func(a *models.Account) { a.Hash = hashOf(t, "new one", bcrypt.MinCost) })
	wantKey(t, w.try("sara@example.com", "new one", home), 0, "")
}

func TestBlockOwnerIsNotLockedOut(t *testing.T) {
	w := newWorld(t)
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
	for _, from := range []netip.Addr{home, away, host6} {
		w.guess(10, "sara@example.com", from)
		w.wantBlocked("sara@example.com", from)
	}
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "") // cached
	w.cache = newCache(10, time.Minute)
	wantKey(t, w.try("sara@example.com", saraPassword, netip.MustParseAddr("203.0.113.5")), 0, "")
	w.wantBlocked("sara@example.com", other6) // the /64 is one network
	wantKey(t, w.try("off@example.com", saraPassword, home), models.Suspended, "login.suspended")
}

func TestBlockOfNetwork(t *testing.T) {
	w := newWorld(t)
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
	w.cache = newCache(10, time.Minute)
	for i := range 30 {
		w.guess(1, fmt.Sprintf("name%d@example.com", i), home)
	}
	w.wantBlocked("nobody@example.com", home)
	w.wantBlocked("off@example.com", home)
	w.guess(1, "off@example.com", away)
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "") // has logged in from here before
	if list := w.Blocks(0); len(list) != 1 || list[0].Network != "192.0.2.1" {
		t.Errorf("blocks %+v", list)
	}
}

// What is no guess weighs little, and the same again nothing.
func TestBlockMalformed(t *testing.T) {
	w := newWorld(t)
	for range 1000 {
		wantKey(t, w.try("sara", saraPassword, home), models.Denied, "login.noat")
	}
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
	for i := range 119 {
		wantKey(t, w.try(fmt.Sprint("bare", i), "x", home), models.Denied, "login.noat")
	}
	w.wantBlocked("nobody@example.com", home)
	wantKey(t, w.try("sara", saraPassword, home), models.Denied, "login.noat")
}

func TestBlockGrows(t *testing.T) {
	w := newWorld(t)
	w.guess(10, "sara@example.com", home)
	more := []int{5, 6, 6, 6} // half are held against it, one was forgiven in 10 minutes
	for i, minutes := range []time.Duration{5, 10, 15, 15} {
		w.clock.add(minutes*time.Minute - time.Second)
		w.wantBlocked("sara@example.com", home)
		w.clock.add(time.Second)
		w.guess(more[i], "sara@example.com", home)
	}
}

func TestBlockForgives(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.guess(9, "sara@example.com", home)
		w.clock.add(90 * time.Minute)
	}
	w.guess(9, "sara@example.com", home)
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
	w.guess(9, "sara@example.com", home) // a right password forgives, but not twice in 15 minutes:
	w.clock.add(time.Minute)
	w.cache = newCache(10, time.Minute)
	wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "")
	w.guess(1, "sara@example.com", home)
	w.wantBlocked("sara@example.com", home)
}

// Many at once get no more guesses than one after another.
func TestBlockParallel(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Queue = 1000 })
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() { w.try("sara@example.com", fmt.Sprint("guess ", i), home) })
	}
	all.Wait()
	if n := len(w.comparisons()); n > 10 || n == 0 {
		t.Errorf("%d comparisons", n)
	}
}

// A client that opens many connections at once is no attacker, and costs one comparison.
func TestParallelSamePassword(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { wantKey(t, w.try("sara@example.com", saraPassword, home), 0, "") })
	}
	all.Wait()
	if n := len(w.comparisons()); n < 1 || n > 3 { // one flight, rarely another that began before the cache had it
		t.Errorf("%d comparisons", n)
	}
}

func TestDelayGrows(t *testing.T) {
	w := newWorld(t)
	w.guess(10, "sara@example.com", home)
	want := []time.Duration{1, 2, 4, 8, 15, 15, 15}
	for i := range want {
		want[i] *= time.Second
	}
	if got := drain(w.delays); !slices.Equal(got, want) {
		t.Errorf("delays %v, want %v", got, want)
	}
	w.guess(3, "sara@example.com", away)
	if got := drain(w.delays); len(got) > 0 {
		t.Errorf("another network waits %v", got)
	}
}

func TestDelayOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.FirstDelay = -1 })
	w.guess(10, "sara@example.com", home)
	if got := drain(w.delays); len(got) > 0 {
		t.Errorf("delays %v", got)
	}
}

// Who waits out a delay holds no worker, ends with the connection, and there are only so many.
func TestDelayHoldsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	waiting := make(chan struct{}, 100)
	w := newWorld(t, func(c *Config) {
		c.Workers = 1
		c.Sleep = func(ctx context.Context, _ time.Duration) error {
			waiting <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
	})
	for i := range 15 { // of the network, so that all that follow wait
		w.guess(1, fmt.Sprintf("name%d@example.com", i), home)
	}
	var all sync.WaitGroup
	for i := range delayedPerNetwork {
		all.Go(func() {
			_, err := w.Login(ctx, Attempt{Kind: models.AccountMailbox, Remote: home, Name: fmt.Sprintf("x%d@example.com", i)})
			if !models.Is(err, models.Unavailable) {
				t.Errorf("hung up: %v", err)
			}
		})
		<-waiting
	}
	wantKey(t, w.try("sara@example.com", saraPassword, away), 0, "")
	wantKey(t, w.try("one@more.example", "x", home), models.Limited, "login.many")
	cancel()
	all.Wait()
	if w.guard.delayed != 0 || w.guard.nets.items[models.Network(home)].Value.(*item[netip.Prefix, *tally]).value.delayed != 0 {
		t.Error("delays not taken off")
	}
}

func TestGuardIsBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Networks = 100 })
	w.guess(10, "sara@example.com", home)
	for i := range 150 {
		from := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		wantKey(t, w.try("sara@example.com", "x", from), models.Denied, "login.denied")
	}
	if n, m := len(w.guard.pairs.items), len(w.guard.nets.items); n != 100 || m != 100 {
		t.Errorf("%d pairs, %d networks", n, m)
	}
	w.wantBlocked("sara@example.com", home)
}

func TestBlocksAreSavedAndLoaded(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.guess(10, "sara@example.com", home)
	w.guess(10, "nobody@example.com", home)
	until(t, "save", func() bool { rows, _ := w.db.Blocks(context.Background(), 0); return len(rows) == 1 })
	rows, _ := w.db.Blocks(context.Background(), 0)
	want := models.LoginBlock{Network: "192.0.2.1", MailboxID: 1, Failures: 10, At: models.At(w.clock.now()), Until: models.At(w.clock.now().Add(5 * time.Minute))}
	if rows[0] != want {
		t.Errorf("row %+v, want %+v", rows[0], want)
	}
	if list := w.Blocks(1); !slices.Equal(list, rows) {
		t.Errorf("blocks %+v", list)
	}

	// Another process, or this one after a restart.
	second := newWorld(t, func(c *Config) { c.Accounts, c.Watch, c.Now = w.db, w.db, w.clock.now })
	second.db = w.db
	second.run()
	until(t, "load", func() bool { return len(second.Blocks(1)) == 1 })
	second.wantBlocked("sara@example.com", home)

	if err := second.Unblock(context.Background(), 1, ""); err != nil {
		t.Fatal(err)
	}
	second.guess(1, "sara@example.com", home)
	until(t, "the first hears of it", func() bool { return len(w.Blocks(1)) == 0 })
	w.guess(9, "sara@example.com", home) // all is forgotten
}

func TestUnblock(t *testing.T) {
	w := newWorld(t)
	block := func() {
		w.clock.add(3 * time.Hour)
		w.guess(10, "sara@example.com", home)
		w.guess(10, "sara@example.com", host6)
		w.guess(10, "omid@xn--pgba3a37c.example", home)
	}
	tests := []struct {
		mailbox models.ID
		network string
		left    [2]int // of Sara, of Omid
	}{
		{1, "", [2]int{0, 1}},
		{1, "192.0.2.1", [2]int{1, 1}},
		{1, "2001:db8::5", [2]int{1, 1}}, // any address of the network
		{0, "192.0.2.1", [2]int{1, 0}},
		{0, "", [2]int{0, 0}},
		{7, "", [2]int{2, 1}},
		{1, "203.0.113.1", [2]int{2, 1}},
	}
	for _, test := range tests {
		block()
		if err := w.Unblock(context.Background(), test.mailbox, test.network); err != nil {
			t.Fatal(err)
		}
		if got := [2]int{len(w.Blocks(1)), len(w.Blocks(2))}; got != test.left {
			t.Errorf("%d %q: left %v, want %v", test.mailbox, test.network, got, test.left)
		}
	}
	if err := w.Unblock(context.Background(), 1, "nowhere"); !models.Is(err, models.Invalid) {
		t.Errorf("bad network: %v", err)
	}
	w.db.setAway(errAway)
	if err := w.Unblock(context.Background(), 1, ""); !models.Is(err, models.Unavailable) {
		t.Errorf("database away: %v", err)
	}
}

// A block made while the database is away holds, and gets its row when it is back.
func TestBlockWhileAway(t *testing.T) {
	w := newWorld(t)
	w.guess(10, "sara@example.com", home)
	w.db.setAway(errAway)
	w.run()
	until(t, "warning", func() bool { return w.log.String() != "" })
	w.db.setAway(nil)
	until(t, "save", func() bool { rows, _ := w.db.Blocks(context.Background(), 0); return len(rows) == 1 })
	w.wantBlocked("sara@example.com", home)
}
