package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func put(name, value string) func(context.Context, *db.Tx) error {
	return func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", name, value)
		return err
	}
}

func count(t *testing.T, d *db.DB, where string) int {
	t.Helper()
	var n int
	if err := d.SQL().QueryRow("SELECT COUNT(*) FROM settings WHERE name LIKE ?", where).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWriteCommitsEachCallerAndFailsOnlyTheGuilty(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		if err := d.Write(ctx, put("taken", "1")); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var duplicates, refused, failed atomic.Int64
		refusal := models.Errorf(models.Full, "full", "full")
		for i := range 300 {
			wg.Go(func() {
				err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
					if err := put(fmt.Sprintf("row-%d", i), "x")(ctx, tx); err != nil {
						return err
					}
					switch i % 10 {
					case 3:
						return put("taken", "2")(ctx, tx)
					case 7:
						return refusal
					}
					return nil
				})
				switch {
				case i%10 == 3 && db.IsDuplicate(err):
					duplicates.Add(1)
				case i%10 == 7 && errors.Is(err, refusal):
					refused.Add(1)
				case err != nil:
					failed.Add(1)
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if duplicates.Load() != 30 || refused.Load() != 30 {
			t.Errorf("%d duplicates, %d refused, want 30 each", duplicates.Load(), refused.Load())
		}
		if n := count(t, d, "row-%"); n != 240 {
			t.Errorf("%d rows, want 240", n)
		}
	})
}

func TestNestedWriteJoinsTheTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		broken := errors.New("broken")
		err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if err := d.Write(ctx, put("inner", "1")); err != nil {
				return err
			}
			var n int
			if err := d.Reader(ctx).QueryRowContext(ctx, "SELECT COUNT(*) FROM settings WHERE name = 'inner'").Scan(&n); err != nil || n != 1 {
				return fmt.Errorf("reader sees %d rows, %v", n, err)
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Fatal(err)
		}
		if n := count(t, d, "inner"); n != 0 {
			t.Fatal("inner write survived the outer one's error")
		}
	})
}

func TestPanicIsTheCallersAlone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("no panic in the caller")
				}
			}()
			d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				if err := put("half", "1")(ctx, tx); err != nil {
					return err
				}
				panic("boom")
			})
		}()
		if n := count(t, d, "half"); n != 0 {
			t.Error("half a write was kept")
		}
		if err := d.Write(t.Context(), put("after", "1")); err != nil {
			t.Error(err)
		}
	})
}

func TestCancelledCallerLeavesTheOthersAlone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					go cancel()
				}
				err := d.Write(ctx, put(fmt.Sprintf("c-%d", i), "1"))
				if i%2 == 1 && err != nil {
					t.Error(err)
				}
				if err != nil && !models.Is(err, models.Unavailable) {
					t.Error(err)
				}
				cancel()
			})
		}
		wg.Wait()
		if n := count(t, d, "c-%"); n < 50 {
			t.Errorf("%d rows, want at least 50", n)
		}
	})
}

func TestConflictsRunAgain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		for _, name := range []string{"a", "b"} {
			if err := d.Write(ctx, put(name, "0")); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				order := []string{"a", "b"}
				if i%2 == 0 {
					order = []string{"b", "a"} // against the lock order: deadlocks on MySQL
				}
				err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
					for _, name := range order {
						if _, err := tx.ExecContext(ctx, "UPDATE settings SET value = value + 1 WHERE name = ?", name); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var a, b int
		if err := d.SQL().QueryRow("SELECT (SELECT value FROM settings WHERE name='a'), (SELECT value FROM settings WHERE name='b')").Scan(&a, &b); err != nil {
			t.Fatal(err)
		}
		if a != 40 || b != 40 {
			t.Errorf("a=%d b=%d, want 40", a, b)
		}
	})
}

// collector gathers what a watcher is told.
type collector struct {
	mu   sync.Mutex
	seen map[db.Change]int
}

func (c *collector) add(changes []db.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[db.Change]int{}
	}
	for _, x := range changes {
		c.seen[x]++
	}
}

func (c *collector) has(x db.Change) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[x] > 0
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%s: not after %v", what, time.Since(began))
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
}

func TestChangesReachOwnAndOtherProcesses(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		one, two := dbtest.Open(t, config), dbtest.Open(t, config)
		var own, other collector
		one.Watch(own.add)
		two.Watch(other.add)
		for i := range models.ID(50) {
			err := one.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				tx.Changed(db.ChangedFolder, 100+i)
				tx.Changed(db.ChangedFolder, 100+i)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		wait(t, "own change seen", func() bool { return own.has(db.Change{Kind: db.ChangedFolder, ID: 149}) })
		wait(t, "change of another process seen", func() bool { return other.has(db.Change{Kind: db.ChangedFolder, ID: 149}) })
		for i := range models.ID(50) {
			if !other.has(db.Change{Kind: db.ChangedFolder, ID: 100 + i}) {
				t.Errorf("change %d missed", i)
			}
		}
		if other.has(db.Change{Kind: db.ChangedAll}) {
			t.Error("gap reported though there was none")
		}
		three := dbtest.Open(t, config) // a process that begins later is heard too
		if err := three.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error { tx.Changed(db.ChangedMailbox, 7); return nil }); err != nil {
			t.Fatal(err)
		}
		wait(t, "change of a later process seen", func() bool {
			return other.has(db.Change{Kind: db.ChangedMailbox, ID: 7}) && own.has(db.Change{Kind: db.ChangedMailbox, ID: 7})
		})
	})
}

