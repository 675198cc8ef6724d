package mime

import (
	"errors"
	"io"
	"sync"
)

// windowSize is the size of the sliding buffer: large enough that the cost of a read call disappears, small enough that
// a hundred deliveries at once are cheap.
const windowSize = 128 << 10

// window is a buffer that slides forward over a message.
type window struct {
	r    io.ReaderAt
	size int64
	buf  []byte
	pool *[]byte // where buf is to go back to; nil once it grew
	base int64   // offset in the message of buf[0]
	n    int     // bytes of buf that are valid
}

var windows = sync.Pool{New: func() any { b := make([]byte, windowSize); return &b }}

func openWindow(r io.ReaderAt, size int64) window {
	b := windows.Get().(*[]byte)
	return window{r: r, size: size, buf: *b, pool: b}
}

func (w *window) close() {
	w.release()
	w.buf = nil
}

// behind is the number of bytes kept before a position, so that the line end before a boundary can be looked at.
const behind = 2

// from returns the bytes from offset off on: at least min of them, unless the message ends before. They are valid until
// the next call. off must not lie before what an earlier call dropped.
func (w *window) from(off int64, min int) ([]byte, error) {
	if int64(min) > w.size-off {
		min = int(w.size - off)
	}
	if have := w.base + int64(w.n) - off; have < int64(min) {
		if err := w.slide(off, min); err != nil {
			return nil, err
		}
	}
	return w.buf[off-w.base : w.n], nil
}

// slide drops what lies before off and reads until the buffer is full or the message ends.
func (w *window) slide(off int64, min int) error {
	keep := max(off-behind, w.base)
	rest := w.buf[keep-w.base : w.n]
	if min+behind > len(w.buf) {
		bigger := make([]byte, max(min+behind, 2*len(w.buf)))
		copy(bigger, rest)
		w.release()
		w.buf = bigger
	} else {
		copy(w.buf, rest)
	}
	w.base, w.n = keep, len(rest)
	want := w.buf[w.n:]
	if left := w.size - w.base - int64(w.n); left < int64(len(want)) {
		want = want[:left]
	}
	got, err := w.r.ReadAt(want, w.base+int64(w.n))
	w.n += got
	if got == len(want) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the message is shorter than its size says
	}
	return err
}

// release gives the buffer back; one grown for a huge header is not kept.
func (w *window) release() {
	if w.pool != nil {
		windows.Put(w.pool)
		w.pool = nil
	}
}

// eolBefore returns the length of the line end that ends at off: 0, 1 (LF) or 2 (CRLF).
func (w *window) eolBefore(off int64) int64 {
	i := int(off - w.base)
	switch {
	case i < 1 || w.buf[i-1] != '\n':
		return 0
	case i >= 2 && w.buf[i-2] == '\r':
		return 2
	}
	return 1
}

// prefix copies up to len(dst) bytes from off into dst, from the buffer if it still has them.
func (w *window) prefix(dst []byte, off int64) (int, error) {
	if left := w.size - off; int64(len(dst)) > left {
		dst = dst[:max(left, 0)]
	}
	if off >= w.base && off+int64(len(dst)) <= w.base+int64(w.n) {
		return copy(dst, w.buf[off-w.base:]), nil
	}
	n, err := w.r.ReadAt(dst, off)
	if n == len(dst) {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
