package mime

// Address is one entry of an address list in the four fields of IMAP (RFC 3501 section 7.4.2), nil standing for NIL. A
// nil Host marks group syntax: the start of a group has its name in Mailbox, the end has a nil Mailbox too. An address
// whose local part or domain is missing has it empty, not nil.
type Address struct{ Name, Route, Mailbox, Host []byte }

// addressParser reads an address list as tolerantly as people write them; what cannot be an address is passed over up to
// the next comma.
type addressParser struct {
	lexer
	a       *arena
	budget  *int // addresses that may still be kept
	list    []Address
	inGroup bool
	noQuote bool // a quote was never closed: from it on they are passed over
}

// parseAddresses appends the addresses of one field to list.
func parseAddresses(list []Address, value []byte, a *arena, budget *int) []Address {
	p := addressParser{lexer: lexer{b: value}, a: a, budget: budget, list: list}
	for *budget > 0 && p.item() {
	}
	if p.inGroup {
		p.list = append(p.list, Address{})
	}
	return p.list
}

// quote says whether a quoted string begins here. A quote that nothing closes is dropped, and what follows it read as if it
// were not there.
func (p *addressParser) quote() bool {
	for p.peek() == '"' && !p.end() {
		if !p.noQuote {
			if _, closed := quotedEnd(p.b, p.i); closed {
				return true
			}
			p.noQuote = true
		}
		p.i++
	}
	return false
}

func (p *addressParser) add(x Address) {
	p.list = append(p.list, x)
	*p.budget--
}

// item reads up to the next separator; false at the end of the field.
func (p *addressParser) item() bool {
	p.comment = nil
	p.skip()
	if p.end() {
		return false
	}
	switch p.peek() {
	case ';':
		p.i++
		p.endGroup()
		return true
	case ',', ':', '>', ')', ']', '\\':
		p.i++
		return true
	}
	if !p.a.room(len(p.b) - p.i + 1) {
		*p.budget = 0
		return false
	}
	p.mailbox()
	return true
}

func (p *addressParser) endGroup() {
	if p.inGroup {
		p.inGroup = false
		p.add(Address{})
	}
}

// mailbox reads a mailbox or the name of a group. The words before the first special are a display name, a local part, or
// a display name that ends in a local part, which shows only then.
func (p *addressParser) mailbox() {
	start := len(p.a.buf)
	last := p.phrase(start)
	switch p.peek() {
	case '<':
		p.angle(p.phraseName(start))
	case '@':
		p.bare(start, last)
	case ':':
		if p.inGroup || p.end() {
			p.nameless(start)
			return
		}
		p.i++
		p.inGroup = true
		p.add(Address{Mailbox: p.a.take(start)})
	default:
		p.nameless(start)
	}
}

// phrase appends words to the arena, one space between them where there was any, and returns where the last run of words
// joined by dots begins.
func (p *addressParser) phrase(start int) (last int) {
	for last = start; ; {
		p.skip()
		quote := p.quote()
		if p.space && len(p.a.buf) > start && !p.end() && (p.peek() == '"' || p.peek() == '.' || isAtom(p.peek())) {
			p.a.buf = append(p.a.buf, ' ')
			last = len(p.a.buf)
		}
		switch {
		case p.end():
			return last
		case quote:
			p.a.buf = p.appendQuoted(p.a.buf)
		case p.peek() == '.':
			p.a.buf = append(p.a.buf, '.')
			p.i++
		case p.peek() == '[' && len(p.a.buf) > start: // [list] in a display name
			p.a.buf = append(p.a.buf, '[')
			p.i++
		case p.peek() == ']' && len(p.a.buf) > start:
			p.a.buf = append(p.a.buf, ']')
			p.i++
		case isAtom(p.peek()):
			p.a.buf = append(p.a.buf, p.atom()...)
		default:
			return last
		}
	}
}

func (p *addressParser) phraseName(start int) []byte {
	if len(p.a.buf) == start {
		return nil
	}
	return p.a.take(start)
}

// nameless ends words that no address followed: people write a local name alone.
func (p *addressParser) nameless(start int) {
	if len(p.a.buf) == start {
		if !p.end() && p.peek() != ',' && p.peek() != ';' {
			p.i++ // a special that begins nothing
		}
		return
	}
	x := Address{Mailbox: p.a.take(start), Host: []byte{}}
	p.trailing(&x)
	p.add(x)
}

// bare reads the domain after local@ without angle brackets. Words before the local part are a display name. If an angle
// bracket follows after all, what was read is the display name, as mail programs take it.
func (p *addressParser) bare(start, last int) {
	p.i++
	var x Address
	if last > start {
		x.Name = p.a.buf[start : last-1 : last-1]
	}
	x.Mailbox = p.a.buf[last:len(p.a.buf):len(p.a.buf)]
	at := len(p.a.buf)
	p.a.buf = append(p.a.buf, '@')
	p.domain()
	x.Host = p.a.buf[at+1 : len(p.a.buf) : len(p.a.buf)]
	text := p.a.take(start)
	if p.skip(); p.peek() == '<' {
		p.angle(text)
		return
	}
	p.trailing(&x)
	p.add(x)
}

