package mime

// arena holds the texts kept of a message's headers, so that a part costs few allocations. Slices handed out stay
// valid: a full chunk is left to them and a new one begun.
type arena struct {
	buf  []byte
	left int // bytes that may still be allocated; 0 keeps nothing more
}

const arenaChunk = 4 << 10

// room makes sure that a value of up to n bytes fits the current chunk, and says whether it may be kept at all.
func (a *arena) room(n int) bool {
	if cap(a.buf)-len(a.buf) >= n {
		return true
	}
	size := max(n, arenaChunk)
	if !a.charge(size) {
		return false
	}
	a.buf = make([]byte, 0, size)
	return true
}

// charge counts n bytes that the caller is about to keep, and says whether it may.
func (a *arena) charge(n int) bool {
	if n > a.left {
		a.left = 0
		return false
	}
	a.left -= n
	return true
}

// take hands out what was appended to a.buf since it had length start. It is never nil: nil means absent.
func (a *arena) take(start int) []byte {
	return a.buf[start:len(a.buf):len(a.buf)]
}

// keep copies b.
func (a *arena) keep(b []byte) []byte {
	if !a.room(len(b)) {
		return nil
	}
	start := len(a.buf)
	a.buf = append(a.buf, b...)
	return a.take(start)
}