func TestGapInAStreamIsToldAsAll(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		one, two := dbtest.Open(t, config), dbtest.Open(t, config)
		var other collector
		two.Watch(other.add)
		err := one.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO streams (stream, process, started_at) VALUES (999, 1, 1)"); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, "INSERT INTO changes (stream, seq, at, items) VALUES (999, 5, 1, 'm4')")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, "gap told", func() bool { return other.has(db.Change{Kind: db.ChangedAll}) })
	})
}

func TestNodeNumbersAreUniqueAndReused(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		one, two := dbtest.Open(t, config), dbtest.Open(t, config)
		if one.IDs().Node() == two.IDs().Node() {
			t.Fatal("two living processes share a node number")
		}
		gone := two.IDs().Node()
		if err := two.Close(); err != nil {
			t.Fatal(err)
		}
		if three := dbtest.Open(t, config); three.IDs().Node() != gone {
			t.Errorf("node %d, want %d again", three.IDs().Node(), gone)
		}
	})
}

func TestLeaseIsHeldByOneAndFreeAfterItsHolder(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		ctx := t.Context()
		one, two := dbtest.Open(t, config), dbtest.Open(t, config)
		lease, err := one.Leases().Acquire(ctx, "x", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*db.DB{one, two} {
			if _, err := d.Leases().Acquire(ctx, "x", 0); !models.Is(err, models.Conflict) {
				t.Fatalf("held twice: %v", err)
			}
		}
		if err := lease.Release(ctx); err != nil {
			t.Fatal(err)
		}
		again, err := two.Leases().Acquire(ctx, "x", 0)
		if err != nil || again.Token <= lease.Token {
			t.Fatalf("%+v %v", again, err)
		}
		two.Close() // without Release: the process is gone
		if _, err := one.Leases().Acquire(ctx, "x", 0); err != nil {
			t.Fatalf("a dead process holds its lease: %v", err)
		}
	})
}

func TestLeaseWithTTLIsLostAfterIt(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		ctx := t.Context()
		d := dbtest.Open(t, config)
		lease, err := d.Leases().Acquire(ctx, "ttl", time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		var second *db.Lease
		wait(t, "lease free", func() bool {
			second, err = d.Leases().Acquire(ctx, "ttl", time.Hour)
			return err == nil
		})
		if err := lease.Renew(ctx); !models.Is(err, models.Conflict) {
			t.Fatalf("renewed a lost lease: %v", err)
		}
		if err := second.Renew(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

// What Close waits for may write at that moment.
func TestCloseWhileItsOwnGoroutinesWrite(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		for range 20 {
			d := dbtest.Open(t, config)
			d.BeatOn()
			closed := make(chan struct{})
			go func() {
				d.Close()
				close(closed)
			}()
			select {
			case <-closed:
			case <-time.After(30 * time.Second):
				t.Fatal("Close waits for a writer that waits for Close")
			}
		}
	})
}

func TestWriteAfterCloseIsUnavailable(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	d.Close()
	if err := d.Write(t.Context(), put("x", "y")); !models.Is(err, models.Unavailable) {
		t.Fatal(err)
	}
}

func TestDatabaseURLErrorsShowNoPassword(t *testing.T) {
	for _, url := range []string{"mysql://u:secret@host:x/db", "postgres://u:secret@h/d", "mysql://u:secret@h/"} {
		_, err := db.Open(t.Context(), db.Config{URL: url, DataDir: t.TempDir()})
		if !models.Is(err, models.Invalid) {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && contains(err.Error(), "secret") {
			t.Errorf("password shown: %v", err)
		}
	}
}

func contains(s, part string) bool {
	for i := range s {
		if len(s[i:]) >= len(part) && s[i:i+len(part)] == part {
			return true
		}
	}
	return false
}

func BenchmarkWrite(b *testing.B) {
	for _, config := range []func(testing.TB) db.Config{dbtest.SQLite, dbtest.MySQL} {
		d := dbtest.Open(b, config(b))
		for _, writers := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%s/%d", d.Dialect(), writers), func(b *testing.B) {
				b.SetParallelism((writers + 1) / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := d.Write(b.Context(), put(d.IDs().New().String(), "x")); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
