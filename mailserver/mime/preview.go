package mime

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// What is read of a text for its preview, in bytes as stored. A mail in HTML may begin with much that is not shown.
const (
	previewPlain = 4 << 10
	previewHTML  = 32 << 10
)

// preview makes the preview from the first text that has one.
func (b *builder) preview() (string, error) {
	for _, p := range [2]*Part{b.plain, b.html} {
		if p == nil {
			continue
		}
		limit := previewPlain
		if p == b.html {
			limit = previewHTML
		}
		s, err := b.previewOf(p, limit)
		if s != "" || err != nil {
			return s, err
		}
	}
	return "", nil
}

func (b *builder) previewOf(p *Part, limit int) (string, error) {
	limit = int(min(int64(limit), p.Size))
	if cap(b.text) < 3*limit {
		b.text = make([]byte, 3*limit)
	}
	raw := b.text[:limit:limit]
	n, err := b.win.prefix(raw, p.Body())
	if err != nil {
		return "", err
	}
	decoded := appendDecoded(b.text[limit:limit], raw[:n], p.transferEncoding())
	s, charset := decoded, p.Param("charset")
	if !utf8.Valid(decoded) || !guessed(charsetName(charset)) {
		if int64(n) < p.Size {
			decoded = cutPartial(decoded)
		}
		s = toUTF8(nil, decoded, charset)
	}
	if p == b.html {
		return collapse(stripHTML(s)), nil
	}
	if t := collapse(unquoted(s)); t != "" {
		return t, nil
	}
	return collapse(s), nil
}

// cutPartial takes off the beginning of a UTF-8 character that the limit cut in two.
func cutPartial(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// unquoted drops the lines that quote another mail.
func unquoted(s []byte) []byte {
	if bytes.IndexByte(s, '>') < 0 {
		return s
	}
	var out []byte
	for len(s) > 0 {
		line := s
		if n := bytes.IndexByte(s, '\n'); n >= 0 {
			line = s[:n+1]
		}
		s = s[len(line):]
		if line[0] != '>' {
			out = append(out, line...)
		}
	}
	return out
}

// collapse makes one line of a text: runs of space become one, control characters and those that only turn the direction
// of writing go away, and it is cut to MaxPreview characters.
func collapse(s []byte) string {
	out := make([]byte, 0, min(len(s), 2*MaxPreview))
	space, n := false, 0
	for len(s) > 0 && n < MaxPreview {
		r, size := rune(s[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(s)
		}
		s = s[size:]
		if r == '\u200c' || r == '\u200d' { // joiners belong to Persian words
		} else if unicode.IsSpace(r) || r == '\u2028' || r == '\u2029' {
			space = true
			continue
		} else if r < ' ' || r >= 0x7f && unicode.In(r, unicode.Cc, unicode.Cf) {
			continue
		}
		if space && n > 0 {
			if n++; n == MaxPreview {
				break
			}
			out = append(out, ' ')
		}
		space = false
		out = utf8.AppendRune(out, r)
		n++
	}
	return string(out)
}
