package imapd_test

import (
	"bufio"
	"compress/flate"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/postchi/postchi/models/db/dbtest"
)

// deflated is the client's end of a compressed connection.
type deflated struct {
	net.Conn
	w *flate.Writer
}

func (d *deflated) Write(p []byte) (int, error) {
	if _, err := d.w.Write(p); err != nil {
		return 0, err
	}
	return len(p), d.w.Flush()
}

func TestCompress(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	c := h.login(t)
	c.want("COMPRESS FOO", "BAD")
	c.want("COMPRESS DEFLATE", "OK Compressed from here")
	w, err := flate.NewWriter(c.Conn, 9)
	if err != nil {
		t.Fatal(err)
	}
	c.r = bufio.NewReader(flate.NewReader(c.Conn))
	c.Conn = &deflated{c.Conn, w}
	if caps := c.ok("CAPABILITY"); strings.Contains(caps[0], "COMPRESS") {
		t.Errorf("compressed: %q", caps)
	}
	c.want("COMPRESS DEFLATE", "NO [COMPRESSIONACTIVE]")
	large := first + strings.Repeat("many lines that are alike\r\n", 100_000)
	c.append("INBOX", "", large)
	c.ok("SELECT INBOX")
	c.want("FETCH 1 BODY.PEEK[]", "OK", "* 1 FETCH (BODY[] {"+itoa(len(large))+"}\r\n"+large+")")
	done := c.idle()
	for n := 2; n < 6; n++ {
		h.Deliver(t, []byte(first), m.ID)
		c.hear("* "+itoa(n)+" EXISTS", "* "+itoa(n)+" RECENT")
	}
	if rest := done(); len(rest) != 0 {
		t.Errorf("after IDLE: %q", rest)
	}
	c.send("x LOGOUT\r\n")
	if rest, err := io.ReadAll(c.r); !strings.Contains(string(rest), "x OK") {
		t.Errorf("LOGOUT: %q, %v", rest, err)
	}
}
