package mime

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// aliases are names that mail uses and the indexes of x/text do not know, or know as something else.
var aliases = map[string]encoding.Encoding{
	"cp1250": charmap.Windows1250, "cp1251": charmap.Windows1251, "cp1252": charmap.Windows1252, "cp1253": charmap.Windows1253,
	"cp1254": charmap.Windows1254, "cp1255": charmap.Windows1255, "cp1256": charmap.Windows1256, "cp1257": charmap.Windows1257,
	"cp1258": charmap.Windows1258, "cp437": charmap.CodePage437, "cp850": charmap.CodePage850, "cp852": charmap.CodePage852,
	"cp858": charmap.CodePage858, "cp866": charmap.CodePage866, "arabic": charmap.ISO8859_6, "cp936": simplifiedchinese.GBK,
	"hz-gb-2312": simplifiedchinese.HZGB2312, "gb2312": simplifiedchinese.GB18030, "gbk": simplifiedchinese.GB18030,
	// The index of the web takes it as little-endian whatever a byte order mark says.
	"utf-16": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
	"utf-7":  utf7{}, "utf7": utf7{}, "unicode-1-1-utf-7": utf7{}, "x-unicode-2-0-utf-7": utf7{},
}

// unknown and ambiguous names are decoded by looking at the bytes.
func guessed(name string) bool {
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "8bit", "default", "unknown", "x-unknown", "utf-8mb4":
		return true
	}
	return false
}

// charsetByName finds a charset: the names of mail, then those of the web, then IANA's. nil: not known.
func charsetByName(name string) encoding.Encoding {
	if e, ok := aliases[name]; ok {
		return e
	}
	if e, err := htmlindex.Get(name); err == nil {
		if canonical, err := htmlindex.Name(e); err == nil && canonical != "replacement" {
			return e
		}
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e
	}
	return nil
}

func charsetName(s string) string { return strings.ToLower(strings.Trim(s, " \t\"'")) }

// KnownCharset says whether text in that charset can be decoded. IMAP SEARCH refuses others with BADCHARSET.
func KnownCharset(name string) bool {
	name = charsetName(name)
	return name != "" && (guessed(name) || charsetByName(name) != nil)
}

// toUTF8 appends b, which is in that charset, as valid UTF-8. Of an unknown charset, of ASCII and of UTF-8 the bytes decide:
// what is valid UTF-8 is taken so, the rest as windows-1252. What cannot be decoded becomes U+FFFD.
func toUTF8(dst, b []byte, charset string) []byte {
	name := charsetName(charset)
	if !guessed(name) {
		if e := charsetByName(name); e != nil {
			return appendTransformed(dst, b, e.NewDecoder())
		}
	}
	if utf8.Valid(b) {
		return append(dst, b...)
	}
	if strings.HasPrefix(name, "utf") {
		return append(dst, bytes.ToValidUTF8(b, []byte("\ufffd"))...)
	}
	return appendTransformed(dst, b, charmap.Windows1252.NewDecoder())
}

func appendTransformed(dst, b []byte, t transform.Transformer) []byte {
	out, _, err := transform.Bytes(t, b)
	if err != nil && len(out) == 0 {
		return append(dst, bytes.ToValidUTF8(b, []byte("\ufffd"))...)
	}
	return append(dst, out...)
}

// ToUTF8 returns b, which is in that charset, as UTF-8 text. See NewTextReader for what is done with charsets that are not
// known.
func ToUTF8(b []byte, charset string) string { return string(toUTF8(nil, b, charset)) }

// NewCharsetReader returns a reader of r's text as UTF-8. Unknown charsets are passed as they are, bytes that are not UTF-8
// becoming U+FFFD. It never fails by itself.
func NewCharsetReader(r io.Reader, charset string) io.Reader {
	name := charsetName(charset)
	if !guessed(name) {
		if e := charsetByName(name); e != nil {
			return transform.NewReader(r, e.NewDecoder())
		}
	}
	return transform.NewReader(r, encoding.Replacement.NewEncoder())
}

// NewRawTextReader is NewTextReader for those who bear bytes that are no UTF-8: text that is not changed by it comes as it
// was stored.
func NewRawTextReader(p *Part, r io.Reader) io.Reader {
	r, _ = NewDecoder(r, p.transferEncoding())
	if name := charsetName(p.Param("charset")); guessed(name) || charsetByName(name) == nil {
		return r
	}
	return NewCharsetReader(r, p.Param("charset"))
}

// NewTextReader returns a reader of a text part's body as UTF-8: transfer encoding and charset taken away. r reads the body as
// stored.
func NewTextReader(p *Part, r io.Reader) io.Reader {
	r, _ = NewDecoder(r, p.transferEncoding())
	return NewCharsetReader(r, p.Param("charset"))
}
