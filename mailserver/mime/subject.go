package mime

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxBaseSubject is the length in bytes at which a base subject is cut.
const MaxBaseSubject = 512

// BaseSubject returns the base subject (RFC 5256 section 2.1) of a Subject field as it stands in the header, in its own case,
// and whether what was taken off marks a reply or a forward.
func BaseSubject(value []byte) (base string, reply bool) {
	s := oneSpace(DecodeWords(value[:min(len(value), 4*MaxBaseSubject)])) // step 1
	for {
		var more bool
		s, more = stripTrailers(s) // step 2
		reply = reply || more
		s, more = stripLeaders(s) // steps 3 to 5
		reply = reply || more
		if len(s) < 6 || !strings.EqualFold(s[:5], "[fwd:") || s[len(s)-1] != ']' { // step 6
			return cutText(s, MaxBaseSubject), reply
		}
		s, reply = strings.Trim(s[5:len(s)-1], " "), true
	}
}

// Subject returns the text of a Subject field as a person reads it: decoded, on one line, at most MaxBaseSubject bytes.
func Subject(value []byte) string {
	return cutText(oneSpace(DecodeWords(value[:min(len(value), 4*MaxBaseSubject)])), MaxBaseSubject)
}

// Subject returns the message's subject as a person reads it, "" if it has none.
func (c *Contents) Subject() string {
	e, err := DecodeEnvelope(c.Envelope)
	if err != nil {
		return ""
	}
	return Subject(e.Subject)
}

// oneSpace makes every run of space one space and takes it off the ends.
func oneSpace(s string) string {
	s = strings.TrimSpace(s)
	if !strings.ContainsAny(s, "\t\r\n") && !strings.Contains(s, "  ") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

func stripTrailers(s string) (rest string, reply bool) {
	for {
		s = strings.TrimRight(s, " ")
		if len(s) < 5 || !strings.EqualFold(s[len(s)-5:], "(fwd)") {
			return s, reply
		}
		s, reply = s[:len(s)-5], true
	}
}

// stripLeaders takes off "Re:" and its kin with the [blobs] before them, and blobs as long as something stays.
func stripLeaders(s string) (rest string, reply bool) {
	for {
		s = strings.TrimLeft(s, " ")
		if after, ok := refwd(afterBlobs(s)); ok {
			s, reply = after, true
			continue
		}
		after := afterBlob(s)
		if len(after) == len(s) || after == "" {
			return s, reply
		}
		s = after
	}
}

// afterBlob takes off one "[...]" without brackets inside, and the space after it.
func afterBlob(s string) string {
	if s == "" || s[0] != '[' {
		return s
	}
	end := strings.IndexAny(s[1:], "[]")
	if end < 0 || s[end+1] == '[' {
		return s
	}
	return strings.TrimLeft(s[end+2:], " ")
}

func afterBlobs(s string) string {
	for {
		after := afterBlob(s)
		if len(after) == len(s) {
			return s
		}
		s = after
	}
}

// refwd takes off ("re" / "fw" ["d"]) *WSP [blob] ":".
func refwd(s string) (string, bool) {
	switch {
	case len(s) >= 3 && strings.EqualFold(s[:3], "fwd"):
		s = s[3:]
	case len(s) >= 2 && (strings.EqualFold(s[:2], "re") || strings.EqualFold(s[:2], "fw")):
		s = s[2:]
	default:
		return s, false
	}
	s = afterBlob(strings.TrimLeft(s, " "))
	if s == "" || s[0] != ':' {
		return s, false
	}
	return s[1:], true
}

func subjectKey(value []byte) string {
	base, _ := BaseSubject(value)
	return cutText(Casemap(base), MaxBaseSubject)
}

// cutText cuts s to at most n bytes at a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Casemap folds text as the collation i;unicode-casemap does (RFC 5051): title case, then full decomposition. Texts are equal,
// or in order, if their results are so byte by byte. SORT and THREAD compare this way (RFC 5256).
func Casemap(s string) string {
	ascii := true
	for i := 0; i < len(s) && ascii; i++ {
		ascii = s[i] < utf8.RuneSelf
	}
	if ascii {
		return strings.ToUpper(s)
	}
	return norm.NFKD.String(strings.Map(unicode.ToTitle, s))
}
