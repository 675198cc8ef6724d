package mime

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// DecodeWords returns an unstructured field's value, or a display name, as UTF-8 text: folds taken away, encoded words
// (RFC 2047) decoded, the space between two of them dropped. A character that a program cut in two between neighbouring words
// of one charset is put together again. What is no encoded word stays as it is; bytes that are neither ASCII nor UTF-8 are
// taken as windows-1252.
func DecodeWords(value []byte) string {
	if !bytes.Contains(value, []byte("=?")) && plainText(value) {
		return string(value)
	}
	d := wordDecoder{out: make([]byte, 0, len(value))}
	d.run(appendUnfolded(make([]byte, 0, len(value)), value, false))
	return string(d.out)
}

// plainText says whether b is text as it stands: valid UTF-8 without line breaks.
func plainText(b []byte) bool {
	return bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 && utf8.Valid(b)
}

type wordDecoder struct {
	out     []byte
	pending []byte // decoded bytes of the words before, still in charset
	charset string
}

func (d *wordDecoder) run(b []byte) {
	for len(b) > 0 {
		i := bytes.Index(b, []byte("=?"))
		if i < 0 {
			break
		}
		charset, data, n := cutWord(b[i:])
		if n == 0 {
			d.text(b[:i+2])
			b = b[i+2:]
			continue
		}
		if gap := b[:i]; d.charset == "" || len(bytes.TrimSpace(gap)) > 0 {
			d.text(gap)
		}
		if d.charset != "" && !strings.EqualFold(charset, d.charset) {
			d.flush()
		}
		d.charset = charset
		d.pending = append(d.pending, data...)
		b = b[i+n:]
	}
	d.text(b)
	d.flush()
}

// text ends a run of encoded words and appends text that is not encoded.
func (d *wordDecoder) text(b []byte) {
	if len(b) == 0 {
		return
	}
	d.flush()
	d.charset = ""
	d.out = toUTF8(d.out, b, "")
}

func (d *wordDecoder) flush() {
	if len(d.pending) > 0 {
		d.out = toUTF8(d.out, d.pending, d.charset)
		d.pending = d.pending[:0]
	}
}

// cutWord reads the encoded word that b begins with, up to "?="; n is its length, 0 if it is none. Longer words than the 75
// bytes of RFC 2047 section 2 are read too, and space inside, since programs write both.
func cutWord(b []byte) (charset string, data []byte, n int) {
	mark := bytes.IndexByte(b[2:], '?')
	if mark < 1 || len(b) < mark+6 || b[mark+4] != '?' || bytes.ContainsAny(b[2:mark+2], " \t") {
		return "", nil, 0
	}
	name, enc, rest := b[2:mark+2], b[mark+3], b[mark+5:]
	end := bytes.Index(rest, []byte("?="))
	if end < 0 {
		return "", nil, 0
	}
	body := rest[:end]
	switch enc | 0x20 {
	case 'q':
		data = decodeQ(body)
	case 'b':
		data = decodeB(body)
	default:
		return "", nil, 0
	}
	if star := bytes.IndexByte(name, '*'); star > 0 { // RFC 2231 section 5: language
		name = name[:star]
	}
	return string(name), data, mark + 5 + end + 2
}

func decodeQ(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '_':
			out = append(out, ' ')
		case b[i] == '=' && i+2 < len(b) && unhex(b[i+1]) < 16 && unhex(b[i+2]) < 16:
			out = append(out, unhex(b[i+1])<<4|unhex(b[i+2]))
			i += 2
		default:
			out = append(out, b[i])
		}
	}
	return out
}

func decodeB(b []byte) []byte {
	var s base64State
	return s.append(make([]byte, 0, base64.StdEncoding.DecodedLen(len(b))+3), b, true)
}

// unhex returns the value of a hexadecimal digit, 16 or more for other bytes.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// paramText returns a parameter's value as text; the extended form (RFC 2231 section 4) is preferred to the plain one.
func paramText(params []Param, name string) string {
	for _, p := range params {
		if n := len(p.Name) - 1; n > 0 && p.Name[n] == '*' && foldedIs(p.Name[:n], name) {
			return decodeExtended(p.Value)
		}
	}
	v, _ := lookup(params, name)
	return DecodeWords(v)
}

// decodeExtended decodes charset'language'text with %XX.
func decodeExtended(v []byte) string {
	charset, rest, ok := bytes.Cut(v, []byte{'\''})
	if ok {
		_, rest, ok = bytes.Cut(rest, []byte{'\''})
	}
	if !ok {
		charset, rest = nil, v
	}
	out := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		if rest[i] == '%' && i+2 < len(rest) && unhex(rest[i+1]) < 16 && unhex(rest[i+2]) < 16 {
			out = append(out, unhex(rest[i+1])<<4|unhex(rest[i+2]))
			i += 2
		} else {
			out = append(out, rest[i])
		}
	}
	return string(toUTF8(nil, out, string(charset)))
}
