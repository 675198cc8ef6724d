package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func build(t testing.TB, msg string) (*Contents, *Envelope, *Part) {
	t.Helper()
	c, err := Build(strings.NewReader(msg), int64(len(msg)))
	if err != nil {
		t.Fatal(err)
	}
	env, err := DecodeEnvelope(c.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	root, err := BuildStructure(strings.NewReader(msg), int64(len(msg)))
	if err != nil {
		t.Fatal(err)
	}
	sound(t, root, 0, int64(len(msg)))
	return c, env, root
}

// sound fails unless every part lies within its parent and has as many lines as its bytes can hold.
func sound(t testing.TB, p *Part, from, to int64) {
	t.Helper()
	if p.Offset < from || p.HeaderLen < 0 || p.Size < 0 || p.End() > to || p.Lines < 0 || p.Lines > p.Size {
		t.Fatalf("part %d+%d+%d, %d lines, is not within %d-%d", p.Offset, p.HeaderLen, p.Size, p.Lines, from, to)
	}
	if p.Message() != (p.Envelope != nil) || p.Message() && len(p.Children) != 1 {
		t.Fatal("message part without its message")
	}
	from = p.Body()
	for _, c := range p.Children {
		sound(t, c, from, p.End())
		from = c.End()
	}
}

// TestWindow parses all messages through windows so small that everything lies across their edges.
func TestWindow(t *testing.T) {
	for _, name := range names(t) {
		msg := readFile(t, name+".eml")
		want, err := BuildStructure(bytes.NewReader(msg), int64(len(msg)))
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{lookahead + behind, lookahead + behind + 1, lookahead + 37, 1500} {
			for _, pad := range []int{0, 1, 2, 900, 1003, 1004} {
				// A preamble of the header moves everything else against the window.
				padded := append([]byte("X-Pad: "+strings.Repeat("x", pad)+"\r\n"), msg...)
				b := &builder{}
				b.reset(bytes.NewReader(padded), int64(len(padded)), nil)
				b.win.buf = make([]byte, size)
				got := &Part{}
				if err := b.message(got); err != nil {
					t.Fatal(err)
				}
				shift(want, int64(len(padded)-len(msg)))
				if a, b := got.Encode(), want.Encode(); !bytes.Equal(a, b) && name != "leading-fold" {
					t.Errorf("%s with window %d, pad %d:\n%s\n%s", name, size, pad, dump(got), dump(want))
				}
				shift(want, int64(len(msg)-len(padded)))
			}
		}
	}
}

// shift makes the header of the message longer by n bytes.
func shift(p *Part, n int64) {
	p.HeaderLen += n
	var move func(*Part)
	move = func(c *Part) {
		c.Offset += n
		for _, x := range c.Children {
			move(x)
		}
	}
	for _, c := range p.Children {
		move(c)
	}
}

func dump(p *Part) string {
	s := fmt.Sprintf("%s/%s %d+%d+%d l%d", p.Type, p.Subtype, p.Offset, p.HeaderLen, p.Size, p.Lines)
	for _, c := range p.Children {
		s += " [" + dump(c) + "]"
	}
	return s
}

func TestRoundTrip(t *testing.T) {
	for _, name := range names(t) {
		msg := string(readFile(t, name+".eml"))
		c, env, root := build(t, msg)
		if got := env.Encode(); !bytes.Equal(got, c.Envelope) {
			t.Errorf("%s: envelope changes when it is encoded again", name)
		}
		again, err := DecodeStructure(c.Structure)
		if err != nil {
			t.Fatal(name, err)
		}
		if !bytes.Equal(again.Encode(), c.Structure) || !bytes.Equal(root.Encode(), c.Structure) {
			t.Errorf("%s: structure changes when it is encoded again", name)
		}
		if !reflect.DeepEqual(root.AppendBodyStructure(nil, true), again.AppendBodyStructure(nil, true)) {
			t.Errorf("%s: structure is shown differently after decoding", name)
		}
	}
}

func nested(levels int) string {
	var b strings.Builder
	b.WriteString("Subject: deep\r\n")
	for i := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"n%d_\"\r\n\r\n--n%d_\r\n", i, i)
	}
	b.WriteString("\r\nbottom\r\n")
	return b.String()
}

