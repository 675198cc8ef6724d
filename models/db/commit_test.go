package db_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestLostCommits cuts connections right before, in the middle of, during and right after COMMIT.
// Each write happens once or not at all, as Write says, whether it announces a change or not.
func TestLostCommits(t *testing.T) {
	t.Parallel()
	plain := dbtest.MySQL(t)
	var on atomic.Bool
	config, cutter := dbtest.NewCutter(t, plain, dbtest.EveryThird(&on))
	d, other := dbtest.Open(t, config), dbtest.Open(t, plain)
	if err := other.Write(t.Context(), put("sum", "0")); err != nil {
		t.Fatal(err)
	}
	var told, heard collector
	d.Watch(told.add)
	other.Watch(heard.add)
	on.Store(true)
	var mu sync.Mutex
	said := map[string]error{}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 25 {
				number := g*100 + i
				name := fmt.Sprintf("cut-%d", number)
				err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					if i%2 == 0 {
						tx.Changed(db.ChangedMailbox, models.ID(number))
					}
					if _, err := tx.ExecContext(ctx, "UPDATE settings SET value = value + 1 WHERE name = 'sum'"); err != nil {
						return err
					}
					return put(name, "1")(ctx, tx)
				})
				mu.Lock()
				said[name] = err
				mu.Unlock()
			}
		})
	}
	all.Wait()
	on.Store(false)
	written := 0
	for name, err := range said {
		n := count(t, other, name)
		written += n
		switch {
		case err != nil && !models.Is(err, models.Unavailable):
			t.Errorf("%s: %v", name, err)
		case errors.Is(err, db.ErrUnknownCommit):
			t.Errorf("%s: unknown, though the database was there to be asked: %v", name, err)
		case (n == 1) != (err == nil):
			t.Errorf("%s is there %d times; Write said %v", name, n, err)
		}
	}
	var sum int
	if err := other.SQL().QueryRow("SELECT value FROM settings WHERE name = 'sum'").Scan(&sum); err != nil {
		t.Fatal(err)
	}
	if sum != written {
		t.Errorf("%d increments for %d writes", sum, written)
	}
	for c, name := range map[dbtest.Cut]string{dbtest.CutBefore: "before", dbtest.CutWithin: "within", dbtest.CutDuring: "during", dbtest.CutAfter: "after"} {
		if cutter.Cuts(c) == 0 {
			t.Errorf("no cut %s a COMMIT", name)
		}
		t.Logf("%d cuts %s COMMIT", cutter.Cuts(c), name)
	}
	t.Logf("%d of %d written", written, len(said))
	wait(t, "the last changes told", func() bool {
		for g := range 8 {
			for i := 0; i < 25; i += 2 {
				c := db.Change{Kind: db.ChangedMailbox, ID: models.ID(g*100 + i)}
				if said[fmt.Sprintf("cut-%d", c.ID)] == nil && !(told.has(c) && heard.has(c)) {
					return false
				}
			}
		}
		return true
	})
	if heard.has(db.Change{Kind: db.ChangedAll}) {
		t.Error("lost COMMITs left a gap in a stream")
	}
}

// TestUnknownCommit lets the database stay away after a COMMIT was sent: then nobody can know,
// and Write says so.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	plain := dbtest.MySQL(t)
	var away atomic.Bool
	config, cutter := dbtest.NewCutter(t, plain, func() dbtest.Cut {
		if away.Load() {
			return dbtest.CutAfter
		}
		return dbtest.Pass
	})
	d := dbtest.Open(t, config)
	var told collector
	d.Watch(told.add)
	away.Store(true)
	cutter.RefuseAfterCut()
	err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		tx.Changed(db.ChangedMailbox, 5)
		return put("who-knows", "1")(ctx, tx)
	})
	if !models.Is(err, models.Unavailable) || !errors.Is(err, db.ErrUnknownCommit) {
		t.Fatalf("error %v, want an unknown COMMIT", err)
	}
	wait(t, "the change told in case it was committed", func() bool { return told.has(db.Change{Kind: db.ChangedMailbox, ID: 5}) })
}

// TestLeaseIsNotLostWithItsCommit cuts the connections under Acquire and Release: a lease that
// nobody holds can be taken, by the process that may have left it in the table as well.
func TestLeaseIsNotLostWithItsCommit(t *testing.T) {
	t.Parallel()
	plain := dbtest.MySQL(t)
	var on atomic.Bool
	config, _ := dbtest.NewCutter(t, plain, func() dbtest.Cut {
		if !on.Load() || rand.IntN(2) > 0 {
			return dbtest.Pass
		}
		return dbtest.CutBefore + dbtest.Cut(rand.IntN(4))
	})
	d, other := dbtest.Open(t, config), dbtest.Open(t, plain)
	on.Store(true)
	for range 40 {
		lease, err := d.Leases().Acquire(t.Context(), "cut", 0)
		if models.Is(err, models.Conflict) {
			t.Fatal("taken from somebody who is not there")
		}
		if err != nil {
			continue
		}
		if _, err := other.Leases().Acquire(t.Context(), "cut", 0); !models.Is(err, models.Conflict) {
			t.Fatalf("held twice: %v", err)
		}
		lease.Release(t.Context())
	}
	on.Store(false)
	lease, err := d.Leases().Acquire(t.Context(), "cut", 0)
	if err != nil {
		t.Fatal(err)
	}
	// A Release that fails must not keep the lease from its own process.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := lease.Release(gone); err == nil {
		t.Fatal("released without a context")
	}
	if lease, err = d.Leases().Acquire(t.Context(), "cut", 0); err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Leases().Acquire(t.Context(), "cut", 0); err != nil {
		t.Fatal(err)
	}
}
