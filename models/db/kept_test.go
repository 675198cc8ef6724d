package db_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestKept asks the same texts again and again, more of them than are kept, and within a
// transaction, whose own changes are seen.
func TestKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for range 2 {
			for i := range 500 {
				var got int
				if err := d.Kept(t.Context()).QueryRowContext(t.Context(), fmt.Sprintf("SELECT ? + %d", i), 1).Scan(&got); err != nil || got != i+1 {
					t.Fatal(i, got, err)
				}
			}
		}
		if err := d.Kept(t.Context()).QueryRowContext(t.Context(), "SELECT nothing FROM nowhere").Scan(new(int)); err == nil {
			t.Error("a bad statement has an answer")
		}
		err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES ('kept', 'x')"); err != nil {
				return err
			}
			rows, err := d.Kept(ctx).QueryContext(ctx, "SELECT value FROM settings WHERE name = ?", "kept")
			if err != nil {
				return err
			}
			defer rows.Close()
			if !rows.Next() {
				t.Error("the transaction does not see what it wrote")
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
