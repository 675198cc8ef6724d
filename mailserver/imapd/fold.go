package imapd

import (
	"bytes"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/postchi/postchi/mailserver/mime"
)

// tableEnd is the first character that is not folded by table.
const tableEnd = 0x3000

// folds is what each character below tableEnd becomes.
var folds = sync.OnceValue(func() *[tableEnd]string {
	var t [tableEnd]string
	for r := range rune(tableEnd) {
		t[r] = foldRune(r)
	}
	return &t
})

// foldRune folds a character for comparing as SEARCH does: without case and with letters and
// their marks apart (i;unicode-casemap, RFC 5051), and so that what a reader of Persian takes
// for the same is the same: the yehs and kafs of Arabic and Persian keyboards, both rows of
// digits, and words with or without the marks that join and part letters.
func foldRune(r rune) string {
	if r < utf8.RuneSelf {
		return string(unicode.ToLower(r))
	}
	var out []rune
	for _, c := range mime.Casemap(string(r)) {
		switch {
		case c == 0x64a || c == 0x649:
			c = 0x6cc
		case c == 0x643:
			c = 0x6a9
		case c >= 0x660 && c <= 0x669:
			c += 0x6f0 - 0x660
		case c == 0x640, c >= 0x200b && c <= 0x200f, c == 0xad:
			continue // tatweel, marks without width, soft hyphen
		case c < utf8.RuneSelf:
			c = unicode.ToLower(c)
		}
		out = append(out, c)
	}
	return string(out)
}

// appendFold appends text folded, and returns how many bytes of it were taken: all, but for
// the beginning of a character at its end unless final.
func appendFold(dst, src []byte, final bool) ([]byte, int) {
	table := folds()
	i := 0
	for i < len(src) {
		c := src[i]
		if c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		if !final && !utf8.FullRune(src[i:]) {
			break
		}
		r, n := utf8.DecodeRune(src[i:])
		i += n
		switch {
		case r < tableEnd:
			dst = append(dst, table[r]...)
		case r >= 0xac00 && r < 0xd7a4, r >= 0xf900 && r < 0x10000 && r != utf8.RuneError, r >= 0x10400 && r < 0x1f000:
			dst = append(dst, foldRune(r)...) // Hangul, compatibility forms, scripts with case
		default:
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
	}
	return dst, i
}

// foldString returns a text folded.
func foldString(s string) []byte {
	b, _ := appendFold(make([]byte, 0, len(s)), []byte(s), true)
	return b
}

// finder looks for folded needles in a text that comes in pieces.
type finder struct {
	needles [][]byte
	found   []bool
	left    int // needles not found yet
	longest int
	folded  []byte // the end of what was looked at, for matches across pieces
	rest    []byte // the beginning of a character
}

func newFinder(needles [][]byte) *finder {
	f := &finder{needles: needles, found: make([]bool, len(needles))}
	for _, n := range needles {
		f.longest = max(f.longest, len(n))
	}
	f.reset()
	return f
}

// reset begins another message.
func (f *finder) reset() {
	clear(f.found)
	f.left = len(f.needles)
	for i, n := range f.needles {
		if len(n) == 0 {
			f.found[i] = true
			f.left--
		}
	}
	f.gap()
}

// gap begins another text of the same message: no match spans both.
func (f *finder) gap() { f.folded, f.rest = f.folded[:0], f.rest[:0] }

// Write implements io.Writer.
func (f *finder) Write(p []byte) (int, error) {
	if f.left == 0 {
		return len(p), nil
	}
	if len(f.rest) > 0 {
		// The character that was cut in two: at most three bytes of it are here.
		n := min(len(p), utf8.UTFMax)
		joined := append(f.rest, p[:n]...)
		out, taken := appendFold(f.folded, joined, false)
		f.folded = out
		if taken <= len(f.rest) && len(p) == n {
			f.rest = append(f.rest[:0], joined[taken:]...)
			return len(p), nil
		}
		skip := taken - len(f.rest)
		f.rest = f.rest[:0]
		f.take(p[max(skip, 0):])
		return len(p), nil
	}
	f.take(p)
	return len(p), nil
}

func (f *finder) take(p []byte) {
	out, taken := appendFold(f.folded, p, false)
	f.rest = append(f.rest[:0], p[taken:]...)
	for i, n := range f.needles {
		if !f.found[i] && bytes.Contains(out, n) {
			f.found[i] = true
			f.left--
		}
	}
	keep := min(len(out), max(f.longest-1, 0))
	f.folded = append(out[:0], out[len(out)-keep:]...)
}
