package canon

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// The rules of RFC 6376, section 3.4, one after the other, on a whole text: slow, and plain to see.
var (
	spaces = regexp.MustCompile(`[ \t]+`)
	fold   = regexp.MustCompile(`\r\n([ \t])`)
)

func slowField(raw string, f Form) string {
	raw = strings.TrimSuffix(raw, "\r\n")
	if f == Simple {
		return raw + "\r\n"
	}
	name, value, _ := strings.Cut(raw, ":")
	value = spaces.ReplaceAllString(fold.ReplaceAllString(value, "$1"), " ")
	return asciiLower(strings.TrimRight(name, " \t")) + ":" + strings.Trim(value, " ") + "\r\n"
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}

func slowSignature(raw string, f Form) string {
	name, value, _ := strings.Cut(raw, ":")
	tags := strings.Split(value, ";")
	for i, tag := range tags {
		if n, _, ok := strings.Cut(tag, "="); ok && strings.Trim(n, " \t\r\n") == "b" {
			tags[i] = n + "="
			break
		}
	}
	return strings.TrimSuffix(slowField(name+":"+strings.Join(tags, ";"), f), "\r\n")
}

func slowBody(text string, f Form) string {
	lines := strings.Split(text, "\r\n")
	if f == Relaxed {
		for i := range lines {
			lines[i] = strings.TrimRight(spaces.ReplaceAllString(lines[i], " "), " ")
		}
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) == 0 && f == Relaxed {
		return ""
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// body makes a form of text that comes in pieces of the lengths that next gives.
func body(t testing.TB, text string, f Form, next func(left int) int) string {
	t.Helper()
	var out bytes.Buffer
	b := NewBody(&out, f)
	for rest := text; rest != ""; {
		n := next(len(rest))
		if m, err := io.WriteString(b, rest[:n]); m != n || err != nil {
			t.Fatal(m, err)
		}
		rest = rest[n:]
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func whole(left int) int { return left }

var bodies = []struct{ in, simple, relaxed string }{
	{"", "\r\n", ""},
	{"\r\n", "\r\n", ""},
	{"\r\n\r\n\r\n", "\r\n", ""},
	{" \r\n", " \r\n", ""},
	{"   ", "   \r\n", ""},
	{" \r\n \r\n\t", " \r\n \r\n\t\r\n", ""},
	{" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"}, // RFC 6376, section 3.4.5
	{"a", "a\r\n", "a\r\n"},
	{"a \t", "a \t\r\n", "a\r\n"},
	{"\ta\tb", "\ta\tb\r\n", " a b\r\n"},
	{"a\rb\nc\r\n", "a\rb\nc\r\n", "a\rb\nc\r\n"},
	{"a \r b", "a \r b\r\n", "a \r b\r\n"},
	{"\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
	{"a\r\n \r\nb\r\n", "a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n"},
	{"a\r", "a\r\r\n", "a\r\r\n"},
	{"a\r\r\n", "a\r\r\n", "a\r\r\n"},
	{"a\n\r\n", "a\n\r\n", "a\n\r\n"},
	{"\xd8\xb3\u00a0 \r\n", "\xd8\xb3\u00a0 \r\n", "\xd8\xb3\u00a0\r\n"},
}

var headers = []struct{ in, simple, relaxed string }{
	{"A: X\r\n", "A: X\r\n", "a:X\r\n"}, // RFC 6376, section 3.4.5
	{"B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"},
	{"Empty:\r\n", "Empty:\r\n", "empty:\r\n"},
	{"Space: \r\n \r\n", "Space: \r\n \r\n", "space:\r\n"},
	{"Cut: x", "Cut: x\r\n", "cut:x\r\n"},
	{"X-\xc3\x84 \t:a:b", "X-\xc3\x84 \t:a:b\r\n", "x-\xc3\x84:a:b\r\n"},
	{"A: x\ry\nz", "A: x\ry\nz\r\n", "a:x\ry\nz\r\n"},
	{"A:\r\n x", "A:\r\n x\r\n", "a:x\r\n"},
	{"no colon", "no colon\r\n", "no colon:\r\n"},
}

func TestBody(t *testing.T) {
	for _, tt := range bodies {
		for f, want := range map[Form]string{Simple: tt.simple, Relaxed: tt.relaxed} {
			if got := body(t, tt.in, f, whole); got != want {
				t.Errorf("%q, %s: %q, want %q", tt.in, f, got, want)
			}
			if got := slowBody(tt.in, f); got != want {
				t.Errorf("the rules make %q of %q, %s", got, tt.in, f)
			}
		}
	}
}

func TestField(t *testing.T) {
	for _, tt := range headers {
		for f, want := range map[Form]string{Simple: tt.simple, Relaxed: tt.relaxed} {
			if got := string(AppendField([]byte("+"), []byte(tt.in), f)); got != "+"+want {
				t.Errorf("%q, %s: %q, want %q", tt.in, f, got, want)
			}
			if got := slowField(tt.in, f); got != want {
				t.Errorf("the rules make %q of %q, %s", got, tt.in, f)
			}
		}
	}
}

// RFC 6376, section 3.7: b= is empty, nothing else is touched, and no line end follows.
func TestSignature(t *testing.T) {
	tests := []struct{ in, simple, relaxed string }{
		{"S: b=abc\r\n", "S: b=", "s:b="},
		{"S: a=1; b = ab\r\n c ; bh=b=1\r\n", "S: a=1; b =; bh=b=1", "s:a=1; b =; bh=b=1"},
		{"S: bh=1; z=b=2; b=x", "S: bh=1; z=b=2; b=", "s:bh=1; z=b=2; b="},
		{"S:\tb=\r\n x;\r\n c=2\r\n", "S:\tb=;\r\n c=2", "s:b=; c=2"},
		{"S: a=1;\r\n\tb\r\n\t=x\r\n", "S: a=1;\r\n\tb\r\n\t=", "s:a=1; b ="},
		{"S: B=x; b=y", "S: B=x; b=", "s:B=x; b="},
		{"S: a=1", "S: a=1", "s:a=1"},
		{"S:", "S:", "s:"},
	}
	for _, tt := range tests {
		for f, want := range map[Form]string{Simple: tt.simple, Relaxed: tt.relaxed} {
			raw := []byte(tt.in)
			if got := string(AppendSignature(nil, raw, f)); got != want {
				t.Errorf("%q, %s: %q, want %q", tt.in, f, got, want)
			}
			if string(raw) != tt.in {
				t.Errorf("%q was changed into %q", tt.in, raw)
			}
		}
	}
}

// RFC 6376, section 3.5, l=: it counts bytes of the canonical form, not of the message.
func TestCut(t *testing.T) {
	for _, tt := range []struct {
		length int64
		want   string
	}{{-1, " C\r\nD E\r\n"}, {0, ""}, {1, " "}, {5, " C\r\nD"}, {9, " C\r\nD E\r\n"}, {100, " C\r\nD E\r\n"}} {
		for piece := range 4 {
			var out bytes.Buffer
			c := &Cut{W: &out, Length: tt.length}
			for text := " C\r\nD E\r\n"; text != ""; {
				n := min(piece+1, len(text))
				io.WriteString(c, text[:n])
				text = text[n:]
			}
			if out.String() != tt.want || c.Total != 9 {
				t.Errorf("l=%d: %q of %d bytes", tt.length, out.String(), c.Total)
			}
		}
	}
}

// oddText makes text out of what canonicalization is about, some of it longer than what is kept.
func oddText(r *rand.Rand, n int) string {
	pieces := []string{" ", "\t", "  ", "\r\n", "\r\n\r\n", "\r", "\n", "a", "word", "=20", ".", "\xd8\xb3", " \r\n", "\t\r\n"}
	var b strings.Builder
	for range n {
		switch i := r.IntN(500); i {
		case 0:
			b.WriteString(strings.Repeat("long and ", 2000+r.IntN(4000)))
		case 1:
			b.WriteString(strings.Repeat("\r\n", 10000+r.IntN(10000)))
		default:
			b.WriteString(pieces[i%len(pieces)])
		}
	}
	return b.String()
}

func TestBodyInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 100 {
		text := oddText(r, i%50)
		for _, f := range []Form{Simple, Relaxed} {
			want := slowBody(text, f)
			if got := body(t, text, f, whole); got != want {
				t.Fatalf("%s of %.200q: %.200q, want %.200q", f, text, got, want)
			}
			if got := body(t, text, f, func(left int) int { return 1 + r.IntN(min(left, 1+r.IntN(1+i*10))) }); got != want {
				t.Fatalf("%s of %.200q in pieces: %.200q, want %.200q", f, text, got, want)
			}
		}
	}
}

// broken takes some bytes and then no more.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

var errBroken = errors.New("broken")

func TestErrorsOfTheWriterBelow(t *testing.T) {
	for _, f := range []Form{Simple, Relaxed} {
		for _, text := range []string{strings.Repeat("a  b\r\n", 20000), strings.Repeat("word", 20000), strings.Repeat("\r\n", 40000) + "a", "x"} {
			b := NewBody(&Cut{W: &broken{0}, Length: -1}, f)
			_, err := io.WriteString(b, text)
			if err == nil {
				err = b.Close()
			}
			if !errors.Is(err, errBroken) {
				t.Errorf("%s of %.20q: %v", f, text, err)
			}
		}
	}
}

func FuzzBody(f *testing.F) {
	for _, tt := range bodies {
		f.Add(tt.in, uint8(len(tt.in)/2), int64(3))
	}
	f.Fuzz(func(t *testing.T, text string, piece uint8, length int64) {
		for _, form := range []Form{Simple, Relaxed} {
			want := slowBody(text, form)
			if got := body(t, text, form, func(left int) int { return min(left, 1+int(piece)) }); got != want {
				t.Fatalf("%s: %q, want %q", form, got, want)
			}
			var out bytes.Buffer
			c := &Cut{W: &out, Length: max(length, -1)}
			b := NewBody(c, form)
			io.WriteString(b, text)
			b.Close()
			if length >= 0 {
				want = want[:min(int64(len(want)), length)]
			}
			if out.String() != want {
				t.Fatalf("%s, l=%d: %q, want %q", form, length, out.String(), want)
			}
		}
	})
}

func FuzzField(f *testing.F) {
	for _, tt := range headers {
		f.Add(tt.in)
	}
	f.Add("DKIM-Signature: a=1; b = x\r\n y; bh=2\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		for _, form := range []Form{Simple, Relaxed} {
			if got, want := string(AppendField(nil, []byte(raw), form)), slowField(raw, form); got != want {
				t.Fatalf("%s: %q, want %q", form, got, want)
			}
			if !strings.Contains(raw, ":") {
				continue
			}
			if got, want := string(AppendSignature(nil, []byte(raw), form)), slowSignature(raw, form); got != want {
				t.Fatalf("%s as a signature: %q, want %q", form, got, want)
			}
		}
	})
}

// The forms of a body of 64 kB into SHA-256, and SHA-256 alone.
func BenchmarkBody(b *testing.B) {
	kinds := map[string]string{
		"text":  strings.Repeat("A line of a message of the usual length, more or less as people write.\r\n", 900),
		"html":  strings.Repeat("<td>  <a href=\"https://example.com/\">x</a>\t</td> \r\n\r\n", 1200),
		"bytes": strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 830),
	}
	for kind, text := range kinds {
		raw := []byte(text)
		b.Run(kind+"/hash alone", func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				sha256.Sum256(raw)
			}
		})
		for _, f := range []Form{Simple, Relaxed} {
			b.Run(kind+"/"+f.String(), func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					w := NewBody(sha256.New(), f)
					for rest := raw; len(rest) > 0; {
						n := min(len(rest), 32<<10)
						w.Write(rest[:n])
						rest = rest[n:]
					}
					w.Close()
				}
			})
		}
	}
}
