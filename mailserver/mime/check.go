package mime

import "bytes"

// MaxHeaderLine is the longest line, in bytes with its end, that Check lets pass. RFC 5322 section 2.1.1 allows 1,000; programs
// that pass it exist and do no harm.
const MaxHeaderLine = 8 << 10

// Check says whether the header is one that all programs read alike: every line a field or its continuation, names directly
// before their colons, CR LF at the end of every line, no control characters, no continuation lines of spaces only (which
// some take for the end of the header). The error is an *Error. Text beyond ASCII is not looked at.
func (h *Header) Check() error {
	line := 1
	for i := range h.fields {
		f := &h.fields[i]
		if r := checkField(f); r != 0 {
			return &Error{Field: f.Name, Line: line, Reason: r}
		}
		line += bytes.Count(f.Raw, newline)
	}
	if h.end != nil && len(h.end) != 2 {
		return &Error{Line: line, Reason: ReasonLineEnd}
	}
	return nil
}

func checkField(f *Field) Reason {
	switch {
	case f.colon < 0:
		return ReasonNoColon
	case !f.exact():
		return ReasonSpaceBeforeColon
	}
	for i := 0; i < len(f.Name); i++ { // RFC 5322 section 2.2
		if c := f.Name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return ReasonName
		}
	}
	if len(f.Name) == 0 {
		return ReasonName
	}
	return checkLines(f.Raw)
}

// checkLines looks at the lines of a field.
func checkLines(raw []byte) Reason {
	for first := true; len(raw) > 0; first = false {
		n := bytes.IndexByte(raw, '\n') + 1
		if n < 2 || raw[n-2] != '\r' {
			return ReasonLineEnd
		}
		line := raw[:n-2]
		raw = raw[n:]
		switch {
		case n > MaxHeaderLine:
			return ReasonTooLong
		case !first && len(bytes.Trim(line, " \t")) == 0:
			return ReasonBlankFold
		}
		for _, c := range line {
			if c < ' ' && c != '\t' || c == 0x7f {
				return ReasonControl
			}
		}
	}
	return 0
}
