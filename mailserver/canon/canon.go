// Package canon makes the canonical forms of header fields and bodies that DKIM and ARC sign
// (RFC 6376, section 3.4): signing and verifying both stand on it, so that they cannot differ.
//
// Only CRLF ends a line. A CR or LF alone is a byte like any other, as are bytes over 127.
// Bodies of any size are taken in pieces of any size, in constant memory.
package canon

import "bytes"

// Form is a canonicalization algorithm.
type Form int

// The forms. Simple is what holds where c= says nothing.
const (
	Simple  Form = iota // sections 3.4.1 and 3.4.3
	Relaxed             // sections 3.4.2 and 3.4.4
)

// String returns the word of c=.
func (f Form) String() string { return [...]string{"simple", "relaxed"}[f] }

var crlf = []byte("\r\n")

// AppendField appends a header field in a form, ended by CRLF. raw is name, colon and value as
// they stand in the message, with or without the line end.
func AppendField(dst, raw []byte, f Form) []byte {
	raw = bytes.TrimSuffix(raw, crlf)
	if f == Relaxed {
		dst = appendRelaxed(dst, raw)
	} else {
		dst = append(dst, raw...)
	}
	return append(dst, crlf...)
}

// AppendSignature appends the field of a signature as it signs itself: without the value of b=
// and without the line end (section 3.7).
func AppendSignature(dst, raw []byte, f Form) []byte {
	return bytes.TrimSuffix(AppendField(dst, withoutValue(raw, "b"), f), crlf)
}

// appendRelaxed appends a field without line end: the name in lower case, no space around the
// colon, folds undone, runs of space as one, none at the end (section 3.4.2).
func appendRelaxed(dst, raw []byte) []byte {
	name, value, _ := bytes.Cut(raw, []byte{':'})
	for _, c := range bytes.TrimRight(name, " \t") {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	dst = append(dst, ':')
	start, space := len(dst), false
	for i, c := range value {
		switch {
		case c == ' ' || c == '\t':
			space = true
		case c == '\r' && isFold(value[i:]), c == '\n' && i > 0 && isFold(value[i-1:]):
		default:
			if space && len(dst) > start {
				dst = append(dst, ' ')
			}
			dst, space = append(dst, c), false
		}
	}
	return dst
}

// isFold reports whether a CRLF and the space of a continuation line come next.
func isFold(s []byte) bool {
	return len(s) > 2 && s[0] == '\r' && s[1] == '\n' && (s[2] == ' ' || s[2] == '\t')
}

// withoutValue returns a field that holds a tag list with the value of one tag taken out, the
// space around it included.
func withoutValue(raw []byte, name string) []byte {
	at := bytes.IndexByte(raw, ':') + 1
	for at < len(raw) {
		end := at + bytes.IndexByte(raw[at:], ';')
		if end < at {
			end = len(raw)
		}
		equals := bytes.IndexByte(raw[at:end], '=')
		if equals >= 0 && string(bytes.Trim(raw[at:at+equals], " \t\r\n")) == name {
			out := make([]byte, 0, len(raw))
			return append(append(out, raw[:at+equals+1]...), raw[end:]...)
		}
		at = end + 1
	}
	return raw
}
