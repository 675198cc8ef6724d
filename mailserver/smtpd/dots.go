package smtpd

import "bytes"

// The places of a dots in its stream.
const (
	atLine  = iota // at the beginning of a line
	atDot          // behind a dot that began a line
	atDotCR        // behind such a dot and CR
	inLine         // anywhere else
	atCR           // behind a CR in a line
)

// dots reads a body sent with DATA: it takes off the dots that were doubled and finds the end,
// which is CR LF . CR LF and nothing else. RFC 5321, sections 2.3.8 and 4.5.2.
type dots struct {
	place int
	bad   bool // a bare CR, a bare LF or a NUL was seen
}

// next reads a piece of the stream and passes on what belongs to the message, in pieces of its
// own. It returns how much of the piece it took, less than all only at the end of the message.
func (d *dots) next(in []byte, emit func([]byte)) (n int, done bool) {
	run := 0 // what is behind it was passed on
	for n < len(in) {
		c := in[n]
		switch d.place {
		case atLine:
			d.place = inLine
			if c == '.' {
				emit(in[run:n])
				n++
				run, d.place = n, atDot
			}
		case atDot:
			d.place = inLine
			if c == '\r' {
				n++
				run, d.place = n, atDotCR
			}
		case atDotCR:
			if c == '\n' {
				d.place = atLine
				return n + 1, true
			}
			d.place, d.bad = inLine, true
		case atCR:
			d.place = inLine
			if c == '\n' {
				n++
				d.place = atLine
			} else {
				d.bad = true
			}
		default:
			n = d.line(in, n)
		}
	}
	emit(in[run:])
	return n, false
}

// line reads within a line up to its end or up to a CR.
func (d *dots) line(in []byte, n int) int {
	rest := in[n:]
	end := bytes.IndexByte(rest, '\r')
	if end < 0 {
		end = len(rest)
	} else {
		d.place = atCR
		n++ // the CR itself
	}
	if !clean(rest[:end]) {
		d.bad = true
	}
	return n + end
}

// clean reports that there is no NUL and no LF in a stretch without CR.
func clean(b []byte) bool {
	return bytes.IndexByte(b, 0) < 0 && bytes.IndexByte(b, '\n') < 0
}

// lines checks the same in a body that came in chunks, where nothing is stuffed.
type lines struct {
	cr  bool // the last byte was CR
	bad bool
}

func (l *lines) next(in []byte) {
	if bytes.IndexByte(in, 0) >= 0 {
		l.bad = true
	}
	for len(in) > 0 && !l.bad {
		if l.cr {
			l.cr, l.bad = false, in[0] != '\n'
			in = in[1:]
			continue
		}
		end := bytes.IndexByte(in, '\r')
		if end < 0 {
			l.bad = bytes.IndexByte(in, '\n') >= 0
			return
		}
		l.bad = bytes.IndexByte(in[:end], '\n') >= 0
		l.cr = true
		in = in[end+1:]
	}
}

// end tells whether the whole was in order.
func (l *lines) end() bool { return !l.bad && !l.cr }
