package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// agree presses the button behind the link that a server has mailed about a forward from an address.
func (in *instance) agree(t *testing.T, from string, mail []byte) {
	t.Helper()
	text := textOf(t, mail)
	link := regexp.MustCompile(`/confirm/[A-Z2-7]+`).FindString(text)
	if link == "" || !strings.Contains(text, from) {
		t.Fatalf("no link about %s in %s", from, text)
	}
	v := in.visitor(t)
	v.get(link)
	if a := v.post(link); !strings.Contains(a.body, `id="agreed"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

// found returns how many messages with these words a mailbox has.
func (in *instance) found(t testing.TB, address string, words ...string) (n int) {
	for _, m := range in.inbox(t, address) {
		if containsAll(string(m), words) {
			n++
		}
	}
	return n
}

// waiting is how many recipients wait in the queue.
func (in *instance) waiting() int {
	var rows []struct{ Count int }
	in.must(&rows, "", "queue", "list")
	return len(rows)
}

// TestForwardsBetweenServers lets mail go from one server over an alias of another and back: SPF
// and DMARC hold behind the forward, a bounce finds the sender, and a circle of forwards ends.
func TestForwardsBetweenServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.server("mx.one.test", "127.0.0.2", "sqlite"), w.server("mx.two.test", "127.0.0.3", "sqlite")
	one.populate("one.test", "sara")
	two.populate("two.test", "omid", "bob", "gone")
	w.publish(one, "one.test")
	w.publish(two, "two.test")
	one.must(nil, "", "alias", "add", "info@one.test", "omid@two.test")
	one.must(nil, "", "alias", "add", "lost@one.test", "gone@two.test")
	one.agree(t, "info@one.test", two.arrival(t, "omid@two.test", "Auto-Submitted"))
	one.agree(t, "lost@one.test", two.arrival(t, "gone@two.test", "Auto-Submitted"))

	within(t, 5*time.Second, "the forward is known", func() bool {
		two.send(t, "bob@two.test", "over an alias", "info@one.test")
		return two.found(t, "omid@two.test", "over an alias") > 0
	})
	m := two.arrival(t, "omid@two.test", "over an alias")
	got := results(t, m, "mx.two.test")
	for _, want := range []string{"spf=pass", "smtp.mailfrom=\"SRS0=", "dkim=pass", "dmarc=pass"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if !containsAll(string(m), []string{"Return-Path: <SRS0=", "@one.test>", "Delivered-To: info@one.test", "Delivered-To: omid@two.test"}) {
		t.Errorf("%.2000s", m)
	}

	t.Run("a bounce finds the sender", func(t *testing.T) {
		two.must(nil, "", "mailbox", "rm", "gone@two.test")
		two.send(t, "bob@two.test", "to nobody", "lost@one.test")
		m := two.arrival(t, "bob@two.test", "multipart/report", "to nobody")
		if !containsAll(string(m), []string{"Return-Path: <>", "Status: 5.1.1", "mx.one.test", "Original-Recipient: rfc822;lost@one.test\r\nFinal-Recipient: rfc822; lost@one.test\r\n"}) {
			t.Errorf("%.3000s", m)
		}
		// Bob wrote to the alias: whom it leads to is not his business.
		if strings.Contains(string(m), "gone@two.test") || strings.Contains(string(m), "Remote-MTA") {
			t.Errorf("it tells what is behind the alias\n%.3000s", m)
		}
	})
	t.Run("a circle ends", func(t *testing.T) {
		two.must(nil, "", "mailbox", "forward", "omid@two.test", "info@one.test")
		two.agree(t, "omid@two.test", two.arrival(t, "omid@two.test", "Auto-Submitted", "mx.two.test", "Delivered-To: info@one.test"))
		within(t, 5*time.Second, "the circle is closed", func() bool { // what was known of the route is forgotten
			two.send(t, "bob@two.test", "round and round", "info@one.test")
			return two.found(t, "bob@two.test", "multipart/report", "5.4.6") > 0
		})
		within(t, 10*time.Second, "both queues are empty", func() bool {
			return one.waiting() == 0 && two.waiting() == 0
		})
		for _, m := range two.inbox(t, "omid@two.test") {
			if n := strings.Count(string(m), "\r\nReceived: "); strings.Contains(string(m), "round and round") && n > 3 {
				t.Errorf("it went round: %d servers\n%.2000s", n, m)
			}
		}
	})
}
