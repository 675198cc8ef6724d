package outbound

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

// FuzzReply reads whatever a host may answer: never a panic, never more than the caps.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250-b\r\n250 2.1.0 c\r\n", "550\n", "550-5.1.1 no\n550 5.1.1 user\n", "abc\r\n", "250", "999 x\r\n", "421 4.\x00.1 x\r\n",
		strings.Repeat("250-x\r\n", 200), "250 " + strings.Repeat("y", 5000) + "\r\n", "250 2.0.0 \xff\xfe\u2028\r\n", "5.1.1 x\r\n", "550 5.1.1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), maxLine+2)
		for range 4 {
			got, err := readReply(r)
			if err != nil {
				return
			}
			if got.code < 200 || got.code > 599 || len(got.text()) > 3*maxText || strings.ContainsAny(got.text(), "\r\n\x00") || len(in) > 4*maxReply && len(got.lines) > maxReply/4 {
				t.Errorf("%q: %+v", in, got)
			}
			if got.enhanced != "" && (got.enhanced[0] != byte('0'+got.code/100) || strings.Count(got.enhanced, ".") != 2) {
				t.Errorf("%q: %+v", in, got)
			}
			replied(got)
		}
	})
}

// FuzzWire sends any bytes: only CRLF, and one end of the data.
func FuzzWire(f *testing.F) {
	for _, s := range []string{"", ".", "a", "a\r\n", "\r\n.\r\n", "\n.\n", "\r.\r", "..", "a\r\n..b\r", "\r\r\n\n"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		if len(in) > 1<<16 {
			return
		}
		var out bytes.Buffer
		w := &wire{w: bufio.NewWriter(&out)}
		cut = max(1, min(cut, len(in)))
		for p := in; len(p) > 0; p = p[min(cut, len(p)):] {
			w.Write(p[:min(cut, len(p))])
		}
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		got := out.Bytes()
		rest := bytes.ReplaceAll(got, []byte("\r\n"), nil)
		if bytes.ContainsAny(rest, "\r\n") {
			t.Errorf("%q became %q", in, got)
		}
		body, ok := bytes.CutSuffix(got, []byte(".\r\n"))
		if !ok || bytes.Contains(got[:len(got)-3], []byte("\r\n.\r\n")) || bytes.HasPrefix(body, []byte(".\r\n")) || len(body) > 0 && !bytes.HasSuffix(body, []byte("\r\n")) {
			t.Errorf("%q became %q", in, got)
		}
	})
}
