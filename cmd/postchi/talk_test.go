package main

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// talkBound is how long an answer may take before a test calls the server hung.
const talkBound = 90 * time.Second

// talk is a connection of SMTP or POP3 spoken line by line: tests of faults want every answer,
// also those that a client library hides in an error.
type talk struct {
	net.Conn
	r *bufio.Reader
}

// answer is a reply of an SMTP server. err is set, and code 0, if the connection broke.
type answer struct {
	code int
	text string // with the enhanced code
	err  error
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s", a.code, a.text)
}

// is reports whether the answer has this code and, behind it, this beginning.
func (a answer) is(code int, text string) bool {
	return a.code == code && strings.HasPrefix(a.text, text)
}

// dial connects; with a config under TLS, and with from out of that address.
func dial(addr, from string, config *tls.Config) (*talk, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(talkBound))
	if config != nil {
		secure := tls.Client(c, config)
		if err := secure.Handshake(); err != nil {
			c.Close()
			return nil, err
		}
		c = secure
	}
	return &talk{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

// smtp sends a command and reads the answer.
func (c *talk) smtp(format string, args ...any) answer {
	if _, err := fmt.Fprintf(c, format+"\r\n", args...); err != nil {
		return answer{err: err}
	}
	return c.answer()
}

// answer reads an answer of any number of lines.
func (c *talk) answer() answer {
	c.SetDeadline(time.Now().Add(talkBound))
	var a answer
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return answer{err: err}
		}
		line = strings.TrimRight(line, "\r\n")
		code, err := strconv.Atoi(line[:min(3, len(line))])
		if err != nil || len(line) < 4 {
			return answer{err: fmt.Errorf("no SMTP answer: %q", line)}
		}
		a.code = code
		a.text += line[4:]
		if line[3] == ' ' {
			return a
		}
		a.text += "\n"
	}
}

// login greets and logs in by PLAIN; the first answer that is not good is returned.
func (c *talk) login(user, password string) answer {
	if a := c.answer(); a.code != 220 {
		return a
	}
	if a := c.smtp("EHLO client.example"); a.code != 250 {
		return a
	}
	return c.smtp("AUTH PLAIN %s", plain(user, password))
}

// plain is the response of SASL PLAIN.
func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// submit sends one message, and returns the first answer that refuses it, or the last.
func (c *talk) submit(from string, message []byte, to ...string) answer {
	if a := c.smtp("MAIL FROM:<%s>", from); a.code != 250 {
		return a
	}
	for _, rcpt := range to {
		if a := c.smtp("RCPT TO:<%s>", rcpt); a.code != 250 {
			return a
		}
	}
	if a := c.smtp("DATA"); a.code != 354 {
		return a
	}
	if _, err := c.Write(stuffed(message)); err != nil {
		return answer{err: err}
	}
	return c.answer()
}

// stuffed is a message as it follows DATA, with its end.
func stuffed(message []byte) []byte {
	return append([]byte(strings.ReplaceAll(string(message), "\r\n.", "\r\n..")), ".\r\n"...)
}

// pop sends a command of POP3 and returns the line of the answer; the first is the greeting.
func (c *talk) pop(format string, args ...any) string {
	if format != "" {
		if _, err := fmt.Fprintf(c, format+"\r\n", args...); err != nil {
			return err.Error()
		}
	}
	c.SetDeadline(time.Now().Add(talkBound))
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "gone: " + err.Error()
	}
	return strings.TrimRight(line, "\r\n")
}

// popLogin reads the greeting and logs in; the answer is that to PASS.
func (c *talk) popLogin(user, password string) string {
	if line := c.pop(""); !strings.HasPrefix(line, "+OK") {
		return line
	}
	if line := c.pop("USER %s", user); !strings.HasPrefix(line, "+OK") {
		return line
	}
	return c.pop("PASS %s", password)
}

// popBody reads what follows a +OK of several lines, as it was before the dots.
func (c *talk) popBody() ([]byte, error) {
	var body []byte
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if line[0] == '.' {
			if len(line) == 3 {
				return body, nil
			}
			line = line[1:]
		}
		body = append(body, line...)
	}
}

// ended waits until the server has closed the connection, and returns what it said before.
func (c *talk) ended(bound time.Duration) (string, error) {
	c.SetReadDeadline(time.Now().Add(bound))
	last, err := io.ReadAll(c.r)
	return strings.TrimSpace(string(last)), err
}

// submission is a connection of the service for submission under TLS that has logged in.
func (in *instance) submission(t testing.TB, user, password string) *talk {
	t.Helper()
	c := in.smtpTalk(t, "")
	if a := c.login(user, password); a.code != 235 {
		t.Fatalf("log-in of %s: %s", user, a)
	}
	return c
}

// smtpTalk is a new connection under TLS, out of an address unless that is empty.
func (in *instance) smtpTalk(t testing.TB, from string) *talk {
	t.Helper()
	return in.secureTalk(t, "submissions", from)
}

// popTalk is the same for POP3.
func (in *instance) popTalk(t testing.TB, from string) *talk {
	t.Helper()
	return in.secureTalk(t, "pop3s", from)
}

func (in *instance) secureTalk(t testing.TB, service, from string) *talk {
	t.Helper()
	c, err := dial(in.addr(service), from, in.tls())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// message is a small one from a mailbox.
func message(from, subject string, size int) []byte {
	m := fmt.Sprintf("From: <%s>\r\nTo: undisclosed-recipients:;\r\nSubject: %s\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@test>\r\n\r\n",
		from, subject, url.QueryEscape(subject))
	line := strings.Repeat("x", 70) + "\r\n"
	return []byte(m + strings.Repeat(line, max(1, (size-len(m))/len(line))))
}

// browser is a visitor of the panel without scripts.
type browser struct {
	t    testing.TB
	base string
	http http.Client
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// browser opens a new one, with no cookie.
func (in *instance) browser(t testing.TB) *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{t: t, base: in.url(), http: http.Client{Jar: jar, Timeout: talkBound, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// page is an answer of the panel.
type page struct {
	status   int
	location string
	body     string
}

// get asks for a page.
func (b *browser) get(path string) page {
	b.t.Helper()
	res, err := b.http.Get(b.base + path)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{res.StatusCode, res.Header.Get("Location"), drain(res.Body)}
}

// post sends a form that stands on a page.
func (b *browser) post(form, action string, fields ...string) page {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	if m := csrfField.FindStringSubmatch(b.get(form).body); m != nil {
		values.Set("csrf", m[1])
	}
	req, _ := http.NewRequest(http.MethodPost, b.base+action, strings.NewReader(values.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.base)
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{res.StatusCode, res.Header.Get("Location"), drain(res.Body)}
}

// login logs in to the panel.
func (b *browser) login(name, password string) page {
	return b.post("/login", "/login", "name", name, "password", password)
}

// skipUnlessRoot ends a test that needs the rights of root where there are none. Where every
// test must run that is a failure.
func skipUnlessRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs the rights of root")
	}
	t.Skip("this test needs the rights of root")
}
