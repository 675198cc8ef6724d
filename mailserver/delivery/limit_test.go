package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func TestLimitsOfSending(t *testing.T) {
	eachWorld(t, models.SendingLimits{MailboxHour: 5}, func(t *testing.T, w *world) {
		w.ok(w.send("sara@example.com", text, "a@out.test", "b@out.test", "c@out.test", "omid@example.com"))
		err := w.send("sara@example.com", text, "a@out.test", "b@out.test", "c@out.test")
		if e := models.Errors(err); len(e) != 1 || e[0].Key != "limit.mailbox_hour" || !models.Is(err, models.Limited) || !strings.Contains(e[0].Msg, "5 recipients") || !strings.Contains(e[0].Msg, "10:00 on 14 March") {
			t.Error(err)
		}
		w.ok(w.send("omid@example.com", text, "a@out.test", "sara@example.com"))
		w.ok(w.send("sara@example.com", text, "omid@example.com"))         // inside there is no limit
		w.ok(w.send("sara@example.com", text, "a@out.test", "b@out.test")) // exactly to the limit
		if err := w.send("sara@example.com", text, "omid@example.com", "a@out.test"); keyOf(err) != "limit.mailbox_hour" {
			t.Error(err)
		}
		w.pass(30 * time.Minute)
		w.ok(w.send("sara@example.com", text, "a@out.test"))
	})
}

// Two processes, messages for here and elsewhere: the limit is exact, and a message that it
// refuses is nowhere.
func TestTheLimitHoldsForAllProcesses(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		limits := models.SendingLimits{MailboxDay: 30}
		first := newWorld(t, config, limits)
		first.populate()
		second := newWorld(t, config, limits)
		sara := first.account("sara")
		// Both have passed RCPT: the transaction alone decides.
		e := Envelope{Sender: parse(t, "sara@example.com"), Account: sara, Recipients: []Recipient{
			{Route: outside(parse(t, "x@out.test"), models.RemoteDirect)}, {Route: outside(parse(t, "y@out.test"), models.RemoteDirect)},
		}}
		r, err := first.Route(t.Context(), parse(t, "omid@example.com"), Asked{})
		first.ok(err)
		e.Recipients = append(e.Recipients, Recipient{Route: r})
		var done atomic.Int64
		var all sync.WaitGroup
		for i := range 40 {
			w := []*world{first, second}[i%2]
			all.Go(func() {
				err := w.Accept(t.Context(), e, strings.NewReader(text))
				switch {
				case err == nil:
					done.Add(1)
				case !models.Is(err, models.Limited):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if done.Load() != 15 || first.count("SELECT COUNT(*) FROM queue_recipients") != 30 || first.count("SELECT COUNT(*) FROM queue") != 15 || first.holds("omid", "INBOX") != 15 {
			t.Errorf("%d accepted, %d recipients queued, %d delivered", done.Load(), first.count("SELECT COUNT(*) FROM queue_recipients"), first.holds("omid", "INBOX"))
		}
		first.exact()
	})
}

// A mailbox most of whose mail bounces is held with what it has in the queue; others are not.
func TestBouncesHoldSending(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		var to []string
		for i := range 60 {
			to = append(to, fmt.Sprintf("u%d@out.test", i))
		}
		w.ok(w.send("sara@example.com", text, to...))
		w.ok(w.send("omid@example.com", text, to...))
		item := w.items()[0]
		item.CreatedAt = w.Delivery.now()
		w.pass(2 * time.Hour) // they come later, and count for the hour of the message
		fail := func(n int64) {
			t.Helper()
			w.ok(w.DB.Write(w.ctx, func(ctx context.Context, tx *db.Tx) error { return w.OnFailure(ctx, tx, &item, n) }))
			w.later()
		}
		fail(6)
		if w.account("sara").Held {
			t.Error("held at 10 %")
		}
		fail(1)
		if !w.account("sara").Held || w.account("omid").Held {
			t.Error("the wrong one is held")
		}
		if held, all := w.count("SELECT COUNT(*) FROM queue_recipients WHERE held = 1"), w.count("SELECT COUNT(*) FROM queue_recipients"); held != 60 || all != 120 {
			t.Error(held, all)
		}
		w.ok(w.send("sara@example.com", text, "late@out.test", "omid@example.com"))
		if held := w.count("SELECT COUNT(*) FROM queue_recipients WHERE held = 1"); held != 61 || w.holds("omid", "INBOX") != 1 {
			t.Error(held)
		}
		last := w.trail.all[len(w.trail.all)-1]
		if last.Kind != models.EventHeld || last.Recipient != "late@out.test" {
			t.Errorf("%+v", last)
		}
		// A transaction that is undone holds nothing.
		undone := models.QueueItem{Kind: models.QueueSubmitted, MailboxID: w.account("omid").ID, CreatedAt: item.CreatedAt}
		err := w.DB.Write(w.ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := w.OnFailure(ctx, tx, &undone, 50); err != nil {
				return err
			}
			return errors.New("undone")
		})
		if w.later(); err == nil || w.account("omid").Held || w.count("SELECT COUNT(*) FROM queue_recipients WHERE held = 1") != 61 {
			t.Error("held by a transaction that was undone", err)
		}
	})
}

