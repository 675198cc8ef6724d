package smtpd

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/models"
)

func TestEHLOAnnouncesExactlyWhatWorks(t *testing.T) {
	inClear := "250-mail.example.net\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250-STARTTLS\r\n250-DSN\r\n250 SIZE 52428800\r\n"
	underTLS := strings.Replace(inClear, "250-STARTTLS\r\n", "", 1)
	loggedOut := strings.Replace(underTLS, "250-DSN", "250-AUTH PLAIN LOGIN\r\n250-DSN", 1)
	for mode, want := range map[Mode][2]string{
		ModeMX: {inClear, underTLS}, ModeSubmission: {inClear, loggedOut}, ModeSubmissions: {loggedOut, ""},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			c := start(t, mode, nil).dial()
			if got := c.ask("EHLO client.test", "250 "); got != want[0] {
				t.Errorf("got %q, want %q", got, want[0])
			}
			if want[1] == "" {
				return
			}
			c.startTLS()
			if got := c.ask("EHLO client.test", "250 "); got != want[1] {
				t.Errorf("under TLS: got %q, want %q", got, want[1])
			}
		})
	}
}

func TestSubmissionTakesAMessage(t *testing.T) {
	for _, mode := range []Mode{ModeSubmission, ModeSubmissions} {
		t.Run(mode.String(), func(t *testing.T) {
			r := start(t, mode, nil)
			c := r.login()
			if got := c.mail(sara, omid, plain); !strings.HasPrefix(got, "250 2.0.0 OK, accepted as ") {
				t.Fatal(got)
			}
			c.mail(sara, omid, plain) // a second one on the same connection
			c.ask("QUIT", "221 ")
			c.gone()
			all := r.post.messages()
			if len(all) != 2 || all[0].Sender.String() != sara || all[0].Recipients[0].Local[0].Mailbox != omid || all[0].Account == nil || all[0].Account.ID != 1 || all[0].Author != "example.com" || !strings.HasSuffix(all[0].text, plain) {
				t.Fatalf("%+v", all)
			}
			until(t, "the session is released", func() bool { return r.accounts.sessions() == 0 })
		})
	}
}

func TestAuthentication(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	right := b64("\x00" + sara + "\x00" + password)
	for name, dialogue := range map[string][]string{
		"plain with initial response": {"AUTH PLAIN " + right, "235 "},
		"plain without":               {"AUTH PLAIN", "334 ", right, "235 "},
		"login":                       {"AUTH LOGIN", "334 " + b64("Username:"), b64(sara), "334 " + b64("Password:"), b64(password), "235 "},
		"login with initial response": {"AUTH LOGIN " + b64(sara), "334 ", b64(password), "235 "},
		"lower case":                  {"auth plain " + right, "235 "},
		"authzid equal":               {"AUTH PLAIN " + b64(sara+"\x00"+sara+"\x00"+password), "235 "},
		"authzid of another":          {"AUTH PLAIN " + b64(omid+"\x00"+sara+"\x00"+password), "535 5.7.8 "},
		"wrong password":              {"AUTH PLAIN " + b64("\x00"+sara+"\x00wrong"), "535 5.7.8 "},
		"unknown user":                {"AUTH PLAIN " + b64("\x00nobody@example.com\x00wrong"), "535 5.7.8 "},
		"too long":                    {"AUTH PLAIN " + b64("\x00"+sara+"\x00"+strings.Repeat("x", 73)), "535 5.7.8 The password is longer than 72 bytes"},
		"not base64":                  {"AUTH PLAIN !!!", "501 5.5.2 "},
		"response not base64":         {"AUTH PLAIN", "334 ", "!!!", "501 "},
		"cancelled":                   {"AUTH PLAIN", "334 ", "*", "501 "},
		"malformed":                   {"AUTH PLAIN " + b64("abc"), "501 5.5.2 "},
		"unknown mechanism":           {"AUTH CRAM-MD5", "504 5.5.4 "},
		"twice":                       {"AUTH PLAIN " + right, "235 ", "AUTH PLAIN " + right, "503 "},
		"three parameters":            {"AUTH PLAIN " + right + " x", "501 "},
		"long response":               {"AUTH PLAIN", "334 ", strings.Repeat("A", 12000), "501 "},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, ModeSubmissions, nil).dial()
			c.ask("EHLO client.test", "250 ")
			for i := 0; i < len(dialogue); i += 2 {
				c.ask(dialogue[i], dialogue[i+1])
			}
			c.ask("NOOP", "250 ")
		})
	}
}

