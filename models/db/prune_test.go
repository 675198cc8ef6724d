package db_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func rows(t *testing.T, d *db.DB, where string) (n int) {
	t.Helper()
	if err := d.SQL().QueryRow("SELECT COUNT(*) FROM " + where).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOldChangesAreRemovedInPieces(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		now := time.Now()
		config.Now = func() time.Time { return now }
		config.Writers = 1 // one stream of ours
		d := dbtest.Open(t, config)
		old, young := models.At(now.Add(-2*time.Hour)), models.At(now.Add(-time.Minute))
		err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			for _, stream := range []int64{7, 8, 9} { // gone, gone without changes, gone a moment ago
				began := old
				if stream == 9 {
					began = young
				}
				if _, err := tx.ExecContext(ctx, "INSERT INTO streams (stream, process, started_at) VALUES (?, 1, ?)", stream, began); err != nil {
					return err
				}
			}
			for seq := 1; seq <= 1300; seq++ {
				at := old
				if seq > 1200 {
					at = young
				}
				if _, err := tx.ExecContext(ctx, "INSERT INTO changes (stream, seq, at, items) VALUES (7, ?, ?, 'm1')", seq, at); err != nil {
					return err
				}
			}
			tx.Changed(db.ChangedMailbox, 1)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ours := rows(t, d, "changes WHERE stream > 9")
		d.Prune()
		if n := rows(t, d, "changes WHERE stream = 7"); n != 100 {
			t.Errorf("%d changes left, want the 100 young ones", n)
		}
		if n := rows(t, d, "changes WHERE stream = 7 AND seq <= 1200"); n != 0 {
			t.Errorf("%d old changes left", n)
		}
		if n := rows(t, d, "changes WHERE stream > 9"); n < ours || ours == 0 {
			t.Errorf("%d changes of ours, were %d", n, ours)
		}
		for stream, want := range map[string]int{"7": 1, "8": 0, "9": 1} {
			if n := rows(t, d, "streams WHERE stream = "+stream); n != want {
				t.Errorf("stream %s: %d rows, want %d", stream, n, want)
			}
		}
		last := models.At(now)
		now = now.Add(2 * time.Hour)
		d.Prune()
		if n := rows(t, d, fmt.Sprintf("changes WHERE at <= %d", last)); n != 0 {
			t.Errorf("%d changes left after hours", n)
		}
	})
}