func depth(p *Part) int {
	d := 0
	for _, c := range p.Children {
		d = max(d, depth(c))
	}
	return d + 1
}

func TestDepthCap(t *testing.T) {
	c, _, root := build(t, nested(150))
	if d := depth(root); d != MaxDepth+1 {
		t.Errorf("depth %d", d)
	}
	p := root
	for len(p.Children) > 0 {
		p = p.Children[0]
	}
	if !p.Is("application", "octet-stream") || p.Multipart() || p.Size == 0 {
		t.Errorf("deepest part: %s", dump(p))
	}
	if _, err := DecodeStructure(c.Structure); err != nil {
		t.Error(err)
	}
	_, _, root = build(t, strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 200)+"end\r\n")
	if d := depth(root); d != MaxDepth+1 {
		t.Errorf("depth of messages %d", d)
	}
}

func count(p *Part) int {
	n := 1
	for _, c := range p.Children {
		n += count(c)
	}
	return n
}

func TestPartsCap(t *testing.T) {
	head := "Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	msg := head + strings.Repeat("--b\r\n\r\nx\r\n", 12_000) + "--b--\r\n"
	c, env, root := build(t, msg)
	if n := count(root); n != MaxParts {
		t.Errorf("%d parts", n)
	}
	last := root.Children[len(root.Children)-1]
	if last.End() != int64(len(msg)) {
		t.Errorf("the last part ends at %d of %d", last.End(), len(msg))
	}
	if c.Structure != nil {
		t.Errorf("structure has %d bytes", len(c.Structure))
	}
	if string(env.Subject) != "many" || c.Preview != "x" {
		t.Errorf("subject %q, preview %q", env.Subject, c.Preview)
	}
}

func TestManyHeaders(t *testing.T) {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "X-%d: value\r\n", i)
	}
	b.WriteString("Subject: after many\r\n\r\nbody\r\n")
	_, env, root := build(t, b.String())
	if string(env.Subject) != "after many" || root.Size != 6 {
		t.Errorf("subject %q, size %d", env.Subject, root.Size)
	}
}

func TestHeaderCap(t *testing.T) {
	line := "X-Filler: " + strings.Repeat("x", 60) + "\r\n"
	filler := strings.Repeat(line, 2*MaxHeaderBlock/len(line))
	for name, middle := range map[string]string{"many lines": filler, "one line": "X: " + strings.Repeat("y", 3*MaxHeaderBlock) + "\r\n"} {
		msg := "Subject: first\r\n" + middle + "From: late@example.com\r\n\r\nbody\r\n"
		_, env, root := build(t, msg)
		if string(env.Subject) != "first" || env.From != nil {
			t.Errorf("%s: subject %q, from %v", name, env.Subject, env.From)
		}
		if root.Body() != int64(len(msg)-6) || root.Size != 6 || root.Lines != 1 {
			t.Errorf("%s: %s", name, dump(root))
		}
		part := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + middle + "\r\none\r\n--b\r\n" + middle + "--b--\r\n"
		if _, _, root = build(t, part); len(root.Children) != 2 || root.Children[0].Size != 3 || root.Children[1].Size != 0 {
			t.Errorf("%s in a part: %s", name, dump(root))
		}
	}
}

func TestAddressCap(t *testing.T) {
	msg := "From: a@b\r\nTo: " + strings.Repeat("someone@example.com,\r\n ", 40_000) + "z@z\r\nSubject: s\r\n\r\nx"
	c, env, _ := build(t, msg)
	if n := len(env.To); n == 0 || n > MaxAddresses || len(c.Envelope) > MaxEnvelope {
		t.Errorf("%d addresses, %d bytes", n, len(c.Envelope))
	}
	if len(env.From) != 1 {
		t.Errorf("From: %v", env.From)
	}
}

