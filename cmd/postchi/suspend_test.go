package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// cutOff is within what time open sessions end when an account may no longer be used.
const cutOff = time.Second

// open is one session at each door for mail, logged in.
type open struct {
	submission, pop, imap *talk // the last in IDLE
}

func (in *instance) openSessions(t *testing.T, mailbox, password string) open {
	t.Helper()
	o := open{in.submission(t, mailbox, password), in.popTalk(t, ""), in.imapTalk(t, mailbox, password)}
	if line := o.pop.popLogin(mailbox, password); !strings.HasPrefix(line, "+OK") {
		t.Fatalf("POP3 log-in of %s: %s", mailbox, line)
	}
	o.imap.ok(t, `ID ("name" "Tester" "version" "7")`)
	o.imap.ok(t, "SELECT INBOX")
	if line := o.imap.pop("i IDLE"); !strings.HasPrefix(line, "+") {
		t.Fatalf("IDLE: %s", line)
	}
	return o
}

// expectCut watches all sessions from now on. What it returns checks that they have ended in
// time, and said why.
func (o open) expectCut(t *testing.T) (check func(words string)) {
	t.Helper()
	since := time.Now() // the command has to start and to commit as well
	type end struct {
		last string
		err  error
		took time.Duration
	}
	watch := func(c *talk) chan end {
		ended := make(chan end, 1)
		go func() {
			last, err := c.ended(30 * cutOff)
			ended <- end{last, err, time.Since(since).Round(time.Millisecond)}
		}()
		return ended
	}
	submission, pop, imap := watch(o.submission), watch(o.pop), watch(o.imap)
	return func(words string) {
		t.Helper()
		for name, ended := range map[string]chan end{"submission": submission, "POP3": pop, "IMAP": imap} {
			e := <-ended
			t.Logf("open %s session ended %v after the command began (bound %v): %s", name, e.took, cutOff, e.last)
			if e.err != nil || e.took > 10*cutOff {
				t.Errorf("open %s session: %v after %v", name, e.err, e.took)
			}
			if !strings.Contains(e.last, words) || !strings.HasPrefix(e.last, "421 4.7.0 ") && !strings.HasPrefix(e.last, "-ERR ") && !strings.HasPrefix(e.last, "* BYE ") {
				t.Errorf("open %s session ended with %q, want %q in it", name, e.last, words)
			}
		}
	}
}

// live checks that all sessions still work.
func (o open) live(t *testing.T) {
	t.Helper()
	if a := o.submission.smtp("NOOP"); a.code != 250 {
		t.Errorf("NOOP: %s", a)
	}
	if line := o.pop.pop("NOOP"); !strings.HasPrefix(line, "+OK") {
		t.Errorf("NOOP: %s", line)
	}
	if line := o.imap.pop("DONE"); !strings.HasPrefix(line, "i OK") {
		t.Errorf("DONE: %s", line)
	}
	if line := o.imap.pop("i IDLE"); !strings.HasPrefix(line, "+") {
		t.Errorf("IDLE: %s", line)
	}
}

// doors tries to log in by SMTP and by POP3.
func (in *instance) doors(t *testing.T, from, mailbox, password string) (smtp answer, pop string) {
	t.Helper()
	s := in.smtpTalk(t, from)
	defer s.Close()
	p := in.popTalk(t, from)
	defer p.Close()
	smtp, pop = s.login(mailbox, password), p.popLogin(mailbox, password)
	if strings.HasPrefix(pop, "+OK") {
		p.pop("QUIT") // gives back the maildrop
	}
	return smtp, pop
}

// shut checks what the doors answer to a password.
func (in *instance) shut(t *testing.T, mailbox, password, code, words string) {
	t.Helper()
	s, p := in.doors(t, "", mailbox, password)
	if !s.is(535, code) || !strings.Contains(s.text, words) {
		t.Errorf("AUTH of %s: %s, want 535 %s and %q", mailbox, s, code, words)
	}
	if !strings.HasPrefix(p, "-ERR [AUTH]") || !strings.Contains(p, words) {
		t.Errorf("POP3 log-in of %s: %s, want [AUTH] and %q", mailbox, p, words)
	}
}

