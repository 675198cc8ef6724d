package panel

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/panel/i18n"
)

// TestEveryReasonHasWords finds what the queue is grouped by where no server answered.
func TestEveryReasonHasWords(t *testing.T) {
	c, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, folder := range []string{"outbound", "queue"} {
		files, _ := filepath.Glob("../mailserver/" + folder + "/*.go")
		for _, name := range files {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`\b[Rr]eason[A-Z][A-Za-z]* += "([a-z-]+)"`).FindAllStringSubmatch(string(body), -1) {
				found[m[1]] = true
				if !c.Lang("en").Has("queue.reason." + m[1]) {
					t.Errorf("no words for %q", m[1])
				}
			}
		}
	}
	for _, key := range c.Lang("en").Keys() {
		if reason, is := strings.CutPrefix(key, "queue.reason."); is && !found[reason] {
			t.Errorf("nothing waits because of %q", reason)
		}
	}
	if len(found) < 15 {
		t.Fatalf("only %d reasons found", len(found))
	}
}

// TestQueueSaysWhy shows groups by what they wait for: our words, or another server's own.
func TestQueueSaysWhy(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	f.enqueue("info@example.com", "one", "a@gmail.com")
	item := f.enqueue("info@example.com", "two", "b@far.example")
	err := f.db.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE queue_recipients SET code = 0, enhanced = '4.4.1', reason = 'connect', detail = 'the connection was refused' WHERE queue_id = ?", item.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b := f.browser().login(ownerEmail, ownerPassword)
	page := b.get("/queue")
	page.has(t, "421 4.7.28 &lt;i&gt;evil&lt;/i&gt; unusual rate", "far.example</bdi>: its mail server cannot be reached", "Asked <bdi", "Try 1 now", "Hold 1", "Drop 1")
	page.hasNot(t, ": connect")
	b.get("/queue/messages").has(t, "its mail server cannot be reached", "421 4.7.28 ")
	b.get("/queue/messages?domain=far.example&reason=connect").has(t, "its mail server cannot be reached</li>", "b@far.example")
	b.post("/language", "language", "fa")
	b.get("/queue").has(t, "نمی\u200cتوان وصل شد", "۱ نامه منتظر")
}

// TestQueueLeavesWhatIsTried says so to who would take out what is being sent at this moment.
func TestQueueLeavesWhatIsTried(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	item := f.enqueue("info@example.com", "one", "a@gmail.com")
	claim := func(until int64) {
		t.Helper()
		err := f.db.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE queue_recipients SET owner = 1, until_time = ? WHERE queue_id = ?", until, item.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b := f.browser().login(ownerEmail, ownerPassword)
	claim(1 << 60)
	b.follow("/queue/act", "action", "drop", "domain", "gmail.com").has(t, "Nothing was changed", "warn toast")
	claim(0)
	b.follow("/queue/act", "action", "drop", "domain", "gmail.com").has(t, " taken out of the queue.", "ok toast")
}
