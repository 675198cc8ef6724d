package verify

import (
	"net/netip"
	"strings"
)

// maxResult is the longest value, in bytes, that is printed into Authentication-Results.
const maxResult = 255

// resultField builds an Authentication-Results field, safe whatever the values hold.
type resultField struct {
	b []byte
}

func newResultField(authserv string) *resultField {
	return &resultField{b: []byte("Authentication-Results: " + token(authserv))}
}

// method begins the result of one method, on a line of its own.
func (f *resultField) method(name, verdict string) *resultField {
	f.b = append(f.b, ";\r\n\t"+name+"="+verdict...)
	return f
}

// reason adds why.
func (f *resultField) reason(text string) *resultField {
	if text != "" {
		f.b = append(append(f.b, " reason="...), quoted(text)...)
	}
	return f
}

// property adds what was looked at: ptype.property=value. An empty value is left out.
func (f *resultField) property(name, value string) *resultField {
	if value != "" {
		f.b = append(append(append(f.b, ' '), name...), '=')
		f.b = append(f.b, pvalue(value)...)
	}
	return f
}

func (f *resultField) end() []byte { return append(f.b, "\r\n"...) }

// pvalue prints a value (RFC 8601, section 2.2): as it is if it is a token, or an address whose
// both sides are, and quoted if not.
func pvalue(s string) string {
	local, domain, ok := strings.Cut(s, "@")
	if isToken(s) || ok && isName(domain) && (local == "" || isToken(local)) && len(s) <= maxResult {
		return s
	}
	return quoted(s)
}

func token(s string) string {
	if isToken(s) {
		return s
	}
	return quoted(s)
}

// isToken tells whether s is a token of RFC 2045, section 5.1.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return s != "" && len(s) <= maxResult
}

// quoted prints a quoted string. What could end the line, or is not ASCII, becomes a question
// mark; what is too long is cut.
func quoted(s string) string {
	out := []byte{'"'}
	for _, c := range []byte(s[:min(len(s), maxResult)]) {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ' || c >= 0x7f:
			out = append(out, '?')
		default:
			out = append(out, c)
		}
	}
	return string(append(out, '"'))
}

// fields prints the whole result (RFC 8601, section 2.7).
func (r *Result) fields(authserv string, m *Message, remote netip.Addr, spf spfResult, dmarc dmarcResult) []byte {
	f := newResultField(authserv)
	f.method("iprev", r.IPRev).property("policy.iprev", remote.String())
	mailFrom := m.Sender.String()
	if mailFrom == "" && spf.domain != "" {
		mailFrom = "postmaster@" + spf.domain
	}
	f.method("spf", r.SPF).property("smtp.mailfrom", mailFrom)
	f.method("spf", r.SPFHELO).property("smtp.helo", m.HELO)
	if len(r.Signatures) == 0 {
		f.method("dkim", "none")
	}
	for _, s := range r.Signatures {
		f.method("dkim", s.Verdict).reason(s.Reason).property("header.d", s.Domain)
		if s.Identity != "@"+s.Domain {
			f.property("header.i", s.Identity)
		}
		f.property("header.s", s.Selector).property("header.a", s.Algo).property("header.b", s.B)
	}
	f.method("arc", r.ARC)
	if r.ARC != "none" {
		f.property("smtp.remote-ip", remote.String()) // RFC 8617, section 6
	}
	f.method("dmarc", r.DMARC).property("header.from", r.From)
	if dmarc.published {
		f.property("policy.dmarc", dmarc.policy.String()) // RFC 9989, section 9.1
	}
	return f.end()
}
