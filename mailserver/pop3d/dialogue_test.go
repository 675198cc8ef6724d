package pop3d_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/postchi/postchi/mailserver/pop3d"
	"github.com/postchi/postchi/models"
)

const sara, secret = "sara@example.com", " a pass word "

var (
	first  = "From: a@example.com\r\nSubject: one\r\n\r\n.dot\r\n..dots\r\nend\r\n"
	second = "Subject: two\r\n\r\nline 1\r\nline 2\r\nline 3\r\nwithout an end"
	third  = "Subject: three\r\n\r\nx\r\n"
)

func saraHouse() *house {
	h := newHouse()
	h.person(sara, secret, first, second, third)
	return h
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestCapabilitiesSayWhatWorks(t *testing.T) {
	d := start(t, saraHouse())
	const common = "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n"
	const tail = "IMPLEMENTATION Postchi\r\n"
	capa := func(c *client) string {
		c.say("capa", "+OK")
		return c.body()
	}
	clear := d.dial(t)
	clear.want("+OK")
	if got := capa(clear); got != common+"STLS\r\n"+tail {
		t.Errorf("in the clear: %q", got)
	}
	secure := d.dialTLS(t)
	if got := capa(secure); got != common+"USER\r\nSASL PLAIN LOGIN\r\n"+tail {
		t.Errorf("under TLS: %q", got)
	}
	if got := capa(d.login(t, sara, secret)); got != common+"USER\r\nSASL PLAIN LOGIN\r\n"+tail {
		t.Errorf("after log-in: %q", got)
	}
}

func TestGreetingHasNoTimestamp(t *testing.T) {
	c := start(t, newHouse()).dial(t)
	if line := c.line(); strings.ContainsAny(line, "<>") {
		t.Errorf("the greeting %q invites APOP", line)
	}
	c.say("APOP sara 0123", "-ERR")
}

func TestNoPasswordInTheClear(t *testing.T) {
	for _, hasTLS := range []bool{true, false} {
		d := start(t, saraHouse(), func(c *pop3d.Config) {
			if !hasTLS {
				c.TLS = nil
			}
		})
		c := d.dial(t)
		c.want("+OK")
		for _, line := range []string{"USER " + sara, "PASS " + secret, "AUTH", "AUTH PLAIN", "AUTH PLAIN " + b64("\x00"+sara+"\x00"+secret)} {
			if got := c.say(line, "-ERR"); strings.Contains(got, "[AUTH]") {
				t.Errorf("%q: %q makes the client ask for another password", line, got)
			}
		}
		if !hasTLS {
			c.say("STLS", "-ERR")
		}
		c.say("STAT", "-ERR")
		c.say("QUIT", "+OK")
	}
}

func TestLoginWays(t *testing.T) {
	d := start(t, saraHouse())
	plain := b64("\x00" + sara + "\x00" + secret)
	for name, dialogue := range map[string][]string{
		"USER and PASS":              {"USER " + sara, "+OK", "PASS " + secret, "+OK 3 messages"},
		"small letters":              {"user " + sara, "+OK", "pass " + secret, "+OK 3 messages"},
		"PLAIN, initial":             {"AUTH PLAIN " + plain, "+OK 3 messages"},
		"PLAIN, small, initial":      {"auth plain " + plain, "+OK 3 messages"},
		"PLAIN, challenged":          {"AUTH PLAIN", "+ ", plain, "+OK 3 messages"},
		"PLAIN, same authzid":        {"AUTH PLAIN " + b64(sara+"\x00"+sara+"\x00"+secret), "+OK 3 messages"},
		"LOGIN":                      {"AUTH LOGIN", "+ " + b64("Username:"), b64(sara), "+ " + b64("Password:"), b64(secret), "+OK 3 messages"},
		"LOGIN, initial":             {"AUTH LOGIN " + b64(sara), "+ " + b64("Password:"), b64(secret), "+OK 3 messages"},
		"after a failure":            {"USER " + sara, "+OK", "PASS no", "-ERR [AUTH] Name or password", "USER " + sara, "+OK", "PASS " + secret, "+OK 3 messages"},
		"after a cancelled exchange": {"AUTH PLAIN", "+ ", "*", "-ERR", "AUTH PLAIN " + plain, "+OK 3 messages"},
		"list of mechanisms":         {"AUTH", "+OK", "", "PLAIN", "", "LOGIN", "", ".", "AUTH PLAIN " + plain, "+OK 3 messages"},
	} {
		t.Run(name, func(t *testing.T) {
			c := d.dialTLS(t)
			c.play(dialogue)
			c.say("STAT", "+OK 3 ")
			c.say("USER x", "-ERR")
			c.say("QUIT", "+OK")
			c.closed()
		})
	}
}

// play sends and expects in turn; an empty line to send is not sent.
func (c *client) play(dialogue []string) {
	c.t.Helper()
	for i, line := range dialogue {
		switch {
		case i%2 == 1:
			c.want(line)
		case line != "":
			c.send(line)
		}
	}
}

func TestLoginRefusals(t *testing.T) {
	h := saraHouse()
	for name, err := range map[string]error{
		"suspended@example.com": models.Errorf(models.Suspended, "login.suspended", "The mailbox is suspended: unpaid\r\n+OK bill"),
		"blocked@example.com":   models.Errorf(models.Limited, "login.blocked", "Too many wrong passwords, wait 3 minutes."),
		"away@example.com":      models.Unavailablef(nil, "The database is away."),
		"fault@example.com":     models.Errorf(models.Internal, "internal", "secret details"),
	} {
		h.person(name, "right")
		h.loginErr[name] = err
	}
	d := start(t, h)
	for _, test := range []struct{ name, password, want string }{
		{"nobody@example.com", "x", "-ERR [AUTH] Name or password is wrong."},
		{sara, "x", "-ERR [AUTH] Name or password is wrong."},
		{sara, strings.Repeat("x", 73), "-ERR [AUTH] Passwords have at most 72 bytes."},
		{sara, strings.Repeat("x", 2000), "-ERR [AUTH] Passwords have at most 72 bytes."},
		{"suspended@example.com", "wrong", "-ERR [AUTH] Name or password is wrong."},
		{"suspended@example.com", "right", "-ERR [AUTH] The mailbox is suspended: unpaid  +OK bill"},
		{"blocked@example.com", "right", "-ERR [SYS/TEMP] Too many wrong passwords"},
		{"away@example.com", "right", "-ERR [SYS/TEMP] The database is away."},
		{"fault@example.com", "right", "-ERR [SYS/TEMP] Something went wrong here."},
	} {
		c := d.dialTLS(t)
		c.say("USER "+test.name, "+OK")
		c.say("PASS "+test.password, test.want)
		c.say("STAT", "-ERR")
		c.say("AUTH PLAIN "+b64("\x00"+test.name+"\x00"+test.password), test.want)
		c.say("QUIT", "+OK")
	}
	for _, line := range []string{"AUTH PLAIN " + b64("other\x00"+sara+"\x00"+secret), "AUTH PLAIN =", "AUTH PLAIN " + b64(sara)} {
		d.dialTLS(t).say(line, "-ERR [AUTH]")
	}
	for _, line := range []string{"AUTH PLAIN !!!", "AUTH CRAM-MD5", "PASS x", "USER", "USER "} {
		d.dialTLS(t).say(line, "-ERR ")
	}
}

func TestFailedLoginsEndTheConnection(t *testing.T) {
	d := start(t, saraHouse(), func(c *pop3d.Config) { c.MaxFailures = 3 })
	c := d.dialTLS(t)
	for range 3 {
		c.say("AUTH PLAIN "+b64("\x00"+sara+"\x00no"), "-ERR [AUTH]")
	}
	if rest := c.closed(); rest != "" {
		t.Errorf("then %q", rest)
	}
}

func TestReading(t *testing.T) {
	c := start(t, saraHouse()).login(t, sara, secret)
	c.say("STAT", "+OK 3 131")
	c.say("LIST", "+OK 3 messages (131 octets)")
	if got, want := c.body(), fmt.Sprintf("1 %d\r\n2 %d\r\n3 %d\r\n", len(first), len(second), len(third)); got != want {
		t.Errorf("LIST: %q", got)
	}
	c.say("LIST 2", "+OK 2 ")
	c.say("UIDL", "+OK")
	if got := c.body(); got != "1 42.1\r\n2 42.11\r\n3 42.21\r\n" {
		t.Errorf("UIDL: %q", got)
	}
	if got := c.say("UIDL 3 ", "+OK"); got != "+OK 3 42.21" {
		t.Errorf("UIDL 3: %q", got)
	}
	for i, want := range []string{first, second + "\r\n", third} {
		c.say("RETR "+string(rune('1'+i)), "+OK ")
		if got := c.body(); got != want {
			t.Errorf("RETR %d: %q", i+1, got)
		}
	}
	for _, test := range []struct{ command, want string }{
		{"TOP 1 0", "From: a@example.com\r\nSubject: one\r\n\r\n"},
		{"TOP 1 1", "From: a@example.com\r\nSubject: one\r\n\r\n.dot\r\n"},
		{"TOP 1 2", "From: a@example.com\r\nSubject: one\r\n\r\n.dot\r\n..dots\r\n"},
		{"TOP 1 1000000000000", first},
		{"TOP 2 4", second + "\r\n"},
	} {
		c.say(test.command, "+OK")
		if got := c.body(); got != test.want {
			t.Errorf("%s: %q", test.command, got)
		}
	}
	c.say("NOOP", "+OK")
	for _, line := range []string{"RETR", "RETR 0", "RETR 4", "RETR -1", "RETR 1 2", "RETR x", "RETR 99999999999999999999",
		"TOP 1", "TOP 1 -1", "TOP 1 1 1", "TOP x 1", "LIST 4", "UIDL 0", "DELE", "DELE 4", "NOOP 1"} {
		c.say(line, "-ERR ")
	}
	c.say("RETR 1", "+OK ") // and is still in step
	c.body()
}

func TestPipelining(t *testing.T) {
	d := start(t, saraHouse())
	c := d.dialTLS(t)
	c.send("USER "+sara, "PASS "+secret, "STAT", "RETR 1", "DELE 1", "LIST", "QUIT", "STAT")
	c.play([]string{"", "+OK", "", "+OK 3 messages", "", "+OK 3 131", "", "+OK 56"})
	if got := c.body(); got != first {
		t.Errorf("RETR: %q", got)
	}
	c.want("+OK")
	c.want("+OK 2 messages")
	c.body()
	c.want("+OK Bye")
	if rest := c.closed(); rest != "" {
		t.Errorf("after QUIT: %q", rest)
	}
	if left := d.left(sara); len(left) != 2 {
		t.Errorf("left: %q", left)
	}
}

func TestBareLineFeedsEndCommands(t *testing.T) {
	c := start(t, saraHouse()).login(t, sara, secret)
	c.Write([]byte("NOOP\nSTAT\nNO"))
	c.want("+OK")
	c.want("+OK 3")
	c.Write([]byte("OP\r\n"))
	c.want("+OK")
}
