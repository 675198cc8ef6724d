package pop3d

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		line string
		want command
		ok   bool
	}{
		{"STAT", command{"STAT", ""}, true},
		{"retr 1", command{"RETR", "1"}, true},
		{"TOP 1 2 ", command{"TOP", "1 2 "}, true},
		{"PASS  a b ", command{"PASS", " a b "}, true},
		{"PASS \x00\x7f", command{"PASS", "\x00\x7f"}, true},
		{"AUTH PLAIN " + strings.Repeat("A", 4000), command{"AUTH", "PLAIN " + strings.Repeat("A", 4000)}, true},
		{"", command{}, false},
		{" STAT", command{}, false},
		{"STAT\t1", command{}, false},
		{"LIST \x01", command{}, false},
		{"USER " + strings.Repeat("x", 506), command{}, false},
		{"ÉTAT", command{}, false},
	} {
		got, err := parse([]byte(test.line))
		if (err == nil) != test.ok || got != test.want {
			t.Errorf("parse(%.40q) = %+v, %v", test.line, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"STAT", "retr 1", "PASS  x ", "AUTH PLAIN =", "\x00", "TOP 1 99999999999999999999"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, err := parse(line)
		if err != nil {
			return
		}
		if c.verb == "" || c.verb != strings.ToUpper(c.verb) || strings.ContainsAny(c.verb, " \r\n\x00") {
			t.Errorf("verb %q", c.verb)
		}
		if c.verb != "PASS" && strings.ContainsAny(c.arg, "\r\n\x00") {
			t.Errorf("argument %q", c.arg)
		}
	})
}

// FuzzInput reads lines in pieces of one byte and all at once: they must be the same, and
// never longer than allowed.
func FuzzInput(f *testing.F) {
	f.Add([]byte("STAT\r\nLIST\n\r\n\nx"))
	f.Add(bytes.Repeat([]byte("x"), maxLine+10))
	f.Add(append(bytes.Repeat([]byte("x"), firstInput), "\r\nSTAT\r\n"...))
	lines := func(r io.Reader) (all []string, err error) {
		var in input
		for {
			line, err := in.line(r)
			if err != nil {
				return all, err
			}
			all = append(all, string(line))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, err1 := lines(bytes.NewReader(data))
		pieces, err2 := lines(iotest.OneByteReader(bytes.NewReader(data)))
		if strings.Join(whole, "\n") != strings.Join(pieces, "\n") || err1 != err2 {
			t.Errorf("%q, %v and %q, %v", whole, err1, pieces, err2)
		}
		for _, line := range whole {
			if len(line) > maxLine || strings.Contains(line, "\n") {
				t.Errorf("line %q", line)
			}
		}
	})
}

// stuff sends a message in pieces of the given size.
func stuff(message []byte, piece int) []byte {
	var sent bytes.Buffer
	out := output{w: &sent}
	var d dotWriter
	d.reset(&out)
	for rest := message; len(rest) > 0; {
		n := min(piece, len(rest))
		d.Write(rest[:n])
		rest = rest[n:]
	}
	d.finish()
	out.Flush()
	return sent.Bytes()
}

func TestDotStuffing(t *testing.T) {
	for _, test := range []struct{ message, want string }{
		{"", ".\r\n"},
		{"a", "a\r\n.\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{".", "..\r\n.\r\n"},
		{".\r\n", "..\r\n.\r\n"},
		{"..\r\n.a\r\n", "...\r\n..a\r\n.\r\n"},
		{"a\r\n.\r\n", "a\r\n..\r\n.\r\n"},
		{"a.b\r\n", "a.b\r\n.\r\n"},
		{"a\n.\n", "a\n..\n\r\n.\r\n"},
		{"a\r", "a\r\r\n.\r\n"},
	} {
		for piece := 1; piece < 6; piece++ {
			if got := stuff([]byte(test.message), piece); string(got) != test.want {
				t.Errorf("%q in pieces of %d: %q, want %q", test.message, piece, got, test.want)
			}
		}
	}
}

// unstuff reads a message back as a client that ends lines at LF does, and returns what
// follows its end.
func unstuff(sent []byte) (message, rest []byte, ok bool) {
	for len(sent) > 0 {
		line, after, _ := bytes.Cut(sent, []byte("\n"))
		if string(line) == ".\r" {
			return message, after, true
		}
		line = bytes.TrimPrefix(line, []byte("."))
		message = append(append(message, line...), '\n')
		sent = after
	}
	return nil, nil, false
}

// FuzzDotStuffing sends a message and reads it back, also with the dot reader of the standard
// library, which turns line ends into LF.
func FuzzDotStuffing(f *testing.F) {
	for _, seed := range []string{"", ".", "..\r\n.", "a\r\n.\r\nb", "\n.\n", "\r.\r", "a\r\n\r\n."} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, message []byte, piece int) {
		sent := stuff(message, max(1, piece))
		want := bytes.Clone(message)
		if len(want) > 0 && !bytes.HasSuffix(message, []byte("\r\n")) {
			want = append(want, "\r\n"...)
		}
		got, rest, ok := unstuff(sent)
		if !bytes.Equal(got, want) || len(rest) > 0 || !ok {
			t.Errorf("sent %q, read %q, then %q, %v", sent, got, rest, ok)
		}
		want = bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))
		if bytes.Count(want, []byte("\n")) != bytes.Count(sent, []byte("\r\n"))-1 {
			return // bare LFs, which that reader takes for line ends here and there
		}
		got, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(sent))).ReadDotBytes()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("sent %q, the standard library read %q, %v", sent, got, err)
		}
	})
}

