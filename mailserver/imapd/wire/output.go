package wire

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// outputSize is the size of the buffer: two TLS records.
const outputSize = 32 << 10

var outputs = sync.Pool{New: func() any { return new([outputSize]byte) }}

// Output gathers responses. It holds a buffer from the pool while there is something in it.
// Its first error stays, and is returned by every further call. Nothing is allocated for a
// line.
type Output struct {
	Dst io.Writer
	// UTF8 says that names of mailboxes are sent as UTF-8.
	UTF8 bool

	buf  *[outputSize]byte
	n    int
	sent int64
	err  error
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 && o.err == nil {
		if o.n == 0 && len(p) >= outputSize {
			o.send(p)
			break
		}
		if o.buf == nil {
			o.buf = outputs.Get().(*[outputSize]byte)
		}
		k := copy(o.buf[o.n:], p)
		o.n += k
		p = p[k:]
		if o.n == outputSize {
			o.send(o.buf[:])
			o.n = 0
		}
	}
	if o.err != nil {
		return 0, o.err
	}
	return size, nil
}

// WriteString implements io.StringWriter.
func (o *Output) WriteString(s string) (int, error) {
	if o.buf != nil && o.n+len(s) < outputSize {
		o.n += copy(o.buf[o.n:], s)
		return len(s), o.err
	}
	return o.Write([]byte(s))
}

// Strings writes several strings.
func (o *Output) Strings(parts ...string) {
	for _, s := range parts {
		o.WriteString(s)
	}
}

// Int writes n in decimal.
func (o *Output) Int(n int64) {
	var digits [20]byte
	o.Write(strconv.AppendInt(digits[:0], n, 10))
}

func (o *Output) send(p []byte) {
	if o.err != nil {
		return
	}
	n, err := o.Dst.Write(p)
	o.sent += int64(n)
	o.err = err
}

// Flush sends what is in the buffer and gives it back.
func (o *Output) Flush() error {
	if o.n > 0 {
		o.send(o.buf[:o.n])
	}
	o.Drop()
	return o.err
}

// Err returns the first error.
func (o *Output) Err() error { return o.err }

// Drop gives the buffer back with what is in it.
func (o *Output) Drop() {
	if o.buf != nil {
		outputs.Put(o.buf)
	}
	o.buf, o.n = nil, 0
}

// Mark is a place in the output to go back to.
type Mark struct {
	sent int64
	n    int
}

// Mark returns where the output is.
func (o *Output) Mark() Mark { return Mark{o.sent, o.n} }

// Undo takes back what was written since m, and reports false if some of it was sent.
func (o *Output) Undo(m Mark) bool {
	if o.err != nil || o.sent != m.sent {
		return false
	}
	o.n = m.n
	return true
}

// Quoted writes a quoted string; s must be text without line ends and NUL.
func (o *Output) Quoted(s string) {
	o.WriteString(`"`)
	for s != "" {
		i := 0
		for i < len(s) && s[i] != '"' && s[i] != '\\' {
			i++
		}
		o.WriteString(s[:i])
		if i < len(s) {
			o.WriteString(`\`)
			o.WriteString(s[i : i+1])
			i++
		}
		s = s[i:]
	}
	o.WriteString(`"`)
}

// String writes a string, as a literal if it cannot be quoted.
func (o *Output) String(s string) {
	if quotable(s, o.UTF8) {
		o.Quoted(s)
		return
	}
	o.Literal(int64(len(s)))
	o.WriteString(s)
}

func quotable(s string, utf bool) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f || c >= utf8.RuneSelf && !utf {
			return false
		}
	}
	return !utf || utf8.ValidString(s)
}

// Literal writes the announcement of a literal of n bytes, which are to follow.
func (o *Output) Literal(n int64) {
	o.WriteString("{")
	o.Int(n)
	o.WriteString("}\r\n")
}

// Mailbox writes the name of a mailbox.
func (o *Output) Mailbox(name string) {
	if o.UTF8 {
		o.Quoted(name)
		return
	}
	var b [64]byte
	encoded := AppendUTF7(b[:0], name)
	for _, c := range encoded {
		if !isAtom(c) || c == ']' {
			o.Quoted(string(encoded))
			return
		}
	}
	if len(encoded) == 0 || strings.EqualFold(string(encoded), "NIL") {
		o.Quoted(string(encoded))
		return
	}
	o.Write(encoded)
}

// Numbers writes numbers parted by spaces, with a space before each.
func (o *Output) Numbers(numbers []uint32) {
	for _, n := range numbers {
		o.WriteString(" ")
		o.Int(int64(n))
	}
}

// Ranges writes rising numbers as a sequence set.
func (o *Output) Ranges(numbers []uint32) {
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if i > 0 {
			o.WriteString(",")
		}
		o.Int(int64(numbers[i]))
		if j > i {
			o.WriteString(":")
			o.Int(int64(numbers[j]))
		}
		i = j + 1
	}
}

// WithoutNUL replaces what no literal may hold (RFC 9051, section 4.3) by a byte that means
// nothing in UTF-8, in place.
func WithoutNUL(p []byte) {
	for {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			return
		}
		p[i] = 0x80
		p = p[i+1:]
	}
}
