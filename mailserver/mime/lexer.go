package mime

// lexer walks over a structured field's value (RFC 5322 section 3.2, RFC 2045 section 5.1) without ever failing.
type lexer struct {
	b       []byte
	i       int
	comment []byte // the inside of the last comment skipped, raw; nil if none
	space   bool   // the last skip passed space or a comment
}

func (l *lexer) end() bool { return l.i >= len(l.b) }

// peek returns the next byte, 0 at the end. A NUL in the field is not special to any caller, so the two may be confused
// only where end has been asked first.
func (l *lexer) peek() byte {
	if l.i < len(l.b) {
		return l.b[l.i]
	}
	return 0
}

// skip passes over space, line ends and comments.
func (l *lexer) skip() {
	from := l.i
	for l.i < len(l.b) {
		switch c := l.b[l.i]; {
		case isSpace(c):
			l.i++
		case c == '(':
			l.skipComment()
		default:
			l.space = l.i > from
			return
		}
	}
	l.space = l.i > from
}

// skipComment passes over a comment, which may be nested; one that is not closed reaches to the end.
func (l *lexer) skipComment() {
	start, depth := l.i+1, 0
	for ; l.i < len(l.b); l.i++ {
		switch l.b[l.i] {
		case '\\':
			l.i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				l.comment = l.b[start:l.i]
				l.i++
				return
			}
		}
	}
	l.i = len(l.b) // a backslash may have stepped past it
	l.comment = l.b[min(start, l.i):]
}

// appendQuoted appends the text of the quoted string that begins here. Folds inside become one space.
func (l *lexer) appendQuoted(dst []byte) []byte {
	for l.i++; l.i < len(l.b); l.i++ {
		switch c := l.b[l.i]; c {
		case '"':
			l.i++
			return dst
		case '\\':
			if l.i++; l.i < len(l.b) {
				dst = append(dst, l.b[l.i])
			}
		case '\r', '\n':
			for l.i+1 < len(l.b) && isSpace(l.b[l.i+1]) {
				l.i++
			}
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	l.i = len(l.b)
	return dst
}

// token returns the MIME token that begins here, empty if none does. RFC 2045 section 5.1; bytes above ASCII are taken as
// part of it, since people write them.
func (l *lexer) token() []byte {
	start := l.i
	for l.i < len(l.b) && isToken(l.b[l.i]) {
		l.i++
	}
	return l.b[start:l.i]
}

func isToken(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=', 0x7f:
		return false
	}
	return c > ' ' || c == 0
}

// atom returns the run of bytes here that are not special in an address.
func (l *lexer) atom() []byte {
	start := l.i
	for l.i < len(l.b) && isAtom(l.b[l.i]) {
		l.i++
	}
	return l.b[start:l.i]
}

func isAtom(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',', '.', '"', ' ', '\t', '\r', '\n':
		return false
	}
	return true
}
