package wire

import "strings"

// Flags takes a parenthesized list of flags: system flags with their backslash, keywords as
// they are written. \Recent is no flag that a client may set.
func (p *Parser) Flags() []string {
	var flags []string
	p.List(func() { flags = append(flags, p.Flag()) })
	return flags
}

// Flag takes one flag.
func (p *Parser) Flag() string {
	if !p.Accept('\\') {
		return p.Atom()
	}
	name := p.Atom()
	for _, known := range [...]string{"Seen", "Answered", "Flagged", "Deleted", "Draft"} {
		if strings.EqualFold(known, name) {
			return `\` + known
		}
	}
	p.Fail("There is no flag \\%s that can be set", name)
	return ""
}

// StoreFlags takes the flags of STORE, whose parentheses may be missing.
func (p *Parser) StoreFlags() []string {
	if p.Peek() == '(' {
		return p.Flags()
	}
	var flags []string
	for p.ok() {
		flags = append(flags, p.Flag())
		if !p.Accept(' ') {
			break
		}
	}
	return flags
}

// Attribute takes an attribute of a mailbox such as \Sent, and returns it as it is written.
func (p *Parser) Attribute() string {
	p.Expect('\\')
	return `\` + p.Atom()
}
