package imapd

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"testing/iotest"
)

// stuttering gives a few bytes at a time, and between them the errors of a deadline.
type stuttering struct {
	data []byte
	late bool
}

func (s *stuttering) Read(p []byte) (int, error) {
	if s.late = !s.late; s.late {
		return 0, os.ErrDeadlineExceeded
	}
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 3)], s.data)
	s.data = s.data[n:]
	return n, nil
}

// text is bytes that compress more or less well.
func text(r *rand.Rand, n int) []byte {
	out := make([]byte, 0, n)
	for len(out) < n {
		if k := len(out); k > 100 && r.IntN(3) == 0 {
			at := r.IntN(k - 50)
			out = append(out, out[at:at+r.IntN(50)]...)
			continue
		}
		out = append(out, byte(r.IntN(256)))
	}
	return out
}

func TestInflate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for level := flate.HuffmanOnly; level <= 9; level++ {
		want := text(r, 100_000)
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(want); at += 9000 {
			w.Write(want[at:min(at+9000, len(want))])
			w.Flush()
		}
		f := newInflater(&source{r: iotest.OneByteReader(bytes.NewReader(b.Bytes()))})
		got := make([]byte, len(want))
		if n, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("level %d: %d bytes, %v", level, n, err)
		}
	}
}

func TestInflateGoesOn(t *testing.T) {
	want := text(rand.New(rand.NewPCG(3, 4)), 50_000)
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	w.Write(want)
	w.Close()
	f := newInflater(&source{r: &stuttering{data: b.Bytes()}})
	var got []byte
	buf := make([]byte, 777)
	for {
		n, err := f.Read(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d", len(got), len(want))
	}
}

// TestPartialFlush reads what zlib's Z_PARTIAL_FLUSH makes of "a NOOP\r\n": a block with fixed
// codes and an empty one, and then nothing more comes.
func TestPartialFlush(t *testing.T) {
	// The block's bits, least significant first: 010 for its header, the codes, the end; then an empty one.
	var bits []byte
	add := func(v, n int, code bool) {
		for i := range n {
			if code {
				bits = append(bits, byte(v>>(n-1-i)&1))
			} else {
				bits = append(bits, byte(v>>i&1))
			}
		}
	}
	add(2, 3, false)
	for _, c := range []byte("a NOOP\r\n") {
		add(int(c)+0x30, 8, true)
	}
	add(0, 7, true)
	add(2, 3, false)
	add(0, 7, true)
	for len(bits)%8 != 0 {
		bits = append(bits, 0)
	}
	raw := make([]byte, len(bits)/8)
	for i, b := range bits {
		raw[i/8] |= b << (i % 8)
	}
	f := newInflater(&source{r: io.MultiReader(bytes.NewReader(raw), blocked{t})})
	buf := make([]byte, 100)
	n, err := f.Read(buf)
	if err != nil || string(buf[:n]) != "a NOOP\r\n" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// blocked stands for a connection on which nothing comes.
type blocked struct{ t *testing.T }

func (b blocked) Read([]byte) (int, error) {
	b.t.Error("it waits for more than it needs")
	return 0, io.EOF
}

// FuzzInflate compares with the library.
func FuzzInflate(f *testing.F) {
	for level := range 10 {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, level)
		w.Write([]byte("a NOOP\r\na NOOP\r\nb LOGIN x y\r\n"))
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), 1<<20))
		got, ours := io.ReadAll(io.LimitReader(newInflater(&source{r: bytes.NewReader(data)}), 1<<20))
		if err == nil && (ours != nil || !bytes.Equal(got, want)) {
			t.Errorf("got %d bytes and %v, want %d", len(got), ours, len(want))
		}
	})
}
