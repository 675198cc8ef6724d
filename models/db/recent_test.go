package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func changed(t *testing.T, d *db.DB, kind db.ChangeKind) {
	t.Helper()
	err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", d.IDs().New().String(), "x"); err != nil {
			return err
		}
		tx.Changed(kind, 7)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRecentEndsWithAChangeAndWithAge(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		now := time.Now()
		other := dbtest.Open(t, config)
		config.Now = func() time.Time { return now }
		d := dbtest.Open(t, config)
		r := db.NewRecent[string, int](d)
		reads := 0
		get := func() int {
			v, err := r.Get("a", func() (int, error) { reads++; return reads, nil })
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		for range 2 {
			if get() != 1 {
				t.Error("read again without a reason")
			}
		}
		changed(t, d, db.ChangedFolder)
		if get() != 1 {
			t.Error("read again after mail came")
		}
		for want, kind := range []db.ChangeKind{db.ChangedMailbox, db.ChangedCustomer, db.ChangedDomain, db.ChangedAll} {
			if changed(t, d, kind); get() != want+2 {
				t.Errorf("%c: old value after Write has returned", kind)
			}
		}
		now = now.Add(500 * time.Millisecond)
		if get() != 6 {
			t.Error("value of half a second ago")
		}
		now = now.Add(-time.Hour)
		if get() != 7 {
			t.Error("value from the future")
		}
		changed(t, other, db.ChangedMailbox) // the clock stands: only being told helps
		wait(t, "change of another process", func() bool { return get() == 8 })
	})
}

func TestRecentKeepsNoErrorAndNothingReadDuringAChange(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	r := db.NewRecent[models.ID, string](d)
	if _, err := r.Get(1, func() (string, error) { return "x", errors.New("away") }); err == nil {
		t.Error("no error")
	}
	for i, want := range []string{"old", "new", "new"} {
		got, err := r.Get(1, func() (string, error) {
			if i == 0 {
				changed(t, d, db.ChangedMailbox)
				return "old", nil
			}
			return "new", nil
		})
		if err != nil || got != want {
			t.Errorf("%d: %q %v", i, got, err)
		}
	}
}
