package mime

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// utf7 is UTF-7 (RFC 2152), which x/text does not have. It only decodes; its encoder passes UTF-8 through.
type utf7 struct{}

func (utf7) NewDecoder() *encoding.Decoder { return &encoding.Decoder{Transformer: &utf7Decoder{}} }
func (utf7) NewEncoder() *encoding.Encoder { return encoding.Nop.NewEncoder() }
func (utf7) String() string                { return "UTF-7" }

// utf7Decoder keeps the state inside +...-.
type utf7Decoder struct {
	shifted bool
	first   bool // nothing came after the plus yet
	bits    uint32
	n       uint   // bits waiting
	high    uint16 // first half of a surrogate pair
}

func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

// Transform implements transform.Transformer. Broken input becomes U+FFFD, never an error.
func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		if len(dst)-nDst < 3*utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += d.step(dst[nDst:], src[nSrc])
	}
	if atEOF && d.high != 0 {
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		d.high = 0
		nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
	}
	return nDst, nSrc, nil
}

// step takes one byte and writes at most three characters.
func (d *utf7Decoder) step(dst []byte, c byte) (n int) {
	if d.shifted {
		if v := base64Values[c]; v < 64 {
			d.first = false
			return d.sextet(dst, v)
		}
		if d.shifted = false; d.high != 0 {
			d.high = 0
			n = utf8.EncodeRune(dst, utf8.RuneError)
		}
		if c == '-' {
			if d.first {
				n += utf8.EncodeRune(dst[n:], '+')
			}
			return n
		}
	}
	switch {
	case c == '+':
		*d = utf7Decoder{shifted: true, first: true}
		return n
	case c >= utf8.RuneSelf:
		return n + utf8.EncodeRune(dst[n:], utf8.RuneError)
	}
	dst[n] = c
	return n + 1
}

// sextet takes six bits of UTF-16.
func (d *utf7Decoder) sextet(dst []byte, v byte) (n int) {
	d.bits, d.n = d.bits<<6|uint32(v), d.n+6
	if d.n < 16 {
		return 0
	}
	d.n -= 16
	unit := uint16(d.bits >> d.n)
	d.bits &= 1<<d.n - 1
	switch {
	case d.high != 0:
		r := utf16.DecodeRune(rune(d.high), rune(unit))
		d.high = 0
		return utf8.EncodeRune(dst, r)
	case 0xd800 <= unit && unit < 0xdc00:
		d.high = unit
		return 0
	}
	return utf8.EncodeRune(dst, rune(unit)) // a lone second half is not a character and becomes U+FFFD
}
