package pop3d

import (
	"io"
	"strconv"
	"sync"
)

// outputSize is the size of the output buffer: two TLS records.
const outputSize = 32 << 10

var outputs = sync.Pool{New: func() any { return new([outputSize]byte) }}

// output gathers answers. It holds a buffer from the pool while there is something in it. Its
// first error stays, and is returned by every further call.
type output struct {
	w    io.Writer
	buf  *[outputSize]byte
	n    int
	sent int64 // bytes given to w
	err  error
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
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
func (o *output) WriteString(s string) (int, error) {
	if o.buf != nil && o.n+len(s) < outputSize {
		o.n += copy(o.buf[o.n:], s)
		return len(s), o.err
	}
	return o.Write([]byte(s))
}

// writeInt writes n in decimal.
func (o *output) writeInt(n int64) {
	var digits [20]byte
	o.Write(strconv.AppendInt(digits[:0], n, 10))
}

func (o *output) send(p []byte) {
	if o.err != nil {
		return
	}
	n, err := o.w.Write(p)
	o.sent += int64(n)
	o.err = err
}

// Flush sends what is in the buffer and gives it back.
func (o *output) Flush() error {
	if o.n > 0 {
		o.send(o.buf[:o.n])
	}
	o.drop()
	return o.err
}

// drop gives the buffer back with what is in it.
func (o *output) drop() {
	if o.buf != nil {
		outputs.Put(o.buf)
	}
	o.buf, o.n = nil, 0
}

// mark is a place in the output to go back to.
type mark struct {
	sent int64
	n    int
}

func (o *output) mark() mark { return mark{o.sent, o.n} }

// undo takes back what was written since m, and reports false if some of it was sent.
func (o *output) undo(m mark) bool {
	if o.err != nil || o.sent != m.sent {
		return false
	}
	o.n = m.n
	return true
}
