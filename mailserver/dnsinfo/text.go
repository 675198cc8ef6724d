package dnsinfo

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// maxString is the length of one string of a TXT record, in bytes. RFC 1035, section 3.3.14.
const maxString = 255

// Split cuts the text of a TXT record into its strings.
func Split(text string) []string {
	var out []string
	for len(text) > maxString {
		out, text = append(out, text[:maxString]), text[maxString:]
	}
	return append(out, text)
}

// Quote returns strings as zone files have them: each in quotes, a space between.
func Quote(strs []string) string {
	quoted := make([]string, len(strs))
	for i, s := range strs {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return strings.Join(quoted, " ")
}

// reverseName returns the name of an address's PTR record, without the final dot.
func reverseName(ip netip.Addr) string {
	name, err := dns.ReverseAddr(ip.String())
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(name, ".")
}

// hostOf returns a name from an answer as names of hosts are compared.
func hostOf(name string) string {
	if name == "." {
		return name
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
