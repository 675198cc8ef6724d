package address

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/postchi/postchi/models"
)

// profile maps as RFC 5895 and UTS 46 say (case, width, NFC), not transitionally, and then
// checks every label: hyphens, joiners (Persian needs the zero-width non-joiner where it is
// allowed), mixed directions, lengths, letters-digits-hyphen.
var profile = idna.New(
	idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true), idna.ValidateLabels(true),
	idna.CheckHyphens(true), idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(true),
)

// display shows without checking again: what it is given passed the profile above.
var display = idna.New(idna.Transitional(false))

// NormalizeDomain returns a domain name as a lower-case A-label without a final dot. One label
// alone is fine (localhost). Errors are of kind Invalid: address.domain, address.literal,
// address.nodomain.
func NormalizeDomain(s string) (string, error) {
	if s == "" {
		return "", models.Errorf(models.Invalid, "address.nodomain", "The domain is missing.")
	}
	if s[0] == '[' || isIP(s) {
		return "", models.Errorf(models.Invalid, "address.literal", "An IP address cannot stand in place of a domain.")
	}
	if len(s) > 4*MaxDomain || !utf8.ValidString(s) { // no U-label is that long: spare the mapping
		return "", badDomain()
	}
	name, err := profile.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil || name == "" || len(name) > MaxDomain || isIP(name) || strings.HasSuffix(name, ".") {
		return "", badDomain()
	}
	// What we store must read back as itself, or one domain would have two names.
	if again, err := profile.ToASCII(name); err != nil || again != name {
		return "", badDomain()
	}
	return name, nil
}

func badDomain() error {
	return models.Errorf(models.Invalid, "address.domain", "That is not a domain name.")
}

// isIP reports whether s would be read as an IP address: no top-level domain is a number
// (RFC 3696, section 2).
func isIP(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	s = strings.TrimSuffix(s, ".")
	last := s[strings.LastIndexByte(s, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// ParseDomain reads a domain to be hosted as a person pastes it: scheme, user, port, path,
// a leading @ or "www." and a final dot are dropped ("https://www.Example.com/" is
// example.com). It must have two labels. Errors are as for NormalizeDomain.
func ParseDomain(s string) (string, error) {
	s = strings.TrimSpace(s)
	if _, after, ok := strings.Cut(s, "://"); ok {
		s = after
	}
	s, _, _ = strings.Cut(s, "/")
	s, _, _ = strings.Cut(s, "?")
	s, _, _ = strings.Cut(s, "#")
	s = s[strings.LastIndexByte(s, '@')+1:]
	if host, port, ok := strings.Cut(s, ":"); ok && strings.Trim(port, "0123456789") == "" {
		s = host
	}
	name, err := NormalizeDomain(s)
	if err != nil {
		return "", err
	}
	if bare, ok := strings.CutPrefix(name, "www."); ok && strings.Contains(bare, ".") {
		name = bare
	}
	if !strings.Contains(name, ".") {
		return "", models.Errorf(models.Invalid, "address.domain_short", "A domain has a dot in it, like example.com.")
	}
	return name, nil
}

// Unicode returns an A-label name as people write it; a name that is none is returned as it
// is. For display only.
func Unicode(domain string) string {
	u, err := display.ToUnicode(domain)
	if err != nil {
		return domain
	}
	return u
}

// Display returns the address with its domain as people write it, for display only.
func (a Address) Display() string {
	if a.IsZero() {
		return ""
	}
	return quote(a.Local) + "@" + Unicode(a.Domain)
}
