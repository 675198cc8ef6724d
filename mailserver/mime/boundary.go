package mime

import (
	"bytes"
	"slices"
)

// boundaries is the stack of open multiparts.
type boundaries struct {
	stack  [][]byte // outermost first
	sorted []int    // levels in the order of their boundaries; of equal ones the innermost first
}

func (s *boundaries) push(b []byte) {
	level := len(s.stack)
	s.stack = append(s.stack, b)
	at, _ := slices.BinarySearchFunc(s.sorted, b, func(i int, b []byte) int { return bytes.Compare(s.stack[i], b) })
	s.sorted = slices.Insert(s.sorted, at, level)
}

// cut closes all from level on.
func (s *boundaries) cut(level int) {
	if level >= len(s.stack) {
		return
	}
	clear(s.stack[level:])
	s.stack = s.stack[:level]
	s.sorted = slices.DeleteFunc(s.sorted, func(i int) bool { return i >= level })
}

// lookahead is how many bytes of a line decide whether it is a boundary.
const lookahead = 2 + MaxBoundary + 2

// hit is where a body ended: at a boundary line of the multipart number level, or at the end of the message (level -1).
type hit struct {
	level   int
	closing bool  // --boundary--
	start   int64 // of the line, or the size of the message
	eol     int64 // length of the line end before it, which belongs to the boundary
	lines   int64 // line feeds before start
}

// match says which multipart a line belongs to, -1 for none. RFC 2046 section 5.1.1: it is enough that the line begins
// with the boundary. Of several the longest counts, then the innermost: so a boundary that is the beginning of another,
// and a boundary used twice, do no harm.
//
// The candidates are narrowed byte by byte, so that a hundred boundaries cost a line of dashes little more than one.
func (s *boundaries) match(line []byte) (level int, closing bool) {
	level = -1
	if len(line) < 2 || line[0] != '-' || line[1] != '-' {
		return
	}
	line = line[2:]
	end := 0
	for lo, hi := 0, len(s.sorted); lo < hi; end++ {
		if len(s.stack[s.sorted[lo]]) == end { // all of it matched
			level = s.sorted[lo]
			for lo++; lo < hi && len(s.stack[s.sorted[lo]]) == end; lo++ {
			}
		}
		if end == len(line) || lo == hi {
			break
		}
		lo, hi = s.narrow(lo, hi, end, line[end])
	}
	if level >= 0 {
		closing = bytes.HasPrefix(line[len(s.stack[level]):], dashes)
	}
	return
}

// narrow returns which of the boundaries in sorted[lo:hi], equal before byte number at, have c there.
func (s *boundaries) narrow(lo, hi, at int, c byte) (int, int) {
	first := func(lo, hi int, c int) int {
		for lo < hi {
			if mid := (lo + hi) / 2; int(s.stack[s.sorted[mid]][at]) < c {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		return lo
	}
	lo = first(lo, hi, int(c))
	return lo, first(lo, hi, int(c)+1)
}

var dashes = []byte("--")

// scan passes over a body, counting its lines, up to the next boundary line, and passes over that line too. The builder
// stands at the beginning of a line.
func (b *builder) scan() (hit, error) {
	fresh := true // the byte before b.pos ends a line
	for {
		data, err := b.win.from(b.pos, lookahead)
		if err != nil {
			return hit{}, err
		}
		if len(data) == 0 {
			return b.atEnd(), nil
		}
		last := b.pos+int64(len(data)) == b.win.size
		at, level, closing := b.find(data, fresh, last)
		b.lines += int64(bytes.Count(data[:at], newline))
		if at > 0 {
			fresh = data[at-1] == '\n'
		}
		b.pos += int64(at)
		if level >= 0 {
			h := hit{level: level, closing: closing, start: b.pos, eol: b.win.eolBefore(b.pos), lines: b.lines}
			return h, b.skipLine()
		}
	}
}

var newline = []byte{'\n'}

func (b *builder) atEnd() hit {
	return hit{level: -1, start: b.win.size, lines: b.lines}
}

// find looks for a boundary line in data. It returns how many bytes come before it or, without one (level -1), how many
// are decided. last says that data reaches to the end of the message.
//
// It looks for two dashes and then at the byte before: base64 has no dash, so that encoded bodies pass at memory speed.
func (b *builder) find(data []byte, fresh, last bool) (at, level int, closing bool) {
	if len(b.bounds.stack) == 0 {
		return len(data), -1, false
	}
	for i := 0; ; {
		n := bytes.Index(data[i:], dashes)
		if n < 0 {
			break
		}
		i += n
		if i > 0 && data[i-1] == '\n' || i == 0 && fresh {
			if len(data)-i < lookahead && !last {
				return i, -1, false // undecided: come again with more of it
			}
			if level, closing = b.bounds.match(data[i:]); level >= 0 {
				return i, level, closing
			}
		}
		for i < len(data) && data[i] == '-' { // a ruler of dashes is passed at once
			i++
		}
	}
	if end := len(data) - 1; !last && data[end] == '-' && (end > 0 && data[end-1] == '\n' || end == 0 && fresh) {
		return end, -1, false
	}
	return len(data), -1, false
}

// skipLine passes over the rest of a line.
func (b *builder) skipLine() error {
	for {
		data, err := b.win.from(b.pos, 1)
		if err != nil || len(data) == 0 {
			return err
		}
		if n := bytes.IndexByte(data, '\n'); n >= 0 {
			b.pos += int64(n) + 1
			b.lines++
			return nil
		}
		b.pos += int64(len(data))
	}
}