func TestLoginSuspendedSaysWhy(t *testing.T) {
	r := start(t, ModeSubmissions, nil)
	r.accounts.change(sara, func(a *models.Account) { a.LoginOff, a.Reason = true, "unpaid bill" })
	c := r.dial()
	c.ask("EHLO x", "250 ")
	got := c.ask("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+sara+"\x00"+password)), "535 5.7.13 ")
	if !strings.Contains(got, "unpaid bill") {
		t.Error(got)
	}
}

func TestNoPasswordInClear(t *testing.T) {
	right := base64.StdEncoding.EncodeToString([]byte("\x00" + sara + "\x00" + password))
	c := start(t, ModeSubmission, nil).dial()
	if got := c.ask("EHLO x", "250 "); strings.Contains(got, "AUTH") {
		t.Error(got)
	}
	c.ask("AUTH PLAIN "+right, "523 5.7.10 ")
	c.ask("MAIL FROM:<"+sara+">", "530 5.7.0 Use STARTTLS")
	c.startTLS()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<"+sara+">", "530 5.7.0 Log in")
	mx := start(t, ModeMX, nil).dial()
	mx.ask("EHLO x", "250 ")
	mx.startTLS()
	mx.ask("EHLO x", "250 ")
	mx.ask("AUTH PLAIN "+right, "503 ")
}

func TestTooManyFailures(t *testing.T) {
	wrong := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+sara+"\x00x"))
	c := start(t, ModeSubmissions, func(c *Config, _ *conn.Limits) { c.MaxFailures = 3 }).dial()
	c.ask("EHLO x", "250 ")
	c.ask(wrong, "535 ")
	c.ask(wrong, "535 ")
	c.ask(wrong, "535 ")
	c.want("421 4.7.0 ")
	c.gone()
}

func TestFailuresAreCountedAcrossSTARTTLS(t *testing.T) {
	r := start(t, ModeMX, func(c *Config, _ *conn.Limits) { c.MaxErrors = 4 })
	c := r.dial()
	c.ask("EHLO x", "250 ")
	c.ask("EXPN x", "502 ")
	c.ask("EXPN x", "502 ")
	c.startTLS()
	c.ask("EHLO x", "250 ")
	c.ask("EXPN x", "502 ")
	c.ask("EXPN x", "502 ")
	c.want("421 4.7.0 ")
	c.gone()
}

func TestSequence(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	c.ask("MAIL FROM:<a@b.test>", "503 ")
	c.ask("EHLO x", "250 ")
	c.ask("RCPT TO:<"+sara+">", "503 ")
	c.ask("DATA", "503 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	c.ask("MAIL FROM:<c@b.test>", "503 5.5.1 ")
	c.ask("DATA", "503 ")
	c.ask("RCPT TO:<"+sara+">", "250 ")
	c.ask("EHLO again", "250 ")
	c.ask("DATA", "503 ")
	c.ask("VRFY sara", "252 ")
	c.ask("RSET", "250 ")
	c.ask("NOOP", "250 ")
	c.ask("MAIL FROM:<> SIZE=99999999999999", "552 5.3.4 ")
	c.ask("MAIL FROM:<> SIZE=52428801", "552 5.3.4 ")
	c.ask("MAIL FROM:<> SIZE=52428800 BODY=8BITMIME", "250 ")
	c.ask("QUIT", "221 ")
	c.gone()
	for _, e := range r.trail.events() {
		if e.Words == "" || e.Code == 0 || e.Detail == "" || e.Direction != "in" || e.Remote != "127.0.0.1" {
			t.Errorf("%+v", e)
		}
	}
}

func TestPipelining(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	body := "From: a@b.test\r\n\r\n..dot\r\n.\r\n"
	one := "MAIL FROM:<a@b.test>\r\nRCPT TO:<" + sara + ">\r\nRCPT TO:<nobody@example.com>\r\nDATA\r\n" + body
	c.send("EHLO x\r\n" + one + one + "QUIT\r\n")
	for _, want := range []string{"250 SIZE", "250", "250", "550 5.1.1", "354", "250", "250", "250", "550 5.1.1", "354", "250 2.0.0 OK", "221"} {
		c.want(want)
	}
	c.gone()
	all := r.post.messages()
	if len(all) != 2 || !strings.HasSuffix(all[1].text, "\r\n\r\n.dot\r\n") {
		t.Fatalf("%+v", all)
	}
}

func TestSTARTTLSInjection(t *testing.T) {
	for _, mode := range []Mode{ModeMX, ModeSubmission} {
		for _, behind := range []string{"NOOP\r\n", "EHLO evil\r\nMAIL FROM:<a@b.test>\r\n", "x", "STARTTLS\r\n"} {
			r := start(t, mode, nil)
			c := r.dial()
			c.ask("EHLO x", "250 ")
			c.send("STARTTLS\r\n" + behind)
			c.want("503 5.5.1 ")
			c.gone()
		}
	}
	// What was said in clear is forgotten.
	c := start(t, ModeMX, nil).dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	c.ask("RCPT TO:<"+sara+">", "250 ")
	c.startTLS()
	c.ask("DATA", "503 ")
	c.ask("MAIL FROM:<a@b.test>", "503 ")
	c.ask("EHLO x", "250 ")
	c.ask("STARTTLS", "503 ")
	c.ask("RCPT TO:<"+sara+">", "503 ")
}

func TestGarbage(t *testing.T) {
	for name, test := range map[string][2]string{
		"http get":   {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "554 5.5.1 "},
		"http post":  {"POST /x HTTP/1.1\r\n\r\nEHLO x\r\n", "554 5.5.1 "},
		"long line":  {"NOOP " + strings.Repeat("x", 3000) + "\r\n", "500 5.5.6 "},
		"no end":     {strings.Repeat("x", 70000), "500 5.5.6 "},
		"bdat tab":   {"BDAT\t5\r\n", "501 5.5.4 "},
		"bdat words": {"BDAT five\r\n", "501 5.5.4 "},
		"bdat minus": {"BDAT -5 LAST\r\n", "501 5.5.4 "},
		"bdat more":  {"BDAT 5 LAST x\r\n", "501 5.5.4 "},
		"bdat huge":  {"BDAT 99999999999999999999 LAST\r\n", "501 5.5.4 "},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []Mode{ModeMX, ModeSubmission, ModeSubmissions} {
				c := start(t, mode, nil).dial()
				c.Write([]byte(test[0])) // may be cut off within
				c.want(test[1])
				c.gone()
			}
		})
	}
	c := start(t, ModeMX, nil).dial()
	c.ask("EHLO x\ny", "500 5.5.2 ") // a bare LF makes two lines of it
	c.want("501 ")
	c.send("NOOP\n")
	c.want("500 5.5.2 ")
	c.ask("NOOP\rx", "500 5.5.2 ")
	c.ask("NOOP\x00", "500 5.5.2 ")
	c.ask("NOOP "+strings.Repeat("x", 505), "250 ")
}

