// Package address parses, normalizes and prints mail addresses and domain names.
//
// An address has one form: local part in lower case (ASCII), domain in lower case as an
// A-label. Whoever compares or stores addresses compares and stores that form. Local parts
// outside ASCII (RFC 6531) are refused with a reason of their own, and so are domain literals
// such as [192.0.2.1].
package address

import (
	"strings"

	"github.com/postchi/postchi/models"
)

// The limits of RFC 5321, section 4.5.3.1, in bytes.
const (
	MaxLocal  = 64
	MaxDomain = 253 // as text: 255 on the wire of the DNS counts a length byte and the root
	MaxPath   = 254 // 256 with the angle brackets
)

// Address is a normalized address. The zero value is the empty path, <>.
type Address struct {
	Local  string // lower case, not quoted, printable ASCII
	Domain string // lower case A-label, no final dot
}

// Parse reads an address as a person types it or a header prints it; surrounding space is
// dropped, a quoted local part is unquoted. Errors are of kind Invalid with a key address.*.
func Parse(s string) (Address, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Address{}, models.Errorf(models.Invalid, "address.empty", "The address is missing.")
	}
	if !strings.HasPrefix(s, `"`) {
		return split(s)
	}
	local, rest, ok := unquote(s)
	if !ok || !strings.HasPrefix(rest, "@") {
		return Address{}, badLocal()
	}
	return build(local, rest[1:])
}

// ParsePath reads the mailbox of a RCPT or MAIL command as the SMTP library hands it over:
// quotes and backslashes of the local part are taken off already, so the last @ is the one
// that separates and a quotation mark is a character like others. The empty path is Invalid
// here; the caller knows whether <> may stand. Errors are as for Parse.
func ParsePath(s string) (Address, error) { return split(s) }

// ParseReversePath is ParsePath but keeps the case of the local part: a sender elsewhere may
// tell Bounce-X from bounce-x, and what we print as Return-Path is where bounces go. Compare
// it with addresses of ours after Lower.
func ParseReversePath(s string) (Address, error) {
	a, err := split(s)
	if err != nil {
		return Address{}, err
	}
	a.Local = s[:strings.LastIndexByte(s, '@')]
	return a, nil
}

// Lower returns the address with its local part in lower case, the form that is compared.
func (a Address) Lower() Address {
	a.Local = lower(a.Local)
	return a
}

func split(s string) (Address, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return Address{}, models.Errorf(models.Invalid, "address.noat", "The address has no @.")
	}
	return build(s[:at], s[at+1:])
}

func build(local, domain string) (Address, error) {
	if err := checkLocal(local); err != nil {
		return Address{}, err
	}
	domain, err := NormalizeDomain(domain)
	if err != nil {
		return Address{}, err
	}
	a := Address{Local: lower(local), Domain: domain}
	if len(a.String()) > MaxPath {
		return Address{}, models.Errorf(models.Invalid, "address.long", "The address is longer than %d characters.", MaxPath).With("max", MaxPath)
	}
	return a, nil
}

func checkLocal(local string) error {
	if local == "" {
		return models.Errorf(models.Invalid, "address.nolocal", "The part before @ is missing.")
	}
	if len(local) > MaxLocal {
		return models.Errorf(models.Invalid, "address.local_long", "The part before @ is longer than %d characters.", MaxLocal).With("max", MaxLocal)
	}
	for i := range len(local) {
		if local[i] >= 0x80 {
			return models.Errorf(models.Invalid, "address.eai", "Letters outside a to z cannot be used before @ yet.")
		}
	}
	for i := range len(local) {
		// RFC 5321, section 4.1.2: a quoted string holds %d32 to %d126.
		if local[i] < ' ' || local[i] > '~' {
			return badLocal()
		}
	}
	return nil
}

func badLocal() error {
	return models.Errorf(models.Invalid, "address.local", "The part before @ has characters that cannot stand there.")
}

// unquote reads the quoted string at the start of s and returns what follows it.
func unquote(s string) (local, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// IsZero reports whether a is the empty path.
func (a Address) IsZero() bool { return a == Address{} }

// String prints the address as SMTP and headers need it: a local part that is no dot-string
// is quoted. The empty path prints as nothing.
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	return quote(a.Local) + "@" + a.Domain
}

// Tag returns what follows the first + of the local part; "" without one.
func (a Address) Tag() string {
	_, tag, _ := strings.Cut(a.Local, "+")
	return tag
}

// WithoutTag returns the address without + and tag. An address that begins with + has none.
func (a Address) WithoutTag() Address {
	if i := strings.IndexByte(a.Local, '+'); i > 0 {
		a.Local = a.Local[:i]
	}
	return a
}

// atext is the set of RFC 5322, section 3.2.3, beside letters and digits.
const atext = "!#$%&'*+-/=?^_`{|}~"

func quote(local string) string {
	if isDotString(local) {
		return local
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(local) {
		if local[i] == '"' || local[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(local[i])
	}
	b.WriteByte('"')
	return b.String()
}

// isDotString reports whether local may stand without quotes (RFC 5321, section 4.1.2).
func isDotString(local string) bool {
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return false
		}
		for i := range len(atom) {
			c := atom[i]
			if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte(atext, c) < 0 {
				return false
			}
		}
	}
	return true
}

// lower lowers A to Z and nothing else.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
