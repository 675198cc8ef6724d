package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/postchi/postchi/models/db/dbtest"
)

// TestStory is what Postchi is for: an administrator and then a customer's own user make
// mailboxes in a browser, copy the settings they are shown, and mail sent and read with
// exactly these values arrives.
func TestStory(t *testing.T) {
	for _, way := range []struct {
		name, language     string
		noScript, keyboard bool
	}{
		{"english", "en", false, false}, {"persian", "fa", false, false},
		{"without scripts", "fa", true, false}, {"by keyboard", "en", false, true},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, "sqlite")
			in.start()
			w := startChromium(t).tab(t, in.url(), "en")
			w.keyboard = way.keyboard
			if way.noScript {
				w.withoutScripts()
			}
			s := &story{tab: w, in: in, language: way.language, secrets: []string{in.password()}}
			s.admin("reza@company.example")
			s.owner("reza@company.example")
			s.keptSecret()
		})
	}
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		in := newInstance(t, dbtest.MySQL(t).URL)
		in.start()
		s := &story{tab: startChromium(t).tab(t, in.url(), "en"), in: in, language: "en", secrets: []string{in.password()}}
		s.admin("")
	})
}

// story is a person at the panel of a server.
type story struct {
	*tab
	in       *instance
	language string   // of the person
	secrets  []string // passwords that were shown
	ready    int      // clicks up to the last Ready page
}

// maxClicks is how many clicks of the mouse lead from the log-in page to a mailbox that works.
const maxClicks = 8

// admin begins on an empty server: the first domain with its customer and, unless first is
// "", the customer's first user; two mailboxes; mail between them.
func (s *story) admin(first string) {
	s.t.Helper()
	s.in.must(nil, "", "customer", "list") // the command line works beside the server
	s.open("/")
	s.speak()
	s.clicks = 0
	s.login(devAdmin, s.in.password())
	if !s.has("#domain-form") {
		s.t.Fatalf("Home of an empty server does not ask for the first domain\nat %s", s.where())
	}
	s.fill("#domain", "example.com")
	if got := s.value("#customer_name"); !s.noScript && got != "Example" {
		s.t.Errorf("the customer of example.com is proposed as %q", got)
	}
	var user string
	if first != "" {
		s.touch("#newcustomer summary")
		s.fill("#user_email", first)
		s.press("#add-domain")
		user = s.shownPassword(first)
	} else {
		s.press("#add-domain")
	}
	s.press("#new-mailbox")
	sara := s.makeMailbox("sara", "example.com")
	if s.t.Logf("%d clicks from the log-in page to the Ready page", s.ready); s.ready > maxClicks {
		s.t.Errorf("%d clicks from the log-in page to the Ready page, more than %d", s.ready, maxClicks)
	}
	s.press("#another")
	omid := s.makeMailbox("omid", "example.com")
	sara.agrees(s, s.settings("sara@example.com"))
	s.testMessage(sara)
	s.exchange(sara, omid)
	s.seenLogin("sara@example.com")
	if first == "" {
		return
	}
	s.open("/domains/example.com")
	if text := s.text("main"); !strings.Contains(text, "Example") {
		s.t.Errorf("the customer is not named after the domain:\n%s", text)
	}
	s.in.must(nil, "", "customer", "add", "Stranger")
	s.in.must(nil, "", "domain", "add", "stranger.example", "--customer", "Stranger")
	s.in.must(nil, testPassword+"\n", "mailbox", "add", "zahra@stranger.example", "--password-stdin")
	s.press("#logout")
	s.secrets = append(s.secrets, user)
}

