package imapd_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/imapd"
	"github.com/postchi/postchi/mailserver/imapd/entry"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestCommandLimits: nesting, and what no "+" is sent for.
func TestCommandLimits(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	c := h.dialTLS(t)
	c.want("ID "+strings.Repeat("(", 60)+strings.Repeat(")", 60), "BAD")
	c.want("LOGIN {8193}", "BAD [TOOBIG]")
	c.want("LOGIN a {8193}", "BAD [TOOBIG]")
	c.send("x ID (") // literals of 8 KiB are taken, together no more than 32 KiB
	for range 4 {
		c.send("{8000}\r\n")
		c.hear("+ Go on")
		c.send(strings.Repeat("x", 8000) + " ")
	}
	c.send("{8000}\r\n")
	if line := c.line(); !strings.HasPrefix(line, "x BAD [TOOBIG]") {
		t.Errorf("40,000 bytes before log-in: %q", line)
	}
	c.ok(fmt.Sprintf("LOGIN %s %q", sara, secret))
	c.ok("SELECT INBOX")
	nested := func(n int) string { return strings.Repeat("(", n) + "ALL" + strings.Repeat(")", n) }
	c.want("SEARCH "+nested(49), "OK", "* SEARCH")
	c.want("SEARCH "+nested(51), "BAD")
	c.want("SEARCH "+strings.Repeat("NOT ", 60)+"ALL", "BAD")
	c.want("SEARCH "+strings.Repeat("OR ", 60)+strings.Repeat("ALL ", 60)+"ALL", "BAD")
	for command, answer := range map[string]string{
		"APPEND INBOX {52428801}": "NO [TOOBIG]", "APPEND nothing {5}": "NO [TRYCREATE]", "APPEND INBOX (x {5}": "BAD", "SEARCH TEXT {10000000}": "BAD [TOOBIG]", "CREATE {100000000}": "BAD [TOOBIG]",
	} {
		c.want(command, answer)
	}
	c.want("NOOP", "OK")
}

// TestTrickle: bytes that come one by one do not lengthen the time in which to log in.
func TestTrickle(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	options := imapd.ListenOptions(false)
	options.LoginWithin = 300 * time.Millisecond
	c := h.behind(t, conn.Limits{}, options)
	c.line()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				io.WriteString(c.Conn, "x")
			}
		}
	}()
	if rest := c.closed(); !strings.HasPrefix(rest, "* BYE Nothing came for too long.") {
		t.Errorf("a client that sends 50 bytes a second got %q", rest)
	}
}

// behind connects in clear through a gate of its own; h.plain leads there from now on.
func (h *house) behind(t *testing.T, limits conn.Limits, options conn.Options) *client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go h.server.Serve(context.Background(), conn.NewGate(limits, nil, nil).Listener(ln, options), false)
	h.plain = ln.Addr().String()
	return h.dial(t)
}

// TestConnectionLimits: one too many for the mailbox and for the network are told so.
func TestConnectionLimits(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	few := auth.New(auth.Config{Accounts: h.accounts, Cost: 4, PerMailbox: 2, PerNetwork: -1})
	full := open(t, dbtest.SQLite(t), func(c *imapd.Config) {
		c.Accounts, c.Store, c.Blobs, c.Watch = entry.Accounts(few), h.Store, h.Blobs, h.DB
	})
	for range 2 {
		full.login(t)
	}
	c := full.dialTLS(t)
	c.send(fmt.Sprintf("a LOGIN %s %q\r\n", sara, secret))
	if rest := c.closed(); !strings.HasPrefix(rest, "a NO [LIMIT] More than 2 connections") || !strings.Contains(rest, "\r\n* BYE More than 2 connections") {
		t.Errorf("the third session: %q", rest)
	}

	h.behind(t, conn.Limits{PerNetwork: 1}, imapd.ListenOptions(false)).line()
	if rest := h.dial(t).closed(); !strings.HasPrefix(rest, "* BYE [UNAVAILABLE] Too many connections") {
		t.Errorf("the second connection of a network: %q", rest)
	}
}

// TestSlowReader: a client that asks for much and reads nothing holds up nobody.
func TestSlowReader(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	h.Deliver(t, []byte(first+strings.Repeat(strings.Repeat("z", 76)+"\r\n", 100_000)), m.ID)
	for range 50 {
		h.Deliver(t, []byte(first), m.ID)
	}
	for range 3 {
		slow := h.login(t)
		slow.ok("SELECT INBOX")
		slow.send("a FETCH 1:* BODY[]\r\nb FETCH 1:* BODY[]\r\nc STORE 1:* +FLAGS (x)\r\n")
	}
	c := h.login(t)
	c.ok("SELECT INBOX")
	start := time.Now()
	c.ok(`STORE 2:* +FLAGS.SILENT (\Flagged)`)
	h.Deliver(t, []byte(first), m.ID)
	c.ok(`STORE 2:10 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE")
	c.append("INBOX", "", first)
	c.ok("MOVE 2:5 Archive")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v beside clients that do not read", took)
	}
}
