package auth

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/postchi/postchi/models"
)

func TestRecordsAreAddedUp(t *testing.T) {
	w := newWorld(t)
	start := w.clock.now()
	for range 3 {
		w.try("sara@example.com", saraPassword, home)
		w.clock.add(time.Second)
	}
	w.try("sara@example.com", "wrong", home)
	w.try("sara@example.com", saraPassword, away)
	w.clock.add(time.Hour)
	w.try("sara@example.com", saraPassword, home)
	list := w.recorder.take()
	if len(list) != 4 {
		t.Fatalf("%d records: %+v", len(list), list)
	}
	for _, l := range list {
		if l.Count != 3 {
			continue
		}
		want := models.Login{MailboxID: 1, Name: "sara@example.com", Protocol: models.ProtoIMAP, Network: "192.0.2.1", Client: "test", OK: true,
			Hour: models.At(start.Truncate(time.Hour)), FirstAt: models.At(start), LastAt: models.At(start.Add(2 * time.Second)), Count: 3}
		if l != want {
			t.Errorf("record %+v, want %+v", l, want)
		}
		return
	}
	t.Error("nothing was added up")
}

func TestRecordsReachTheDatabase(t *testing.T) {
	w := newWorld(t)
	stop := w.run()
	w.try("sara@example.com", saraPassword, home)
	until(t, "flush", func() bool { return len(w.db.recorded()) == 1 })
	w.db.setAway(errAway)
	w.recorder.add(models.Login{Name: "later", Count: 1})
	until(t, "failure", func() bool { return strings.Contains(w.log.String(), "not recorded") })
	w.recorder.add(models.Login{Name: "later", Count: 1})
	w.db.setAway(nil)
	count := func() (n int64) {
		for _, l := range w.db.recorded() {
			if l.Name == "later" {
				n += l.Count
			}
		}
		return n
	}
	until(t, "retry", func() bool { return count() == 2 })
	w.recorder.add(models.Login{Name: "at the end", Count: 1})
	stop()
	if list := w.db.recorded(); list[len(list)-1].Name != "at the end" {
		t.Errorf("not flushed at the end: %+v", list)
	}
}

// Who tells the owner that a password was too long must know whose it was, but only later.
func TestRecordsOfMalformedFindTheirMailbox(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.try("Sara@example.com", strings.Repeat("x", 80), home)
	w.try("nobody@example.com", strings.Repeat("x", 80), home)
	until(t, "flush", func() bool { return len(w.db.recorded()) == 2 })
	for _, l := range w.db.recorded() {
		if (l.MailboxID == 1) != (l.Name == "Sara@example.com") || l.Reason != reasonTooLong {
			t.Errorf("record %+v", l)
		}
	}
}

func TestRecordsAreBounded(t *testing.T) {
	r := newRecorder()
	for i := range maxPending + 10 {
		r.add(models.Login{Name: fmt.Sprint(i), Count: 1})
	}
	r.add(models.Login{Name: "1", Count: 1})
	if n := r.dropped.Load(); n != 10 {
		t.Errorf("%d dropped", n)
	}
	if n := len(r.take()); n != maxPending {
		t.Errorf("%d kept", n)
	}

	// An attack on names nobody has, from a blocked network, is one row.
	w := newWorld(t)
	for i := range 1000 {
		w.try(fmt.Sprintf("name%d@example.com", i), "x", home)
	}
	if n := len(w.recorder.take()); n != 31 {
		t.Errorf("%d records", n)
	}
}

func TestClean(t *testing.T) {
	tests := map[string]string{
		"Thunderbird":        "Thunderbird",
		"a\r\nb\x00\x1b[31m": "ab[31m",
		"a\u202eb\u2028":     "ab",
		"سارا":               "سارا",
		"\xff\xfe":           "?",
		"12345678é":          "12345678",
		"1234567é":           "1234567é",
	}
	for in, want := range tests {
		if got := clean(in, 9); got != want && len(in) <= 9 || !utf8.ValidString(got) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := clean("12345678é", 9); got != "12345678" {
		t.Errorf("cut: %q", got)
	}
}

func TestLogLineIsOneLine(t *testing.T) {
	w := newWorld(t)
	w.try("sara\r\nlevel=ERROR msg=x@example.com", "wrong", netip.MustParseAddr("::ffff:192.0.2.1"))
	if log := w.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "remote=192.0.2.1") {
		t.Errorf("log: %s", log)
	}
}
