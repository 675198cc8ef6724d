package wire

import (
	"bytes"
	"errors"
	"io"
)

// ErrLine is a line longer than allowed. What follows cannot be told apart, so the connection
// is of no more use.
var ErrLine = errors.New("imap: line too long")

const (
	// firstInput is the size of a new buffer in bytes: most commands fit.
	firstInput = 512
	// keepInput is the largest buffer that is kept while nothing is in it.
	keepInput = 2 << 10
)

// Input reads lines and literals. Src must be set before the first read; it may be replaced
// when a layer (TLS, compression) is put on the connection.
type Input struct {
	Src  io.Reader
	buf  []byte
	r, w int // buf[r:w] was read and not yet taken
}

// Ready reports whether a whole line is in the buffer: the client sent more than one command.
func (in *Input) Ready() bool { return bytes.IndexByte(in.buf[in.r:in.w], '\n') >= 0 }

// Buffered returns what was read and not yet taken. It is valid until the next read.
func (in *Input) Buffered() []byte { return in.buf[in.r:in.w] }

// Discard forgets what was read and not yet taken.
func (in *Input) Discard() {
	clear(in.buf)
	in.r, in.w = 0, 0
}

// Wipe overwrites what was taken, after a line with a password.
func (in *Input) Wipe() { clear(in.buf[:in.r]) }

// Rest gives a large buffer back while nothing is in it, before a wait that may be long.
func (in *Input) Rest() {
	if in.r == in.w && len(in.buf) > keepInput {
		in.buf, in.r, in.w = nil, 0, 0
	}
}

// Line returns the next line without its end, valid until the next read. LF alone ends a line
// too. More than limit bytes are ErrLine.
func (in *Input) Line(limit int) ([]byte, error) {
	seen := 0 // bytes after r that have no LF
	for {
		if i := bytes.IndexByte(in.buf[in.r+seen:in.w], '\n'); i >= 0 {
			line := in.buf[in.r : in.r+seen+i]
			in.r += seen + i + 1
			if len(line) > limit {
				return nil, ErrLine
			}
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		if seen = in.w - in.r; seen > limit {
			return nil, ErrLine
		}
		if err := in.Fill(); err != nil {
			return nil, err
		}
	}
}

// Fill reads at least one more byte into the buffer.
func (in *Input) Fill() error {
	in.room()
	for range 100 {
		n, err := in.Src.Read(in.buf[in.w:])
		in.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// room makes place for at least one more byte.
func (in *Input) room() {
	if in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	if in.w < len(in.buf) {
		return
	}
	grown := make([]byte, max(firstInput, 2*len(in.buf)))
	copy(grown, in.buf)
	in.buf = grown
}

// Read implements io.Reader for the bytes of a literal: the caller reads no more than it has.
func (in *Input) Read(p []byte) (int, error) {
	if in.r < in.w {
		n := copy(p, in.buf[in.r:in.w])
		in.r += n
		return n, nil
	}
	return in.Src.Read(p)
}
