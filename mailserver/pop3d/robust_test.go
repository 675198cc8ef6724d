package pop3d_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/pop3d"
	"github.com/postchi/postchi/models"
)

func TestStartTLSDiscardsWhatCameBefore(t *testing.T) {
	d := start(t, saraHouse())
	c := d.dial(t)
	c.want("+OK")
	// In one segment: what follows STLS must be answered never, neither in the clear nor
	// under TLS (CVE-2011-0411).
	c.send("STLS", "NOOP", "USER "+sara)
	c.want("+OK Begin")
	secured := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	s := newClient(t, secured)
	s.say("PASS "+secret, "-ERR USER comes first.")
	s.say("STLS", "-ERR")
	s.say("USER "+sara, "+OK")
	s.say("PASS "+secret, "+OK 3 messages")
	s.say("STLS", "-ERR")
	s.say("QUIT", "+OK")
}

func TestOldTLSIsRefused(t *testing.T) {
	d := start(t, newHouse())
	if _, err := tls.Dial("tcp", d.secure, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 was taken")
	}
}

func TestJunkEndsTheConnection(t *testing.T) {
	d := start(t, newHouse(), func(c *pop3d.Config) { c.MaxErrors = 4 })
	c := d.dialTLS(t)
	for _, junk := range []string{"", " ", "\x00", "FOO"} {
		c.say(junk, "-ERR")
	}
	c.want("-ERR Too many errors.")
	c.closed()

	browser := d.dial(t)
	browser.want("+OK")
	browser.send("GET / HTTP/1.1", "Host: localhost", "")
	browser.want("-ERR")
	if rest := browser.closed(); rest != "" {
		t.Errorf("HTTP got %q", rest)
	}
}

func TestLongLines(t *testing.T) {
	d := start(t, saraHouse())
	c := d.dialTLS(t)
	c.say("USER "+strings.Repeat("x", 512-len("USER \r\n")), "+OK")
	c.say("USER "+strings.Repeat("x", 513-len("USER \r\n")), "-ERR That line is too long.")
	c.say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+strings.Repeat("x", 5000)), "-ERR [AUTH] Passwords have at most")
	c.say("AUTH PLAIN "+b64("\x00"+sara+"\x00"+secret), "+OK")

	c = d.dialTLS(t)
	go io.Copy(c.Conn, endless{}) // a line that never ends
	c.want("-ERR That line is too long.")
	c.closed()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestPanicEndsOneConnection(t *testing.T) {
	h := saraHouse()
	h.person("panic@example.com", "x")
	d := start(t, h)
	other := d.login(t, sara, secret)
	c := d.dialTLS(t)
	c.say("USER panic@example.com", "+OK")
	c.send("PASS x")
	if rest := c.closed(); rest != "" {
		t.Errorf("after the panic: %q", rest)
	}
	other.say("STAT", "+OK 3")
}

func TestUnreadableMessage(t *testing.T) {
	h := saraHouse()
	h.person("big@example.com", "x", strings.Repeat("line\r\n", 100000))
	h.readErr = errors.New("the disk is broken")
	d := start(t, h)
	c := d.login(t, sara, secret)
	c.say("RETR 1", "-ERR [SYS/TEMP] Something went wrong here.") // nothing had left yet
	c.say("STAT", "+OK")
	h.readErr = models.Errorf(models.Unavailable, "store.damaged", "The stored message is damaged.")
	c.say("RETR 1", "-ERR [SYS/PERM] The stored message is damaged.")
	c.say("STAT", "+OK")

	c = d.login(t, "big@example.com", "x")
	c.say("RETR 1", "+OK")
	if rest := c.closed(); strings.HasSuffix(rest, "\r\n.\r\n") {
		t.Error("half of a message looks whole")
	}
}

func TestSuspensionEndsSessions(t *testing.T) {
	h := saraHouse()
	h.person("big@example.com", "x", strings.Repeat("line\r\n", 10<<20))
	d := start(t, h)
	idle, busy := d.login(t, sara, secret), d.login(t, "big@example.com", "x")
	idle.say("DELE 1", "+OK")
	busy.say("RETR 1", "+OK") // 60 MB that nobody reads: the server waits in a write
	begin := time.Now()
	h.end(sara)
	h.end("big@example.com")
	idle.want("-ERR [SYS/TEMP] The mailbox was suspended.")
	idle.closed()
	until(t, "the end of both sessions", func() bool { return h.open() == 0 })
	t.Logf("ended after %s", time.Since(begin))
	if len(h.left(sara)) != 3 {
		t.Error("an ended session removed messages")
	}
}

func TestIdleSessions(t *testing.T) {
	d := start(t, saraHouse(), func(c *pop3d.Config) { c.Idle, c.BeforeLogin = 100*time.Millisecond, 100*time.Millisecond })
	c := d.dial(t)
	c.want("+OK")
	c.want("-ERR Nothing came")
	c.closed()

	// RFC 1939, section 3: no response when the timer runs out after log-in; it leaves time for
	// the DELE.
	d = start(t, saraHouse(), func(c *pop3d.Config) { c.Idle = 500 * time.Millisecond })
	c = d.login(t, sara, secret)
	c.say("DELE 1", "+OK")
	if rest := c.closed(); rest != "" {
		t.Errorf("the timer said %q", rest)
	}
	until(t, "the end of the session", func() bool { return d.open() == 0 })
	if len(d.left(sara)) != 3 {
		t.Error("an idle session removed messages")
	}
}

func TestShutdown(t *testing.T) {
	h := saraHouse()
	h.person("busy@example.com", "x", first)
	h.busy, h.goOn = make(chan struct{}, 1), make(chan struct{})
	d := start(t, h)
	idle, busy := d.login(t, sara, secret), d.login(t, "busy@example.com", "x")
	handshaking, err := net.Dial("tcp", d.secure)
	if err != nil {
		t.Fatal(err)
	}
	defer handshaking.Close()
	busy.say("DELE 1", "+OK")
	busy.send("QUIT")
	until(t, "the removal to begin", func() bool { return len(h.busy) == 1 })
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		ended <- d.server.Shutdown(ctx)
	}()
	if got := idle.line(); got != "-ERR [SYS/TEMP] The server is stopping, try again later." {
		t.Errorf("the idle session was told %q", got)
	}
	idle.closed()
	select {
	case <-ended:
		t.Fatal("Shutdown did not wait for the QUIT")
	default:
	}
	close(h.goOn)
	busy.want("+OK Bye")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", d.plain); err == nil {
		t.Error("the port is still open")
	}
}

func TestShutdownInTime(t *testing.T) {
	h := newHouse()
	h.person("big@example.com", "x", strings.Repeat("line\r\n", 10<<20))
	d := start(t, h)
	c := d.login(t, "big@example.com", "x")
	c.say("RETR 1", "+OK")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := d.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if h.open() != 0 {
		t.Error("a session outlived Shutdown")
	}
}
