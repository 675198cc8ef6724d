package smtpd

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	"github.com/postchi/postchi/models"
)

var errBare = models.Errorf(models.Invalid, "smtp.bare",
	"The message has a bare CR, a bare LF or a NUL in it; lines must end with CR LF. Nothing was sent.")

// errAborted ends a body that the client gave up between two chunks.
var errAborted = models.Errorf(models.Invalid, "smtp.aborted", "The message was given up.")

// body is one message on its way from the client into a spool.
type body struct {
	to    io.Writer
	limit int64 // bytes that are taken
	size  int64
	err   error // the first of writing
}

func (b *body) emit(p []byte) {
	b.size += int64(len(p))
	if b.size > b.limit || b.err != nil || len(p) == 0 {
		return
	}
	_, b.err = b.to.Write(p)
}

// swallow is how many bytes of a body are read beyond its limit, before the connection is closed
// because of them.
func (b *body) swallow() int64 { return b.limit + max(b.limit, minSwallowed) }

// verdict returns why the body cannot be taken; nil if it can.
func (b *body) verdict(bad bool, tooLarge error) error {
	switch {
	case bad:
		return errBare
	case b.size > b.limit:
		return tooLarge
	}
	return b.err
}

// receive reads the body of the message that go-smtp has just answered with 354, into to. It
// leaves the stream behind the body, also when the body is refused, unless it returns errGone:
// then the connection is over. What go-smtp still reads as the body is an empty one.
func (w *wire) receive(to io.Writer, limit int64) error {
	if w.low != nil {
		w.low.Transfer(true)
		defer w.low.Transfer(false)
	}
	w.feed = []byte(".\r\n")
	b := &body{to: to, limit: limit}
	if w.chunk != nil {
		c := *w.chunk
		w.chunk = nil
		return w.receiveChunks(b, c)
	}
	return w.receiveData(b)
}

// receiveData reads a body that ends with a dot.
func (w *wire) receiveData(b *body) error {
	var d dots
	defer w.mend()
	for {
		if w.r == w.w {
			if err := w.fill(); err != nil {
				return err
			}
		}
		n, done := d.next(w.buf[w.r:w.w], b.emit)
		w.r += n
		switch {
		case done:
			// Somebody may not agree with us about where this message ends, and what
			// follows may be meant to pass as commands.
			w.hangup = w.hangup || d.bad
			return b.verdict(d.bad, w.server.tooLarge())
		case b.size > b.swallow():
			return w.refuseAndClose(b.verdict(d.bad, w.server.tooLarge()))
		case d.bad && w.broken == "":
			w.breaks(errBare)
		}
	}
}

// refuseAndClose answers a body whose end is too far away.
func (w *wire) refuseAndClose(err error) error {
	r := replyOf(err, stepData)
	w.server.recordGone(w, err, r)
	return w.finish(r.line())
}

// breaks notes that the body will be refused. A client whose end of data is none for us (LF . LF)
// waits for an answer then: it gets it after some seconds of silence.
func (w *wire) breaks(err error) {
	w.broken = replyOf(err, stepData).line()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending == "" {
		w.raw.SetReadDeadline(w.deadline())
	}
}

// mend takes back what breaks did.
func (w *wire) mend() {
	if w.broken == "" {
		return
	}
	w.broken = ""
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ending == "" && !w.closed {
		w.raw.SetReadDeadline(w.deadline())
	}
}

// chunk is one BDAT command (RFC 3030, section 2).
type chunk struct {
	size int64
	last bool
}

// parseChunk reads a BDAT command; false if it cannot be known how many bytes follow.
func parseChunk(line []byte) (chunk, bool) {
	fields := strings.Split(string(bytes.TrimRight(line, "\r\n")), " ")
	if len(fields) == 0 || !strings.EqualFold(fields[0], "BDAT") {
		return chunk{}, false
	}
	if n := len(fields); n < 2 || n > 3 || n == 3 && !strings.EqualFold(fields[2], "LAST") {
		return chunk{}, false
	}
	if strings.Trim(fields[1], "0123456789") != "" {
		return chunk{}, false
	}
	size, err := strconv.ParseInt(fields[1], 10, 64)
	return chunk{size, len(fields) == 3}, err == nil
}

const badChunk = "501 5.5.4 BDAT needs a size in octets and may say LAST; what follows cannot be told from commands, closing the connection."

// bdat begins a message in chunks: for go-smtp it is DATA, whose go-ahead the client does not
// get. A chunk that cannot be taken is passed over, so that nothing in it is read as a command.
func (w *wire) bdat(line []byte) []byte {
	c, ok := parseChunk(line)
	if !ok {
		w.finish(badChunk)
		return nil
	}
	if w.session == nil || !w.session.ready() {
		if w.skip(c.size) == nil {
			w.say(503, "5.5.1", "MAIL and RCPT must be accepted before BDAT.")
		}
		return nil
	}
	w.chunk, w.mute = &c, true
	return []byte("DATA\r\n")
}

// skip passes over a chunk.
func (w *wire) skip(size int64) error {
	b := &body{to: io.Discard, limit: w.server.config.MaxMessage}
	if size > b.swallow() {
		return w.refuseAndClose(w.server.tooLarge())
	}
	return w.read(size, func([]byte) {})
}

// read passes the next size bytes to fn.
func (w *wire) read(size int64, fn func([]byte)) error {
	for size > 0 {
		if w.r == w.w {
			if err := w.fill(); err != nil {
				return err
			}
		}
		n := int(min(size, int64(w.w-w.r)))
		fn(w.buf[w.r : w.r+n])
		w.r += n
		size -= int64(n)
	}
	return nil
}

// receiveChunks reads a body that came with BDAT. A chunk cut short by the end of the connection
// is errGone, never a message.
func (w *wire) receiveChunks(b *body, c chunk) error {
	var l lines
	for {
		if c.size > b.swallow()-b.size {
			return w.refuseAndClose(w.server.tooLarge())
		}
		err := w.read(c.size, func(p []byte) {
			l.next(p)
			b.emit(p)
		})
		if err != nil {
			return err
		}
		if err := b.verdict(l.bad || c.last && !l.end(), w.server.tooLarge()); err != nil || c.last {
			return err
		}
		w.say(250, "2.0.0", strconv.FormatInt(c.size, 10)+" octets received")
		if c, err = w.nextChunk(); err != nil {
			return err
		}
	}
}

// nextChunk reads commands between two chunks up to the next BDAT.
func (w *wire) nextChunk() (chunk, error) {
	for {
		line, err := w.line()
		if err != nil {
			return chunk{}, err
		}
		verb, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(" "))
		switch strings.ToUpper(string(verb)) {
		case "BDAT":
			c, ok := parseChunk(line)
			if !ok {
				return chunk{}, w.finish(badChunk)
			}
			return c, nil
		case "NOOP":
			w.say(250, "2.0.0", "Nothing done")
		case "RSET", "EHLO", "HELO", "QUIT":
			w.r -= len(line) // for go-smtp, after the transaction has ended
			w.mute = true
			return chunk{}, errAborted
		default:
			w.say(503, "5.5.1", "Only BDAT, RSET and NOOP are possible within a message.")
			if w.isClosed() {
				return chunk{}, errGone
			}
		}
	}
}