func TestEnvelopeCap(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	msg := "Date: " + long + "\r\nSubject: " + long + "\r\nMessage-ID: " + long + "\r\nIn-Reply-To: " + long +
		"\r\nFrom: " + long + "@x\r\nCc: " + long + "@y\r\nTo: " + long + "@z\r\n\r\n"
	c, env, _ := build(t, msg)
	if len(c.Envelope) > MaxEnvelope || len(env.Subject) > MaxValue || len(env.Subject) < MaxValue-1 || len(c.BaseSubject) > MaxBaseSubject || c.MessageID != "" {
		t.Errorf("%d bytes; subject %d", len(c.Envelope), len(env.Subject))
	}
}

// TestMemory builds hostile messages and watches what is allocated.
func TestMemory(t *testing.T) {
	params := "Content-Type: text/plain" + strings.Repeat("; a*0*=x", 100) + "\r\n"
	big := "Content-Type: text/plain; x=" + strings.Repeat("y", 60_000) + "\r\n"
	many := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	for name, msg := range map[string]string{
		"parameters": many + strings.Repeat("--b\r\n"+params+"\r\nx\r\n", 10_000),
		"values":     many + strings.Repeat("--b\r\n"+big+"\r\nx\r\n", 500),
		"dashes":     many + strings.Repeat("--\r\n", 5_000_000),
		"body":       "\r\n" + strings.Repeat("0123456789abcdef\r\n", 2_000_000),
	} {
		r := strings.NewReader(msg)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Build(r, int64(len(msg))); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("%s: %d MiB allocated for %d MiB", name, used>>20, len(msg)>>20)
		}
	}
}

// brokenReader fails at some offset.
type brokenReader struct {
	io.ReaderAt
	at int64
}

var errBroken = errors.New("disk on fire")

func (r brokenReader) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > r.at {
		return 0, errBroken
	}
	return r.ReaderAt.ReadAt(p, off)
}

func TestReadErrors(t *testing.T) {
	msg := nested(3) + strings.Repeat("line\r\n", 100_000)
	if _, err := Build(brokenReader{strings.NewReader(msg), 300_000}, int64(len(msg))); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	if _, err := Build(strings.NewReader(msg), int64(len(msg))+1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

func TestVersions(t *testing.T) {
	c, _, _ := build(t, "Subject: x\r\n\r\n")
	for _, b := range [][]byte{c.Envelope, c.Structure} {
		b[0]++
	}
	if _, err := DecodeEnvelope(c.Envelope); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if _, err := DecodeStructure(c.Structure); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
	if _, err := DecodeStructure(nil); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

func TestFilenameAndCharset(t *testing.T) {
	_, _, root := build(t, string(readFile(t, "rfc2231.eml")))
	if got := root.Filename(); got != "€ rates.txt" {
		t.Errorf("filename %q", got)
	}
	if got := root.Param("name"); got != "پستچی.bin" {
		t.Errorf("name %q", got)
	}
	_, _, root = build(t, string(readFile(t, "location.eml")))
	if got := root.Filename(); got != "café" {
		t.Errorf("encoded word: %q", got)
	}
}

func TestRev2(t *testing.T) {
	_, _, root := build(t, string(readFile(t, "global.eml")))
	if got := canonical(t, root.AppendBodyStructureRev2(nil, false)); !strings.Contains(got, `"global" NIL NIL NIL "7bit" 25 (NIL "Subject`) &&
		!strings.Contains(got, `"global" NIL NIL NIL "7bit" 25 (NIL "سلام"`) {
		t.Error(got)
	}
}

// TestThread: all messages of a thread have its number, whatever field names the root.
func TestThread(t *testing.T) {
	id := func(header string) int64 {
		c, _, _ := build(t, header+"\r\n\r\n")
		return c.ThreadID
	}
	root := id("Message-ID: <root@x>")
	for _, h := range []string{"Message-ID: <b@x>\r\nIn-Reply-To: <root@x>", "Message-ID: <c@x>\r\nReferences: <root@x> <b@x>\r\nIn-Reply-To: <b@x>"} {
		if got := id(h); got != root || got <= 0 {
			t.Errorf("%q: %d, want %d", h, got, root)
		}
	}
	if id("Message-ID: <other@x>") == root || id("Subject: none") != 0 {
		t.Error("threads that are none")
	}
}
