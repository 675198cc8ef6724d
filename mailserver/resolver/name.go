package resolver

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// wireName returns an absolute name in the library's notation: lower case, with the final dot,
// bytes that the notation needs for itself escaped. Macros of SPF can put any byte into a
// name. A name that cannot exist is not found.
func wireName(name string) (string, error) {
	plain := strings.TrimSuffix(name, ".")
	if plain == "" && name != "." || len(plain) > 253 {
		return "", notFound(name, "no possible name")
	}
	if name == "." {
		return name, nil
	}
	var b strings.Builder
	for label := range strings.SplitSeq(plain, ".") {
		if label == "" || len(label) > 63 {
			return "", notFound(name, "no possible name")
		}
		for i := range len(label) {
			escape(&b, label[i])
		}
		b.WriteByte('.')
	}
	return b.String(), nil
}

// escape writes a byte as the library writes it, since names are compared as text.
func escape(b *strings.Builder, c byte) {
	switch {
	case 'A' <= c && c <= 'Z':
		b.WriteByte(c + 'a' - 'A')
	case c < ' ' || c >= 0x7f:
		fmt.Fprintf(b, "\\%03d", c)
	case strings.IndexByte(` \"'@;()`, c) >= 0:
		b.WriteByte('\\')
		b.WriteByte(c)
	default:
		b.WriteByte(c)
	}
}

// unescape undoes the library's notation of text: \c and \DDD.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		if n, ok := decimal(s[i+1:]); ok {
			out = append(out, n)
			i += 3
			continue
		}
		i++
		out = append(out, s[i])
	}
	return string(out)
}

func decimal(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return byte(n), n < 256
}

// isHost reports whether a name from an answer can be a host's: letters, digits, hyphens and
// underscores. Anything else has no business in greetings, logs and certificates.
func isHost(name string) bool {
	if _, ok := dns.IsDomainName(name); !ok {
		return false
	}
	for i := range len(name) {
		c := name[i] | 0x20
		if (c < 'a' || c > 'z') && (name[i] < '0' || name[i] > '9') && strings.IndexByte("-_.", name[i]) < 0 {
			return false
		}
	}
	return name != ""
}
