package delivery

import (
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
)

// told prints what a viewer finds: for each message "kind recipient > detail" of each step.
func (w *world) told(scope models.Scope, q models.TraceQuery) (all [][]string) {
	w.t.Helper()
	found, err := w.store.Traces(w.ctx, scope, q)
	w.ok(err)
	for _, t := range found.Items {
		var steps []string
		for _, e := range t.Events {
			line := string(e.Kind) + " " + e.Recipient
			if e.Kind == models.EventForwarded {
				line += " > " + e.Detail
			}
			steps = append(steps, strings.TrimSpace(line))
		}
		slices.Sort(steps)
		all = append(all, steps)
	}
	return all
}

// Who sends to people here is told what became of it for each of them, whosever they are, and not
// what lies behind their addresses. Who sees more sees nothing twice.
func TestASenderIsToldOfEachRecipient(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.alias("info", models.AliasPlain, "omid@example.com")
		w.alias("away", models.AliasPlain, "!own@out.test")
		ours, sara, omid := w.domain, w.account("sara"), w.account("omid")
		theirs := w.another("other.test")
		ali := w.mailbox("ali")
		w.alias("sales", models.AliasPlain, "ali@other.test")
		w.alias("gate", models.AliasPlain, "!secret@out.test")
		forwards := w.mailbox("forwards")
		w.exec("UPDATE mailboxes SET forward_only = 1 WHERE id = ?", forwards)
		w.targets(forwards, "!private@out.test")

		to := []string{"omid@example.com", "info@example.com", "sara@example.com", "away@example.com", "sales@other.test", "gate@other.test", "forwards@other.test", "x@out.test"}
		w.ok(w.send("sara@example.com", text, to...))
		w.ok(w.store.InsertEvents(w.ctx, w.trail.all))

		her := []string{
			"accepted", "delivered info@example.com", "delivered omid@example.com", "delivered sales@other.test", "delivered sara@example.com",
			"forwarded away@example.com > own@out.test", "forwarded forwards@other.test >", "forwarded gate@other.test >", "queued own@out.test", "queued x@out.test",
		}
		for _, q := range []models.TraceQuery{{}, {Address: "omid@example.com"}, {Address: "sales@other.test"}, {Address: "gate@other.test", Direction: "out"}, {Subject: "hi"}} {
			if got := w.told(models.OfMailbox(sara.ID), q); len(got) != 1 || !slices.Equal(got[0], her) {
				t.Errorf("sara, %+v: %q", q, got)
			}
		}
		if got := w.told(models.OfCustomer(ours.CustomerID), models.TraceQuery{Address: "sales@other.test"}); len(got) != 1 || !slices.Equal(got[0], her) {
			t.Errorf("her customer: %q", got)
		}
		for _, secret := range []string{"secret@out.test", "private@out.test", "ali@other.test"} {
			for who, scope := range map[string]models.Scope{"sara": models.OfMailbox(sara.ID), "her customer": models.OfCustomer(ours.CustomerID)} {
				if got := w.told(scope, models.TraceQuery{Address: secret}); len(got) != 0 {
					t.Errorf("%s finds %s: %q", who, secret, got)
				}
			}
		}
		for mailbox, want := range map[models.ID][]string{omid.ID: {"delivered omid@example.com"}, ali: {"delivered sales@other.test"}} {
			if got := w.told(models.OfMailbox(mailbox), models.TraceQuery{Direction: "in"}); len(got) != 1 || !slices.Equal(got[0], want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if got := w.told(models.OfCustomer(theirs.CustomerID), models.TraceQuery{}); len(got) != 1 || !slices.Equal(got[0], []string{
			"delivered sales@other.test", "forwarded forwards@other.test > private@out.test", "forwarded gate@other.test > secret@out.test", "queued private@out.test", "queued secret@out.test",
		}) {
			t.Errorf("theirs: %q", got)
		}
		all := []string{
			"accepted", "delivered info@example.com", "delivered omid@example.com", "delivered sales@other.test", "delivered sara@example.com",
			"forwarded away@example.com > own@out.test", "forwarded forwards@other.test > private@out.test", "forwarded gate@other.test > secret@out.test",
			"queued own@out.test", "queued private@out.test", "queued secret@out.test", "queued x@out.test",
		}
		if got := w.told(models.Everything(), models.TraceQuery{}); len(got) != 1 || !slices.Equal(got[0], all) {
			t.Errorf("administrator: %q", got)
		}
	})
}

// The id that the queue has for a message is found when the message has left it long ago.
func TestAQueueIDIsFoundAfterwards(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		w.ok(w.send("sara@example.com", text, "x@out.test"))
		w.ok(w.store.InsertEvents(w.ctx, w.trail.all))
		id := w.items()[0].ID
		w.exec("DELETE FROM queue_recipients")
		w.exec("DELETE FROM queue")
		if got := w.told(models.OfMailbox(w.account("sara").ID), models.TraceQuery{ID: id}); len(got) != 1 || !slices.Equal(got[0], []string{"accepted", "queued x@out.test"}) {
			t.Errorf("%q", got)
		}
		if got := w.told(models.OfMailbox(w.account("omid").ID), models.TraceQuery{ID: id}); len(got) != 0 {
			t.Errorf("omid sees %q", got)
		}
	})
}
