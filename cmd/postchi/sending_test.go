package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/outbound/mxtest"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// TestBounces sends to another server that takes, refuses and puts off, and looks at what the
// sender is told.
func TestBounces(t *testing.T) {
	away := mxtest.New(t, mxtest.Config{Name: "mx.away.test", Script: func(stage, line string) string {
		switch {
		case stage == mxtest.Rcpt && strings.Contains(line, "unknown@"):
			return "550 5.1.1 no such user"
		case stage == mxtest.Rcpt && strings.Contains(line, "later@"):
			return "451 4.7.1 come back"
		}
		return ""
	}})
	dns := resolvertest.New(t)
	dns.Set("away.test. 60 IN MX 10 mx.away.test.", "mx.away.test. 60 IN A 127.0.0.1", "nomail.test. 60 IN MX 0 .")
	in := newInstance(t, "sqlite", "POSTCHI_OUTBOUND_ENABLED=true", "POSTCHI_OUTBOUND_PRIVATE=true", fmt.Sprintf("POSTCHI_OUTBOUND_PORT=%d", away.Port()), "POSTCHI_DNS_RESOLVER="+dns.Addr())
	in.start()
	in.populate("bounce.example", "sara")
	const sara = "sara@bounce.example"
	c := in.submission(t, sara, testPassword)
	reports := func() (all []string) {
		fetchAll(t, in, sara, func(m []byte) { all = append(all, string(m)) })
		return all
	}
	told := 0
	expect := func(words ...string) {
		t.Helper()
		told++
		within(t, 10*time.Second, "report", func() bool { return len(reports()) >= told })
		all := reports()
		for _, w := range words {
			if !strings.Contains(all[len(all)-1], w) {
				t.Errorf("%q is not in the report:\n%s", w, all[len(all)-1])
			}
		}
	}
	if a := c.submit(sara, message(sara, "one", 1000), "unknown@away.test", "ok@away.test"); a.code != 250 {
		t.Fatal(a)
	}
	expect("Return-Path: <>", "Auto-Submitted: auto-", "report-type=delivery-status", "Final-Recipient: rfc822; unknown@away.test\r\nAction: failed\r\nStatus: 5.1.1", "Subject: one")
	if got := away.Messages(); len(got) != 1 || len(got[0].To) != 1 || got[0].To[0] != "ok@away.test" || !got[0].TLS {
		t.Errorf("%d messages sent", len(got))
	}
	if a := c.submit(sara, message(sara, "two", 1000), "unknown@away.test"); !a.is(550, "5.1.1") {
		t.Errorf("an address that refused for good: %s", a)
	}
	c.smtp("RSET")
	if a := c.submit(sara, message(sara, "three", 1000), "x@nomail.test"); a.code != 250 {
		t.Fatal(a)
	}
	expect("Final-Recipient: rfc822; x@nomail.test\r\nAction: failed\r\nStatus: 5.1.10")
	if a := c.smtp("MAIL FROM:<%s> RET=HDRS ENVID=abc", sara); a.code != 250 {
		t.Fatal(a)
	}
	if a := c.smtp("RCPT TO:<ok@away.test> NOTIFY=SUCCESS ORCPT=rfc822;ok@away.test"); a.code != 250 {
		t.Fatal(a)
	}
	c.smtp("DATA")
	c.Write(stuffed(message(sara, "four", 1000)))
	if a := c.answer(); a.code != 250 {
		t.Fatal(a)
	}
	expect("Action: relayed", "Original-Envelope-Id: abc", "Original-Recipient: rfc822;ok@away.test")

	if a := c.submit(sara, message(sara, "five", 1000), "later@away.test"); a.code != 250 {
		t.Fatal(a)
	}
	d := in.openDatabase("sqlite")
	within(t, 10*time.Second, "put off", func() bool {
		var reason string
		var attempts int
		return d.SQL().QueryRow("SELECT reason, attempts FROM queue_recipients").Scan(&reason, &attempts) == nil && reason == "451 4.7.1" && attempts == 1
	})
	if err := in.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}
