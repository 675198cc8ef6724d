package wire

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7Base64 is the alphabet of RFC 3501, section 5.1.3: "," instead of "/", no padding.
var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// DecodeUTF7 returns the UTF-8 text of modified UTF-7 (RFC 3501, section 5.1.3), and whether it
// was that. What is UTF-8 beyond ASCII already is taken as it is, since clients send that too.
// Every text has one encoding: others are refused, so that no folder has two names.
func DecodeUTF7(s string) (string, bool) {
	if strings.IndexByte(s, '&') < 0 {
		return s, utf8.ValidString(s)
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		end := strings.IndexByte(s, '-')
		if end < 0 {
			return "", false
		}
		text, ok := shifted(s[:end])
		if !ok {
			return "", false
		}
		b.WriteString(text)
		if s = s[end+1:]; end > 0 && len(s) > 1 && s[0] == '&' && s[1] != '-' {
			return "", false // two runs beside each other are one
		}
	}
	return b.String(), utf8.ValidString(b.String())
}

// shifted decodes what stands between "&" and "-".
func shifted(s string) (string, bool) {
	if s == "" {
		return "&", true
	}
	raw, err := utf7Base64.DecodeString(s)
	if err != nil || len(raw)%2 != 0 {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(raw); i += 2 {
		r := rune(raw[i])<<8 | rune(raw[i+1])
		if utf16.IsSurrogate(r) {
			if i+3 >= len(raw) {
				return "", false
			}
			i += 2
			if r = utf16.DecodeRune(r, rune(raw[i])<<8|rune(raw[i+1])); r == utf8.RuneError {
				return "", false
			}
		}
		if r >= ' ' && r < 0x7f {
			return "", false // must stand for itself
		}
		b.WriteRune(r)
	}
	return b.String(), true
}

// AppendUTF7 appends UTF-8 text as modified UTF-7.
func AppendUTF7(dst []byte, s string) []byte {
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r >= ' ' && r < 0x7f {
			dst = append(dst, byte(r))
			if r == '&' {
				dst = append(dst, '-')
			}
			s = s[size:]
			continue
		}
		var units []byte
		for s != "" {
			r, size := utf8.DecodeRuneInString(s)
			if r >= ' ' && r < 0x7f {
				break
			}
			s = s[size:]
			if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
				units = append(units, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
			} else {
				units = append(units, byte(r>>8), byte(r))
			}
		}
		dst = append(utf7Base64.AppendEncode(append(dst, '&'), units), '-')
	}
	return dst
}
