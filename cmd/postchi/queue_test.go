package main

import (
	"context"
	"strings"
	"testing"

	"github.com/postchi/postchi/panel/service"
)

// TestQueueAndTrace does what an administrator does with messages that wait, and asks where they
// are. What others have written moves no cursor.
func TestQueueAndTrace(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		in := newInstance(t, url)
		in.populate("queue.example", "sara")
		b := in.beside(t, url)
		row, err := b.service.Mailbox(context.Background(), service.Console(), "sara@queue.example")
		if err != nil {
			t.Fatal(err)
		}
		item := b.enqueue(t, row, "Offer\x1b[2J", "a@gmail.com", "b@gmail.com", "c@far.example")
		run := func(want string, args ...string) string {
			t.Helper()
			out, status := in.command("", args...)
			if status != exitDone || !strings.Contains(out, want) || strings.Contains(out, "\x1b") {
				t.Errorf("postchi %s: %d, want %q in\n%s", strings.Join(args, " "), status, want, out)
			}
			return out
		}
		run("421 4.7.28", "queue", "list")
		run("c@far.example", "queue", "list", "--domain", "far.example")
		run("What to do: ", "queue", "show", item.ID.String())
		run("Recipients released: 3.", "queue", "release", item.ID.String())
		run("Recipients held: 2.", "queue", "hold", "--domain", "gmail.com", "--from", "sara@queue.example")
		run("tried now: 1.", "queue", "retry", "--all")
		run("out of the queue: 1.", "queue", "rm", "--to", "c@far.example", "--no-notice", "--yes")
		run("out of the queue: 2.", "queue", "rm", item.ID.String(), "--notice", "--yes")
		for _, what := range []string{"sara@queue.example", "gmail.com", item.EnvelopeID.String(), item.ID.String(), "offer"} {
			out := run("a@gmail.com", "trace", what)
			if !strings.Contains(out, "Taken out of the queue") {
				t.Errorf("trace %s:\n%s", what, out)
			}
		}
		run(`"envelope_id"`, "trace", "b@gmail.com", "--json", "--direction", "out")
	})
}
