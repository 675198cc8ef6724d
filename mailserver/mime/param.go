package mime

import "bytes"

// Param is one parameter of Content-Type or Content-Disposition as IMAP shows it: quotes and comments taken away,
// continuations (RFC 2231 section 3) joined, extended values still in their encoding under a name that ends in "*".
type Param struct{ Name, Value []byte }

// paramSize is the memory that a parameter takes beside its texts.
const paramSize = 48

// parseParams reads *(";" name "=" value) from l. Junk up to the next semicolon is passed over.
func parseParams(l *lexer, a *arena) []Param {
	var out []Param
	for seen := 0; seen < MaxParams; seen++ {
		for l.skip(); !l.end() && l.peek() != ';'; l.skip() {
			if l.peek() == '"' {
				l.i, _ = quotedEnd(l.b, l.i)
			} else {
				l.i++
			}
		}
		if l.end() || !a.charge(paramSize) {
			break
		}
		l.i++
		if p, ok := parseParam(l, a); ok {
			out = append(out, p)
		}
	}
	return joinParams(out, a)
}

// quotedEnd returns where the quoted string that begins at i ends, and whether a quote closes it.
func quotedEnd(b []byte, i int) (end int, closed bool) {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1, true
		case '\\':
			i++
		}
	}
	return len(b), false
}

// parseParam reads one name=value. A name without a value, or with a quoted one that never ends, is no parameter.
func parseParam(l *lexer, a *arena) (p Param, ok bool) {
	l.skip()
	name := l.token()
	l.skip()
	if len(name) == 0 || l.peek() != '=' {
		return p, false
	}
	l.i++
	l.skip()
	if !a.room(len(name) + len(l.b) - l.i) {
		return p, false
	}
	p.Name = a.keep(name)
	start := len(a.buf)
	if l.peek() == '"' {
		if _, closed := quotedEnd(l.b, l.i); !closed {
			return p, false
		}
		a.buf = l.appendQuoted(a.buf)
	} else {
		if a.buf = append(a.buf, l.bareValue()...); len(a.buf) == start {
			return p, false
		}
	}
	p.Value = a.take(start)
	return p, true
}

// bareValue returns a value without quotes. It should be a token, but programs leave the quotes away around "=" and "/" too,
// most of all in boundaries.
func (l *lexer) bareValue() []byte {
	start := l.i
	for l.i < len(l.b) && !isSpace(l.b[l.i]) && l.b[l.i] != ';' && l.b[l.i] != '"' && l.b[l.i] != '(' {
		l.i++
	}
	return l.b[start:l.i]
}

// section is what the asterisks in a parameter's name say.
type section struct {
	base     []byte
	number   int // -1: not numbered
	extended bool
	used     bool
}

// splitSection reads name, name*, name*N and name*N*.
func splitSection(name []byte) section {
	s := section{base: name, number: -1}
	star := bytes.IndexByte(name, '*')
	if star < 1 {
		return s
	}
	suffix := name[star+1:]
	if len(suffix) == 0 {
		return section{base: name[:star], number: -1, extended: true}
	}
	if suffix[len(suffix)-1] == '*' {
		s.extended, suffix = true, suffix[:len(suffix)-1]
	}
	n := 0
	for _, c := range suffix {
		if c < '0' || c > '9' || n > MaxParams {
			return section{base: name, number: -1}
		}
		n = n*10 + int(c-'0')
	}
	if len(suffix) == 0 || len(suffix) > 1 && suffix[0] == '0' {
		return section{base: name, number: -1}
	}
	s.base, s.number = name[:star], n
	return s
}

// joinParams joins numbered sections. Parameters in one piece come first, as Dovecot has them.
func joinParams(in []Param, a *arena) []Param {
	starred := false
	for _, p := range in {
		starred = starred || bytes.IndexByte(p.Name, '*') > 0
	}
	if !starred {
		return in
	}
	secs, out := make([]section, len(in)), make([]Param, 0, len(in))
	for i, p := range in {
		if secs[i] = splitSection(p.Name); secs[i].number < 0 && !secs[i].extended {
			out = append(out, p)
		}
	}
	for i, s := range secs {
		switch {
		case s.used || s.number < 0 && !s.extended:
		case s.number < 0:
			out = append(out, in[i])
		default:
			out = appendJoined(out, in, secs, i, a)
		}
	}
	return out
}

// appendJoined joins the sections of the name that in[first] has; without a section 0 they stay single.
func appendJoined(out, in []Param, secs []section, first int, a *arena) []Param {
	var order []int
	extended := false
	for find := 0; ; find++ {
		at := -1
		for i := range secs {
			if secs[i].number == find && !secs[i].used && bytes.EqualFold(secs[i].base, secs[first].base) {
				at = i
				break
			}
		}
		if at < 0 {
			break
		}
		order, extended = append(order, at), extended || secs[at].extended
	}
	if len(order) == 0 {
		return append(out, in[first])
	}
	size := len(secs[first].base) + 3
	for _, i := range order {
		secs[i].used = true
		size += 3 * len(in[i].Value)
	}
	if !secs[first].used { // a section past a gap
		out = append(out, in[first])
	}
	if !a.room(size) {
		return out
	}
	name, start := append(a.buf, secs[order[0]].base...), len(a.buf)
	if extended {
		name = append(name, '*')
	}
	a.buf = name
	p := Param{Name: a.take(start)}
	start = len(a.buf)
	if extended && !secs[order[0]].extended {
		a.buf = append(a.buf, "''"...)
	}
	for _, i := range order {
		if extended && !secs[i].extended {
			a.buf = appendPercent(a.buf, in[i].Value)
		} else {
			a.buf = append(a.buf, in[i].Value...)
		}
	}
	p.Value = a.take(start)
	return append(out, p)
}

// appendPercent appends b so that it may stand in an extended value. RFC 2231 section 7, attribute-char.
func appendPercent(dst, b []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range b {
		if isToken(c) && c != 0 && c < 0x7f && c != '*' && c != '\'' && c != '%' {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
