package panel

import (
	"context"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// TestAskedTooSoon tells on the same page why a link was not mailed again.
func TestAskedTooSoon(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	f.lead("info@example.com", "sales@example.com")
	f.outside("info@example.com", "sales@example.com")
	b := f.browser().login(ownerEmail, ownerPassword)
	b.get("/mailboxes/info@example.com/forward")
	const ask = "/mailboxes/info@example.com/forward/ask"
	b.follow(ask, "target", "out@elsewhere.example").has(t, `class="banner ok toast"`)
	err := f.db.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE targets SET asked_at = ? WHERE address = 'out@elsewhere.example'", models.At(f.clock()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.follow(ask, "target", "out@elsewhere.example").has(t, `class="banner warn toast"`, "out@elsewhere.example</bdi> was asked a moment ago", "can be sent again at")
	if a := b.post(ask, "target", "nobody@elsewhere.example"); a.code != 404 {
		t.Error(a.code)
	}
}
