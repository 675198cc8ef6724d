package dnsinfo

import (
	"slices"
	"strings"
)

// tag is one name=value of DKIM, DMARC, MTA-STS and TLS-RPT records, which share this form
// (RFC 6376, section 3.2).
type tag struct{ name, value string }

// maxText is the longest text that is looked into, in bytes.
const maxText = 64 << 10

// parseTags reads tags in order; ok is false if a part is no tag or a name comes twice. Names
// are in lower case, space around both sides is gone. A semicolon at the end is allowed.
func parseTags(text string) (tags []tag, ok bool) {
	if len(text) > maxText {
		return nil, false
	}
	seen := map[string]bool{}
	ok = true
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, is := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !is || !tagName(name) || seen[name] {
			ok = false
			continue
		}
		seen[name] = true
		tags = append(tags, tag{name, strings.TrimSpace(value)})
	}
	return tags, ok && len(tags) > 0
}

func tagName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return s != ""
}

// get returns the value of a tag, "" if there is none.
func get(tags []tag, name string) string {
	for _, t := range tags {
		if t.name == name {
			return t.value
		}
	}
	return ""
}

func has(tags []tag, name string) bool {
	for _, t := range tags {
		if t.name == name {
			return true
		}
	}
	return false
}

// begins reports whether a text is a record of this version: "v=DMARC1" as its first tag, in these
// letters (RFC 9989, section 4.7; RFC 8461, section 3.1; RFC 8460, section 3).
func begins(text, version string) bool { return versionOf(text) == version }

// almost reports whether a text would be a record of this version in other letters. Receivers pass
// it over.
func almost(text, version string) bool {
	v := versionOf(text)
	return v != version && strings.EqualFold(v, version)
}

// versionOf is the value of v= if that comes first.
func versionOf(text string) string {
	first, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(first, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "v") {
		return ""
	}
	return strings.TrimSpace(value)
}

// versioned returns those of the texts that are records of this version. Without any, a text that
// only needs other letters is a mistake of its own.
func versioned(texts []string, version string) (records []string, mistake *finding) {
	for _, s := range texts {
		if begins(s, version) {
			records = append(records, s)
		}
	}
	if i := slices.IndexFunc(texts, func(s string) bool { return almost(s, version) }); i >= 0 && len(records) == 0 {
		f := wrong(texts[i:i+1], "version", "version", version)
		mistake = &f
	}
	return records, mistake
}