// slowTop is TOP by its definition, for messages with CRLF alone.
func slowTop(message string, lines int) string {
	header, body, found := strings.Cut("\r\n"+message, "\r\n\r\n")
	if !found {
		return message
	}
	kept := strings.TrimPrefix(header+"\r\n\r\n", "\r\n")
	for _, line := range strings.SplitAfter(body, "\r\n") {
		if lines--; lines < 0 {
			break
		}
		kept += line
	}
	return kept
}

func FuzzTop(f *testing.F) {
	f.Add("A: b\n\nx\ny\nz", 2, 3)
	f.Add("\n\n\n", 1, 1)
	f.Add("no header end\n", 0, 2)
	f.Fuzz(func(t *testing.T, message string, lines, piece int) {
		if lines < 0 || lines > 1000 || piece < 1 {
			return
		}
		message = strings.ReplaceAll(strings.ReplaceAll(message, "\r", ""), "\n", "\r\n")
		top := topReader{lines: int64(lines)}
		var got []byte
		for rest := []byte(message); len(rest) > 0; {
			n := min(piece, len(rest))
			keep, done := top.take(rest[:n])
			got = append(got, rest[:keep]...)
			if rest = rest[n:]; done {
				break
			}
		}
		if want := slowTop(message, lines); string(got) != want {
			t.Errorf("TOP %d of %q in pieces of %d: %q, want %q", lines, message, piece, got, want)
		}
	})
}

func TestOutputKeepsItsFirstError(t *testing.T) {
	out := output{w: iotest.TruncateWriter(io.Discard, 0)}
	broken := errors.New("broken")
	out.w = writerFunc(func([]byte) (int, error) { return 0, broken })
	out.WriteString("x")
	if err := out.Flush(); err != broken {
		t.Error(err)
	}
	if _, err := out.Write([]byte("x")); err != broken {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"a\r\nb\u2028c\x00d": "a  b c d",
		"بسته شد":            "بسته شد",
		"bad \xff byte":      "bad ? byte",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("oneLine(%q) = %q", text, got)
		}
	}
	if got := oneLine(strings.Repeat("ش", 400)); len(got) > maxText || strings.Contains(got, "\ufffd") {
		t.Errorf("%d bytes", len(got))
	}
}

// TestStuffingAllocatesNothing keeps the promise of dotWriter.
func TestStuffingAllocatesNothing(t *testing.T) {
	message := bytes.Repeat([]byte("a line of some length, as they come\r\n.and a dot\r\n"), 2000)
	out := output{w: io.Discard}
	var d dotWriter
	runtime.GC()
	n := testing.AllocsPerRun(20, func() {
		d.reset(&out)
		d.Write(message)
		d.finish()
		out.Flush()
	})
	if n > 1 { // the pool may lose its buffer to a collection
		t.Errorf("%v allocations for a message", n)
	}
}

func BenchmarkDotStuffing(b *testing.B) {
	message := bytes.Repeat([]byte("a line of some length, as they come in messages of all kinds, and again\r\n"), 1000)
	out := output{w: io.Discard}
	var d dotWriter
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		d.reset(&out)
		d.Write(message)
		d.finish()
		out.Flush()
	}
}
