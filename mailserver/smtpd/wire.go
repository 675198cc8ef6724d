package smtpd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
)

// The buffer of input, and how far it grows for an AUTH response (RFC 4954, section 4: 12,288
// octets).
const (
	inputSize   = 8 << 10
	maxCommand  = 2048 // RFC 5321, section 4.5.3.1.4, wants 512
	maxResponse = 12288 + 64
	outputSize  = 4 << 10 // replies held back are sent past this
)

// errGone is what go-smtp and the session get once the connection is over; go-smtp takes it for
// an ordinary end.
var errGone = fmt.Errorf("smtpd: connection is over: %w", net.ErrClosed)

// wire is the net.Conn that go-smtp serves. Its goroutine is the only one that reads and
// writes; end alone may be called from others.
type wire struct {
	server *Server
	raw    net.Conn   // the socket, or TLS on it
	tls    *tls.Conn  // raw if it is TLS
	low    *conn.Conn // the limits below; nil if the listener has none
	remote netip.Addr
	log    *slog.Logger

	session  *session // nil before EHLO
	extended bool     // the client said EHLO, not HELO
	verb     string   // of the last command
	arg      string

	buf  []byte // input is buf[r:w]
	r, w int
	feed []byte // what Read returns next
	sasl bool   // the next line answers a challenge

	out      []byte // replies not sent yet
	mute     bool   // the next reply of go-smtp is dropped
	told     bool   // the next refusal is in log and events already
	hangup   bool   // close after the next reply
	errors   int    // refused commands
	failures int    // failed log-ins

	chunk  *chunk // set between BDAT and the session's Data
	broken string // what a client is told that falls silent in a body we refuse

	handed bool // to another wire, by STARTTLS

	mu      sync.Mutex // guards what follows
	waiting bool       // in a read of raw
	woken   bool       // a deadline in the past was set
	busy    bool       // a transaction is open: a patient end waits for it
	ending  string     // the last reply
	now     bool       // ending does not wait
	closed  bool
}

func newWire(s *Server, raw net.Conn) *wire {
	w := &wire{server: s, raw: raw, low: conn.From(raw), buf: make([]byte, inputSize), log: s.config.Log}
	w.tls, _ = raw.(*tls.Conn)
	if w.low != nil {
		w.remote = w.low.Remote()
	} else if tcp, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		w.remote = tcp.AddrPort().Addr().Unmap()
	}
	w.log = w.log.With(slog.String("proto", s.config.Mode.String()), slog.String("remote", w.remote.String()))
	return w
}

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return w.raw.LocalAddr() }

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return w.raw.RemoteAddr() }

// The deadlines are those of package conn; go-smtp is configured to set none.
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Read gives go-smtp the next command, one line at a time.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.feed) == 0 {
		line, err := w.line()
		if err != nil {
			return 0, err
		}
		w.feed = w.inspect(line)
	}
	n := copy(p, w.feed)
	w.feed = w.feed[n:]
	return n, nil
}

// line returns the next line with its end. It is valid until more input is read.
func (w *wire) line() ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(w.buf[w.r+seen:w.w], '\n'); i >= 0 {
			line := w.buf[w.r : w.r+seen+i+1]
			if len(line) > w.longest(line) {
				return nil, w.finish("500 5.5.6 The line is too long, closing the connection.")
			}
			w.r += len(line)
			return line, nil
		}
		seen = w.w - w.r
		if seen > w.longest(w.buf[w.r:w.w]) {
			return nil, w.finish("500 5.5.6 The line is too long, closing the connection.")
		}
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

// longest is how long a line may be that begins like this.
func (w *wire) longest(line []byte) int {
	if w.sasl || len(line) > 4 && bytes.EqualFold(line[:5], []byte("AUTH ")) {
		return maxResponse
	}
	return maxCommand
}

