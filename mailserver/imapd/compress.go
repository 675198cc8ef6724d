package imapd

import (
	"bytes"
	"compress/flate"
	"io"
	"net"
	"sync"

	"github.com/postchi/postchi/models"
)

// compress answers COMPRESS (RFC 4978).
func (s *session) compress(r *request) error {
	s.p.SP()
	if s.p.Word() != "DEFLATE" {
		s.p.Fail("There is no such compression")
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	if s.packed != nil {
		return models.Errorf(models.Denied, "imap.compressed", "Compression is on already.")
	}
	s.out.Strings(r.tag, " OK Compressed from here\r\n")
	if err := s.out.Flush(); err != nil {
		return err
	}
	s.packed = newPacked(s, s.in.Buffered())
	s.in.Discard()
	r.tag = "" // answered
	return nil
}

// packed is a connection under compression. A compressor is large, so it is borrowed for one
// burst of output: a new one has no history, and what it makes may follow any output that ended
// at the boundary of a byte, as a flush does. The other side's history is kept by the inflater.
type packed struct {
	in *inflater
	s  *session
}

func newPacked(s *session, begun []byte) *packed {
	src := &source{r: readerFunc(func(p []byte) (int, error) { return s.conn.Read(p) })}
	src.buf = append(src.buf, begun...)
	return &packed{in: newInflater(src), s: s}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read implements io.Reader. A read that a deadline interrupts can be repeated: nothing is lost.
func (p *packed) Read(b []byte) (int, error) { return p.in.Read(b) }

// compressor is a compressor with the place for what it makes, which comes in small pieces.
type compressor struct {
	w   *flate.Writer
	out bytes.Buffer
}

var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &compressor{w: w}
}}

// Write implements io.Writer: all of b, compressed and flushed.
func (p *packed) Write(b []byte) (int, error) { return deflate(writerFunc(p.s.writeConn), b) }

func (p *packed) writeTo(c net.Conn, b []byte) (int, error) { return deflate(c, b) }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func deflate(dst io.Writer, b []byte) (int, error) {
	c := compressors.Get().(*compressor)
	defer compressors.Put(c)
	c.out.Reset()
	c.w.Reset(&c.out)
	if _, err := c.w.Write(b); err != nil {
		return 0, err
	}
	if err := c.w.Flush(); err != nil {
		return 0, err
	}
	if _, err := dst.Write(c.out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}
