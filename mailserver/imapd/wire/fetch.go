package wire

import (
	"strconv"
	"strings"
)

// Attr is a data item of FETCH without arguments.
type Attr uint32

// The items of FETCH: RFC 9051, section 6.4.5, RFC 7162 (MODSEQ), RFC 8474 (EMAILID, THREADID).
const (
	AttrUID Attr = 1 << iota
	AttrFlags
	AttrInternalDate
	AttrSize
	AttrEnvelope
	AttrBody // BODY, without the extension data
	AttrBodyStructure
	AttrModSeq
	AttrEmailID
	AttrThreadID
)

// Part says which part of the section's entity is meant.
type Part uint8

// The parts.
const (
	PartBody      Part = iota // BODY[], BODY[1]
	PartHeader                // HEADER
	PartFields                // HEADER.FIELDS
	PartFieldsNot             // HEADER.FIELDS.NOT
	PartText                  // TEXT
	PartMIME                  // MIME
)

// Form says how a section is sent.
type Form uint8

// The forms.
const (
	FormBody       Form = iota // BODY[...]
	FormBinary                 // BINARY[...]: without its transfer encoding (RFC 3516)
	FormBinarySize             // BINARY.SIZE[...]
	FormRFC822                 // RFC822, RFC822.HEADER, RFC822.TEXT of IMAP4rev1
)

// What one FETCH may name.
const (
	maxSectionLevels = 100
	maxSections      = 100
	maxFields        = 200
)

// Section is one BODY[...] or its like.
type Section struct {
	Form   Form
	Path   []int
	Part   Part
	Fields []string // of HEADER.FIELDS and HEADER.FIELDS.NOT, as the client wrote them
	Peek   bool     // does not set \Seen

	Partial       bool
	Offset, Count int64 // bytes, if Partial
}

// Fetch is what FETCH asks for.
type Fetch struct {
	Attrs    Attr
	Sections []Section

	// The modifiers of RFC 7162.
	ChangedSince    uint64
	HasChangedSince bool
	Vanished        bool
}

var macros = map[string]Attr{
	"ALL":  AttrFlags | AttrInternalDate | AttrSize | AttrEnvelope,
	"FAST": AttrFlags | AttrInternalDate | AttrSize,
	"FULL": AttrFlags | AttrInternalDate | AttrSize | AttrEnvelope | AttrBody,
}

var attrs = map[string]Attr{
	"UID": AttrUID, "FLAGS": AttrFlags, "INTERNALDATE": AttrInternalDate, "RFC822.SIZE": AttrSize, "ENVELOPE": AttrEnvelope,
	"BODYSTRUCTURE": AttrBodyStructure, "MODSEQ": AttrModSeq, "EMAILID": AttrEmailID, "THREADID": AttrThreadID,
}

// Fetch takes the items of FETCH with its modifiers.
func (p *Parser) Fetch() *Fetch {
	f := &Fetch{}
	if p.Peek() == '(' {
		p.List(func() { p.fetchItem(f, p.Name()) })
	} else if name := p.Name(); macros[name] != 0 {
		f.Attrs = macros[name]
	} else {
		p.fetchItem(f, name)
	}
	if p.Accept(' ') {
		p.List(func() { p.fetchModifier(f) })
	}
	return f
}

func (p *Parser) fetchItem(f *Fetch, name string) {
	if a := attrs[name]; a != 0 {
		f.Attrs |= a
		return
	}
	s := Section{}
	switch name {
	case "BODY", "BODY.PEEK":
		if name == "BODY" && p.Peek() != '[' {
			f.Attrs |= AttrBody
			return
		}
		s.Peek = name == "BODY.PEEK"
		p.section(&s)
		p.partial(&s)
	case "BINARY", "BINARY.PEEK":
		s.Form, s.Peek = FormBinary, name == "BINARY.PEEK"
		p.binarySection(&s)
		p.partial(&s)
	case "BINARY.SIZE":
		s.Form, s.Peek = FormBinarySize, true
		p.binarySection(&s)
	case "RFC822":
		s.Form = FormRFC822
	case "RFC822.HEADER":
		s.Form, s.Part, s.Peek = FormRFC822, PartHeader, true
	case "RFC822.TEXT":
		s.Form, s.Part = FormRFC822, PartText
	default:
		p.Fail("FETCH has no item %.40s", name)
		return
	}
	if f.Sections = append(f.Sections, s); len(f.Sections) > maxSections {
		p.Fail("That is too many sections")
	}
}

