package mime

import (
	"bytes"
	"html"
)

// hidden are the elements whose content is not text for a reader.
var hidden = [...]string{"script", "style", "head", "title", "template", "noscript"}

// stripHTML returns the text of a document, or of its beginning, as far as a preview needs it: tags become space or
// nothing, hidden elements and comments go away, character references are decoded. The result is for showing as text
// only: it may hold "<" again.
func stripHTML(s []byte) []byte {
	var out []byte
	for len(s) > 0 {
		i := bytes.IndexByte(s, '<')
		if i < 0 {
			out = append(out, s...)
			break
		}
		out = append(out, s[:i]...)
		s = s[i:]
		switch {
		case bytes.HasPrefix(s, []byte("<!--")):
			s = after(s[4:], []byte("-->"))
		case len(s) > 1 && (isLetter(s[1]) || s[1] == '/' || s[1] == '!' || s[1] == '?'):
			name, closing, rest := cutTag(s)
			if !inline(name) {
				out = append(out, ' ')
			}
			if s = rest; !closing {
				s = skipHidden(name, rest)
			}
		default:
			out, s = append(out, '<'), s[1:]
		}
	}
	return []byte(html.UnescapeString(string(out)))
}

// cutTag returns the name of the tag that s begins with and what follows the tag. A ">" in a quoted attribute does not
// end it.
func cutTag(s []byte) (name []byte, closing bool, rest []byte) {
	i := 1
	if closing = s[1] == '/'; closing {
		i = 2
	}
	start := i
	for i < len(s) && (isLetter(s[i]) || '0' <= s[i] && s[i] <= '9') {
		i++
	}
	name = s[start:i]
	for quote := byte(0); i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && s[i-1] == '=':
			quote = c
		case c == '>':
			return name, closing, s[i+1:]
		}
	}
	return name, closing, nil
}

func skipHidden(name, s []byte) []byte {
	for _, h := range hidden {
		if !foldedIs(name, h) {
			continue
		}
		for {
			i := bytes.Index(s, []byte("</"))
			if i < 0 {
				return nil
			}
			s = s[i+2:]
			if len(s) >= len(h) && foldedIs(s[:len(h)], h) {
				return after(s, []byte{'>'})
			}
		}
	}
	return s
}

// inline says whether a tag stands inside a word or sentence.
func inline(name []byte) bool {
	for _, s := range [...]string{"a", "b", "i", "u", "em", "strong", "span", "font", "big", "small", "sub", "sup", "wbr"} {
		if foldedIs(name, s) {
			return true
		}
	}
	return false
}

func after(s, sep []byte) []byte {
	if i := bytes.Index(s, sep); i >= 0 {
		return s[i+len(sep):]
	}
	return nil
}
