package pop3d

import "bytes"

// dotWriter sends the lines of a message: a dot at the beginning of a line is doubled, and
// the end is a line with a single dot (RFC 1939, section 3). Lines end at LF here, so that a
// message with bare ones, which are never stored, could not end its own transfer for a
// client that takes them for line ends.
type dotWriter struct {
	out   *output
	inner bool    // not at the beginning of a line
	last  [2]byte // the last bytes written, to know how the message ends
}

func (d *dotWriter) reset(out *output) { *d = dotWriter{out: out, last: [2]byte{'\r', '\n'}} }

var lineDot = []byte("\n.")

// Write implements io.Writer. It allocates nothing and copies each byte once.
func (d *dotWriter) Write(p []byte) (int, error) {
	size := len(p)
	if size == 0 {
		return 0, nil
	}
	if !d.inner && p[0] == '.' {
		d.out.WriteString(".")
	}
	if size == 1 {
		d.last[0], d.last[1] = d.last[1], p[0]
	} else {
		copy(d.last[:], p[size-2:])
	}
	d.inner = p[size-1] != '\n'
	for {
		i := bytes.Index(p, lineDot)
		if i < 0 {
			break
		}
		d.out.Write(p[:i+2])
		p = p[i+1:] // the dot goes a second time
	}
	if _, err := d.out.Write(p); err != nil {
		return 0, err
	}
	return size, nil
}

// finish ends the message, on a line of its own.
func (d *dotWriter) finish() {
	if d.last != [2]byte{'\r', '\n'} {
		d.out.WriteString("\r\n")
	}
	d.out.WriteString(".\r\n")
}

// topReader tells how much of a message is its header, the empty line and a number of lines
// of its body (RFC 1939, section 7, TOP).
type topReader struct {
	lines  int64 // of the body that are wanted still
	inBody bool
	column int // bytes of the line that is being read; 1 only if it may be an empty one's CR
}

// take returns how many of p's bytes belong to what is wanted, and whether that was the end.
func (t *topReader) take(p []byte) (n int, done bool) {
	for n < len(p) {
		if t.inBody && t.lines == 0 {
			return n, true
		}
		i := bytes.IndexByte(p[n:], '\n')
		if i < 0 {
			t.begin(p[n:])
			return len(p), false
		}
		t.begin(p[n : n+i])
		switch {
		case t.inBody:
			t.lines--
		case t.column < 2:
			t.inBody = true
		}
		t.column = 0
		n += i + 1
	}
	return n, t.inBody && t.lines == 0
}

// begin takes in a piece of a line: a lone CR keeps it empty.
func (t *topReader) begin(piece []byte) {
	if t.column == 0 && len(piece) == 1 && piece[0] == '\r' {
		t.column = 1
	} else if len(piece) > 0 {
		t.column = 2
	}
}
