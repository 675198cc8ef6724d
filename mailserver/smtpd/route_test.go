package smtpd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/models"
)

func TestRecipientsElsewhere(t *testing.T) {
	r := start(t, ModeSubmissions, nil)
	r.post.set(func() { r.post.outbound = true })
	c := r.login()
	c.ask(`MAIL FROM:<sara@example.com> RET=HDRS ENVID=a+2Bb`, "250 ")
	c.ask(`RCPT TO:<"B o b"@Elsewhere.TEST> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+40x`, "250 ")
	c.ask("RCPT TO:<x@elsewhere.test> NOTIFY=NEVER", "250 ")
	c.ask("RCPT TO:<"+omid+">", "250 ")
	c.ask("DATA", "354 ")
	c.send(plain + ".\r\n")
	c.want("250 ")
	m := r.post.messages()[0]
	if m.Ret != "HDRS" || m.EnvID != "a+b" || len(m.Recipients) != 3 || m.Account == nil || m.Author != "example.com" {
		t.Fatalf("%+v", m.Envelope)
	}
	first, second := m.Recipients[0], m.Recipients[1]
	if first.Remote[0].Address != `"B o b"@elsewhere.test` || first.Notify != "SUCCESS,DELAY" || first.Original != "rfc822;Bob@x" || second.Notify != "NEVER" || second.Original != "" {
		t.Errorf("%+v", m.Recipients)
	}
	if asked := r.post.asked; asked[0].Outside != 0 || asked[1].Outside != 1 || asked[2].Outside != 2 || asked[2].Account == nil || asked[2].Sender.String() != sara {
		t.Errorf("%+v", asked)
	}
	c.ask("MAIL FROM:<"+sara+">", "250 ")
	for _, to := range []string{"Bob@elsewhere.test", "bob@elsewhere.test", "Bob@Elsewhere.test", "OMID@example.com", omid} {
		c.ask("RCPT TO:<"+to+">", "250 ")
	}
	c.ask("DATA", "354 ")
	c.send(plain + ".\r\n")
	c.want("250 ")
	if m := r.post.messages()[1]; len(m.Recipients) != 3 {
		t.Errorf("%+v", m.Recipients)
	}
	// RFC 3461, section 5: what the parameters may be.
	for command, want := range map[string]string{
		"RCPT TO:<x@elsewhere.test> NOTIFY=NEVER,SUCCESS": "501 ", "RCPT TO:<x@elsewhere.test> NOTIFY=SOMETIMES": "501 ", "RCPT TO:<x@elsewhere.test> ORCPT=x": "501 ",
		"RCPT TO:<x@elsewhere.test> ORCPT=rfc822;a+0D+0Ab": "501 ", "RCPT TO:<x@elsewhere.test> ORCPT=utf-8;x": "250 ",
	} {
		c.ask("MAIL FROM:<"+sara+">", "250 ")
		c.ask(command, want)
		c.ask("RSET", "250 ")
	}
	c.ask("MAIL FROM:<"+sara+"> RET=ALL", "501 ")
	c.ask("MAIL FROM:<"+sara+"> ENVID=a+0Db", "501 ")
}

func TestAliasesMaySend(t *testing.T) {
	r := start(t, ModeSubmissions, func(c *Config, _ *conn.Limits) { c.MaxErrors = 1000 })
	r.accounts.others = []string{"info@example.com", "sales@example.org"}
	c := r.login()
	from := func(from string) string { return strings.Replace(plain, "sara@example.com", from, 1) }
	for _, x := range []struct{ sender, text, want string }{
		{"info@example.com", from("sales@example.org"), "250 "},
		{"INFO+x@example.com", from("Info@Example.com"), "250 "},
		{sara, from("info+tag@example.com"), "250 "},
		{sara, "Sender: info@example.com\r\n" + plain, "250 "},
		{sara, from("omid@example.com"), "550 5.7.1 "},
		{sara, from("info@example.org"), "550 5.7.1 "},
		{sara, "Resent-From: omid@example.com\r\nResent-Date: Sat, 14 Mar 2026 09:00:00 +0000\r\n" + plain, "550 5.7.1 "},
		{sara, "Resent-From: info@example.com\r\nResent-Date: Sat, 14 Mar 2026 09:00:00 +0000\r\n" + plain, "250 "},
	} {
		c.ask("MAIL FROM:<"+x.sender+">", "250 ")
		c.ask("RCPT TO:<"+omid+">", "250 ")
		c.ask("DATA", "354 ")
		c.send(x.text + ".\r\n")
		if got := c.want(x.want); x.want[0] == '5' && !strings.Contains(got, "as sara@example.com, info@example.com, sales@example.org only") {
			t.Errorf("%s", got)
		}
	}
	if got := r.post.messages()[0].Author; got != "example.org" {
		t.Error(got)
	}
	c.ask("MAIL FROM:<omid@example.com>", "553 5.7.1 ")
	r.accounts.others = nil
	for i := range 30 {
		r.accounts.others = append(r.accounts.others, fmt.Sprintf("a%d@example.com", i))
	}
	if got := c.ask("MAIL FROM:<omid@example.com>", "553 5.7.1 "); !strings.Contains(got, "a7@example.com and 22 more") {
		t.Error(got)
	}
	// Who cannot be asked is no reason for a final no.
	c = r.login()
	r.accounts.setDown(true)
	c.ask("MAIL FROM:<info@example.com>", "451 ")
}

