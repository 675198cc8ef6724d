package mime

// fields takes what is needed from a header block.
func (b *builder) fields(block []byte, p *Part, env *Envelope, budget *int) {
	var seen contentSeen
	for len(block) > 0 {
		var name, value []byte
		name, value, block = nextField(block)
		if len(name) < 2 || len(name) > len("content-transfer-encoding") {
			continue
		}
		switch {
		case len(name) > 8 && name[7] == '-' && foldedIs(name[:7], "content"):
			p.contentField(name[8:], value, &b.ar, &seen)
		case env == nil:
		case env == &b.env && foldedIs(name, "references"):
			if b.references == nil {
				b.references = appendIDs(nil, value)
			}
		default:
			env.field(name, value, &b.ar, budget)
		}
	}
}

// contentSeen notes fields whose first occurrence counts, also when it says nothing.
type contentSeen struct{ typ, disposition, language bool }

// contentField takes the field Content-<name>.
func (p *Part) contentField(name, value []byte, a *arena, seen *contentSeen) {
	text := func(dst *[]byte, word string, squeeze bool) bool {
		if !foldedIs(name, word) {
			return false
		}
		if *dst == nil {
			*dst = a.unfolded(value, squeeze)
		}
		return true
	}
	switch {
	case foldedIs(name, "type"):
		if !seen.typ {
			seen.typ = true
			p.parseType(value, a)
		}
	case foldedIs(name, "disposition"):
		if !seen.disposition {
			seen.disposition = true
			p.parseDisposition(value, a)
		}
	case foldedIs(name, "transfer-encoding"):
		if p.Encoding == nil {
			l := lexer{b: capped(value)}
			l.skip()
			p.Encoding = a.keep(l.token())
		}
	case foldedIs(name, "language"):
		if !seen.language {
			seen.language = true
			p.parseLanguage(value, a)
		}
	case text(&p.ID, "id", false), text(&p.Description, "description", true), text(&p.MD5, "md5", false):
	case text(&p.Location, "location", false):
	}
}

func capped(value []byte) []byte { return value[:min(len(value), MaxHeaderBlock/16)] }

// parseType reads Content-Type. RFC 2045 section 5.2: what cannot be read means text/plain; so does a type without a
// subtype, which old programs write.
func (p *Part) parseType(value []byte, a *arena) {
	l := lexer{b: capped(value)}
	l.skip()
	typ := l.token()
	l.skip()
	var subtype []byte
	if l.peek() == '/' {
		l.i++
		l.skip()
		subtype = l.token()
	}
	if len(typ) == 0 || len(subtype) == 0 {
		p.setType(text, plain)
		return
	}
	p.setType(a.keep(typ), a.keep(subtype))
	if p.Type == nil || p.Subtype == nil { // too much was kept already
		p.setType([]byte("application"), octets)
		return
	}
	p.Params = parseParams(&l, a)
}

// parseDisposition reads Content-Disposition. RFC 2183.
func (p *Part) parseDisposition(value []byte, a *arena) {
	l := lexer{b: capped(value)}
	l.skip()
	p.Disposition = a.keep(l.token())
	p.DispositionParams = parseParams(&l, a)
	if len(p.Disposition) == 0 && len(p.DispositionParams) == 0 {
		p.Disposition = nil
	}
}

// parseLanguage reads the tags of Content-Language. RFC 3282.
func (p *Part) parseLanguage(value []byte, a *arena) {
	l := lexer{b: capped(value)}
	for l.skip(); !l.end() && len(p.Language) < MaxLanguages && a.charge(24); l.skip() {
		tag := l.token()
		if len(tag) == 0 {
			l.i++
			continue
		}
		if kept := a.keep(tag); kept != nil {
			p.Language = append(p.Language, kept)
		}
	}
}