// owner is the customer's own user: a domain of theirs, two mailboxes, mail; nothing of anybody
// else.
func (s *story) owner(name string) {
	s.t.Helper()
	s.login(name, s.secrets[len(s.secrets)-1])
	if lang := js[string](s.tab, `document.documentElement.lang`); lang != s.language {
		s.t.Errorf("the customer's user is spoken to in %q", lang)
	}
	s.press("#nav-domains")
	s.press("#new-domain")
	if s.has("#customer_name") {
		s.t.Error("a customer's user is asked for a customer")
	}
	s.fill("#domain", "https://www.second.example/")
	s.press("#add-domain")
	s.press("#new-mailbox")
	mina := s.makeMailbox("mina", "second.example")
	s.press("#another")
	nima := s.makeMailbox("nima", "second.example")
	mina.agrees(s, s.settings("mina@second.example"))
	s.exchange(mina, nima)
	s.own("second.example", "example.com")
}

// own checks that the lists hold these domains and nothing of the stranger.
func (s *story) own(domains ...string) {
	s.t.Helper()
	if s.has("#nav-customers") {
		s.t.Error("a customer's user sees the customers")
	}
	for _, page := range []string{"/", "/domains", "/mailboxes", "/bin", "/help", "/account", "/mailboxes?q=zahra"} {
		if status := s.open(page); status != 200 {
			s.t.Errorf("%s: status %d", page, status)
		}
		// What is looked for stands in the field again; only the rest tells of others.
		if html := strings.ReplaceAll(s.html(), "q=zahra", ""); strings.Contains(html, "stranger") || strings.Contains(html, "Stranger") {
			s.t.Errorf("%s shows what is a stranger's", page)
		}
	}
	for _, page := range []string{"/domains", "/mailboxes"} {
		s.open(page)
		for _, d := range domains {
			if !strings.Contains(s.text("main"), d) {
				s.t.Errorf("%s does not show %s:\n%s", page, d, s.text("main"))
			}
		}
	}
	for _, page := range []string{"/customers", "/domains/stranger.example", "/mailboxes/zahra@stranger.example", "/mailboxes/zahra@stranger.example/connect"} {
		s.expecting(404, func() int { return s.open(page) })
	}
}

// speak changes to the person's language by the button at the foot, and checks the direction.
func (s *story) speak() {
	s.t.Helper()
	if js[string](s.tab, `document.documentElement.lang`) != s.language {
		s.press("#language-" + s.language)
	}
	want := map[string]string{"en": "ltr", "fa": "rtl"}[s.language]
	if got := js[string](s.tab, `document.documentElement.lang + " " + getComputedStyle(document.body).direction`); got != s.language+" "+want {
		s.t.Errorf("language and direction are %s, want %s %s", got, s.language, want)
	}
}

// shownPassword reads a password on the page that shows it for the only time, and copies it,
// so that the page can be left without a question.
func (s *story) shownPassword(of string) string {
	s.t.Helper()
	if got := s.value("#value-username"); got != of {
		s.t.Fatalf("the page is of %q, want %s\nat %s", got, of, s.where())
	}
	pw := s.copied("#value-password")
	if len(pw) < 14 || strings.ContainsAny(pw, "0O1lI") {
		s.t.Errorf("generated password %q", pw)
	}
	return pw
}

// copied takes a value as a person does: by its copy button and the clipboard, or without
// scripts by selecting the field.
func (s *story) copied(selector string) string {
	s.t.Helper()
	value := s.value(selector)
	button := "#copy-" + strings.TrimPrefix(selector, "#")
	if s.noScript {
		if s.has("button.copy") {
			s.t.Error("there are copy buttons that cannot work")
		}
		return value
	}
	s.touch(button)
	var got string
	within(s.t, 2*time.Second, "copy of "+selector, func() bool {
		got = js[string](s.tab, `document.hasFocus() ? navigator.clipboard.readText() : ""`)
		return got == js[string](s.tab, `document.querySelector(%q).dataset.copy`, selector)
	})
	if got != value {
		s.t.Errorf("%s: %q was copied, %q is shown", selector, got, value)
	}
	return got
}

// makeMailbox fills in the form in front of it, and returns what the Ready page shows.
func (s *story) makeMailbox(local, domain string) *setup {
	s.t.Helper()
	if got := s.value("#domain"); got != domain {
		s.t.Errorf("the domain is %q, want %s", got, domain)
	}
	generated := s.value("#password")
	s.fill("#local", local)
	s.press("#create")
	s.ready = s.clicks
	made := s.readSetup()
	made.password = s.shownPassword(local + "@" + domain)
	if made.password != generated {
		s.t.Errorf("the Ready page shows %q, the form had %q", made.password, generated)
	}
	s.secrets = append(s.secrets, made.password)
	return made
}

