package smtpd

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
)

// TestEveryRefusalIsInTheTrace refuses in every way there is before acceptance, to another server
// and to a mail program: each leaves an event with the key of words that exist, and says whose it
// is and what was refused as far as that is known by then.
func TestEveryRefusalIsInTheTrace(t *testing.T) {
	denied := func(key string) Judgement {
		return Judgement{Refuse: models.Errorf(models.Denied, key, "No."), Summary: "spf=fail"}
	}
	body := func(text string) []string {
		return []string{"MAIL FROM:<a@b.test>", "RCPT TO:<" + sara + ">", "DATA", text}
	}
	header := "From: a@b.test\r\nSubject: =?utf-8?B?2K/YsdmI2K8=?=\r\nMessage-ID: <1@b.test>\r\n"
	whole := header + "\r\nhello\r\n."
	for _, test := range []struct {
		words   string // of the last event
		lines   []string
		prepare func(r *rig, j *judge)
		mode    Mode
		named   bool // it knows the subject
	}{
		{words: "recipient.unknown", lines: []string{"MAIL FROM:<a@b.test>", "RCPT TO:<nobody@example.com>"}},
		{words: "recipient.relay", lines: []string{"MAIL FROM:<a@b.test>", "RCPT TO:<x@elsewhere.test>"}},
		{words: "mailbox.full", lines: []string{"MAIL FROM:<a@b.test>", "RCPT TO:<" + sara + ">"}, prepare: func(r *rig, _ *judge) { r.post.full = map[string]bool{sara: true} }},
		{words: "recipient.off", lines: []string{"MAIL FROM:<a@b.test>", "RCPT TO:<" + sara + ">"}, prepare: func(r *rig, _ *judge) { r.post.off = map[string]string{sara: "gone"} }},
		{words: "address.eai", lines: []string{"MAIL FROM:<a@b.test>", "RCPT TO:<särä@example.com>"}},
		{words: "address.syntax", lines: []string{"MAIL FROM:<a@b.test>", "RCPT TO:sara example"}},
		{words: "smtp.too_large", lines: []string{"MAIL FROM:<a@b.test> SIZE=99999999999"}},
		{words: "smtp.sequence", lines: []string{"MAIL FROM:<a@b.test>", "MAIL FROM:<c@b.test>"}},
		{words: "unavailable", lines: []string{"MAIL FROM:<a@b.test>", "RCPT TO:<" + sara + ">"}, prepare: func(r *rig, _ *judge) { r.post.find = models.Unavailablef(errors.New("away"), "Later.") }},
		{words: "smtp.too_large", lines: body("Subject: x\r\n\r\n" + strings.Repeat("0123456789012345678901234567890123456789\r\n", 3000) + ".")},
		{words: "smtp.bare", lines: body("Subject: x\r\n\r\na\nb\r\n.")},
		{words: "smtp.loop", named: true, lines: body(header + strings.Repeat("Received: from x by y; now\r\n", 101) + "\r\n.")},
		{words: "dmarc.refused", named: true, lines: body(whole), prepare: func(_ *rig, j *judge) { j.judgement = denied("dmarc.refused") }},
		{words: "filter.listed", named: true, lines: body(whole), prepare: func(_ *rig, j *judge) { j.judgement = denied("filter.listed") }},
		{words: "filter.spam", named: true, lines: body(whole), prepare: func(_ *rig, j *judge) { j.judgement = denied("filter.spam") }},
		{words: "verify.dns", named: true, lines: body(whole), prepare: func(_ *rig, j *judge) {
			j.err = &models.Error{Kind: models.Unavailable, Key: "verify.dns", Msg: "The DNS does not answer."}
		}},
		{words: "store.full", named: true, lines: body(whole), prepare: func(r *rig, _ *judge) { r.post.fail = models.Errorf(models.Full, "store.full", "Full.") }},
		{words: "limit.sending", named: true, mode: ModeSubmissions, lines: []string{"MAIL FROM:<" + sara + ">", "RCPT TO:<" + omid + ">", "DATA", "From: " + sara + "\r\nSubject: =?utf-8?B?2K/YsdmI2K8=?=\r\n\r\n."},
			prepare: func(r *rig, _ *judge) {
				r.post.fail = models.Errorf(models.Limited, "limit.sending", "300 an hour.")
			}},
		{words: "sender.off", mode: ModeSubmissions, lines: []string{"MAIL FROM:<" + sara + ">"}, prepare: func(r *rig, _ *judge) { r.accounts.account[sara].SendOff = true }},
		{words: "smtp.sender_address", mode: ModeSubmissions, lines: []string{"MAIL FROM:<somebody@else.test>"}},
		{words: "recipient.outbound", mode: ModeSubmissions, lines: []string{"MAIL FROM:<" + sara + ">", "RCPT TO:<x@elsewhere.test>"}},
		{words: "smtp.header_address", named: true, mode: ModeSubmissions, lines: []string{"MAIL FROM:<" + sara + ">", "RCPT TO:<" + omid + ">", "DATA", "From: boss@bank.test\r\nSubject: =?utf-8?B?2K/YsdmI2K8=?=\r\n\r\n."}},
	} {
		t.Run(test.words, func(t *testing.T) {
			j := &judge{}
			r := start(t, test.mode, func(c *Config, _ *conn.Limits) { c.Checks, c.MaxMessage = j, 100_000 })
			var c *client
			if test.mode.submits() {
				c = r.login()
			} else {
				c = r.dial()
				c.ask("EHLO there.test", "250 ")
			}
			if test.prepare != nil {
				r.post.set(func() { test.prepare(r, j) })
			}
			var last string
			for _, line := range test.lines {
				c.send(line + "\r\n")
				last, _ = c.reply()
			}
			events := r.trail.events()
			if last[0] < '4' || len(events) == 0 {
				t.Fatalf("%q, %d events", last, len(events))
			}
			e := events[len(events)-1]
			if words, known := explain.Reason(e.Words, "fa"); !known || words.What == "" {
				t.Errorf("no words for %q", e.Words)
			}
			if e.Kind != models.EventRefused || e.Words != test.words || e.Code != int(last[0]-'0')*100+int(last[1]-'0')*10+int(last[2]-'0') || e.Sender == "" || e.Detail == "" {
				t.Errorf("%q: %+v", last, e)
			}
			if from := "a@b.test"; !test.mode.submits() && e.Sender != from && e.Sender != "c@b.test" {
				t.Errorf("sender %q", e.Sender)
			}
			if inData := len(test.lines) > 3; inData && (e.CustomerID == 0 || e.MailboxID == 0) {
				t.Errorf("it is nobody's: %+v", e)
			}
			if test.named && (e.Subject != "درود" || e.EnvelopeID == 0) {
				t.Errorf("subject %q, envelope %d", e.Subject, e.EnvelopeID)
			}
			for _, other := range events {
				if other.Kind == models.EventVerdict && other.EnvelopeID != e.EnvelopeID {
					t.Errorf("the checks are another story: %+v", other)
				}
			}
		})
	}
}

