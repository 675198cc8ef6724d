package verify

import (
	"strings"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models/address"
)

// Forged returns the Authentication-Results fields of a header that claim to be ours, or whose
// claim cannot be read: they are to be cut (RFC 8601, section 5), since whoever reads the
// message later believes what stands under our name.
func Forged(h *mime.Header, authserv string) []mime.Field {
	var forged []mime.Field
	for _, f := range h.All("Authentication-Results") {
		if id, ok := authservID(string(f.RawValue())); !ok || sameHost(id, authserv) {
			forged = append(forged, f)
		}
	}
	return forged
}

// authservID reads the name at the start of a field: a token or a quoted string, after space
// and comments.
func authservID(s string) (string, bool) {
	s, ok := skipComments(s)
	if !ok || s == "" {
		return "", false
	}
	if s[0] == '"' {
		return unquote(s[1:])
	}
	end := strings.IndexAny(s, " \t\r\n;(\"")
	if end < 0 {
		end = len(s)
	}
	return s[:end], end > 0
}

// skipComments passes over white space and comments; false if a comment has no end.
func skipComments(s string) (string, bool) {
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" || s[0] != '(' {
			return s, true
		}
		depth, i := 0, 0
		for ; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				break
			}
		}
		if i >= len(s) {
			return "", false
		}
		s = s[i+1:]
	}
}

func unquote(s string) (string, bool) {
	var out []byte
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return string(out), len(out) > 0
		case '\\':
			if i++; i == len(s) {
				return "", false
			}
		case '\r', '\n':
			continue // a fold
		}
		out = append(out, s[i])
	}
	return "", false
}

// sameHost compares names of servers as mail programs might: without case, in either form of
// other scripts, with or without the final dot.
func sameHost(a, b string) bool { return plainHost(a) == plainHost(b) }

func plainHost(s string) string {
	s = strings.TrimSuffix(trim(s), ".")
	if domain, err := address.NormalizeDomain(s); err == nil {
		return domain
	}
	return strings.ToLower(s)
}