// settings opens the set-up page of a mailbox by the navigation.
func (s *story) settings(address string) *setup {
	s.t.Helper()
	s.press("#nav-mailboxes")
	s.press(`th a[href="/mailboxes/` + address + `"]`)
	s.press("#connect")
	for _, pw := range s.secrets {
		if strings.Contains(s.html(), pw) {
			s.t.Error("the set-up page shows a password again")
		}
	}
	return s.readSetup()
}

// testMessage lets the panel send a message into the mailbox whose set-up page is open.
func (s *story) testMessage(to *setup) {
	s.t.Helper()
	s.press("#send-test")
	if !strings.Contains(s.text("#notice"), to.username) {
		s.t.Errorf("nothing is said about the test message\nat %s", s.where())
	}
	if all, err := to.read(s.in, "pop3-tls"); err != nil || len(all) != 1 {
		s.t.Errorf("after the test message the mailbox holds %d messages: %v", len(all), err)
	}
}

// seenLogin waits until the set-up page in front of it tells of the log-ins of mail clients.
// With scripts the page asks again by itself.
func (s *story) seenLogin(address string) {
	s.t.Helper()
	within(s.t, 6*time.Second, "log-ins are shown", func() bool {
		if s.noScript {
			s.open("/mailboxes/" + address + "/connect")
		}
		text := s.text("#logins")
		return strings.Contains(text, "POP3") && strings.Contains(text, "SMTP")
	})
}