func TestAnAliasOfVeryManyIsAMessageOfItsOwn(t *testing.T) {
	r := start(t, ModeMX, nil)
	many := &models.Route{Address: "all@example.com", DomainID: 3, Local: make([]models.Recipient, 999)}
	r.post.set(func() { r.post.routes = map[string]*models.Route{"all@example.com": many} })
	c := r.dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	c.ask("RCPT TO:<"+sara+">", "250 ")
	c.ask("RCPT TO:<all@example.com>", "250 ")
	c.ask("RCPT TO:<"+omid+">", "452 4.5.3 ")
	c.ask("RCPT TO:<all@example.com>", "250 ") // known already
}

func TestAddressesOfForwardsMayBeLong(t *testing.T) {
	r := start(t, ModeMX, nil)
	long := "SRS0=abcdefgh=aa=" + strings.Repeat("x", 100) + ".test=Some.Body"
	r.post.set(func() {
		r.post.routes = map[string]*models.Route{strings.ToLower(long) + "@example.com": {Address: long + "@example.com"}}
	})
	c := r.dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<"+long+"@forwarder.test>", "250 ")
	c.ask("RCPT TO:<"+long+"@Example.com>", "250 ")
	c.ask("RCPT TO:<SRS0="+strings.Repeat("x", 300)+"@example.com>", "501 ")
	c.ask("RCPT TO:<"+strings.Repeat("x", 65)+"@example.com>", "501 ")
	if got := r.post.asked[0].Sender.Local; got != long {
		t.Error(got)
	}
}

// judge judges as it is told.
type judge struct {
	judgement Judgement
	err       error
	cut       string // name of fields to cut
	seen      []Incoming
	body      string
}

func (j *judge) Check(_ context.Context, m Incoming) (*Judgement, error) {
	j.seen = append(j.seen, m)
	b := make([]byte, m.Body.Size())
	m.Body.ReadAt(b, 0)
	j.body = string(b)
	out := j.judgement
	if j.cut != "" {
		out.Cut = m.Header.All(j.cut)
	}
	return &out, j.err
}

func TestMailOfOthersIsJudged(t *testing.T) {
	j := &judge{}
	r := start(t, ModeMX, func(c *Config, _ *conn.Limits) { c.Checks = j })
	c := r.dial()
	c.ask("EHLO there.test", "250 ")
	text := "Authentication-Results: mail.example.net; spf=pass\r\n" + plain
	j.judgement = Judgement{Fields: []byte("Authentication-Results: mail.example.net;\r\n\tspf=fail\r\n"), Junk: []bool{false, true}, Forged: true, Verified: true, Summary: "spf=fail"}
	j.cut = "Authentication-Results"
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	c.ask("RCPT TO:<"+sara+">", "250 ")
	c.ask("RCPT TO:<"+omid+">", "250 ")
	c.ask("DATA", "354 ")
	c.send(text + ".\r\n")
	c.want("250 ")
	m := r.post.messages()[0]
	if !strings.HasPrefix(m.text, "Authentication-Results: mail.example.net;\r\n\tspf=fail\r\nReceived: from there.test ") || !strings.HasSuffix(m.text, "\r\n"+plain) || strings.Contains(m.text, "spf=pass") {
		t.Errorf("%q", m.text)
	}
	if m.Recipients[0].Junk || !m.Recipients[1].Junk || !m.Forged || !m.Verified || m.Verdict != "spf=fail" {
		t.Errorf("%+v", m.Envelope)
	}
	if in := j.seen[0]; in.HELO != "there.test" || in.Sender.String() != "a@b.test" || len(in.Recipients) != 2 || in.TLS || j.body != text {
		t.Errorf("%+v %q", in, j.body)
	}

	j.judgement = Judgement{Refuse: models.Errorf(models.Denied, "dmarc.refused", "The policy says no."), Summary: "dmarc=fail"}
	if got := c.mail("a@b.test", sara, plain); !strings.HasPrefix(got, "550 5.7.1 ") {
		t.Error(got)
	}
	j.err = models.Unavailablef(errors.New("dns"), "Later.")
	if got := c.mail("a@b.test", sara, plain); !strings.HasPrefix(got, "451 ") {
		t.Error(got)
	}
	j.err = &models.Error{Kind: models.Unavailable, Key: "verify.dns", Msg: "The DNS does not answer."}
	if got := c.mail("a@b.test", sara, plain); !strings.HasPrefix(got, "451 4.4.3 ") && !strings.HasPrefix(got, "451 4.7.") {
		t.Error(got)
	}
	var said []string
	for _, e := range r.trail.events() {
		said = append(said, string(e.Kind)+" "+e.Words+" "+e.Recipient+" "+e.CustomerID.String())
	}
	if len(said) != 4 || said[0] != "verdict verdict sara@example.com 7" || said[1] != "refused dmarc.refused sara@example.com 7" {
		t.Errorf("%q", said)
	}
	if len(r.post.messages()) != 1 {
		t.Error("delivered")
	}
}