func TestTLSOnAPortThatBeginsInClear(t *testing.T) {
	c := start(t, ModeSubmission, nil).dial()
	c.send("\x16\x03\x01\x00\x05hello\n")
	c.gone()
}

func TestErrorsEndTheConnection(t *testing.T) {
	c := start(t, ModeMX, nil).dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	for range 19 {
		c.ask("RCPT TO:<nobody@example.com>", "550 5.1.1 ")
	}
	c.ask("RCPT TO:<nobody@example.com>", "550 5.1.1 ")
	c.want("421 4.7.0 ")
	c.gone()
}

func TestRecipientCap(t *testing.T) {
	r := start(t, ModeMX, func(c *Config, _ *conn.Limits) { c.MaxRecipients = 100 })
	c := r.dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	for i := range 100 {
		c.ask(fmt.Sprintf("RCPT TO:<bulk%03d@example.com>", i), "250 ")
	}
	for range 50 {
		c.ask("RCPT TO:<bulk999@example.com>", "452 4.5.3 ")
	}
	c.ask("DATA", "354 ")
	c.send("\r\nx\r\n.\r\n")
	c.want("250 ")
	if all := r.post.messages(); len(all) != 1 || len(all[0].Recipients) != 100 {
		t.Fatal(len(all))
	}
}

// That one mailbox gets one copy, however it was named, is delivery's work.
func TestDuplicatesAreOneRecipient(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	for _, to := range []string{"sara", "SARA", "sara+tag", "omid", "sara"} {
		c.ask("RCPT TO:<"+to+"@Example.COM>", "250 ")
	}
	c.ask("DATA", "354 ")
	c.send("\r\nx\r\n.\r\n")
	c.want("250 ")
	if all := r.post.messages(); len(all) != 1 || len(all[0].Recipients) != 3 {
		t.Fatalf("%+v", all)
	}
}

func TestRecipientsThatCannotBe(t *testing.T) {
	r := start(t, ModeMX, nil)
	r.post.set(func() { r.post.full, r.post.off = map[string]bool{sara: true}, map[string]string{omid: "on leave"} })
	c := r.dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<a@b.test>", "250 ")
	c.ask("RCPT TO:<"+sara+">", "452 4.2.2 ")
	if got := c.ask("RCPT TO:<"+omid+">", "550 5.2.1 "); !strings.Contains(got, "on leave") {
		t.Error(got)
	}
	c.ask("RCPT TO:<nobody@example.com>", "550 5.1.1 ")
	c.ask("RCPT TO:<sára@example.com>", "553 5.6.7 ")
	c.ask("RCPT TO:<sara@exämple.com>", "553 5.6.7 ")
	c.ask("RCPT TO:<sara>", "501 ")
	c.ask("RCPT TO:<>", "501 ")
	c.ask("RCPT TO:<sara@>", "501 ")
	c.ask("RCPT TO:<sara@[127.0.0.1]>", "501 ")
	c.ask("RCPT TO:<"+strings.Repeat("x", 65)+"@example.com>", "501 ")
	events := r.trail.events()
	if len(events) != 10 {
		t.Errorf("%d events: %+v", len(events), events)
	}
	for _, e := range events {
		if e.Kind != models.EventRefused || e.Recipient == "" || e.Sender != "a@b.test" {
			t.Errorf("%+v", e)
		}
	}
}

