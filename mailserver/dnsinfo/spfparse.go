package dnsinfo

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// term is one mechanism or modifier of an SPF record (RFC 7208, section 4.6.1).
type term struct {
	qualifier byte   // '+', '-', '~' or '?'; 0 for a modifier
	name      string // in lower case: "mx", "include", "redirect" ...
	value     string // after the colon or the equals sign, without the lengths
	cidr4     int    // prefix lengths of a, mx and ip; -1 = none given
	cidr6     int
}

// isSPF reports whether a text is an SPF record: the version alone or a space after it (RFC
// 7208, section 4.5).
func isSPF(text string) bool {
	return len(text) >= 6 && strings.EqualFold(text[:6], "v=spf1") && (len(text) == 6 || text[6] == ' ')
}

// mechanisms says which terms exist, and whether they must, may or must not have a value.
var mechanisms = map[string]byte{"all": '-', "include": '+', "a": '?', "mx": '?', "ptr": '?', "ip4": '+', "ip6": '+', "exists": '+'}

// parseSPF reads a record; ok is false if it has a mistake, for which receivers take it as a
// whole for broken (permerror).
func parseSPF(text string) (terms []term, ok bool) {
	if !isSPF(text) || len(text) > maxText {
		return nil, false
	}
	for _, field := range strings.Fields(text[6:]) {
		t, good := parseTerm(field)
		if !good {
			return nil, false
		}
		terms = append(terms, t)
	}
	return terms, true
}

func parseTerm(field string) (term, bool) {
	t := term{cidr4: -1, cidr6: -1}
	// A modifier is a name, an equals sign and a value; unknown ones are passed over.
	if name, value, is := strings.Cut(field, "="); is && isName(name) {
		t.name, t.value = strings.ToLower(name), value
		return t, t.name != "redirect" && t.name != "exp" || value != ""
	}
	t.qualifier = '+'
	if strings.IndexByte("+-~?", field[0]) >= 0 {
		t.qualifier, field = field[0], field[1:]
	}
	name, value, hasValue := strings.Cut(field, ":")
	if !hasValue {
		var lengths string
		if name, lengths, _ = strings.Cut(field, "/"); lengths != "" || strings.HasSuffix(field, "/") {
			value = "/" + lengths
		}
	}
	t.name = strings.ToLower(name)
	kind, known := mechanisms[t.name]
	if !known || !t.lengths(value) {
		return t, false
	}
	switch {
	case hasValue && t.value == "", kind == '+' && t.value == "", kind == '-' && (hasValue || value != ""):
		return t, false
	}
	return t, t.network()
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (i == 0 || (s[i] < '0' || s[i] > '9') && strings.IndexByte("-_.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// lengths splits "/24//64" off a value of a and mx, "/24" off one of ip4 and ip6.
func (t *term) lengths(value string) bool {
	t.value = value
	if t.name != "a" && t.name != "mx" {
		return true
	}
	var six string
	var has6 bool
	if t.value, six, has6 = strings.Cut(value, "//"); has6 && !length(six, 128, &t.cidr6) {
		return false
	}
	if i := strings.LastIndexByte(t.value, '/'); i >= 0 {
		four := t.value[i+1:]
		t.value = t.value[:i]
		return length(four, 32, &t.cidr4)
	}
	return true
}

func length(s string, most int, into *int) bool {
	n, err := strconv.Atoi(s)
	*into = n
	return err == nil && n >= 0 && n <= most && strconv.Itoa(n) == s
}

// network checks the value of ip4 and ip6.
func (t *term) network() bool {
	if t.name != "ip4" && t.name != "ip6" {
		return true
	}
	p, ok := prefix(t.value)
	return ok && p.Addr().Is4() == (t.name == "ip4")
}

func prefix(s string) (netip.Prefix, bool) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip, ip.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// mergeSPF returns one record that says what all of these say and names our servers too. How
// it ends is taken from the first that says it; +all becomes ~all.
func mergeSPF(texts, ours []string) string {
	terms := slices.Clone(ours)
	end := ""
	for _, text := range texts {
		for _, field := range strings.Fields(strings.TrimSpace(text)[min(6, len(text)):]) {
			lower := strings.ToLower(field)
			switch {
			case strings.TrimLeft(lower, "+-~?") == "all", strings.HasPrefix(lower, "redirect="):
				if end == "" && lower != "all" && lower != "+all" {
					end = field
				}
			case !slices.ContainsFunc(terms, func(t string) bool {
				return strings.EqualFold(strings.TrimPrefix(t, "+"), strings.TrimPrefix(field, "+"))
			}):
				terms = append(terms, field)
			}
		}
	}
	if end == "" {
		end = "~all"
	}
	return "v=spf1 " + strings.Join(append(terms, end), " ")
}
