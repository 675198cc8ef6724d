package models

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold brings text into the form that is searched: compatible forms as one, no case, no marks
// on letters, no zero-width characters, Persian and Arabic forms of yeh and kaf as one, digits
// as 0 to 9.
func Fold(s string) string {
	return strings.Map(foldRune, norm.NFKD.String(s))
}

func foldRune(r rune) rune {
	switch {
	case unicode.Is(unicode.Mn, r), r >= 0x200b && r <= 0x200f, r == 0x0640, r == 0xfeff: // marks, joiners, tatweel
		return -1
	case r == 'ي', r == 'ى':
		return 'ی'
	case r == 'ك':
		return 'ک'
	case r == 'ة', r == 'ۀ':
		return 'ه'
	case r >= '۰' && r <= '۹':
		return '0' + r - '۰'
	case r >= '٠' && r <= '٩':
		return '0' + r - '٠'
	}
	return unicode.ToLower(r)
}

// Clip cuts s to at most n characters for a column of that width; bytes that are no UTF-8 and
// NUL become U+FFFD, since databases refuse them.
func Clip(s string, n int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
