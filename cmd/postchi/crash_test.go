package main

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/mailserver/mailstore"
)

var crashKills = flag.Int("crash.kills", 4, "how often TestCrash kills the server on each database")

const (
	// ackedPerKill is how many messages are accepted at least before each kill: 20 kills make
	// 4,000.
	ackedPerKill = 200

	crashSenders = 8
)

// TestCrash kills the program with SIGKILL under load, each time while at least one message is
// between the end of its DATA and the answer, and starts it again. Afterwards everything that
// was answered with 250 is there once, what IMAP has tagged OK (APPEND, STORE, MOVE) is as it
// was then, and all counters are exact.
func TestCrash(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		in := newInstance(t, url)
		in.start()
		in.populate("crash.example", "one", "two", "three", "four", "five", "six")
		keepers := []*keeper{in.startKeeper("five@crash.example"), in.startKeeper("six@crash.example")}
		l := in.startLoad(crashSenders, 64<<10, "one@crash.example", "two@crash.example", "three@crash.example", "four@crash.example")
		began := time.Now()
		k := crash(t, in, l, *crashKills)
		l.stop()
		took := time.Since(began)
		d := l.verify(t)
		t.Logf("%d kills in %v, of which %d missed; messages hit by each: %v", k.kills, took.Round(time.Millisecond), k.missed, k.hits)
		t.Logf("%s", d)
		t.Logf("restart to serving: %v at most", k.slowest.Round(time.Millisecond))
		if text := l.refusals(t); text != "" {
			t.Logf("answers that were no success:\n  %s", text)
		}
		if d.refusedKept > 0 {
			t.Errorf("%d messages were refused and stored nevertheless", d.refusedKept)
		}
		if d.messages < ackedPerKill**crashKills {
			t.Errorf("%d messages accepted, want at least %d", d.messages, ackedPerKill**crashKills)
		}
		for _, k := range keepers {
			k.verify(t)
		}
		checkCounters(t, in, append(l.to, keepers[0].address, keepers[1].address))
		checkReferences(t, in, url)
	})
}

// kills is what crash has done.
type kills struct {
	kills, missed int
	hits          []int64 // messages in the window, for each kill that hit
	slowest       time.Duration
}

// crash kills until n kills have hit a message between end of DATA and answer.
func crash(t *testing.T, in *instance, l *load, n int) (k kills) {
	for len(k.hits) < n {
		if k.missed > 2*n {
			t.Fatalf("%d kills hit no message", k.missed)
		}
		target := l.accepted.Load() + ackedPerKill
		within(t, 30*time.Second, "messages accepted", func() bool { return l.accepted.Load() >= target })
		reader := in.popTalk(t, "")
		if line := reader.popLogin(l.to[0], testPassword); !strings.HasPrefix(line, "+OK") {
			t.Fatalf("POP3 log-in: %s", line)
		}
		before := l.unheard.Load()
		l.strike(in.kill)
		k.kills++
		within(t, 10*time.Second, "senders have noticed", func() bool { return l.waiting.Load() == 0 })
		if hit := l.unheard.Load() - before; hit > 0 {
			k.hits = append(k.hits, hit)
		} else {
			k.missed++
		}
		started := time.Now()
		in.start()
		k.slowest = max(k.slowest, time.Since(started))
		// The lock of the maildrop went with the process that had it.
		again := in.popTalk(t, "")
		if line := again.popLogin(l.to[0], testPassword); !strings.HasPrefix(line, "+OK") {
			t.Errorf("POP3 log-in after the kill of a reader's server: %s", line)
		}
		again.pop("QUIT")
	}
	return k
}

// strike calls kill at a random moment at which a message waits for its answer.
func (l *load) strike(kill func()) {
	time.Sleep(rand.N(150 * time.Millisecond))
	for {
		for l.waiting.Load() == 0 {
			time.Sleep(20 * time.Microsecond)
		}
		time.Sleep(rand.N(3 * time.Millisecond)) // so that all steps of storing are hit
		if l.waiting.Load() > 0 {
			kill()
			return
		}
	}
}

// TestCrashDatabase kills mariadbd instead, while Postchi lives on and holds the messages that
// wait for their COMMIT: it must find out which of them the database kept.
func TestCrashDatabase(t *testing.T) {
	server := ownServer(t)
	in := newInstance(t, server.URL("postchi"))
	in.start()
	in.populate("crash.example", "one", "two", "three", "four")
	l := in.startLoad(crashSenders, 64<<10, "one@crash.example", "two@crash.example", "three@crash.example", "four@crash.example")
	var hits []int64
	for range *crashKills {
		target := l.accepted.Load() + ackedPerKill/2
		within(t, 30*time.Second, "messages accepted", func() bool { return l.accepted.Load() >= target })
		l.strike(func() {
			hits = append(hits, l.waiting.Load())
			server.Signal(syscall.SIGKILL)
		})
		time.Sleep(rand.N(500 * time.Millisecond)) // away for a while, or hardly at all
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	l.stop()
	t.Logf("%d kills; messages waiting at each: %v", len(hits), hits)
	checkLoad(t, l)
	checkCounters(t, in, l.to)
	checkReferences(t, in, server.URL("postchi"))
}

// checkCounters proves the counters of mailboxes as an administrator would.
func checkCounters(t *testing.T, in *instance, mailboxes []string) {
	t.Helper()
	for _, mailbox := range mailboxes {
		if out, status := in.command("", "mailbox", "quota", mailbox, "--recount"); status != 0 {
			t.Errorf("counters of %s, status %d:\n%s", mailbox, status, out)
		}
	}
}

// checkReferences compares beside the server the reference count of every blob with the
// messages, and reads every blob.
func checkReferences(t *testing.T, in *instance, url string) {
	t.Helper()
	d := in.openDatabase(url)
	segments, err := seg.Open(seg.Config{Dir: filepath.Join(in.dir, "segments"), Node: d.IDs().Node()})
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := blob.New(blob.Config{DB: d, Drivers: []blob.Driver{segments}})
	if err != nil {
		t.Fatal(err)
	}
	defer blobs.Close()
	store := mailstore.New(mailstore.Config{DB: d, Blobs: blobs})
	defer store.Close()
	wrong, err := store.RecountBlobs(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range wrong {
		t.Errorf("blob %d has %d references counted, and %d in its row (no row: %v)", m.ID, m.Marked, m.Row, m.NoRow)
	}
	checked, err := blobs.Check(t.Context(), func(p blob.Problem) error {
		t.Errorf("blob %d at %+v: %v", p.ID, p.Ref, p.Err)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d blobs of %d bytes: %d damaged or missing, %d with a wrong count", checked.Blobs, checked.Bytes, checked.Problems, len(wrong))
}