// lets checks that both doors let in. A session that was ended has given back its maildrop only
// a moment after its connection was closed.
func (in *instance) lets(t *testing.T, mailbox, password string) {
	t.Helper()
	s, p := in.doors(t, "", mailbox, password)
	for i := 0; i < 100 && strings.HasPrefix(p, "-ERR [IN-USE]"); i++ {
		time.Sleep(10 * time.Millisecond)
		s, p = in.doors(t, "", mailbox, password)
	}
	if s.code != 235 || !strings.HasPrefix(p, "+OK") {
		t.Errorf("log-in of %s: %s; %s", mailbox, s, p)
	}
}

const denied = "The user name or the password is wrong."

// TestSuspension turns off, by the command line in a process of its own, what a mailbox may do:
// open sessions end within a second, new ones are refused at once, and everything comes back.
func TestSuspension(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		in := newInstance(t, url)
		in.start()
		in.populate("off.example", "password", "login", "send", "receive", "bin", "customer", "other", "logout")
		t.Run("group", func(t *testing.T) { // ends when the parallel ones in it have
			t.Run("password", func(t *testing.T) { t.Parallel(); changedPassword(t, in) })
			t.Run("log-out", func(t *testing.T) { t.Parallel(); loggedOut(t, in) })
			t.Run("log-in", func(t *testing.T) { t.Parallel(); loginOff(t, in) })
			t.Run("send", func(t *testing.T) { t.Parallel(); sendOff(t, in) })
			t.Run("receive", func(t *testing.T) { t.Parallel(); receiveOff(t, in) })
			t.Run("bin", func(t *testing.T) { t.Parallel(); inBin(t, in) })
		})
		t.Run("customer", func(t *testing.T) { customerOff(t, in) })
	})
}

func changedPassword(t *testing.T, in *instance) {
	const mailbox, fresh = "password@off.example", "zinnia-marble-48-oak"
	o := in.openSessions(t, mailbox, testPassword)
	other := in.openSessions(t, "other@off.example", testPassword)
	cut := o.expectCut(t)
	in.must(nil, fresh+"\n", "mailbox", "passwd", mailbox, "--password-stdin")
	in.shut(t, mailbox, testPassword, "5.7.8", denied) // at once, though it was good a moment ago
	if a := in.smtpTalk(t, "").login(mailbox, fresh); a.code != 235 {
		t.Errorf("AUTH with the new password: %s", a)
	}
	cut("The password was changed")
	in.lets(t, mailbox, fresh)
	other.live(t)
}

// loggedOut ends all connections of a mailbox, in the panel one of them; whoever has the password
// comes again.
func loggedOut(t *testing.T, in *instance) {
	const mailbox = "logout@off.example"
	const page = "/mailboxes/" + mailbox
	o := in.openSessions(t, mailbox, testPassword)
	cut := o.expectCut(t)
	in.must(nil, "", "mailbox", "logout", mailbox)
	cut("ended in the panel")
	in.lets(t, mailbox, testPassword)

	o = in.openSessions(t, mailbox, testPassword)
	b := in.browser(t)
	b.login("admin@localhost", in.password())
	_, body, _ := strings.Cut(b.get(page).body, `id="live"`)
	session := regexp.MustCompile(`(?s)IMAP.{1,80}Tester 7.*?name="session" value="(\d+)"`).FindStringSubmatch(body)
	if session == nil {
		t.Fatalf("the page of the mailbox does not show the connection:\n%s", tail(body, 6000))
	}
	b.post(page, page+"/sessions", "session", session[1])
	if last, err := o.imap.ended(10 * cutOff); err != nil || !strings.HasPrefix(last, "* BYE This connection was ended in the panel") {
		t.Errorf("the IMAP session: %q, %v", last, err)
	}
	if line := o.pop.pop("NOOP"); !strings.HasPrefix(line, "+OK") {
		t.Errorf("NOOP: %s", line)
	}
	o.imap = in.imapTalk(t, mailbox, testPassword)
	cut = o.expectCut(t)
	b.post(page, page+"/sessions")
	cut("ended in the panel")
}