// section takes what stands in brackets after BODY.
func (p *Parser) section(s *Section) {
	p.Expect('[')
	more := p.path(s)
	if p.Accept(']') {
		if more {
			p.Fail("A section ends with a dot")
		}
		return
	}
	if len(s.Path) > 0 && !more {
		p.Fail("A section is malformed")
	}
	switch word := p.Name(); word {
	case "HEADER":
		s.Part = PartHeader
	case "TEXT":
		s.Part = PartText
	case "MIME":
		if s.Part = PartMIME; len(s.Path) == 0 {
			p.Fail("MIME needs the number of a part")
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		s.Part = PartFields
		if word == "HEADER.FIELDS.NOT" {
			s.Part = PartFieldsNot
		}
		p.SP()
		p.List(func() { s.Fields = append(s.Fields, p.field()) })
		if n := len(s.Fields); n == 0 || n > maxFields {
			p.Fail("A list of header fields is empty or too long")
		}
	default:
		p.Fail("There is no section %.40s", word)
	}
	p.Expect(']')
}

// path takes the numbers of a section, and reports whether a dot ended them.
func (p *Parser) path(s *Section) (dot bool) {
	for c := p.Peek(); c >= '0' && c <= '9'; c = p.Peek() {
		s.Path = append(s.Path, int(p.NzNumber()))
		if len(s.Path) > maxSectionLevels {
			p.Fail("A section is too deep")
		}
		if dot = p.Accept('.'); !dot {
			break
		}
	}
	return dot
}

func (p *Parser) binarySection(s *Section) {
	p.Expect('[')
	if p.path(s) {
		p.Fail("A section ends with a dot")
	}
	p.Expect(']')
}

// field takes the name of a header field.
func (p *Parser) field() string {
	name := ""
	if c := p.Peek(); c == '"' || c == '{' {
		name = p.String()
	} else {
		name = p.run(func(c byte) bool { return isAtom(c) && c != ']' })
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == ':' || name[i] >= 0x7f {
			p.Fail("The name of a header field has a character that is not allowed")
		}
	}
	if name == "" {
		p.Fail("The name of a header field was expected")
	}
	return name
}

// partial takes <offset.count>.
func (p *Parser) partial(s *Section) {
	if !p.Accept('<') {
		return
	}
	s.Partial = true
	s.Offset = int64(p.Number64())
	p.Expect('.')
	s.Count = int64(p.Number64())
	p.Expect('>')
	if s.Count == 0 {
		p.Fail("A partial fetch of nothing")
	}
}

func (p *Parser) fetchModifier(f *Fetch) {
	switch word := p.Word(); word {
	case "CHANGEDSINCE":
		p.SP()
		f.ChangedSince, f.HasChangedSince = p.Number64(), true
	case "VANISHED":
		f.Vanished = true
	default:
		p.Fail("FETCH has no modifier %.40s", word)
	}
}

// AppendName appends the item as it stands in the response.
func (s *Section) AppendName(dst []byte) []byte {
	if s.Form == FormRFC822 {
		return append(dst, [...]string{PartBody: "RFC822", PartHeader: "RFC822.HEADER", PartText: "RFC822.TEXT"}[s.Part]...)
	}
	dst = append(dst, [...]string{FormBody: "BODY[", FormBinary: "BINARY[", FormBinarySize: "BINARY.SIZE["}[s.Form]...)
	for i, n := range s.Path {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = appendEnd(dst, uint32(n))
	}
	if s.Part != PartBody {
		if len(s.Path) > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, [...]string{PartHeader: "HEADER", PartFields: "HEADER.FIELDS", PartFieldsNot: "HEADER.FIELDS.NOT",
			PartText: "TEXT", PartMIME: "MIME"}[s.Part]...)
	}
	for i, name := range s.Fields {
		dst = append(dst, ' ')
		if i == 0 {
			dst = append(dst, '(')
		}
		dst = appendField(dst, name)
	}
	if len(s.Fields) > 0 {
		dst = append(dst, ')')
	}
	dst = append(dst, ']')
	if s.Partial {
		dst = append(strconv.AppendInt(append(dst, '<'), s.Offset, 10), '>')
	}
	return dst
}

// appendField appends the name of a header field, quoted if it is no atom.
func appendField(dst []byte, name string) []byte {
	for i := range len(name) {
		if !isAtom(name[i]) || name[i] == ']' {
			r := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
			return append(append(append(dst, '"'), r.Replace(name)...), '"')
		}
	}
	return append(dst, name...)
}
