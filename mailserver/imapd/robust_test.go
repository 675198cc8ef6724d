package imapd_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/imapd"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

func TestStartTLSDiscardsWhatCameBefore(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	c := h.dial(t)
	if line := c.line(); !strings.Contains(line, "STARTTLS LOGINDISABLED]") {
		t.Errorf("greeting %q", line)
	}
	c.want("LOGIN "+sara+" \""+secret+"\"", "NO [PRIVACYREQUIRED]")
	c.want("AUTHENTICATE PLAIN =", "NO [PRIVACYREQUIRED]")
	// In one segment: what follows STARTTLS must be answered never, neither in the clear nor
	// under TLS (CVE-2011-0411).
	c.send("a STARTTLS\r\nb NOOP\r\nc CAPABILITY\r\n")
	c.hear("a OK Begin TLS negotiation now")
	secured := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	s := newClient(t, secured)
	s.want("STARTTLS", "BAD")
	s.ok("LOGIN " + sara + " \"" + secret + "\"")
	s.want("STARTTLS", "BAD")
}

func TestAuthenticate(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	c := h.dialTLS(t)
	c.want("AUTHENTICATE FOO", "NO")
	c.want("AUTHENTICATE PLAIN !", "BAD")
	c.want("AUTHENTICATE PLAIN AHNhcmFAZXhhbXBsZS5jb20AeA==", "NO [AUTHENTICATIONFAILED]")
	c.send("a AUTHENTICATE LOGIN\r\n")
	c.hear("+ VXNlcm5hbWU6")
	c.send("*\r\n")
	c.hear("a BAD Cancelled.")
	c.send("b AUTHENTICATE PLAIN\r\n")
	c.hear("+ ")
	c.send("AHNhcmFAZXhhbXBsZS5jb20Ab3BlbiBzZXNhbWU=\r\n")
	if line := c.line(); !strings.HasPrefix(line, "b OK [CAPABILITY IMAP4rev1 IMAP4rev2 ") || strings.Contains(line, "AUTH=") {
		t.Errorf("after log-in: %q", line)
	}
	c.want("LOGIN a b", "BAD")

	c = h.dialTLS(t)
	for range 4 {
		c.want("LOGIN nobody@example.com x", "NO [AUTHENTICATIONFAILED]")
	}
	c.send("z LOGIN nobody@example.com x\r\n")
	if rest := c.closed(); !strings.HasPrefix(rest, "z NO [AUTHENTICATIONFAILED]") || !strings.HasSuffix(rest, "\r\n* BYE Too many wrong passwords.\r\n") {
		t.Errorf("the last failure: %q", rest)
	}
}

