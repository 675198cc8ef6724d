package verify

import (
	"net/netip"
	"regexp"
	"strings"
	"sync"
)

// spfGrammar is what RFC 7208, section 12, allows between the spaces of a record.
var spfGrammar = sync.OnceValue(func() (g struct{ directive, modifier *regexp.Regexp }) {
	const (
		// Section 7.1. The letters c, r and t are for explanations alone.
		expand = `%(?:\{[slodipvhSLODIPVH](?:0*[1-9][0-9]*)?[rR]?[-.+,/_=]*\}|[%_-])`
		text   = `(?:` + expand + `|[!-$&-~])*`
		label  = `(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])`
		domain = text + `(?:\.` + label + `\.?|` + expand + `)`
		four   = `(?:[0-9]|[12][0-9]|3[0-2])`
		six    = `(?:[0-9]|[1-9][0-9]|1[01][0-9]|12[0-8])`
	)
	g.directive = regexp.MustCompile(`^[-+?~]?(?:(?i:all)|(?i:include|exists):` + domain + `|(?i:a|mx)(?::` + domain + `)?(?:/` + four + `)?(?://` + six + `)?|(?i:ptr)(?::` + domain + `)?|` +
		`(?i:ip4):([0-9.]+)(?:/` + four + `)?|(?i:ip6):([0-9A-Fa-f:.]+)(?:/` + six + `)?)$`)
	g.modifier = regexp.MustCompile(`^(?:((?i:redirect|exp))=` + domain + `|([A-Za-z][A-Za-z0-9._-]*)=` + text + `)$`)
	return g
})

// isSPF reports whether a text is an SPF record at all (RFC 7208, section 4.5).
func isSPF(text string) bool {
	version, _, _ := strings.Cut(text, " ")
	return strings.EqualFold(version, "v=spf1")
}

// validSPF reports whether a record keeps to the grammar in all of its terms. RFC 7208, section
// 4.6: a mistake anywhere in it is a permanent error, also behind the term that would match.
func validSPF(record string) bool {
	seen := map[string]bool{}
	for i, term := range strings.Split(record, " ") {
		if term == "" || i == 0 {
			continue
		}
		if m := spfGrammar().directive.FindStringSubmatch(term); m != nil {
			if !isNetwork(m[1], true) || !isNetwork(m[2], false) {
				return false
			}
			continue
		}
		m := spfGrammar().modifier.FindStringSubmatch(term)
		if m == nil {
			return false
		}
		// Section 6: redirect and exp stand once at most. The second form takes them without a domain.
		name := strings.ToLower(m[1])
		if other := strings.ToLower(m[2]); seen[name] && name != "" || other == "redirect" || other == "exp" {
			return false
		}
		seen[name] = true
	}
	return true
}

func isNetwork(s string, four bool) bool {
	if s == "" {
		return true
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is4() == four
}
