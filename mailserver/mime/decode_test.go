package mime

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestDecodeWords(t *testing.T) {
	for in, want := range map[string]string{
		"plain text": "plain text",
		"=?UTF-8?B?2LPZhNin2YU=?= =?UTF-8?Q?_=D8=A7?=": "سلام ا",
		"=?utf-8?Q?a?= =?utf-8?Q?b?= c =?utf-8?Q?d?=":  "ab c d",
		"=?utf-8?B?2A==?=\r\n =?utf-8?B?sw==?=":        "س", // a character cut in two
		"=?windows-1256?Q?=D3=E1=C7=E3?=":              "سلام",
		"=?iso-8859-6?B?0+TH5Q==?=":                    "سلام",
		"=?koi8-r?B?8NLJ18XU?=":                        "Привет",
		"=?gb18030?B?xOO6ww==?=":                       "你好",
		"=?gb2312?B?xOO6ww==?=":                        "你好",
		"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=":           "日本",
		"=?euc-kr?B?x9GxuQ==?=":                        "한국",
		"=?utf-7?Q?+BjMGRAYnBkU-_x?=":                  "سلام x",
		"=?us-ascii*en?Q?lang?=":                       "lang",
		"=?x-unknown?Q?caf=E9?=":                       "café",
		"=?utf-8?X?bad?= =?utf-8?Q?unfinished":         "=?utf-8?X?bad?= =?utf-8?Q?unfinished",
		"=?utf-8?Q??= x":                               " x",
		"a=?utf-8?Q?b?=c":                              "abc",
		"=?utf-8?B?Zm9v!YmFy?=":                        "foobar",
		"caf\xe9":                                      "café",
		"raw سلام":                                     "raw سلام",
		"=?=?utf-8?Q?x?=":                              "=?x",
		"=?utf-8?Q?=FF?=":                              "\ufffd",
	} {
		if got := DecodeWords([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCharsets(t *testing.T) {
	for name, known := range map[string]bool{
		"utf-8": true, "US-ASCII": true, "windows-1256": true, "CP1256": true, "iso-8859-1": true, "ISO-8859-15": true, "koi8-u": true,
		"gb18030": true, "big5": true, "shift_jis": true, "iso-2022-jp": true, "euc-kr": true, "utf-7": true, "utf-16le": true,
		"x-klingon": false, "": false, "macintosh": true, "cp850": true, "IBM437": true,
	} {
		if KnownCharset(name) != known {
			t.Errorf("%s: known %v", name, !known)
		}
	}
	if got := ToUTF8([]byte("\xed\xe3"), "windows-1256"); got != "يم" {
		t.Errorf("got %q", got)
	}
}

func TestUTF7(t *testing.T) {
	for in, want := range map[string]string{
		"A+ImIDkQ.": "A≢Α.", "Hi Mom -+Jjo--!": "Hi Mom -☺-!", "+ZeVnLIqe-": "日本語", "1 +- 1": "1 + 1", "+2D3cqQ-": "💩",
		"+2D0-x": "\ufffdx", "+": "", "\xe9": "\ufffd", "+2D0": "\ufffd",
	} {
		got, err := io.ReadAll(NewCharsetReader(iotest.OneByteReader(strings.NewReader(in)), "utf-7"))
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestTransferDecoders(t *testing.T) {
	for _, c := range []struct{ encoding, in, want string }{
		{"base64", "SGVsbG8=", "Hello"},
		{"base64", "SGVs\r\nbG8gd29y\r\nbGQ=\r\n", "Hello world"},
		{"BASE64", "SGVs!!bG8g\r\nd29y bGQ\r\n***", "Hello world"},
		{"base64", "SGVsbG8=SGVsbG8=", "HelloHello"},
		{"base64", "SGVsbG", "Hell"},
		{"base64", "S", ""},
		{"base64", "\r\n\r\n", ""},
		{"base64", "=SGVs", "Hel"},
		{"quoted-printable", "a=3Db=\r\nc", "a=bc"},
		{"quoted-printable", "a=\nb= \t\r\nc", "abc"},
		{"quoted-printable", "trailing  \t\r\nx \n", "trailing\r\nx\n"},
		{"quoted-printable", "=zz =4 = x", "=zz =4 = x"},
		{"quoted-printable", "=d8=B3", "س"},
		{"quoted-printable", "end=", "end"},
		{"quoted-printable", "end   ", "end"},
		{"quoted-printable", "=", ""},
		{"quoted-printable", "a\rb", "a\rb"},
		{" 7bit ", "as = is", "as = is"},
		{"", "as is", "as is"},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "data+err": iotest.DataErrReader,
		} {
			r, known := NewDecoder(wrap(strings.NewReader(c.in)), c.encoding)
			got, err := io.ReadAll(r)
			if string(got) != c.want || err != nil || !known {
				t.Errorf("%s %q, %s: %q, %v", c.encoding, c.in, name, got, err)
			}
		}
	}
	if _, known := NewDecoder(strings.NewReader("x"), "x-uuencode"); known {
		t.Error("x-uuencode is known")
	}
	if _, err := io.ReadAll(mustDecoder(iotest.ErrReader(io.ErrClosedPipe), "base64")); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

func mustDecoder(r io.Reader, encoding string) io.Reader {
	d, _ := NewDecoder(r, encoding)
	return d
}

func TestBase64Large(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789\x00\xff"), 50_000)
	enc := base64.StdEncoding.EncodeToString(data)
	var wrapped strings.Builder
	for i := 0; i < len(enc); i += 76 {
		wrapped.WriteString(enc[i:min(i+76, len(enc))] + "\r\n")
	}
	for _, in := range []string{enc, wrapped.String()} {
		if got, err := io.ReadAll(mustDecoder(strings.NewReader(in), "base64")); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
		}
	}
}

func TestTextReader(t *testing.T) {
	for _, name := range []string{"plain-utf8", "plain-qp", "plain-base64", "encoded-persian"} {
		msg := readFile(t, name+".eml")
		root, err := BuildStructure(bytes.NewReader(msg), int64(len(msg)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(NewTextReader(root, io.NewSectionReader(bytes.NewReader(msg), root.Body(), root.Size)))
		if err != nil || !strings.Contains(string(got), "پیام فارسی") && !strings.Contains(string(got), "سلام") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestBaseSubject has the cases of RFC 5256 section 2.1 and then some.
func TestBaseSubject(t *testing.T) {
	for _, c := range []struct {
		in, base string
		reply    bool
	}{
		{"Hello", "Hello", false},
		{"Re: Hello", "Hello", true},
		{"RE : Hello", "Hello", true},
		{"Re[2]: Hello", "Hello", true},
		{"Fw: fwd: Re: Hello", "Hello", true},
		{"[list] Hello", "Hello", false},
		{"[list] Re: [list] Hello (fwd) (FWD)", "Hello", true},
		{"Re: [list]", "[list]", true},
		{"[a] [b]", "[b]", false},
		{"[Fwd: Re: Hello]", "Hello", true},
		{"[fwd: [fwd: x] ]", "x", true},
		{"  many \t spaces\r\n here ", "many spaces here", false},
		{"Reply: x", "Reply: x", false},
		{"Re x", "Re x", false},
		{"[unclosed x", "[unclosed x", false},
		{"[a[b]] x", "[a[b]] x", false},
		{"=?utf-8?Q?Re=3A_?= =?utf-8?B?2LPZhNin2YU=?=", "سلام", true},
		{"", "", false},
		{"Re:", "", true},
		{"(fwd)", "", true},
	} {
		if base, reply := BaseSubject([]byte(c.in)); base != c.base || reply != c.reply {
			t.Errorf("%q: %q %v", c.in, base, reply)
		}
	}
}

func TestCasemap(t *testing.T) {
	for _, c := range [][2]string{{"Straße", "STRAßE"}, {"café", "CAFE\u0301"}, {"abc", "ABC"}, {"ي", "ي"}} {
		if Casemap(c[0]) != Casemap(c[1]) {
			t.Errorf("%q and %q differ: %q %q", c[0], c[1], Casemap(c[0]), Casemap(c[1]))
		}
	}
}

func TestParseDate(t *testing.T) {
	for in, want := range map[string]string{
		"Sat, 14 Mar 2026 09:30:00 +0330":         "2026-03-14T09:30:00+03:30",
		"14 Mar 2026 09:30 GMT":                   "2026-03-14T09:30:00Z",
		"Sat 14 March 2026 9:3:1 -0000":           "2026-03-14T09:03:01Z",
		"1 Apr 99 5:6 EST (comment)":              "1999-04-01T05:06:00-05:00",
		"Sat (x), 14 (y) Mar 26 09 : 30 : 00 UT":  "2026-03-14T09:30:00Z",
		"14-Mar-2026 09:30:00 -0800":              "2026-03-14T09:30:00-08:00",
		"14 Mar 2026 23:59:60 Z":                  "2026-03-15T00:00:00Z",
		"14 Mar 126 01:02:03":                     "2026-03-14T01:02:03Z",
		"31 Feb 2026 09:30:00 GMT":                "",
		"Sat, 14 Foo 2026 09:30:00 GMT":           "",
		"14 Mar 2026":                             "",
		"14 Mar 2026 25:00:00 GMT":                "",
		"":                                        "",
		"99999999999999999999 Mar 2026 09:30 GMT": "",
		"Mon, 1 Jan 0001 00:00:00 GMT":            "",
	} {
		got := ""
		if at := ParseDate([]byte(in)); !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMessageID(t *testing.T) {
	for in, want := range map[string]string{
		"<a@b>": "a@b", " (c) <a@b> x": "a@b", "a@b": "a@b", "weird no brackets": "", "<a\r\n @b>": "a@b", `<"a"@b>`: "a@b",
		`<"a b"@c>`: "ab@c", "<<a@b>": "a@b", "<>": "", "<unclosed": "", `"<no@x>" <yes@x>`: "yes@x",
		"<" + strings.Repeat("x", 2000) + ">": "",
	} {
		if got := MessageID([]byte(in)); got != want {
			t.Errorf("%.40q: %.40q, want %q", in, got, want)
		}
	}
}

func TestPreview(t *testing.T) {
	long := strings.Repeat("کلمه ", 200)
	for name, c := range map[string]struct{ msg, want string }{
		"spaces":      {"\r\n a \t b\r\n\r\nc\x00\x1b[1m\r\n", "a b c[1m"},
		"quotes":      {"\r\n> old\r\n>> older\r\nnew\r\n", "new"},
		"only quotes": {"\r\n> old\r\n", "> old"},
		"long":        {"Content-Type: text/plain; charset=utf-8\r\n\r\n" + long, string([]rune(long)[:199])},
		"zwnj":        {"Content-Type: text/plain; charset=utf-8\r\n\r\nمی\u200cخواهم\u202e\r\n", "می\u200cخواهم"},
		"html":        {"Content-Type: text/html\r\n\r\n<style>x{}</style>A<b>B</b>C<br>D&amp;&lt;<!-- no --><p title=\"a>b\">E 1 < 2", "ABC D&< E 1 < 2"},
		"attachment":  {"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nfile\r\n", ""},
		"image":       {"Content-Type: image/png\r\n\r\nfile\r\n", ""},
		"forwarded":   {"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninside\r\n", ""},
		"empty plain": {"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>yes\r\n--b--", "yes"},
		"hidden":      {"Content-Type: text/html\r\n\r\n<head><title>t</title></head><script>\"</scrip\"</script>x", "x"},
		"cut html":    {"Content-Type: text/html\r\n\r\nabc <a href=\"", "abc"},
	} {
		got, _, _ := build(t, c.msg)
		if got.Preview != c.want {
			t.Errorf("%s: %q, want %q", name, got.Preview, c.want)
		}
	}
}