func TestJunk(t *testing.T) {
	h := open(t, dbtest.SQLite(t), func(c *imapd.Config) { c.MaxErrors = 5 })
	c := h.dialTLS(t)
	for _, junk := range []string{"", " ", "\x00", "a"} {
		c.send(junk + "\r\n")
		if line := c.line(); !strings.Contains(line, "BAD") {
			t.Errorf("%q is answered %q", junk, line)
		}
	}
	c.send("GET / HTTP/1.1\r\n")
	if rest := c.closed(); !strings.Contains(rest, "* BYE Too many errors.") {
		t.Errorf("junk got %q", rest)
	}
	c = h.dialTLS(t)
	c.want("LOGIN {20000}", "BAD [TOOBIG]")
	c.want("LOGIN {20000+}\r\n"+strings.Repeat("x", 20000), "BAD [TOOBIG]")
	c.want("NOOP", "OK")
	go io.Copy(c.Conn, endless{}) // a line that never ends
	if rest := c.closed(); !strings.HasPrefix(rest, "* BYE [TOOBIG]") {
		t.Errorf("an endless line got %q", rest)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestIdleTimes(t *testing.T) {
	h := open(t, dbtest.SQLite(t), func(c *imapd.Config) { c.BeforeLogin = 500 * time.Millisecond })
	c := h.dialTLS(t)
	if rest := c.closed(); rest != "* BYE Nothing came for too long.\r\n" {
		t.Errorf("a silent client got %q", rest)
	}
}

func TestShutdown(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	c, d := h.login(t), h.login(t)
	d.ok("SELECT INBOX")
	d.idle()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{c, d} {
		if rest := c.closed(); !strings.HasPrefix(rest, "* BYE [UNAVAILABLE] The server is stopping") {
			t.Errorf("at the end: %q", rest)
		}
	}
}

// breaking is a store whose messages panic or cannot be read.
type breaking struct {
	imapd.Store
	panics bool
}

func (b breaking) Open(ctx context.Context, m *mailstore.Message) (mailstore.Reader, error) {
	if b.panics {
		panic("a fault of ours")
	}
	r, err := b.Store.Open(ctx, m)
	return broken{r}, err
}

// broken fails after its first bytes.
type broken struct{ mailstore.Reader }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off >= 64<<10 {
		return 0, models.Unavailablef(io.ErrUnexpectedEOF, "gone")
	}
	return b.Reader.ReadAt(p, off)
}

func TestBrokenMessage(t *testing.T) {
	h := open(t, dbtest.SQLite(t), func(c *imapd.Config) { c.Store = breaking{c.Store, false} })
	m := h.mailbox(t)
	large := []byte(first + strings.Repeat("0123456789abcdef\r\n", 50_000))
	h.Deliver(t, large, m.ID)
	c := h.login(t)
	c.ok("SELECT INBOX")
	c.want("FETCH 1 BODY.PEEK[]<70000.10>", "NO [UNAVAILABLE]")
	c.want("FETCH 1 FLAGS", "OK", `* 1 FETCH (FLAGS (\Recent))`)
	// Once a part was sent, what is missing must not look like the end.
	c.send("x FETCH 1 BODY.PEEK[]\r\n")
	if rest := c.closed(); len(rest) >= len(large) || strings.Contains(rest, "x OK") {
		t.Errorf("half a message came with %d bytes", len(rest))
	}
}

func TestPanicEndsOneConnection(t *testing.T) {
	var panicked atomic.Int64
	h := open(t, dbtest.SQLite(t), func(c *imapd.Config) {
		c.Store = breaking{c.Store, true}
		c.Panicked = func() { panicked.Add(1) }
	})
	m := h.mailbox(t)
	h.Deliver(t, []byte(first), m.ID)
	c, d := h.login(t), h.login(t)
	c.ok("SELECT INBOX")
	d.ok("SELECT INBOX")
	c.want("SEARCH BODY x", "NO [SERVERBUG]")
	c.send("x FETCH 1 BODY[]\r\n")
	c.closed()
	d.want("FETCH 1 UID", "OK", "* 1 FETCH (UID 1)")
	for end := time.Now().Add(10 * time.Second); panicked.Load() != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d panics were counted", panicked.Load())
		}
	}
}

// TestLargeMessage fetches 50 MB as a whole and in pieces, and looks at all that was allocated
// meanwhile, by the client too: some 8 and 16 MB, more under the race detector, which empties pools.
func TestLargeMessage(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	large := []byte(first + strings.Repeat(strings.Repeat("y", 76)+"\r\n", 670_000))
	h.Deliver(t, large, m.ID)
	size := len(large)
	large = nil
	c := h.login(t)
	c.ok("SELECT INBOX")
	allocated := func(fn func()) int64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	take := func(section, answer string, n int) {
		c.send("x FETCH 1 BODY.PEEK" + section + "\r\n")
		if line, err := c.r.ReadString('\n'); err != nil || line != "* 1 FETCH (BODY"+answer+" {"+itoa(n)+"}\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := io.CopyN(io.Discard, c.r, int64(n+1)); err != nil {
			t.Fatal(err)
		}
		c.hear("", "x OK FETCH done")
	}
	text := size - strings.Index(first, "\r\n\r\n") - 4
	if grown := allocated(func() { take("[TEXT]", "[TEXT]", text) }); grown > 20<<20 {
		t.Errorf("fetching %d bytes took %d bytes of memory", size, grown)
	}
	const piece = 1 << 20
	if grown := allocated(func() {
		for at := 0; at < size; at += piece {
			take(fmt.Sprintf("[]<%d.%d>", at, piece), fmt.Sprintf("[]<%d>", at), min(piece, size-at))
		}
	}); grown > 28<<20 {
		t.Errorf("fetching %d bytes in pieces took %d bytes of memory", size, grown)
	}
}

func TestManyCommandsAtOnce(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	c := h.login(t)
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "p%d STATUS INBOX (MESSAGES)\r\n", i)
	}
	go io.WriteString(c.Conn, b.String())
	for i := range 500 {
		c.hear("* STATUS INBOX (MESSAGES 0)", fmt.Sprintf("p%d OK STATUS done", i))
	}
}
