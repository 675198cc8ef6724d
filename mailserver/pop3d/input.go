package pop3d

import (
	"bytes"
	"errors"
	"io"
)

// maxLine is the longest line that is read, its end included: an initial response of AUTH
// may be that long. maxCommand is the longest of every other command but PASS, which takes
// longer lines so that a password over bcrypt's limit can be refused in words. RFC 2449,
// section 4, asks for 255 octets.
const (
	maxLine    = 8 << 10
	maxCommand = 512
)

// firstInput is the size of the buffer until a longer line comes, in bytes.
const firstInput = 1 << 10

var errTooLong = errors.New("pop3d: line too long")

// input reads lines. The zero value is ready to use.
type input struct {
	buf  []byte
	r, w int // buf[r:w] was read from the connection and not yet taken
}

// ready reports whether a whole line is in the buffer.
func (in *input) ready() bool { return bytes.IndexByte(in.buf[in.r:in.w], '\n') >= 0 }

// discard forgets what came but was not taken.
func (in *input) discard() {
	clear(in.buf)
	in.r, in.w = 0, 0
}

// wipe overwrites the lines already taken, after one with a password.
func (in *input) wipe() { clear(in.buf[:in.r]) }

// line returns the next line without its end, valid until the next call. LF alone ends a
// line too: nothing in POP3 hangs on the difference. A line of more than maxLine bytes is
// errTooLong, after which the input is of no use.
func (in *input) line(src io.Reader) ([]byte, error) {
	seen := 0 // bytes after r that have no LF
	for {
		if i := bytes.IndexByte(in.buf[in.r+seen:in.w], '\n'); i >= 0 {
			line := in.buf[in.r : in.r+seen+i]
			in.r += seen + i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		seen = in.w - in.r
		if seen >= maxLine {
			return nil, errTooLong
		}
		in.room()
		n, err := src.Read(in.buf[in.w:])
		in.w += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// room makes place for at least one more byte.
func (in *input) room() {
	if in.r > 0 {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	if in.w < len(in.buf) {
		return
	}
	grown := make([]byte, min(max(firstInput, 2*len(in.buf)), maxLine))
	copy(grown, in.buf)
	in.buf = grown
}
