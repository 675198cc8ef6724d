package inbox

import (
	"log/slog"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func TestLocks(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		ctx := t.Context()
		quiet := slog.New(slog.DiscardHandler)
		here, there := newLocks(dbtest.Open(t, config), quiet), newLocks(dbtest.Open(t, config), quiet)
		refused := func(l *locks, mailbox models.ID) {
			t.Helper()
			if _, err := l.acquire(ctx, mailbox); !models.Is(err, models.Conflict) {
				t.Fatalf("acquire: %v", err)
			}
		}
		taken := func(l *locks, mailbox models.ID) func() {
			t.Helper()
			release, err := l.acquire(ctx, mailbox)
			if err != nil {
				t.Fatal(err)
			}
			return release
		}
		release := taken(here, 1)
		refused(here, 1)
		refused(there, 1)
		taken(here, 2)()
		release()
		release = taken(there, 1)
		refused(here, 1)
		release()
		taken(here, 1)()
	})
}

func TestLeftLease(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		ctx := t.Context()
		d := dbtest.Open(t, config)
		here, there := newLocks(d, slog.New(slog.DiscardHandler)), newLocks(dbtest.Open(t, config), slog.New(slog.DiscardHandler))
		// The COMMIT of an acquire succeeded, but its answer was lost.
		if _, err := d.Leases().Acquire(ctx, leaseName(1), 0); err != nil {
			t.Fatal(err)
		}
		release, err := here.acquire(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		release()

		// The same, and the mailbox is then wanted elsewhere: it is free as soon as anybody
		// logs in or out here.
		if _, err := d.Leases().Acquire(ctx, leaseName(1), 0); err != nil {
			t.Fatal(err)
		}
		here.leave(1, true)
		if _, err := there.acquire(ctx, 1); !models.Is(err, models.Conflict) {
			t.Fatalf("acquire: %v", err)
		}
		release, err = here.acquire(ctx, 2)
		if err != nil {
			t.Fatal(err)
		}
		release()
		release, err = there.acquire(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		release()
	})
}
