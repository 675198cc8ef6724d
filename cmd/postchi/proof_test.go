package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestLostCommits cuts the server's connections before, within, during and after COMMIT while
// mail comes in: 250 is said of what is there, 4xx of what is not.
func TestLostCommits(t *testing.T) {
	t.Parallel()
	want := int64(100)
	if dbtest.Long() {
		want = 3000
	}
	plain := dbtest.MySQL(t)
	var on atomic.Bool
	config, cutter := dbtest.NewCutter(t, plain, dbtest.EveryThird(&on))
	in := newInstance(t, config.URL)
	in.start()
	in.populate("cut.example", "one", "two", "three")
	on.Store(true)
	l := in.startLoad(6, 8<<10, "one@cut.example", "two@cut.example", "three@cut.example")
	within(t, 60*time.Second, "mail accepted", func() bool { return l.accepted.Load() >= want })
	on.Store(false)
	l.stop()
	d := l.verify(t)
	t.Logf("%s", d)
	if text := l.refusals(t); text != "" {
		t.Logf("answers that were no success:\n  %s", text)
	}
	for c, name := range map[dbtest.Cut]string{dbtest.CutBefore: "before", dbtest.CutWithin: "within", dbtest.CutDuring: "during", dbtest.CutAfter: "after"} {
		t.Logf("%d cuts %s COMMIT", cutter.Cuts(c), name)
		if cutter.Cuts(c) == 0 {
			t.Errorf("no cut %s COMMIT", name)
		}
	}
	if d.refusedKept > 0 || d.unheard > 0 {
		t.Errorf("refused and stored nevertheless: %d; without an answer: %d", d.refusedKept, d.unheard)
	}
	checkCounters(t, in, l.to)
	checkReferences(t, in, plain.URL)
}

// TestTwoProcesses writes to one store from the server under load, from the command line, and
// from this process: nobody disturbs anybody, and each sees at once what the others did.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		total := 300
		if dbtest.Long() {
			total = 10_000
		}
		in := newInstance(t, url)
		in.start()
		in.populate("both.example", "one", "two", "target")
		other := in.beside(t, url)
		l := in.startLoad(3, 8<<10, "one@both.example", "two@both.example", "target@both.example")
		var uids []mailstore.UID
		var work sync.WaitGroup
		done := make(chan struct{})
		began := time.Now()
		work.Go(func() {
			defer close(done)
			uids = appendMany(t, other, mailboxID(t, other.db, "target@both.example"), total)
		})
		rounds := 0
		work.Go(func() { rounds = comeAndGo(t, in, done) })
		work.Wait()
		took := time.Since(began)
		l.stop()
		t.Logf("%d appended beside %d accepted by the server in %v, and %d mailboxes made, suspended, removed and brought back",
			len(uids), l.accepted.Load(), took.Round(time.Millisecond), rounds)
		checkBoth(t, in, other, l, uids, total)
		checkCounters(t, in, append(l.to, "moving@both.example"))
		checkReferences(t, in, url)
	})
}

