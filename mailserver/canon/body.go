package canon

import (
	"bytes"
	"io"
	"sync"
)

// maxOut is how much of a canonical form is kept, in bytes, before it is handed on.
const maxOut = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, maxOut); return &b }}

// Body makes a canonical form of a body and hands it on. Close ends the body; a Body that is not
// closed leaves nothing behind.
type Body struct {
	w      io.Writer
	form   Form
	crlfs  int64 // line ends held back: at the end of the body they do not count
	cr     bool  // a CR held back, until it is known what follows
	space  bool  // relaxed: white space held back
	some   bool  // anything was handed on or is in out
	buffer *[]byte
	out    []byte
}

// NewBody returns a Body that writes to w.
func NewBody(w io.Writer, f Form) *Body {
	buffer := buffers.Get().(*[]byte)
	return &Body{w: w, form: f, buffer: buffer, out: (*buffer)[:0]}
}

// Write takes the next piece of the body. It fails only if the writer below does.
func (b *Body) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if b.cr {
			b.cr = false
			if p[0] == '\n' {
				b.crlfs, b.space = b.crlfs+1, false
				p = p[1:]
				continue
			}
			if err := b.emit(bareCR); err != nil {
				return 0, err
			}
		}
		switch {
		case p[0] == '\r':
			b.cr, p = true, p[1:]
		case b.form == Relaxed && (p[0] == ' ' || p[0] == '\t'):
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

// run returns how many bytes of p, the first of which is neither CR nor, in relaxed form, space,
// stay as they are: they end with a byte that ends neither line nor body.
func (b *Body) run(p []byte) int {
	if b.form == Simple {
		return simpleRun(p)
	}
	return relaxedRun(p)
}

func simpleRun(p []byte) int {
	i := 0
	for {
		next := bytes.IndexByte(p[i:], '\r')
		if next < 0 {
			return len(p)
		}
		i += next
		if i+2 >= len(p) || p[i+1] != '\n' || p[i+2] == '\r' {
			return i
		}
		i += 2
	}
}

// relaxedRun passes over words, single spaces between them, and line ends with a word on both
// sides: most text is nothing else.
func relaxedRun(p []byte) int {
	for i := 0; i < len(p); {
		switch {
		case class[p[i]] == word:
			i++
		case p[i] == ' ' && i+1 < len(p) && class[p[i+1]] == word:
			i += 2
		case p[i] == '\r' && i+2 < len(p) && p[i+1] == '\n' && class[p[i+2]] == word:
			i += 3
		default:
			return i
		}
	}
	return len(p)
}

var bareCR, oneSpace = []byte("\r"), []byte(" ")

const word = 0

// class tells the bytes that are not plain parts of words.
var class = [256]uint8{' ': 1, '\t': 1, '\r': 1}

// emit hands on what was held back, and then bytes that end neither line nor body.
func (b *Body) emit(p []byte) error {
	for ; b.crlfs > 0; b.crlfs-- {
		if err := b.append(crlf); err != nil {
			return err
		}
	}
	if b.space {
		b.space = false
		if err := b.append(oneSpace); err != nil {
			return err
		}
	}
	b.some = true
	return b.append(p)
}

func (b *Body) append(p []byte) error {
	if len(b.out)+len(p) <= cap(b.out) {
		b.out = append(b.out, p...)
		return nil
	}
	if err := b.flush(); err != nil {
		return err
	}
	if len(p) < cap(b.out) {
		b.out = append(b.out, p...)
		return nil
	}
	_, err := b.w.Write(p)
	return err
}

func (b *Body) flush() error {
	if len(b.out) == 0 {
		return nil
	}
	_, err := b.w.Write(b.out)
	b.out = b.out[:0]
	return err
}

// Close ends the body: with one line end, an empty one in the simple form only (sections 3.4.3
// and 3.4.4). It must be called once at most, and the Body is of no use after it.
func (b *Body) Close() error {
	defer func() { buffers.Put(b.buffer); b.buffer, b.out = nil, nil }()
	if b.cr {
		if err := b.emit(bareCR); err != nil {
			return err
		}
	}
	if b.some || b.form == Simple {
		if err := b.append(crlf); err != nil {
			return err
		}
	}
	return b.flush()
}

// Cut passes on the first Length bytes of a canonical form, which are what l= says that a
// signature covers (section 3.5), and counts all of it.
type Cut struct {
	W      io.Writer
	Length int64 // -1 = all
	Total  int64 // bytes so far, those cut off included
}

// Write takes the next piece. It fails only if the writer below does.
func (c *Cut) Write(p []byte) (int, error) {
	n := len(p)
	if left := c.Length - c.Total; c.Length >= 0 && left < int64(n) {
		p = p[:max(left, 0)]
	}
	c.Total += int64(n)
	if len(p) > 0 {
		if _, err := c.W.Write(p); err != nil {
			return 0, err
		}
	}
	return n, nil
}
