package mime

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

const sample = "Received: one\r\n\ttwo\r\nbcc: hidden@example.com,\r\n more@example.com\r\nSubject:  spaced \r\nX-Odd : v\r\n" +
	"BCC : third@example.com\r\nnot a field\r\nTo: a@b\r\n\r\n"

func TestHeaderKeepsBytes(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader(sample+"body"), 16)
	h, err := ReadHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "body" || h.Size() != len(sample) {
		t.Errorf("left %q after %d", rest, h.Size())
	}
	if got := string(h.Append(nil)); got != sample {
		t.Errorf("got %q", got)
	}
	for _, f := range h.Fields() {
		if sample[f.Offset:f.Offset+len(f.Raw)] != string(f.Raw) {
			t.Errorf("%s: offset %d", f.Name, f.Offset)
		}
	}
	if v, ok := h.Get("subject"); v != "spaced" || !ok {
		t.Errorf("subject %q", v)
	}
	if v, _ := h.Get("Received"); v != "one two" {
		t.Errorf("received %q", v)
	}
}

func TestHeaderEdit(t *testing.T) {
	h := header(t, sample)
	if n := h.Del("Bcc"); n != 2 || len(h.All("bcc")) != 0 {
		t.Errorf("removed %d", n)
	}
	if err := h.Prepend("Message-ID", "<x@y>"); err != nil {
		t.Fatal(err)
	}
	if err := h.Prepend("Received", "from a\r\n\tby b; now"); err != nil {
		t.Fatal(err)
	}
	want := "Received: from a\r\n\tby b; now\r\nMessage-ID: <x@y>\r\nReceived: one\r\n\ttwo\r\nSubject:  spaced \r\nX-Odd : v\r\n" +
		"not a field\r\nTo: a@b\r\n\r\n"
	if got := string(h.Append(nil)); got != want {
		t.Errorf("got %q", got)
	}
}

func TestPrependRefusesInjection(t *testing.T) {
	for _, c := range []struct{ name, value string }{
		{"Subject", "x\r\nBcc: y"}, {"Subject", "x\r\n\r\nbody"}, {"Subject", "x\ny"}, {"Subject", "x\ry"}, {"Subject", "x\x00y"},
		{"Subject", "x\r\n"}, {"Subject", "x\r\n \r\n y"}, {"Sub ject", "x"}, {"", "x"}, {"Subject:", "x"}, {"Sub\r\nX", "x"},
		{"Subjéct", "x"}, {"Subject", strings.Repeat("x", MaxHeaderLine)},
	} {
		h := header(t, sample)
		if err := h.Prepend(c.name, c.value); err == nil {
			t.Errorf("%q %q was taken", c.name, c.value)
		}
		if got := string(h.Append(nil)); got != sample {
			t.Errorf("%q %q changed the header to %q", c.name, c.value, got)
		}
	}
}

func TestHeaderEnds(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "\r\n",
		"\r\n":              "\r\n",
		"\nbody":            "\n",
		"A: b":              "A: b\r\n\r\n",
		"A: b\r\n":          "A: b\r\n\r\n",
		"A: b\n\nbody":      "A: b\n\n",
		" fold\r\nA: b\r\n": " fold\r\nA: b\r\n\r\n",
	} {
		if got := string(header(t, in).Append(nil)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestHeaderCheck(t *testing.T) {
	for in, want := range map[string]Reason{
		"A: b\r\nC: d\r\n e\r\n\r\n":          0,
		"A: \r\n\r\n":                         0,
		"A: ü\r\n\r\n":                        0,
		"A : b\r\n\r\n":                       ReasonSpaceBeforeColon,
		"A: b\r\nno colon\r\n\r\n":            ReasonNoColon,
		" A: b\r\n\r\n":                       ReasonNoColon,
		"A b: c\r\n\r\n":                      ReasonName,
		"A: b\n\r\n":                          ReasonLineEnd,
		"A: b\r\n\n":                          ReasonLineEnd,
		"A: b":                                ReasonLineEnd,
		"A: b\rc\r\n\r\n":                     ReasonControl,
		"A: b\r\n \t\r\n c\r\n\r\n":           ReasonBlankFold,
		"A: " + strings.Repeat("x", 9000):     ReasonLineEnd,
		strings.Repeat("x", 9000) + ":\r\n\n": ReasonTooLong,
	} {
		err := header(t, in).Check()
		var e *Error
		if errors.As(err, &e) != (want != 0) || e != nil && e.Reason != want {
			t.Errorf("%.40q: %v", in, err)
		}
	}
}

func TestHeaderTooLarge(t *testing.T) {
	for _, s := range []string{strings.Repeat("x", 2<<20), strings.Repeat("A: b\r\n", 300_000)} {
		_, err := ReadHeader(bufio.NewReader(strings.NewReader(s)))
		var e *Error
		if !errors.As(err, &e) || e.Reason != ReasonHeaderTooLarge {
			t.Error(err)
		}
	}
}
