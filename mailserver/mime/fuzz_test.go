package mime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// seeds adds all messages of testdata.
func seeds(f *testing.F) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) == 0 {
		f.Fatal("no testdata")
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzBuild: any bytes give a sound tree, encodings that decode to the same, and IMAP values that can be read.
func FuzzBuild(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, env, root := build(t, string(msg))
		if again := env.Encode(); !bytes.Equal(again, c.Envelope) {
			t.Fatal("envelope changes when it is encoded again")
		}
		if root.Body()+root.Size != int64(len(msg)) {
			t.Fatalf("the message ends at %d of %d", root.End(), len(msg))
		}
		if n := utf8.RuneCountInString(c.Preview); n > MaxPreview || !utf8.ValidString(c.Preview) || !utf8.ValidString(c.BaseSubject) {
			t.Fatalf("preview %q, subject %q", c.Preview, c.BaseSubject)
		}
		canonical(t, env.AppendIMAP(nil))
		canonical(t, root.AppendBodyStructure(nil, true))
		canonical(t, root.AppendBodyStructureRev2(nil, false))
		for _, s := range sections(root) {
			if r, ok := root.Section(s.path, s.what); !ok || r.Offset < 0 || r.Offset+r.Length > int64(len(msg)) {
				t.Fatalf("section %s: %v %v", s.name, r, ok)
			}
		}
		if c.Structure != nil {
			decoded, err := DecodeStructure(c.Structure)
			if err != nil || !bytes.Equal(decoded.Encode(), c.Structure) {
				t.Fatalf("structure: %v", err)
			}
		}
	})
}

// FuzzWindow: the edges of the window make no difference.
func FuzzWindow(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, msg []byte) {
		var trees [2]*Part
		for i, size := range [2]int{windowSize, lookahead + behind} {
			b := &builder{}
			b.reset(bytes.NewReader(msg), int64(len(msg)), nil)
			if i == 1 {
				b.win.buf = make([]byte, size)
			}
			trees[i] = &Part{}
			if err := b.message(trees[i]); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := trees[0].AppendBodyStructure(nil, true), trees[1].AppendBodyStructure(nil, true); !bytes.Equal(a, b) {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

// FuzzDecode: corrupt encodings give an error or something that can be shown and encoded again.
func FuzzDecode(f *testing.F) {
	for _, name := range names(f)[:20] {
		c, _, _ := build(f, string(readFile(f, name+".eml")))
		f.Add(c.Envelope)
		f.Add(c.Structure)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := DecodeEnvelope(b); err == nil {
			canonical(t, e.AppendIMAP(nil))
			e.Encode()
		} else if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
			t.Fatal(err)
		}
		p, err := DecodeStructure(b)
		if err != nil {
			return
		}
		sound(t, p, 0, 1<<51)
		canonical(t, p.AppendBodyStructure(nil, true))
		sections(p)
		p.Encode()
	})
}

// FuzzSender: what is accepted is one address that reads the same when it is written again, and that the tolerant parser
// reads the same too.
func FuzzSender(f *testing.F) {
	for _, s := range []string{"a@b", `"x, y" <a@b>`, "=?utf-8?q?x?= <a@b> (c)", "a@b, c@d", "G: a@b;", "<@r:a@b>", `"a\"b"@c`, "A (x) B <a@b>"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, from string, smtputf8 bool) {
		h, err := ReadHeader(bufio.NewReader(strings.NewReader("From: " + from + "\r\n\r\n")))
		if err != nil {
			return
		}
		m, err := OneMailbox(h, "From", smtputf8)
		if err != nil {
			return
		}
		again, r := parseSender([]byte(" "+m.String()+"\r\n"), smtputf8)
		if r != 0 || again.Local != m.Local || again.Domain != m.Domain {
			t.Fatalf("%q: %q read again is %q (%v)", from, m.String(), again.String(), r)
		}
		budget := 10
		list := parseAddresses(nil, h.fields[0].RawValue(), &arena{left: 1 << 20}, &budget)
		if len(list) != 1 || string(list[0].Mailbox) != m.Local || string(list[0].Host) != m.Domain {
			t.Fatalf("%q: %q, shown as %q", from, m.String(), list)
		}
	})
}

// FuzzHeader: the bytes of a header never change but where they are asked to.
func FuzzHeader(f *testing.F) {
	seeds(f)
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ReadHeader(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		if h.end != nil && !bytes.HasPrefix(b, h.Append(nil)) {
			t.Fatalf("%q became %q", b, h.Append(nil))
		}
		_ = h.Check()
		_, _ = ResentBlocks(h, true)
		before := len(h.fields)
		if n := h.Del("Subject"); len(h.fields) != before-n {
			t.Fatal("Del removed others")
		}
	})
}

// FuzzDecoders: decoders give the same whole and in pieces, and valid text.
func FuzzDecoders(f *testing.F) {
	for _, s := range []string{"SGVsbG8=", "a=3Db=\r\nc  \r\n", "=?utf-7?Q?+BjM-?= =?koi8-r?B?8A==?=", "14 Mar 2026 09:30 GMT", "Re: [x] y (fwd)", "+2D3cqQ-", "<a@b> <c@d>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, enc := range []string{"base64", "quoted-printable"} {
			whole := appendDecoded(nil, b, enc)
			pieces, err := io.ReadAll(mustDecoder(oneByte{bytes.NewReader(b)}, enc))
			if err != nil || !bytes.Equal(whole, pieces) || len(whole) > len(b) {
				t.Fatalf("%s: %q and %q, %v", enc, whole, pieces, err)
			}
		}
		for _, s := range []string{DecodeWords(b), ToUTF8(b, "utf-7"), ToUTF8(b, "gb18030"), ToUTF8(b, "utf-8"), ToUTF8(b, "x"), decodeExtended(b)} {
			if !utf8.ValidString(s) {
				t.Fatalf("%q", s)
			}
		}
		BaseSubject(b)
		ParseDate(b)
		MessageID(b)
		appendIDs(nil, b)
		stripHTML(b)
	})
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }
