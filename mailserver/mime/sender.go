package mime

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// senderParser reads exactly one mailbox. Unlike lexer and addressParser it forgives nothing.
type senderParser struct {
	b    []byte
	i    int
	utf8 bool
}

// parseSender reads the value of a field that names a sender.
func parseSender(value []byte, smtputf8 bool) (Mailbox, Reason) {
	if len(value) > maxSender {
		return Mailbox{}, ReasonTooLong
	}
	if r := checkLines(append([]byte("x:"), value...)); r != 0 {
		return Mailbox{}, r
	}
	p := senderParser{b: value, utf8: smtputf8}
	m, r := p.mailbox()
	if r == 0 {
		r = p.rest()
	}
	if r != 0 {
		return Mailbox{}, r
	}
	return m, 0
}

func (p *senderParser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0 // checkLines saw that the value has no NUL
}

// space passes over folding white space.
func (p *senderParser) space() {
	for p.i < len(p.b) && isSpace(p.b[p.i]) {
		p.i++
	}
}

// cfws passes over space and comments.
func (p *senderParser) cfws() Reason {
	for p.space(); p.peek() == '('; p.space() {
		start, depth := p.i, 0
		for {
			switch p.peek() {
			case 0:
				return ReasonUnterminated
			case '\\':
				p.i++
			case '(':
				depth++
			case ')':
				depth--
			}
			if p.i++; depth == 0 {
				break
			}
		}
		if r := p.harmless(p.b[start:min(p.i, len(p.b))]); r != 0 {
			return r
		}
	}
	return 0
}

// harmless refuses text in quotes or comments that a careless program would take for the address, and text that is not
// UTF-8.
func (p *senderParser) harmless(text []byte) Reason {
	if i := bytes.IndexByte(text, '<'); i >= 0 && bytes.IndexByte(text[i:], '@') >= 0 {
		return ReasonHidden
	}
	if !utf8.Valid(text) {
		return ReasonEightBit
	}
	return 0
}

// mailbox reads [display-name] "<" addr-spec ">" or addr-spec.
func (p *senderParser) mailbox() (m Mailbox, r Reason) {
	if r = p.cfws(); r != 0 {
		return m, r
	}
	if p.i == len(p.b) {
		return m, ReasonEmpty
	}
	begin := p.i
	if m.Local, r = p.local(); p.peek() == '@' {
		if r == 0 {
			m.Domain, r = p.domain()
		}
		return m, r
	}
	p.i = begin
	if m.Name, r = p.displayName(); r != 0 {
		return m, r
	}
	p.i++ // the "<"
	p.space()
	switch p.peek() {
	case '@':
		return m, ReasonRoute
	case '>':
		return m, ReasonEmpty
	case '(':
		return m, ReasonComment
	}
	if m.Local, r = p.local(); r != 0 {
		return m, r
	}
	if p.peek() != '@' {
		return m, p.unexpected()
	}
	if m.Domain, r = p.domain(); r != 0 {
		return m, r
	}
	if p.space(); p.peek() != '>' {
		return m, p.unexpected()
	}
	p.i++
	return m, 0
}

// rest makes sure that nothing follows the mailbox but space and comments.
func (p *senderParser) rest() Reason {
	if r := p.cfws(); r != 0 {
		return r
	}
	if p.i < len(p.b) {
		return p.unexpected()
	}
	return 0
}

// unexpected names what the byte here means.
func (p *senderParser) unexpected() Reason {
	switch p.peek() {
	case 0:
		return ReasonUnterminated
	case ',', '<':
		return ReasonSeveral
	case ':', ';':
		return ReasonGroup
	case '(':
		return ReasonComment
	}
	return ReasonSyntax
}

// local reads a local part: a dot-atom or a quoted string, without space or comments around.
func (p *senderParser) local() (string, Reason) {
	var s string
	if p.peek() == '"' {
		var r Reason
		if s, r = p.quoted(); r != 0 {
			return "", r
		}
	} else {
		start := p.i
		for p.i < len(p.b) && (isAtext(p.b[p.i]) || p.b[p.i] == '.') {
			p.i++
		}
		if s = string(p.b[start:p.i]); !dotAtom(s) {
			if s == "" || utf8.ValidString(s) {
				return "", p.noLocal(s)
			}
			return "", ReasonEightBit
		}
	}
	switch {
	case s == "":
		return "", ReasonSyntax
	case strings.Contains(s, "=?"): // RFC 2047 section 5: never in an address; some programs decode it all the same
		return "", ReasonEncodedWord
	case !p.utf8 && !isASCII(s):
		return "", ReasonEightBit
	case len(s) > 64: // RFC 5321 section 4.5.3.1.1
		return "", ReasonTooLong
	}
	return s, 0
}