// A message that is refused as a whole is found by each of its recipients, by its subject and by its
// Message-ID: by those it was for, and by the account that wanted to send it.
func TestARefusedMessageIsFound(t *testing.T) {
	for _, mode := range []Mode{ModeMX, ModeSubmissions} {
		j := &judge{judgement: Judgement{Refuse: models.Errorf(models.Denied, "dmarc.refused", "No.")}}
		r := start(t, mode, func(c *Config, _ *conn.Limits) { c.Checks = j })
		from := "a@b.test"
		var c *client
		if mode.submits() {
			c, from = r.login(), sara
		} else {
			c = r.dial()
			c.ask("EHLO there.test", "250 ")
		}
		c.ask("MAIL FROM:<"+from+">", "250 ")
		c.ask("RCPT TO:<"+sara+">", "250 ")
		c.ask("RCPT TO:<"+omid+">", "250 ")
		c.ask("DATA", "354 ")
		c.ask("From: boss@bank.test\r\nSubject: hello\r\nMessage-ID: <7@bank.test>\r\n\r\n.", "550 ")
		var to []string
		for _, e := range r.trail.events() {
			if e.Kind != models.EventRefused {
				continue
			}
			to = append(to, e.Recipient)
			mine := e.MailboxID == r.accounts.account[sara].ID
			if e.MessageID != "7@bank.test" || e.Subject != "hello" || e.Sender != from || mine != (mode.submits() || e.Recipient == sara) || e.CustomerID == 0 {
				t.Errorf("%v: %+v", mode, e)
			}
		}
		if !slices.Equal(to, []string{sara, omid}) {
			t.Errorf("%v: %q", mode, to)
		}
	}
}
