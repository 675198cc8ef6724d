package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postchi/postchi/models"
)

// TestQuota fills mailboxes: refused at RCPT when full, and 20 deliveries at once go over by
// one message at most.
func TestQuota(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		in := newInstance(t, url)
		in.start()
		in.populate("quota.example", "sender", "roomy")
		for name, quota := range map[string]string{"small": "40kB", "race": "100kB", "few": "0"} {
			in.must(nil, testPassword+"\n", "mailbox", "add", name+"@quota.example", "--quota", quota, "--password-stdin")
		}
		in.must(nil, "", "mailbox", "quota", "few@quota.example", "--messages", "2")
		fullAtRcpt(t, in)
		fullAtCommit(t, in)
		race(t, in)
		checkCounters(t, in, []string{"small@quota.example", "race@quota.example", "few@quota.example", "roomy@quota.example"})
		checkReferences(t, in, url)
	})
}

// usage is what the command line says of a mailbox.
func (in *instance) usage(t *testing.T, mailbox string) (u struct {
	Bytes, Messages int64
	Quota           int64 `json:"quota_bytes"`
}) {
	t.Helper()
	in.must(&u, "", "mailbox", "quota", mailbox)
	return u
}

const quotaSender = "sender@quota.example"

func fullAtRcpt(t *testing.T, in *instance) {
	t.Helper()
	c := in.submission(t, quotaSender, testPassword)
	for mailbox, most := range map[string]int{"small@quota.example": 10, "few@quota.example": 2} {
		n := 0
		for a := (answer{code: 250}); a.code == 250; n++ {
			if a = c.submit(quotaSender, message(quotaSender, "fill", 8000), mailbox); a.code != 250 && !a.is(452, "4.2.2 ") {
				t.Fatalf("message %d to %s: %s", n, mailbox, a)
			}
			if n > most {
				t.Fatalf("%d messages went into %s", n, mailbox)
			}
			c.smtp("RSET")
		}
		u := in.usage(t, mailbox)
		t.Logf("%s took %d messages of %d bytes, quota %d", mailbox, u.Messages, u.Bytes, u.Quota)
	}
	c.smtp("MAIL FROM:<%s>", quotaSender)
	if a := c.smtp("RCPT TO:<small@quota.example>"); !a.is(452, "4.2.2 ") {
		t.Errorf("RCPT of a full mailbox: %s", a)
	}
	if a := c.smtp("RCPT TO:<roomy@quota.example>"); a.code != 250 {
		t.Errorf("RCPT of another: %s", a)
	}
	c.smtp("RSET")
	// A size that is announced and can never have room is refused for good before it is sent.
	c.smtp("MAIL FROM:<%s> SIZE=%d", quotaSender, 200<<10)
	if a := c.smtp("RCPT TO:<race@quota.example>"); !a.is(552, "5.2.2 ") {
		t.Errorf("RCPT for an announced size over the quota: %s", a)
	}
	c.smtp("RSET")
}

// fullAtCommit has a mailbox fill up between RCPT and the end of DATA: nobody gets the message,
// the other recipient included.
func fullAtCommit(t *testing.T, in *instance) {
	t.Helper()
	const filling = "small@quota.example"
	in.must(nil, "", "mailbox", "quota", filling, "--bytes", fmt.Sprint(in.usage(t, filling).Bytes+1))
	slow := in.submission(t, quotaSender, testPassword)
	slow.smtp("MAIL FROM:<%s>", quotaSender)
	for _, to := range []string{filling, "roomy@quota.example"} {
		if a := slow.smtp("RCPT TO:<%s>", to); a.code != 250 {
			t.Fatalf("RCPT: %s", a)
		}
	}
	if a := in.submission(t, quotaSender, testPassword).submit(quotaSender, message(quotaSender, "first", 2000), filling); a.code != 250 {
		t.Fatalf("the last message that fits: %s", a)
	}
	slow.smtp("DATA")
	slow.Write(stuffed(message(quotaSender, "second", 2000)))
	if a := slow.answer(); !a.is(452, "4.2.2 ") {
		t.Errorf("end of DATA: %s", a)
	}
	if n := in.usage(t, "roomy@quota.example").Messages; n != 0 {
		t.Errorf("the other recipient has %d messages of an envelope that was refused", n)
	}
}

// race has 20 connections pass RCPT before the first of them delivers.
func race(t *testing.T, in *instance) {
	t.Helper()
	const mailbox, size = "race@quota.example", 12000
	var ready, done sync.WaitGroup
	var accepted atomic.Int64
	begin := make(chan struct{})
	for range 20 {
		c := in.submission(t, quotaSender, testPassword)
		c.smtp("MAIL FROM:<%s>", quotaSender)
		if a := c.smtp("RCPT TO:<%s>", mailbox); a.code != 250 {
			t.Fatalf("RCPT: %s", a)
		}
		if a := c.smtp("DATA"); a.code != 354 {
			t.Fatalf("DATA: %s", a)
		}
		ready.Add(1)
		done.Go(func() {
			body := stuffed(message(quotaSender, "race", size))
			c.Write(body[:len(body)-5])
			ready.Done()
			<-begin
			c.Write(body[len(body)-5:])
			switch a := c.answer(); {
			case a.code == 250:
				accepted.Add(1)
			case !a.is(452, "4.2.2 "):
				t.Errorf("end of DATA: %s", a)
			}
		})
	}
	ready.Wait()
	close(begin)
	done.Wait()
	u := in.usage(t, mailbox)
	each := u.Bytes / max(u.Messages, 1)
	t.Logf("20 at once: %d accepted, %d bytes of %d (one message: %d)", accepted.Load(), u.Bytes, u.Quota, each)
	if u.Messages != accepted.Load() {
		t.Errorf("%d messages accepted, %d there", accepted.Load(), u.Messages)
	}
	if u.Bytes < u.Quota || u.Bytes-each >= u.Quota {
		t.Errorf("%d bytes used of %d: not full, or over by more than one message", u.Bytes, u.Quota)
	}
	var row models.MailboxRow
	in.must(&row, "", "mailbox", "show", mailbox)
	if !row.Full() {
		t.Error("the mailbox is not shown as full")
	}
	if out, _ := in.command("", "mailbox", "list"); !strings.Contains(out, "full") {
		t.Errorf("the list shows no mailbox as full:\n%s", out)
	}
}
