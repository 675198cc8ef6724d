package wire

import "strconv"

// Range is numbers from First to Last, in either order; 0 stands for "*", the highest there is.
type Range struct{ First, Last uint32 }

// Set is a sequence set: message numbers or UIDs, as the command says.
type Set struct {
	Ranges []Range
	Saved  bool // "$": the result of the last SEARCH that saved one (RFC 5182)
}

// Set takes a sequence set (RFC 9051, section 9).
func (p *Parser) Set() Set {
	if p.Accept('$') {
		return Set{Saved: true}
	}
	var s Set
	for p.ok() {
		r := Range{First: p.setNumber()}
		r.Last = r.First
		if p.Accept(':') {
			r.Last = p.setNumber()
		}
		s.Ranges = append(s.Ranges, r)
		if !p.Accept(',') {
			break
		}
	}
	return s
}

func (p *Parser) setNumber() uint32 {
	if p.Accept('*') {
		return 0
	}
	return p.NzNumber()
}

// startsSet reports whether c begins a sequence set.
func startsSet(c byte) bool { return c >= '0' && c <= '9' || c == '*' || c == '$' }

// String returns the set as it is written.
func (s Set) String() string {
	if s.Saved {
		return "$"
	}
	var b []byte
	for i, r := range s.Ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEnd(b, r.First)
		if r.Last != r.First {
			b = appendEnd(append(b, ':'), r.Last)
		}
	}
	return string(b)
}

func appendEnd(b []byte, n uint32) []byte {
	if n == 0 {
		return append(b, '*')
	}
	return strconv.AppendUint(b, uint64(n), 10)
}

// KnownUIDs takes the set of UIDs of QRESYNC, which has no "*" and no "$" (RFC 7162, section
// 3.2.5.1).
func (p *Parser) KnownUIDs() []Range {
	s := p.Set()
	for _, r := range s.Ranges {
		if r.First == 0 || r.Last == 0 {
			s.Saved = true
		}
	}
	if s.Saved {
		p.Fail("Only numbers are allowed in that set")
	}
	return s.Ranges
}