func loginOff(t *testing.T, in *instance) {
	const mailbox, reason = "login@off.example", "The bill of March is open"
	o := in.openSessions(t, mailbox, testPassword)
	cut := o.expectCut(t)
	in.must(nil, "", "mailbox", "suspend", mailbox, "--login", "--reason", reason)
	in.shut(t, mailbox, testPassword, "5.7.13", reason)
	in.shut(t, mailbox, "not-the-password-1", "5.7.8", denied) // who does not know it learns nothing
	cut(reason)
	in.must(nil, "", "mailbox", "resume", mailbox)
	in.lets(t, mailbox, testPassword)
}

func sendOff(t *testing.T, in *instance) {
	const mailbox, reason = "send@off.example", "Too many complaints"
	o := in.openSessions(t, mailbox, testPassword)
	in.must(nil, "", "mailbox", "suspend", mailbox, "--send", "--reason", reason)
	o.live(t)
	fresh := in.submission(t, mailbox, testPassword)
	for _, c := range []*talk{o.submission, fresh} {
		if a := c.smtp("MAIL FROM:<%s>", mailbox); !a.is(550, "5.7.1 ") || !strings.Contains(a.text, reason) {
			t.Errorf("MAIL: %s", a)
		}
	}
	in.must(nil, "", "mailbox", "resume", mailbox)
	if a := o.submission.smtp("MAIL FROM:<%s>", mailbox); a.code != 250 {
		t.Errorf("MAIL after resume: %s", a)
	}
}

func receiveOff(t *testing.T, in *instance) {
	const mailbox, reason = "receive@off.example", "On leave for good"
	o := in.openSessions(t, mailbox, testPassword)
	in.must(nil, "", "mailbox", "suspend", mailbox, "--receive", "--reason", reason)
	o.live(t)
	from := "other@off.example"
	c := in.submission(t, from, testPassword)
	c.smtp("MAIL FROM:<%s>", from)
	if a := c.smtp("RCPT TO:<%s>", mailbox); !a.is(550, "5.2.1 ") || !strings.Contains(a.text, reason) {
		t.Errorf("RCPT: %s", a)
	}
	if a := c.smtp("RCPT TO:<%s>", from); a.code != 250 {
		t.Errorf("RCPT of another: %s", a)
	}
	in.must(nil, "", "mailbox", "resume", mailbox)
	if a := c.smtp("RCPT TO:<%s>", mailbox); a.code != 250 {
		t.Errorf("RCPT after resume: %s", a)
	}
}

// inBin deletes a mailbox with mail in it, and brings it back whole.
func inBin(t *testing.T, in *instance) {
	const mailbox = "bin@off.example"
	c := in.submission(t, mailbox, testPassword)
	for range 3 {
		if a := c.submit(mailbox, message(mailbox, "kept", 3000), mailbox); a.code != 250 {
			t.Fatal(a)
		}
	}
	before := uidl(t, in, mailbox)
	o := in.openSessions(t, mailbox, testPassword)
	cut := o.expectCut(t)
	in.must(nil, "", "mailbox", "rm", mailbox)
	in.shut(t, mailbox, testPassword, "5.7.8", denied)
	other := in.submission(t, "other@off.example", testPassword)
	other.smtp("MAIL FROM:<other@off.example>")
	if a := other.smtp("RCPT TO:<%s>", mailbox); !a.is(550, "5.1.1 ") {
		t.Errorf("RCPT of a mailbox in the bin: %s", a)
	}
	cut("deleted")
	if out, status := in.command(testPassword+"\n", "mailbox", "add", mailbox, "--password-stdin", "--json"); status != exitRefused || !strings.Contains(out, "mailbox.in_bin") {
		t.Errorf("its address again: status %d, %s", status, out)
	}
	in.must(nil, "", "mailbox", "restore", mailbox)
	if after := uidl(t, in, mailbox); after != before || strings.Count(after, "\n") != 3 {
		t.Errorf("messages before:\n%safter:\n%s", before, after)
	}
	if a := in.submission(t, mailbox, testPassword).submit(mailbox, message(mailbox, "again", 1000), mailbox); a.code != 250 {
		t.Errorf("sending after restore: %s", a)
	}
}

