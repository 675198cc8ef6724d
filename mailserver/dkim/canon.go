package dkim

import (
	"bytes"
	"hash"
)

// body is the relaxed canonicalisation of a body (RFC 6376, section 3.4.4) on its way into a
// hash: runs of space become one, space at line ends goes, empty lines at the end go. Only CRLF
// ends a line; a CR or LF alone is a byte like others. It keeps a few counters of what it has
// seen and no byte of it.
type body struct {
	hash  hash.Hash
	out   []byte
	lines int  // line ends that count only if something follows
	space bool // space that counts only if something follows on its line
	cr    bool // a CR whose LF may follow
	any   bool // something was written
}

func newBody(h hash.Hash) *body { return &body{hash: h, out: make([]byte, 0, 4096)} }

// Write takes the next piece of the body. It never fails.
func (b *body) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if b.cr {
			b.cr = false
			if p[0] == '\n' {
				b.lines, b.space = b.lines+1, false
				p = p[1:]
				continue
			}
			b.wanted()
			b.append(bareCR)
		}
		switch p[0] {
		case '\r':
			b.cr = true
			p = p[1:]
		case ' ', '\t':
			b.space = true
			p = p[1:]
		default:
			run := 1
			for run < len(p) && p[run] != ' ' && p[run] != '\t' && p[run] != '\r' {
				run++
			}
			b.wanted()
			b.append(p[:run])
			p = p[run:]
		}
	}
	return n, nil
}

var lineEnd, oneSpace, bareCR = []byte("\r\n"), []byte(" "), []byte("\r")

// wanted writes what was waiting for something to follow, for now something does.
func (b *body) wanted() {
	for ; b.lines > 0; b.lines-- {
		b.append(lineEnd)
	}
	if b.space {
		b.append(oneSpace)
		b.space = false
	}
	b.any = true
}

func (b *body) append(p []byte) {
	if len(b.out)+len(p) > cap(b.out) {
		b.hash.Write(b.out)
		b.out = b.out[:0]
		if len(p) > cap(b.out) {
			b.hash.Write(p)
			return
		}
	}
	b.out = append(b.out, p...)
}

// Sum ends the body and returns its hash. An empty body stays empty; any other ends with one
// line end.
func (b *body) Sum() []byte {
	if b.cr {
		b.wanted()
		b.append(bareCR)
	}
	if b.any {
		b.append(lineEnd)
	}
	b.hash.Write(b.out)
	return b.hash.Sum(nil)
}

// appendField appends a field in relaxed form (RFC 6376, section 3.4.2): the name in lower
// case, the value without folds, runs of space as one, none at its ends; no line end.
func appendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, bytes.ToLower([]byte(name))...)
	dst = append(dst, ':')
	space := false
	start := len(dst)
	for _, c := range value {
		switch c {
		case ' ', '\t', '\r', '\n':
			space = true
		default:
			if space && len(dst) > start {
				dst = append(dst, ' ')
			}
			space = false
			dst = append(dst, c)
		}
	}
	return dst
}