func TestPostmaster(t *testing.T) {
	c := start(t, ModeMX, nil).dial()
	c.ask("EHLO x", "250 ")
	c.ask("MAIL FROM:<>", "250 ")
	c.ask("RCPT TO:<Postmaster@example.com>", "250 ")
}

func TestTheDatabaseIsAway(t *testing.T) {
	away := models.Unavailablef(fmt.Errorf("secret detail"), "Try again later.")
	r := start(t, ModeSubmissions, nil)
	c := r.login()
	r.accounts.setDown(true)
	c.ask("MAIL FROM:<"+sara+">", "451 4.3.0 ")
	r.accounts.setDown(false)
	c.ask("MAIL FROM:<"+sara+">", "250 ")
	for _, err := range []error{away, fmt.Errorf("secret detail")} {
		r.post.set(func() { r.post.find = err })
		if got := c.ask("RCPT TO:<"+omid+">", "451 4.3.0 "); strings.Contains(got, "secret") {
			t.Error(got)
		}
	}
	r.post.set(func() { r.post.find, r.post.fail = nil, fmt.Errorf("deliver: %w", away) })
	c.ask("RCPT TO:<"+omid+">", "250 ")
	c.ask("DATA", "354 ")
	c.send(plain + ".\r\n")
	c.want("451 4.3.0 ")
	r.post.set(func() { r.post.fail = models.Errorf(models.Full, "mailbox.full", "The mailbox is full.") })
	if got := c.mail(sara, omid, plain); !strings.HasPrefix(got, "452 4.2.2 ") {
		t.Error(got)
	}
	r.post.set(func() { r.post.fail = nil })
	if got := c.mail(sara, omid, plain); !strings.HasPrefix(got, "250 ") {
		t.Error(got)
	}
	d := r.dial()
	d.ask("EHLO x", "250 ")
	r.accounts.setDown(true)
	d.ask("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+sara+"\x00"+password)), "454 4.7.0 ")
}

func TestSendingSwitchedOff(t *testing.T) {
	r := start(t, ModeSubmissions, nil)
	c := r.login()
	r.accounts.change(sara, func(a *models.Account) { a.SendOff, a.Reason = true, "too much spam\r\n250 OK" })
	got := c.ask("MAIL FROM:<"+sara+">", "550 5.7.1 ")
	if !strings.Contains(got, "too much spam  250 OK") {
		t.Error(got)
	}
	r.accounts.change(sara, func(a *models.Account) { a.SendOff = false })
	c.ask("MAIL FROM:<"+sara+">", "250 ")
}

func TestSessionEndedByTheAccounts(t *testing.T) {
	for _, state := range []string{"idle", "in a transaction", "in the body"} {
		t.Run(state, func(t *testing.T) {
			r := start(t, ModeSubmissions, nil)
			c := r.login()
			if state != "idle" {
				c.ask("MAIL FROM:<"+sara+">", "250 ")
				c.ask("RCPT TO:<"+omid+">", "250 ")
			}
			if state == "in the body" {
				c.ask("DATA", "354 ")
				c.send("From: x")
			}
			start := time.Now()
			r.accounts.ends[sara](models.Errorf(models.Suspended, "login.suspended", "Log-in is switched off."))
			c.want("421 4.7.0 Log-in is switched off.")
			c.gone()
			t.Log("took", time.Since(start))
			if len(r.post.messages()) != 0 {
				t.Error("something was delivered")
			}
		})
	}
}

func TestPanicEndsOneConnection(t *testing.T) {
	panics := 0
	r := start(t, ModeMX, func(c *Config, _ *conn.Limits) { c.Panicked = func() { panics++ } })
	c, other := r.dial(), r.dial()
	c.ask("EHLO x", "250 ")
	other.ask("EHLO x", "250 ")
	r.post.set(func() { r.post.panic = true })
	if got := c.mail("a@b.test", sara, "\r\nx\r\n"); !strings.HasPrefix(got, "421 4.3.0 ") {
		t.Error(got)
	}
	c.gone()
	r.post.set(func() { r.post.panic = false })
	if got := other.mail("a@b.test", sara, "\r\nx\r\n"); !strings.HasPrefix(got, "250 ") {
		t.Error(got)
	}
	if panics != 1 {
		t.Error(panics)
	}
}