// Who is released begins anew: what bounces of before the release does not hold him again, what he
// sends to another bad list does.
func TestBouncesCountFromTheRelease(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		var to []string
		for i := range 60 {
			to = append(to, fmt.Sprintf("u%d@out.test", i))
		}
		fail := func(item models.QueueItem, n int64) bool {
			t.Helper()
			w.ok(w.DB.Write(w.ctx, func(ctx context.Context, tx *db.Tx) error { return w.OnFailure(ctx, tx, &item, n) }))
			w.later()
			return w.account("sara").Held
		}
		release := func() {
			t.Helper()
			w.ok(w.store.UpdateMailboxHold(w.ctx, &models.Mailbox{ID: w.account("sara").ID}))
		}
		w.ok(w.send("sara@example.com", text, to...))
		first := w.items()[0]
		first.CreatedAt = w.Delivery.now()
		if fail(first, 6) || !fail(first, 1) {
			t.Fatal("not held where it should be")
		}
		w.pass(time.Minute) // the same hour
		release()
		if fail(first, 53) {
			t.Error("held by what was sent before the release")
		}
		w.pass(time.Minute)
		w.ok(w.send("sara@example.com", text, to...))
		second := first
		second.CreatedAt = w.Delivery.now()
		release() // of a mailbox that is not held: nothing is forgotten
		if fail(second, 6) || fail(first, 5) || !fail(second, 1) {
			t.Error("what is sent after the release does not count")
		}
	})
}

func TestAFullMailboxIsAskedForSomeDays(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		id := w.mailbox("full")
		w.exec("UPDATE mailboxes SET quota_messages = 1 WHERE id = ?", id)
		since := func() int64 { return w.count("SELECT full_since FROM mailboxes WHERE id = ?", id) }
		w.ok(w.send("bob@there.test", text, "full@example.com"))
		if since() != 0 {
			t.Error("full before anything was refused")
		}
		for i, want := range []string{"mailbox.full", "mailbox.full", "mailbox.full", "mailbox.full_long"} {
			if err := w.send("bob@there.test", text, "full@example.com"); keyOf(err) != want || !models.Is(err, models.Full) {
				t.Errorf("after %d days: %v", i, err)
			}
			if i == 2 {
				w.pass(time.Hour)
			}
			w.pass(24 * time.Hour)
		}
		if models.Micros(since()) != models.At(time.Date(2026, 3, 14, 9, 30, 0, 0, time.UTC)) {
			t.Error(since())
		}
		w.exec("UPDATE mailboxes SET quota_messages = 2 WHERE id = ?", id)
		w.ok(w.send("bob@there.test", text, "full@example.com"))
		if since() != 0 {
			t.Error("still called full")
		}
		if err := w.send("bob@there.test", text, "full@example.com"); keyOf(err) != "mailbox.full" {
			t.Error("no new time to make room:", err)
		}
		w.exec("UPDATE mailboxes SET quota_messages = 0, quota_bytes = 1000 WHERE id = ?", id)
		for size, want := range map[int64]string{1001: "mailbox.too_small", 900: "mailbox.full", 10: "<nil>"} {
			if _, err := w.Route(w.ctx, parse(t, "full@example.com"), Asked{Declared: size}); keyOf(err) != want {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	})
}

// A mailbox is hardly ever full to the byte: what does not fit any more begins the term, a small
// message that does fit goes on coming, and only room worth the name ends it.
func TestANearlyFullMailboxIsAskedForSomeDays(t *testing.T) {
	eachWorld(t, models.SendingLimits{}, func(t *testing.T, w *world) {
		id := w.mailbox("full")
		w.ok(w.send("bob@there.test", text, "full@example.com"))
		since := func() int64 { return w.count("SELECT full_since FROM mailboxes WHERE id = ?", id) }
		ask := func(size int64, want string) {
			t.Helper()
			if _, err := w.Route(w.ctx, parse(t, "full@example.com"), Asked{Declared: size}); keyOf(err) != want {
				t.Errorf("%d bytes: %v, want %s", size, err, want)
			}
		}
		room := func(quota, left int64) {
			w.exec("UPDATE mailboxes SET quota_bytes = ? WHERE id = ?", quota, id)
			w.exec("UPDATE mailbox_state SET bytes = ? WHERE mailbox_id = ?", quota-left, id)
			w.pass(time.Second)
		}
		room(1_000_000, 5_000)
		ask(1_000_001, "mailbox.too_small")
		if since() != 0 {
			t.Error("full because of what could never fit")
		}
		for day := range 5 {
			want := "mailbox.full"
			if day > 3 {
				want = "mailbox.full_long"
			}
			ask(5_001, want)
			ask(400, "<nil>")
			if since() == 0 {
				t.Errorf("day %d: not noted", day)
			}
			w.pass(23 * time.Hour)
		}
		room(1_000_000, 20_000)
		ask(400, "<nil>")
		if since() != 0 {
			t.Error("still called full")
		}
		ask(20_001, "mailbox.full")
	})
}