func mailboxID(t *testing.T, d *db.DB, address string) (id models.ID) {
	t.Helper()
	if err := d.SQL().QueryRow("SELECT id FROM mailboxes WHERE address = ?", address).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// appendMany appends messages from several goroutines, one to five at once, and returns their
// UIDs.
func appendMany(t *testing.T, b *base, mailbox models.ID, total int) (uids []mailstore.UID) {
	inbox, err := b.mail.Folder(t.Context(), mailbox, mailstore.Inbox)
	if err != nil {
		t.Error(err)
		return nil
	}
	var mu sync.Mutex
	var left atomic.Int64
	left.Store(int64(total))
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			for n := 0; ; n++ {
				count := min(1+(g+n)%5, int(left.Load()))
				if left.Add(-int64(count)) < 0 || count <= 0 {
					left.Add(int64(count))
					return
				}
				got, err := appendSome(t.Context(), b, inbox.Place(), count)
				if err != nil {
					t.Error(err)
					return
				}
				if !slices.IsSorted(got) {
					t.Errorf("UIDs %v do not rise", got)
				}
				mu.Lock()
				uids = append(uids, got...)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return uids
}

func appendSome(ctx context.Context, b *base, p mailstore.Place, n int) ([]mailstore.UID, error) {
	messages := make([]mailstore.Appended, n)
	for i := range messages {
		text := fmt.Appendf(nil, "From: a@both.example\r\nSubject: appended\r\n\r\n%s\r\n", strings.Repeat("x", 100*i))
		staged, err := b.blobs.Put(ctx, bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return nil, err
		}
		messages[i] = mailstore.Appended{Blob: staged}
	}
	_, uids, err := b.mail.Append(ctx, p, mailstore.Quota{}, messages...)
	return uids, err
}

// comeAndGo makes, suspends, removes and brings back a mailbox by commands until done, and looks
// each time whether the server knows. It returns how often.
func comeAndGo(t *testing.T, in *instance, done <-chan struct{}) (rounds int) {
	const address = "moving@both.example"
	in.must(nil, testPassword+"\n", "mailbox", "add", address, "--password-stdin")
	for ; ; rounds++ {
		select {
		case <-done:
			if rounds > 0 {
				return rounds
			}
		default:
		}
		for _, step := range []struct {
			command []string
			login   string
		}{
			{[]string{"suspend", address, "--login", "--reason", "unpaid"}, "-ERR"},
			{[]string{"resume", address}, "+OK"},
			{[]string{"rm", address}, "-ERR"},
			{[]string{"restore", address}, "+OK"},
		} {
			in.must(nil, "", append([]string{"mailbox"}, step.command...)...)
			c := in.popTalk(t, "")
			line := c.popLogin(address, testPassword)
			c.Close()
			if !strings.HasPrefix(line, step.login) {
				t.Errorf("log-in after %v: %s", step.command, line)
				return rounds
			}
		}
	}
}

// checkBoth checks that all the mailbox got is there once, in order, whoever wrote it.
func checkBoth(t *testing.T, in *instance, other *base, l *load, uids []mailstore.UID, total int) {
	t.Helper()
	slices.Sort(uids)
	if n := len(slices.Compact(uids)); n != total {
		t.Errorf("%d UIDs for %d messages", n, total)
	}
	id := mailboxID(t, other.db, "target@both.example")
	inbox, err := other.mail.Folder(t.Context(), id, mailstore.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	there, err := other.mail.UIDs(t.Context(), inbox.ID, 1, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range there {
		if u != mailstore.UID(i+1) {
			t.Fatalf("UID %d at place %d", u, i)
		}
	}
	for _, u := range uids {
		if _, ok := slices.BinarySearch(there, u); !ok {
			t.Errorf("UID %d was given and is not there", u)
		}
	}
	// The appended ones are no parcels of the load's: out of its sight.
	if _, err := other.mail.Expunge(t.Context(), inbox.Place(), mailstore.SetOf(uids...), false); err != nil {
		t.Fatal(err)
	}
	d := l.verify(t)
	t.Logf("%s", d)
	if got, want := len(there), total+d.with(l, "target@both.example"); got != want {
		t.Errorf("%d messages in the mailbox, want %d", got, want)
	}
	var shown struct{ Usage models.MailboxUsage }
	out, status := in.command("", "mailbox", "show", "target@both.example", "--json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil || status != 0 {
		t.Errorf("status %d, %v:\n%s", status, err, out)
	}
	if shown.Usage.Messages != int64(len(there)-total) {
		t.Errorf("the command shows %d messages, want %d", shown.Usage.Messages, len(there)-total)
	}
}

// with counts the accepted parcels for a mailbox.
func (delivered) with(l *load, mailbox string) (n int) {
	for _, p := range l.parcels {
		for _, i := range p.to {
			if p.fate == accepted && l.to[i] == mailbox {
				n++
			}
		}
	}
	return n
}