// keptSecret looks for the passwords that were shown where none may be: in the database, in
// files, in the log, in cookies and in addresses.
func (s *story) keptSecret() {
	s.t.Helper()
	found := func(where, text string) {
		for i, pw := range s.secrets {
			if strings.Contains(text, pw) {
				s.t.Errorf("%s holds password %d", where, i)
			}
		}
	}
	s.mu.Lock()
	for address := range s.urls {
		found("the address "+address, address)
	}
	s.mu.Unlock()
	for _, c := range call(s.tab, network.GetCookies, network.GetCookiesParams{}).Cookies {
		found("the cookie "+c.Name, c.Value)
	}
	// The first administrator's is printed, once, by design.
	found("the log", strings.Replace(s.in.out.String(), s.secrets[0], "", 1))
	err := filepath.WalkDir(s.in.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		found("the file "+d.Name(), string(data))
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

// setup is what a person takes from a set-up page into a mail client.
type setup struct {
	username, password string
	lines              map[string]setupLine
}

// setupLine is one server, every value as it was copied.
type setupLine struct{ host, port, security string }

func (s *story) readSetup() *setup {
	s.t.Helper()
	found := &setup{username: s.value("#value-username"), lines: map[string]setupLine{}}
	for id, service := range serviceOf {
		v := "#value-" + id
		found.lines[id] = setupLine{s.value(v + "-host"), s.value(v + "-port"), s.value(v + "-security")}
		if port := found.lines[id].port; s.in.addr(service) != "127.0.0.1:"+port {
			s.t.Errorf("%s: port %q, the server listens on %s", id, port, s.in.addr(service))
		}
	}
	return found
}

// serviceOf is the listener of a line.
var serviceOf = map[string]string{"imap-tls": "imaps", "imap-starttls": "imap", "pop3-tls": "pop3s", "pop3-starttls": "pop3", "smtp-tls": "submissions", "smtp-starttls": "submission"}

// agrees checks that two pages say the same, and that copying gives it.
func (a *setup) agrees(s *story, b *setup) {
	s.t.Helper()
	for id, line := range a.lines {
		if b.lines[id] != line {
			s.t.Errorf("%s: the Ready page says %v, the set-up page %v", id, line, b.lines[id])
		}
		if !s.keyboard || id == "pop3-tls" {
			if got := s.copied("#value-" + id + "-port"); got != line.port {
				s.t.Errorf("%s: port %q copied, want %q", id, got, line.port)
			}
		}
	}
	if a.username != b.username {
		s.t.Errorf("user name %q and %q", a.username, b.username)
	}
}

// exchange lets one mailbox send to another and that one read, over every line of the
// settings.
func (s *story) exchange(from, to *setup) {
	s.t.Helper()
	for _, way := range []string{"tls", "starttls"} {
		subject := fmt.Sprintf("سلام %s %s", way, s.language)
		if err := from.send(s.in, "smtp-"+way, to.username, subject); err != nil {
			s.t.Fatalf("%s sends by the copied values (%s): %v", from.username, way, err)
		}
		all, err := to.read(s.in, "pop3-"+way)
		if err != nil {
			s.t.Fatalf("%s reads by the copied values (%s): %v", to.username, way, err)
		}
		if len(all) == 0 || !strings.Contains(all[len(all)-1], "Subject: "+subject+"\r\n") || !strings.Contains(all[len(all)-1], "\r\n\r\nSalam!\r\n") {
			s.t.Errorf("%s did not find the message among %d: %q", to.username, len(all), all)
		}
	}
}

// tlsFor trusts the server's own authority for the name that was copied, and no other.
func (l setupLine) tlsFor(in *instance) *tls.Config {
	c := in.tls().Clone()
	c.ServerName = l.host
	return c
}

// send submits a message with net/smtp.
func (a *setup) send(in *instance, line, to, subject string) error {
	l := a.lines[line]
	addr := net.JoinHostPort(l.host, l.port)
	var c *smtp.Client
	var err error
	switch l.security {
	case "SSL/TLS":
		var raw *tls.Conn
		if raw, err = tls.Dial("tcp", addr, l.tlsFor(in)); err == nil {
			c, err = smtp.NewClient(raw, l.host)
		}
	case "STARTTLS":
		if c, err = smtp.Dial(addr); err == nil {
			err = c.StartTLS(l.tlsFor(in))
		}
	default:
		err = fmt.Errorf("security %q", l.security)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Auth(smtp.PlainAuth("", a.username, a.password, l.host)); err != nil {
		return err
	}
	if err := c.Mail(a.username); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	body, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(body, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\n\r\nSalam!\r\n", a.username, to, subject)
	if err := body.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// read fetches all messages by POP3.
func (a *setup) read(in *instance, line string) ([]string, error) {
	l := a.lines[line]
	config := l.tlsFor(in)
	if l.security == "STARTTLS" {
		config = nil
	}
	c, err := dial(net.JoinHostPort(l.host, l.port), "", config)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if greeting := c.pop(""); !strings.HasPrefix(greeting, "+OK") {
		return nil, errors.New(greeting)
	}
	if l.security == "STARTTLS" {
		if reply := c.pop("STLS"); !strings.HasPrefix(reply, "+OK") {
			return nil, errors.New(reply)
		}
		secure := tls.Client(c.Conn, l.tlsFor(in))
		c = &talk{secure, bufio.NewReader(secure)}
	}
	for _, command := range []string{"USER " + a.username, "PASS " + a.password} {
		if reply := c.pop("%s", command); !strings.HasPrefix(reply, "+OK") {
			return nil, fmt.Errorf("%.4s: %s", command, reply)
		}
	}
	return c.popAll()
}

// popAll fetches every message of the maildrop and says goodbye.
func (c *talk) popAll() ([]string, error) {
	var count, size int
	if _, err := fmt.Sscanf(c.pop("STAT"), "+OK %d %d", &count, &size); err != nil {
		return nil, err
	}
	var all []string
	for n := range count {
		if reply := c.pop("RETR %d", n+1); !strings.HasPrefix(reply, "+OK") {
			return nil, errors.New(reply)
		}
		body, err := c.popBody()
		if err != nil {
			return nil, err
		}
		all = append(all, string(body))
	}
	c.pop("QUIT")
	return all, nil
}
