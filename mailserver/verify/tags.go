package verify

import (
	"encoding/base64"
	"errors"
	"strings"
)

const (
	// maxTagList is the longest tag list, in bytes, that is read: a DKIM-Signature, a key
	// record. A key of 8192 bits has 1,400.
	maxTagList = 16 << 10
	// maxTags is the number of tags in one list; DKIM defines 15.
	maxTags = 64
)

var (
	errTagSyntax = errors.New("syntax error in tag list")
	errTagTwice  = errors.New("a tag occurs twice")
	errTagLong   = errors.New("tag list too long")
)

// tagList is a list of RFC 6376, section 3.2: name=value; name=value. Space around values is
// taken away, space inside stays.
type tagList struct {
	names  []string // in their order
	values map[string]string
}

// parseTags reads a list strictly: one mistake makes all of it worthless, as the RFC has it.
func parseTags(s string) (tagList, error) {
	list := tagList{values: map[string]string{}}
	if len(s) > maxTagList {
		return list, errTagLong
	}
	for spec := range strings.SplitSeq(s, ";") {
		spec = trim(spec)
		if spec == "" {
			continue // after the last semicolon; elsewhere nobody minds
		}
		name, value, ok := strings.Cut(spec, "=")
		name = trim(name)
		if !ok || !isTagName(name) {
			return list, errTagSyntax
		}
		if _, twice := list.values[name]; twice {
			return list, errTagTwice
		}
		if len(list.names) == maxTags {
			return list, errTagLong
		}
		list.names = append(list.names, name)
		list.values[name] = trim(value)
	}
	return list, nil
}

func (l tagList) has(name string) bool { _, ok := l.values[name]; return ok }

// get returns a value without any space in it.
func (l tagList) get(name string) string { return squeeze(l.values[name]) }

// or returns a value without space, or another if the tag is missing.
func (l tagList) or(name, other string) string {
	if l.has(name) {
		return l.get(name)
	}
	return other
}

// base64 returns a binary value. RFC 6376, section 3.2: space inside is ignored.
func (l tagList) base64(name string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(l.get(name))
}

// words returns a value that is a list with colons, in lower case.
func (l tagList) words(name string) []string {
	return strings.Split(strings.ToLower(l.get(name)), ":")
}

func isTagName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '_') {
			return false
		}
	}
	return s != ""
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// squeeze takes all white space out of a text.
func squeeze(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if !isSpace(s[i]) {
			out = append(out, s[i])
		}
	}
	return string(out)
}

// isName reports whether s can be a name in the DNS that holds a key or a policy: labels of
// letters, digits, hyphens and underscores.
func isName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i] | 0x20
			if (c < 'a' || c > 'z') && (label[i] < '0' || label[i] > '9') && label[i] != '-' && label[i] != '_' {
				return false
			}
		}
	}
	return true
}

// isWithin reports whether name is domain or below it. Both are in lower case.
func isWithin(name, domain string) bool {
	return name == domain || strings.HasSuffix(name, "."+domain)
}
