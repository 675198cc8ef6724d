package mime

import (
	"strings"
	"unicode/utf8"
)

// Mailbox is the one address of a From, Sender or Resent field.
type Mailbox struct {
	Name   string // display name as text, "" if there is none
	Local  string // without quotes
	Domain string // as written: case and IDN form are not changed
}

// String returns local@domain, the local part quoted if it must be.
func (m Mailbox) String() string {
	if dotAtom(m.Local) {
		return m.Local + "@" + m.Domain
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.Local) + `"@` + m.Domain
}

// maxSender is the longest field value, in bytes, that OneMailbox reads.
const maxSender = 4 << 10

// OneMailbox returns the address of a field that must be there once and hold exactly one address: From, Sender. It is for
// deciding who speaks, so it refuses whatever two programs could read differently, RFC 5322 or not: a second field of that
// name or a line that looks like one, lists, groups, routes, comments inside the address, unclosed quotes, encoded words
// outside a display name, an address in angle brackets hidden in quotes or comments, control characters. Display names may
// be atoms, quoted strings, encoded words or UTF-8; the address may hold UTF-8 only with smtputf8. The error is an *Error; its
// Reason is ReasonMissing if there is no such field.
func OneMailbox(h *Header, name string, smtputf8 bool) (Mailbox, error) {
	var found *Field
	for i := range h.fields {
		f := &h.fields[i]
		r := ambiguous(f, name)
		if strings.EqualFold(f.Name, name) {
			switch {
			case r != 0:
			case !f.exact():
				r = ReasonSpaceBeforeColon
			case found != nil:
				r = ReasonTwice
			}
			found = f
		}
		if r != 0 {
			return Mailbox{}, &Error{Field: name, Reason: r}
		}
	}
	if found == nil {
		return Mailbox{}, &Error{Field: name, Reason: ReasonMissing}
	}
	return fieldMailbox(found, name, smtputf8)
}

func fieldMailbox(f *Field, name string, smtputf8 bool) (Mailbox, error) {
	m, r := parseSender(f.RawValue(), smtputf8)
	if r != 0 {
		return Mailbox{}, &Error{Field: name, Reason: r}
	}
	return m, nil
}

// ambiguous says whether a field could make a program see other fields than we do: bare line ends, NUL, blank
// continuation lines, or a broken line that begins with the name that is looked for.
func ambiguous(f *Field, name string) Reason {
	if r := checkLines(f.Raw); r != 0 && r != ReasonTooLong {
		return r
	}
	if f.exact() {
		return 0
	}
	seen := make([]byte, 0, len(name))
	for _, c := range f.Raw[:min(len(f.Raw), 256)] {
		if len(seen) == len(name) {
			break
		}
		if isLetter(c) || c == '-' {
			seen = append(seen, c)
		}
	}
	if f.Name == "" && strings.EqualFold(string(seen), name) {
		return ReasonLookalike
	}
	return 0
}

// Resent is one block of Resent fields (RFC 5322 section 3.6.6). A mailbox is nil if the block has no such field.
type Resent struct{ From, Sender *Mailbox }

// ResentBlocks returns the blocks of Resent fields, the latest first, which stands on top. Each Resent-From and Resent-Sender must be
// as strict as OneMailbox wants it.
func ResentBlocks(h *Header, smtputf8 bool) ([]Resent, error) {
	var out []Resent
	seen := map[string]bool{} // names in the present block; empty outside
	for i := range h.fields {
		f := &h.fields[i]
		for _, name := range [2]string{"Resent-From", "Resent-Sender"} {
			if r := ambiguous(f, name); r != 0 {
				return nil, &Error{Field: name, Reason: r}
			}
		}
		name := strings.ToLower(f.Name)
		if !strings.HasPrefix(name, "resent-") {
			clear(seen)
			continue
		}
		if len(seen) == 0 || seen[name] {
			clear(seen)
			out = append(out, Resent{})
		}
		seen[name] = true
		if err := out[len(out)-1].field(f, name, smtputf8); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Resent) field(f *Field, name string, smtputf8 bool) error {
	var to **Mailbox
	switch name {
	case "resent-from":
		to, name = &r.From, "Resent-From"
	case "resent-sender":
		to, name = &r.Sender, "Resent-Sender"
	default:
		return nil
	}
	if !f.exact() {
		return &Error{Field: name, Reason: ReasonSpaceBeforeColon}
	}
	m, err := fieldMailbox(f, name, smtputf8)
	*to = &m
	return err
}

// dotAtom says whether s is an RFC 5322 dot-atom; UTF-8 counts as letters (RFC 6532 section 3.2).
func dotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") || !utf8.ValidString(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isAtext(s[i]) && s[i] != '.' {
			return false
		}
	}
	return true
}

// isAtext is atext of RFC 5322 section 3.2.3, and any byte of UTF-8.
func isAtext(c byte) bool {
	return isAtom(c) && c > ' ' && c != 0x7f
}