// A message that an alias has led away and that comes back is not led away again.
func TestForwardsDoNotLoop(t *testing.T) {
	r := start(t, ModeMX, nil)
	r.post.set(func() {
		r.post.routes = map[string]*models.Route{
			"a@example.com": {Address: "a@example.com", Remote: []models.Remote{{Address: "b@there.test", Via: "a@example.com", Kind: models.RemoteForward}}},
			"n@example.com": {Address: "n@example.com", Remote: []models.Remote{{Address: "b@there.test", Via: "inner@example.com", Kind: models.RemoteAlias}}},
		}
	})
	c := r.dial()
	c.ask("EHLO there.test", "250 ")
	for text, want := range map[string]string{
		"Delivered-To: a@example.com\r\n":                                 "554 5.4.6 ",
		"delivered-to:  A@Example.com \r\nDelivered-To: b@there.test\r\n": "554 5.4.6 ",
		"Delivered-To: b@there.test\r\n":                                  "250 ",
		"":                                                                "250 ",
	} {
		if got := c.mail("x@y.test", "a@example.com", text+plain); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", text, got)
		}
	}
	if got := c.mail("x@y.test", "n@example.com", "Delivered-To: inner@example.com\r\n"+plain); !strings.HasPrefix(got, "554 5.4.6 ") {
		t.Error(got)
	}
	if got := c.mail("x@y.test", sara, "Delivered-To: sara@example.com\r\n"+plain); !strings.HasPrefix(got, "250 ") {
		t.Error("what goes nowhere else cannot loop:", got)
	}
}

func TestCodesOfLimitsAndFullMailboxes(t *testing.T) {
	use := models.LimitUse{Subject: "mailbox", Period: models.PeriodHour, Limit: 5, Used: 5, Resets: 1}
	for err, want := range map[*models.Error]string{
		use.Limited(): "451 4.7.1 This mailbox may write to 5 recipients",
		models.Errorf(models.Full, "mailbox.full_long", "x"):            "552 5.2.2 ",
		models.Errorf(models.Full, "mailbox.full", "x"):                 "452 4.2.2 ",
		models.Errorf(models.Invalid, "recipient.loop", "x"):            "554 5.4.6 ",
		models.Errorf(models.Invalid, "recipient.too_much", "x"):        "550 5.3.5 ",
		models.Errorf(models.NotFound, "recipient.suppressed", "x"):     "550 5.1.1 ",
		models.Errorf(models.Unavailable, "recipient.nobody_yet", "x"):  "451 4.3.0 ",
		models.Errorf(models.Denied, "recipient.relay", "x"):            "550 5.7.1 ",
		models.Errorf(models.Denied, "dmarc.refused", "x"):              "550 5.7.1 ",
		models.Errorf(models.Suspended, "recipient.off", "left us"):     "550 5.2.1 left us",
		models.Errorf(models.NotFound, "srs.unknown", "not made by us"): "550 5.1.1 ",
	} {
		if got := replyOf(err, stepRcpt).line(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", err.Key, got)
		}
	}
}
