package mime

import (
	"bytes"
	"encoding/base64"
	"io"
)

// NewDecoder returns a reader of a body without its transfer encoding. known is false for an encoding other than those of RFC
// 2045; then the bytes pass as they are (IMAP BINARY answers UNKNOWN-CTE). Broken input is read as mail programs read it; the
// reader fails only if r does.
func NewDecoder(r io.Reader, encoding string) (d io.Reader, known bool) {
	e := bytes.TrimSpace([]byte(encoding))
	switch {
	case foldedIs(e, "base64"):
		return newTransferReader(r, &base64State{}), true
	case foldedIs(e, "quoted-printable"):
		return newTransferReader(r, &qpState{}), true
	}
	return r, len(e) == 0 || foldedIs(e, "7bit") || foldedIs(e, "8bit") || foldedIs(e, "binary")
}

// appendDecoded appends src, the beginning of a body or all of it, without its transfer encoding.
func appendDecoded(dst, src []byte, encoding string) []byte {
	switch encoding {
	case "base64":
		return (&base64State{}).append(dst, src, true)
	case "quoted-printable":
		return (&qpState{}).append(dst, src, true)
	}
	return append(dst, src...)
}

// transferState decodes piece by piece. What it appends is never longer than its input and what it held back before.
type transferState interface {
	append(dst, src []byte, last bool) []byte
}

// transferReader reads through a transferState with buffers of its own.
type transferReader struct {
	r       io.Reader
	state   transferState
	in, out []byte
	ready   []byte // part of out that is not read yet
	err     error
}

func newTransferReader(r io.Reader, s transferState) *transferReader {
	return &transferReader{r: r, state: s, in: make([]byte, 8<<10), out: make([]byte, 0, 9<<10)}
}

func (t *transferReader) Read(p []byte) (int, error) {
	for len(t.ready) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		n, err := t.r.Read(t.in)
		t.err = err
		t.out = t.state.append(t.out[:0], t.in[:n], err == io.EOF)
		t.ready = t.out
	}
	n := copy(p, t.ready)
	t.ready = t.ready[n:]
	return n, nil
}

// base64State decodes base64 (RFC 2045 section 6.8): bytes outside the alphabet are passed over, padding ends a group and
// more may follow it, as in two encodings put one after the other.
type base64State struct {
	bits uint32
	n    uint // sextets in bits
	slow bool // this line is not clean: byte by byte up to its end
}

// base64Values maps a byte to its six bits, 64 and more for bytes outside the alphabet.
var base64Values = func() (t [256]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = 255
	}
	for i := range alphabet {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

func (s *base64State) append(dst, src []byte, last bool) []byte {
	for len(src) > 0 {
		if s.n == 0 && !s.slow {
			if dst, src = appendLines(dst, src); len(src) == 0 {
				break
			}
		}
		c := src[0]
		src = src[1:]
		s.slow = c != '\n'
		if v := base64Values[c]; v < 64 {
			if s.bits, s.n = s.bits<<6|uint32(v), s.n+1; s.n == 4 {
				dst = append(dst, byte(s.bits>>16), byte(s.bits>>8), byte(s.bits))
				s.bits, s.n = 0, 0
			}
		} else if c == '=' {
			dst = s.flush(dst)
		}
	}
	if last {
		dst = s.flush(dst)
	}
	return dst
}

// flush ends a group before its time: two sextets are one byte, three are two, one is nothing.
func (s *base64State) flush(dst []byte) []byte {
	switch s.n {
	case 2:
		dst = append(dst, byte(s.bits>>4))
	case 3:
		dst = append(dst, byte(s.bits>>10), byte(s.bits>>2))
	}
	s.bits, s.n = 0, 0
	return dst
}

// appendLines decodes whole clean lines at the speed of the standard library and returns what it did not take.
func appendLines(dst, src []byte) (out, rest []byte) {
	for {
		line := src
		if n := bytes.IndexByte(src, '\n'); n >= 0 {
			line = bytes.TrimSuffix(src[:n], []byte{'\r'})
		}
		n := len(line) &^ 3
		if n == 0 || n < len(line) && len(line) < len(src) || line[n-1] == '=' {
			return dst, src
		}
		at := len(dst)
		dst = append(dst, line[:n*3/4]...) // room
		if got, err := base64.StdEncoding.Decode(dst[at:], line[:n]); err != nil || got != n*3/4 {
			return dst[:at], src
		}
		src = src[n:]
		for len(src) > 0 && (src[0] == '\r' || src[0] == '\n') {
			src = src[1:]
		}
		if len(src) == 0 {
			return dst, src
		}
	}
}

// qpState decodes quoted-printable (RFC 2045 section 6.7). "=" that nothing sensible follows stays; space at the end of a line
// goes away.
type qpState struct {
	held []byte // the beginning of an escape, or space that may be the end of a line
}

func (s *qpState) append(dst, src []byte, last bool) []byte {
	if len(s.held) > 0 {
		src = append(s.held, src...)
		s.held = nil
	}
	for i := 0; i < len(src); {
		n := i
		for n < len(src) && src[n] != '=' && !isWSP(src[n]) {
			n++
		}
		if dst = append(dst, src[i:n]...); n == len(src) {
			return dst
		}
		i = n
		var used int
		if src[i] == '=' {
			dst, used = qpEscape(dst, src[i:], last)
		} else {
			dst, used = qpSpace(dst, src[i:], last)
		}
		if used == 0 {
			s.held = append([]byte(nil), src[i:]...)
			return dst
		}
		i += used
	}
	return dst
}

// maxHeld is the longest run of space that is held back to see whether a line ends after it.
const maxHeld = 1024

// qpEscape decodes what "=" begins: two digits, or a soft line break with the space that may stand before the line end.
func qpEscape(dst, src []byte, last bool) (out []byte, used int) {
	if len(src) > 2 && unhex(src[1]) < 16 && unhex(src[2]) < 16 {
		return append(dst, unhex(src[1])<<4|unhex(src[2])), 3
	}
	i := 1
	for i < len(src) && i < maxHeld && isWSP(src[i]) {
		i++
	}
	switch rest := src[i:]; {
	case len(rest) > 0 && rest[0] == '\n':
		return dst, i + 1
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		return dst, i + 2
	case len(rest) == 0 && last:
		return dst, i // the message ends in a soft line break
	case !last && i < maxHeld && (len(rest) == 0 || len(rest) == 1 && (rest[0] == '\r' || i == 1)):
		return dst, 0
	}
	return append(dst, '='), 1
}

func qpSpace(dst, src []byte, last bool) (out []byte, used int) {
	i := 1
	for i < len(src) && i < maxHeld && isWSP(src[i]) {
		i++
	}
	switch rest := src[i:]; {
	case i == maxHeld:
	case len(rest) == 0 && !last, len(rest) == 1 && rest[0] == '\r' && !last:
		return dst, 0
	case len(rest) == 0, rest[0] == '\n', len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		return dst, i
	}
	return append(dst, src[:i]...), i
}
