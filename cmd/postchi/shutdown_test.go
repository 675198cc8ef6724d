package main

import (
	"strings"
	"testing"
	"time"
)

// TestShutdown ends the program with SIGTERM under load: what is under way is finished, or is
// not answered with 250; the program ends by itself, and nothing is lost or doubled.
func TestShutdown(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		in := newInstance(t, url)
		in.start()
		in.populate("stop.example", "one", "two", "slow", "stuck")
		l := in.startLoad(4, 32<<10, "one@stop.example", "two@stop.example")
		within(t, 10*time.Second, "mail accepted", func() bool { return l.accepted.Load() >= 100 })

		const slow, stuck = "slow@stop.example", "stuck@stop.example"
		idle, finishing, hanging := in.submission(t, slow, testPassword), half(t, in, slow), half(t, in, stuck)
		reader := in.popTalk(t, "")
		reader.popLogin("one@stop.example", testPassword)
		reader.pop("DELE 1")

		began := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- in.stop() }()
		if a := idle.answer(); !a.is(421, "4.3.2 ") {
			t.Errorf("idle session: %s", a)
		}
		if last, err := reader.ended(10 * time.Second); err != nil || !strings.HasPrefix(last, "-ERR [SYS/TEMP]") {
			t.Errorf("POP3 session: %q, %v", last, err)
		}
		if c, err := dial(in.addr("submissions"), "", l.tls); err == nil {
			t.Error("a connection was accepted while the server stops")
			c.Close()
		}
		finishing.Write([]byte("second half\r\n.\r\n"))
		if a := finishing.answer(); a.code != 250 {
			t.Errorf("a message under way: %s", a)
		}
		// The other one never ends its message; it is told to try again.
		if a := hanging.answer(); a.err == nil && a.code != 421 {
			t.Errorf("a message that does not end: %s", a)
		}
		if err := <-ended; err != nil {
			t.Errorf("serve ended with %v", err)
		}
		took := time.Since(began)
		t.Logf("stopped after %v (bound 10s)", took.Round(time.Millisecond))
		if took > 30*time.Second {
			t.Errorf("stopping took %v", took)
		}
		l.stop()

		began = time.Now()
		in.start()
		t.Logf("serving %v after the start (bound 2s)", time.Since(began).Round(time.Millisecond))
		d := l.verify(t)
		t.Logf("%s", d)
		t.Logf("answers that were no success:\n  %s", l.refusals(t))
		if d.refusedKept > 0 {
			t.Errorf("%d messages were refused and stored nevertheless", d.refusedKept)
		}
		for mailbox, want := range map[string]int{slow: 1, stuck: 0} {
			if n, line := in.count(t, mailbox); n != want {
				t.Errorf("%s has %d messages, want %d: %s", mailbox, n, want, line)
			}
		}
		checkCounters(t, in, l.to)
		checkReferences(t, in, url)
	})
}

// half sends the beginning of a message from a mailbox to itself.
func half(t *testing.T, in *instance, mailbox string) *talk {
	t.Helper()
	c := in.submission(t, mailbox, testPassword)
	c.smtp("MAIL FROM:<%s>", mailbox)
	if a := c.smtp("RCPT TO:<%s>", mailbox); a.code != 250 {
		t.Fatal(a)
	}
	if a := c.smtp("DATA"); a.code != 354 {
		t.Fatal(a)
	}
	if _, err := c.Write(message(mailbox, "half", 5000)); err != nil {
		t.Fatal(err)
	}
	return c
}