// noLocal says why no local part begins here.
func (p *senderParser) noLocal(s string) Reason {
	if s != "" {
		return ReasonSyntax // dots at the ends or side by side
	}
	return p.unexpected()
}

// quoted reads a quoted string.
func (p *senderParser) quoted() (string, Reason) {
	start := p.i
	var out []byte
	for p.i++; ; p.i++ {
		switch c := p.peek(); c {
		case 0:
			return "", ReasonUnterminated
		case '"':
			p.i++
			return string(out), p.harmless(p.b[start:p.i])
		case '\\':
			if p.i++; p.i >= len(p.b) || isSpace(p.b[p.i]) && p.b[p.i] != ' ' {
				return "", ReasonSyntax
			}
			out = append(out, p.b[p.i])
		case '\r', '\n':
		default:
			out = append(out, c)
		}
	}
}

// domain reads "@" and a domain name. RFC 5321 section 4.1.2, sizes of 4.5.3.1.2 and RFC 1035.
func (p *senderParser) domain() (string, Reason) {
	p.i++
	start := p.i
	for p.i < len(p.b) && (isAtext(p.b[p.i]) || p.b[p.i] == '.') {
		p.i++
	}
	s := string(p.b[start:p.i])
	switch {
	case s == "" && p.peek() == '[':
		return "", ReasonLiteral
	case s == "":
		return "", p.unexpectedInDomain()
	case !utf8.ValidString(s), !p.utf8 && !isASCII(s):
		return "", ReasonEightBit
	case len(s) > 253:
		return "", ReasonTooLong
	}
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return "", ReasonDomain
		}
	}
	return s, 0
}

func (p *senderParser) unexpectedInDomain() Reason {
	if isSpace(p.peek()) {
		return ReasonSyntax
	}
	return p.unexpected()
}

func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, r := range s {
		if r < utf8.RuneSelf {
			if !isLetter(byte(r)) && (r < '0' || r > '9') && r != '-' {
				return false
			}
		} else if !unicode.In(r, unicode.L, unicode.M, unicode.N) && r != '\u200c' && r != '\u200d' && r != '\u00b7' {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// displayName reads words up to "<", where it stops. A dot between words is allowed (RFC 5322 section 4.1, obs-phrase): it is
// common and nobody reads it differently.
func (p *senderParser) displayName() (string, Reason) {
	var raw []byte
	for {
		at := p.i
		if r := p.cfws(); r != 0 {
			return "", r
		}
		if p.i > at && len(raw) > 0 {
			raw = append(raw, ' ')
		}
		switch c := p.peek(); {
		case c == '<':
			return decodeName(raw)
		case c == '"':
			s, r := p.quoted()
			if r != 0 {
				return "", r
			}
			raw = append(raw, s...)
		case p.i < len(p.b) && (isAtext(c) || c == '.'):
			word, r := p.word()
			if r != 0 {
				return "", r
			}
			raw = append(raw, word...)
		case p.i == len(p.b):
			return "", ReasonSyntax // words without an address
		default:
			return "", p.unexpected()
		}
	}
}

// word reads atoms and dots. An encoded word must be whole and stand alone.
func (p *senderParser) word() ([]byte, Reason) {
	start := p.i
	for p.i < len(p.b) && (isAtext(p.b[p.i]) || p.b[p.i] == '.') {
		p.i++
	}
	word := p.b[start:p.i]
	if !utf8.Valid(word) {
		return nil, ReasonEightBit
	}
	if !bytes.Contains(word, []byte("=?")) && !bytes.Contains(word, []byte("?=")) {
		return word, 0
	}
	for rest := word; len(rest) > 0; { // some programs put two side by side
		n := 0
		if bytes.HasPrefix(rest, []byte("=?")) {
			_, _, n = cutWord(rest)
		}
		if n == 0 {
			return nil, ReasonEncodedWord
		}
		rest = rest[n:]
	}
	return word, 0
}

// decodeName decodes a display name. What would be a control character on the screen is refused: it has been used to
// cut off what follows it.
func decodeName(raw []byte) (string, Reason) {
	s := strings.TrimSpace(DecodeWords(raw))
	for _, r := range s {
		if r < ' ' && r != '\t' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return "", ReasonControl
		}
	}
	return s, 0
}