// fill sends all replies and reads more input.
func (w *wire) fill() error {
	if w.r > 0 {
		w.w = copy(w.buf, w.buf[w.r:w.w])
		w.r = 0
	}
	if w.w == len(w.buf) {
		w.buf = append(w.buf, make([]byte, inputSize)...)
	}
	if err := w.flush(); err != nil {
		return w.fail(err)
	}
	for {
		if last := w.wait(); last != "" {
			return w.finish(last)
		}
		n, err := w.raw.Read(w.buf[w.w:])
		woken := w.resume()
		w.w += n
		switch {
		case n > 0:
			return nil
		case err != nil && !(woken && errors.Is(err, os.ErrDeadlineExceeded)):
			return w.fail(err)
		}
	}
}

// wait marks that a read begins, or returns the last reply if the connection is to end instead.
func (w *wire) wait() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return "421 4.3.2 Closing."
	}
	if w.ending != "" && (w.now || !w.busy) {
		return w.ending
	}
	if w.woken || w.low == nil {
		w.woken = false
		w.raw.SetReadDeadline(w.deadline())
	}
	w.waiting = true
	return ""
}

// deadline is the one a read has by default. The limits of package conn are below it.
func (w *wire) deadline() time.Time {
	if w.broken != "" {
		return time.Now().Add(w.server.config.silence)
	}
	if w.low == nil {
		return time.Now().Add(idleTime)
	}
	return time.Time{}
}

// resume marks that the read is over and tells whether end has woken it.
func (w *wire) resume() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
	return w.woken
}

// end closes the connection with a last reply, after the transaction that is open unless now is
// set. A reply that is being worked out is still given first. It does not wait.
func (w *wire) end(reply string, now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.ending != "" && (w.now || !now) {
		return
	}
	w.ending, w.now = reply, now
	if w.waiting {
		w.woken = true
		w.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// setBusy says whether a transaction is open.
func (w *wire) setBusy(busy bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = busy
}

// fail ends the connection after an error of the socket.
func (w *wire) fail(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, conn.ErrSlow):
		w.log.Info("transfer too slow")
		return w.finish("421 4.4.2 The transfer is too slow, closing the connection.")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if w.broken != "" {
			return w.finish(w.broken)
		}
		return w.finish("421 4.4.2 Nothing came for too long, closing the connection.")
	}
	w.log.Debug("connection lost", slog.Any("err", err))
	w.shut(false)
	return errGone
}

// finish ends the connection with a last reply.
func (w *wire) finish(reply string) error {
	w.out = append(append(w.out, reply...), "\r\n"...)
	w.log.Debug("closing", slog.String("reply", reply))
	w.shut(true)
	return errGone
}

// flush sends the replies held back.
func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.raw.Write(w.out)
	w.out = w.out[:0]
	return err
}

// Close implements net.Conn.
func (w *wire) Close() error {
	w.shut(false)
	return nil
}

// shut sends what is held back and closes. With linger the client gets a moment to stop sending
// and to read: closing with input unread resets the connection, and our reply would be lost.
func (w *wire) shut(linger bool) {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.mu.Unlock()
	if again || w.handed {
		return
	}
	defer w.server.forget(w)
	defer w.raw.Close()
	if err := w.flush(); err != nil || !linger {
		return
	}
	if w.tls != nil {
		w.tls.CloseWrite()
	}
	if socket := socketOf(w.raw); socket != nil {
		drain(socket)
	}
}

// drain half-closes a socket and reads what still comes, within bounds.
func drain(socket *net.TCPConn) {
	if socket.CloseWrite() != nil || socket.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	waste := make([]byte, inputSize)
	for left := lingerBytes; left > 0; {
		n, err := socket.Read(waste)
		if err != nil {
			return
		}
		left -= n
	}
}

// socketOf finds the socket below, nil if there is none.
func socketOf(c net.Conn) *net.TCPConn {
	for {
		switch below := c.(type) {
		case *net.TCPConn:
			return below
		case interface{ NetConn() net.Conn }:
			c = below.NetConn()
		default:
			return nil
		}
	}
}

func (w *wire) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// cipher names the cipher suite in use, as IANA does.
func (w *wire) cipher() string { return tls.CipherSuiteName(w.tls.ConnectionState().CipherSuite) }
