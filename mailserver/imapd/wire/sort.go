package wire

import "strings"

// SortKey is what SORT orders by: RFC 5256, section 3.
type SortKey uint8

// The keys.
const (
	SortArrival SortKey = iota
	SortCc
	SortDate
	SortFrom
	SortSize
	SortSubject
	SortTo
)

// SortBy is one key, with its direction.
type SortBy struct {
	Key     SortKey
	Reverse bool
}

var sortKeys = map[string]SortKey{"ARRIVAL": SortArrival, "CC": SortCc, "DATE": SortDate, "FROM": SortFrom, "SIZE": SortSize,
	"SUBJECT": SortSubject, "TO": SortTo}

// Sort takes the arguments of SORT, behind the space.
func (p *Parser) Sort() (by []SortBy, prog *Program) {
	prog = &Program{Return: p.Return()}
	p.List(func() {
		var b SortBy
		word := p.Word()
		if word == "REVERSE" {
			b.Reverse = true
			p.SP()
			word = p.Word()
		}
		key, ok := sortKeys[word]
		if !ok {
			p.Fail("There is no sort key %.40s", word)
		}
		b.Key = key
		by = append(by, b)
	})
	if n := len(by); n == 0 || n > 2*len(sortKeys) {
		p.Fail("The list of sort keys is empty or too long")
	}
	p.SP()
	prog.Charset = p.charset()
	p.SP()
	prog.Root = p.Criteria()
	return by, prog
}

// charset takes the name of a charset, in upper case. One without letters would be taken for none.
func (p *Parser) charset() string {
	name := strings.ToUpper(p.AString())
	if name == "" {
		p.Fail("The name of the charset is empty")
	}
	return name
}

// Thread takes the arguments of THREAD, behind the space.
func (p *Parser) Thread() (algorithm string, prog *Program) {
	algorithm = p.Word()
	p.SP()
	prog = &Program{Charset: p.charset()}
	p.SP()
	prog.Root = p.Criteria()
	return algorithm, prog
}
