package mime

import "bytes"

// Part is one entity of a message: the message itself, a part of a multipart, or the message inside a message/rfc822.
// Texts are as in the header, unfolded; nil means absent. Offsets and lengths are bytes from the start of the message, as
// stored.
type Part struct {
	Offset    int64 // of the header
	HeaderLen int64 // with the empty line, if there is one
	Size      int64 // of the body, which follows the header; the line end before a boundary is not part of it
	Lines     int64 // line feeds in the body

	Type, Subtype []byte // never nil; what the default is if the header does not say
	Params        []Param
	ID            []byte
	Description   []byte
	Encoding      []byte // Content-Transfer-Encoding; nil: none given, which means 7bit
	MD5           []byte

	Disposition       []byte
	DispositionParams []Param
	Language          [][]byte
	Location          []byte

	Envelope *Envelope // of the message inside; not nil if and only if Message says so
	Children []*Part   // the parts of a multipart; of a message part exactly one, the message inside

	kind kind
}

type kind uint8

const (
	leaf kind = iota
	multipart
	message
)

// Multipart says whether the part is a multipart that was opened. It may have no children if no boundary was found.
func (p *Part) Multipart() bool { return p.kind == multipart }

// Message says whether the part holds a message that was opened: message/rfc822, or message/global without a transfer
// encoding.
func (p *Part) Message() bool { return p.kind == message }

// Body returns the offset of the body.
func (p *Part) Body() int64 { return p.Offset + p.HeaderLen }

// End returns the offset past the body.
func (p *Part) End() int64 { return p.Body() + p.Size }

// Is says whether the part has that type, given in lower case.
func (p *Part) Is(typ, subtype string) bool {
	return foldedIs(p.Type, typ) && foldedIs(p.Subtype, subtype)
}

// Param returns the parameter of Content-Type as text: extended values (RFC 2231) and encoded words, which do not belong
// there but are common, are decoded. It is empty if there is none. name is in lower case.
func (p *Part) Param(name string) string { return paramText(p.Params, name) }

// Filename returns the name that the sender gave the part, of Content-Disposition or else of Content-Type, as text. It is
// empty if there is none. It is a name for display: it may hold any character, slashes included.
func (p *Part) Filename() string {
	if s := paramText(p.DispositionParams, "filename"); s != "" {
		return s
	}
	return paramText(p.Params, "name")
}

// Attachment says whether the sender marked the part as one.
func (p *Part) Attachment() bool { return foldedIs(p.Disposition, "attachment") }

// Range is a piece of a message.
type Range struct{ Offset, Length int64 }

// Section names what of a part is asked for: RFC 3501 section 6.4.5.
type Section uint8

const (
	SectionBody   Section = iota // BODY[], BODY[n], BINARY[n]
	SectionHeader                // BODY[HEADER], BODY[n.HEADER]
	SectionText                  // BODY[TEXT], BODY[n.TEXT]
	SectionMIME                  // BODY[n.MIME]
)

// Find returns the part with that section path, nil if there is none. p is the whole message; an empty path is p. A part
// that is not a multipart has one part, itself; the parts of a message part are those of the message inside.
func (p *Part) Find(path []int) *Part {
	e, entity := p, true
	for _, n := range path {
		if !entity && e.kind == message {
			e, entity = e.Children[0], true
		}
		switch {
		case e.kind == multipart:
			if n < 1 || n > len(e.Children) {
				return nil
			}
			e = e.Children[n-1]
		case !entity || n != 1:
			return nil
		}
		entity = false
	}
	return e
}

// Section returns where the bytes of a section are. p is the whole message. False means that there is no such section,
// which IMAP answers with NIL.
func (p *Part) Section(path []int, s Section) (Range, bool) {
	part := p.Find(path)
	if part == nil {
		return Range{}, false
	}
	inner := part
	if len(path) > 0 && (s == SectionHeader || s == SectionText) {
		if part.kind != message {
			return Range{}, false
		}
		inner = part.Children[0]
	}
	switch {
	case s == SectionHeader, s == SectionMIME && len(path) > 0:
		return Range{inner.Offset, inner.HeaderLen}, true
	case s == SectionText:
		return Range{inner.Body(), inner.Size}, true
	case s == SectionBody && len(path) == 0:
		return Range{p.Offset, p.HeaderLen + p.Size}, true
	case s == SectionBody:
		return Range{part.Body(), part.Size}, true
	}
	return Range{}, false
}

// lookup returns the value of the first parameter with that name, in lower case.
func lookup(params []Param, name string) ([]byte, bool) {
	for i := range params {
		if foldedIs(params[i].Name, name) {
			return params[i].Value, true
		}
	}
	return nil, false
}

// transferEncoding returns the encoding as a lower-case word that needs no allocation for the usual ones.
func (p *Part) transferEncoding() string {
	e := bytes.TrimSpace(p.Encoding)
	for _, s := range [...]string{"base64", "quoted-printable", "7bit", "8bit", "binary"} {
		if foldedIs(e, s) {
			return s
		}
	}
	if len(e) == 0 {
		return "7bit"
	}
	return string(bytes.ToLower(e))
}