// uidl is the list of unique ids of a mailbox.
func uidl(t *testing.T, in *instance, mailbox string) string {
	t.Helper()
	c := in.popTalk(t, "")
	defer c.Close()
	if line := c.popLogin(mailbox, testPassword); !strings.HasPrefix(line, "+OK") {
		t.Fatalf("POP3 log-in of %s: %s", mailbox, line)
	}
	c.pop("UIDL")
	list, err := c.popBody()
	if err != nil {
		t.Fatal(err)
	}
	c.pop("QUIT")
	return string(list)
}

// customerOff suspends a whole customer: its mailboxes and its people; mail still comes in
// unless that is turned off too, and resuming gives each mailbox its own switches back.
func customerOff(t *testing.T, in *instance) {
	const mailbox, user, reason = "customer@off.example", "boss@elsewhere.example", "Contract ended"
	in.must(nil, testPassword+"\n", "user", "add", user, "--role", "customer", "--customer", "Example", "--password-stdin")
	panel := in.browser(t)
	if p := panel.login(user, testPassword); p.status != http.StatusSeeOther || panel.get("/").status != http.StatusOK {
		t.Fatalf("panel log-in: %d", p.status)
	}
	in.must(nil, "", "mailbox", "suspend", "send@off.example", "--send", "--reason", "its own")
	o := in.openSessions(t, mailbox, testPassword)

	cut := o.expectCut(t)
	in.must(nil, "", "customer", "suspend", "Example", "--reason", reason)
	in.shut(t, mailbox, testPassword, "5.7.13", reason)
	cut(reason)
	within(t, cutOff, "panel session ended", func() bool { return panel.get("/").status == http.StatusSeeOther })
	if p := in.browser(t).login(user, testPassword); p.status == http.StatusSeeOther || !strings.Contains(p.body, reason) {
		t.Errorf("panel log-in of a suspended customer's user: %d, and no reason", p.status)
	}
	mx := func() answer {
		c, err := dial(in.addr("mx"), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.answer()
		c.smtp("EHLO elsewhere.example")
		c.smtp("MAIL FROM:<somebody@elsewhere.example>")
		return c.smtp("RCPT TO:<%s>", mailbox)
	}
	if a := mx(); a.code != 250 {
		t.Errorf("RCPT of a suspended customer's mailbox: %s", a)
	}
	in.must(nil, "", "customer", "suspend", "Example", "--receive", "--reason", reason)
	if a := mx(); !a.is(550, "5.2.1 ") {
		t.Errorf("RCPT with receiving off: %s", a)
	}

	in.must(nil, "", "customer", "resume", "Example")
	in.lets(t, mailbox, testPassword)
	if a := mx(); a.code != 250 {
		t.Errorf("RCPT after resume: %s", a)
	}
	if a := in.submission(t, "send@off.example", testPassword).smtp("MAIL FROM:<send@off.example>"); !a.is(550, "5.7.1 ") || !strings.Contains(a.text, "its own") {
		t.Errorf("own switch after the customer's resume: %s", a)
	}
	panelPassword(t, in, user)
}

// panelPassword changes the password of a user of the panel: their open sessions end.
func panelPassword(t *testing.T, in *instance, user string) {
	const fresh = "zinnia-marble-48-oak"
	panel := in.browser(t)
	if p := panel.login(user, testPassword); p.status != http.StatusSeeOther || panel.get("/").status != http.StatusOK {
		t.Fatalf("panel log-in: %d", p.status)
	}
	in.must(nil, fresh+"\n", "user", "passwd", user, "--password-stdin")
	within(t, cutOff, "panel session ended", func() bool { return panel.get("/").status == http.StatusSeeOther })
	if p := in.browser(t).login(user, testPassword); p.status == http.StatusSeeOther {
		t.Error("the old password still opens the panel")
	}
	if p := in.browser(t).login(user, fresh); p.status != http.StatusSeeOther {
		t.Errorf("the new password: %d", p.status)
	}
}