// domain appends a domain or an address literal, without the space and comments that may stand in it.
func (p *addressParser) domain() {
	for {
		switch p.skip(); {
		case p.end():
			return
		case p.peek() == '[':
			for !p.end() && p.b[p.i] != ']' && p.b[p.i] != '>' && p.b[p.i] != ',' {
				if !isSpace(p.b[p.i]) {
					p.a.buf = append(p.a.buf, p.b[p.i])
				}
				p.i++
			}
			if p.peek() == ']' {
				p.a.buf = append(p.a.buf, ']')
				p.i++
			}
			return
		case p.peek() == '.':
			p.a.buf = append(p.a.buf, '.')
			p.i++
		case isAtom(p.peek()) && (!p.space || p.i == 0 || p.joins()):
			p.a.buf = append(p.a.buf, p.atom()...)
		default:
			return
		}
	}
}

// joins says whether an atom after space still belongs to the domain: only after a dot or at the beginning.
func (p *addressParser) joins() bool {
	c := p.a.buf[len(p.a.buf)-1]
	return c == '.' || c == '@'
}

// angle reads <route:local@domain>. A missing bracket at the end is forgiven.
func (p *addressParser) angle(name []byte) {
	x := Address{Name: name}
	p.i++
	if p.skip(); p.peek() == '@' {
		x.Route = p.route()
	}
	start := len(p.a.buf)
	for p.local(start); !p.end() && p.peek() != '@' && p.peek() != '>' && p.peek() != ','; p.local(start) {
		p.i++ // specials that cannot be here
	}
	x.Mailbox = p.a.take(start)
	x.Host = []byte{}
	if p.peek() == '@' {
		p.i++
		p.a.buf = append(p.a.buf, '@')
		start = len(p.a.buf)
		p.domain()
		x.Host = p.a.take(start)
	}
	p.trailing(&x)
	p.add(x)
}

// local appends words and dots of a local part; space between words, which does not belong there, is kept.
func (p *addressParser) local(start int) {
	for {
		p.skip()
		quote := p.quote()
		if n := len(p.a.buf); p.space && n > start && p.a.buf[n-1] != '.' && (quote || isAtom(p.peek())) && !p.end() {
			p.a.buf = append(p.a.buf, ' ')
		}
		switch {
		case p.end():
			return
		case quote:
			p.a.buf = p.appendQuoted(p.a.buf)
		case p.peek() == '.':
			p.a.buf = append(p.a.buf, '.')
			p.i++
		case isAtom(p.peek()):
			p.a.buf = append(p.a.buf, p.atom()...)
		default:
			return
		}
	}
}

// route reads an obsolete source route (RFC 5322 section 4.4); nil, and nothing passed over, if no colon ends it.
func (p *addressParser) route() []byte {
	begin, start := p.i, len(p.a.buf)
	for p.skip(); !p.end(); p.skip() {
		switch c := p.peek(); {
		case c == ':':
			p.i++
			for len(p.a.buf) > start && p.a.buf[len(p.a.buf)-1] == ',' {
				p.a.buf = p.a.buf[:len(p.a.buf)-1]
			}
			return p.a.take(start)
		case c == '@' || c == ',':
			p.a.buf = append(p.a.buf, c)
			p.i++
		case c == '.' || c == '[' || c == ']':
			p.a.buf = append(p.a.buf, c)
			p.i++
		case isAtom(c):
			p.a.buf = append(p.a.buf, p.atom()...)
		default:
			p.i, p.a.buf = begin, p.a.buf[:start]
			return nil
		}
	}
	p.i, p.a.buf = begin, p.a.buf[:start]
	return nil
}

// trailing passes over the rest of an item; a comment in it is the name if there is none (RFC 5322 section 4.4, old style).
func (p *addressParser) trailing(x *Address) {
	for p.skip(); !p.end() && p.peek() != ',' && p.peek() != ';'; p.skip() {
		if p.quote() {
			p.i, _ = quotedEnd(p.b, p.i)
		} else if p.peek() != ',' && p.peek() != ';' && !p.end() {
			p.i++
		}
	}
	if x.Name == nil && p.comment != nil && p.a.room(len(p.comment)) {
		start := len(p.a.buf)
		p.a.buf = appendComment(p.a.buf, p.comment)
		x.Name = p.a.take(start)
	}
}

// appendComment appends a comment without backslashes and folds.
func appendComment(dst, c []byte) []byte {
	for i := 0; i < len(c); i++ {
		if c[i] == '\\' && i+1 < len(c) {
			i++
		} else if c[i] == '\r' || c[i] == '\n' {
			continue
		}
		dst = append(dst, c[i])
	}
	return dst
}
