package verify

import (
	"bytes"
	"io"
	"slices"
)

// appendField appends a header field in a canonical form of RFC 6376, section 3.4, ended by
// CRLF. raw is name, colon and value as they came.
func appendField(dst, raw []byte, relaxed bool) []byte {
	if !relaxed {
		dst = append(dst, raw...)
		if !bytes.HasSuffix(raw, crlf) { // the header ended here, before an empty line
			dst = append(dst, crlf...)
		}
		return dst
	}
	colon := bytes.IndexByte(raw, ':')
	for _, c := range bytes.TrimRight(raw[:colon], " \t") {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	dst = append(dst, ':')
	start, space := len(dst), false
	for _, c := range raw[colon+1:] {
		switch {
		case c == ' ' || c == '\t':
			space = true
		case c == '\r' || c == '\n':
		default:
			if space && len(dst) > start {
				dst = append(dst, ' ')
			}
			dst = append(dst, c)
			space = false
		}
	}
	return append(dst, crlf...)
}

// withoutValue returns a field that holds a tag list with the value of one tag taken out, space
// around it included (RFC 6376, section 3.7).
func withoutValue(raw []byte, name string) []byte {
	at := bytes.IndexByte(raw, ':') + 1
	for at < len(raw) {
		end := at + bytes.IndexByte(raw[at:], ';')
		if end < at {
			end = len(raw)
		}
		if equals := bytes.IndexByte(raw[at:end], '='); equals >= 0 && trim(string(raw[at:at+equals])) == name {
			return slices.Concat(raw[:at+equals+1], raw[end:])
		}
		at = end + 1
	}
	return raw
}

// appendSigned appends the field of a signature as it signs itself: without the value of b=
// and without its line end.
func appendSigned(dst, raw []byte, relaxed bool) []byte {
	return bytes.TrimSuffix(appendField(dst, withoutValue(raw, "b"), relaxed), crlf)
}

var crlf = []byte("\r\n")

// bodyWriter makes a canonical form of a body out of pieces of any size and hands it on in
// constant memory. Close ends the body.
type bodyWriter struct {
	w       io.Writer
	relaxed bool
	crlfs   int64 // line ends held back: at the end of the body they do not count
	cr      bool  // a CR held back, until it is known what follows
	space   bool  // relaxed: white space held back
	written bool
	out     []byte
}

// maxOut is how much of the canonical form is kept before it is handed on.
const maxOut = 32 << 10

// Write takes the next piece. It fails only if the writer below does.
func (b *bodyWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if b.cr {
			b.cr = false
			if p[0] == '\n' {
				b.crlfs, b.space = b.crlfs+1, false
				p = p[1:]
				continue
			}
			if err := b.emit([]byte{'\r'}); err != nil {
				return 0, err
			}
		}
		switch {
		case p[0] == '\r':
			b.cr, p = true, p[1:]
		case b.relaxed && (p[0] == ' ' || p[0] == '\t'):
			b.space, p = true, p[1:]
		default:
			run := b.run(p)
			if err := b.emit(p[:run]); err != nil {
				return 0, err
			}
			p = p[run:]
		}
	}
	return n, nil
}

// run returns the length of the plain bytes at the start of p.
func (b *bodyWriter) run(p []byte) int {
	if !b.relaxed {
		if i := bytes.IndexByte(p, '\r'); i >= 0 {
			return i
		}
		return len(p)
	}
	for i, c := range p {
		if c == ' ' || c == '\t' || c == '\r' {
			return i
		}
	}
	return len(p)
}

// emit hands on what was held back, and then bytes that end neither line nor body.
func (b *bodyWriter) emit(p []byte) error {
	for ; b.crlfs > 0; b.crlfs-- {
		b.out = append(b.out, crlf...)
		if len(b.out) >= maxOut {
			if err := b.flush(); err != nil {
				return err
			}
		}
	}
	if b.space {
		b.out, b.space = append(b.out, ' '), false
	}
	b.out, b.written = append(b.out, p...), true
	if len(b.out) >= maxOut {
		return b.flush()
	}
	return nil
}

func (b *bodyWriter) flush() error {
	_, err := b.w.Write(b.out)
	b.out = b.out[:0]
	return err
}

// Close ends the body: with one line end; an empty one has it in the simple form only
// (RFC 6376, sections 3.4.3 and 3.4.4).
func (b *bodyWriter) Close() error {
	if b.cr {
		b.cr = false
		if err := b.emit([]byte{'\r'}); err != nil {
			return err
		}
	}
	if b.written || !b.relaxed {
		b.out = append(b.out, crlf...)
	}
	return b.flush()
}
