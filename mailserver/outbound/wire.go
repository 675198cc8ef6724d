package outbound

import (
	"bufio"
	"bytes"
	"io"
)

// wire turns a message into what goes over the wire after DATA (RFC 5321, sections 2.3.8 and
// 4.5.2): any CR, LF or CRLF becomes CRLF, and a dot at the start of a line is doubled. So a
// message can never hold what ends it, whichever line end the other side believes in.
type wire struct {
	w      *bufio.Writer
	column int  // bytes since the line began
	cr     bool // the last byte was a CR; its line end is written
}

// Write implements io.Writer.
func (t *wire) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 {
		if t.cr && p[0] == '\n' {
			p = p[1:]
			t.cr = false
			continue
		}
		t.cr = false
		if t.column == 0 && p[0] == '.' {
			if err := t.w.WriteByte('.'); err != nil {
				return 0, err
			}
		}
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			t.column += len(p)
			_, err := t.w.Write(p)
			return size, err
		}
		if _, err := t.w.Write(p[:end]); err != nil {
			return 0, err
		}
		if _, err := t.w.WriteString("\r\n"); err != nil {
			return 0, err
		}
		t.column, t.cr = 0, p[end] == '\r'
		p = p[end+1:]
	}
	return size, nil
}

// end writes the end of the data, after a line end if there is none, and sends everything.
func (t *wire) end() error {
	text := ".\r\n"
	if t.column > 0 {
		text = "\r\n.\r\n"
	}
	if _, err := t.w.WriteString(text); err != nil {
		return err
	}
	return t.w.Flush()
}

// source reads a message, prefix and then body. One that is shorter than it was said to be is an
// error: half a message must not be taken for a whole.
type source struct {
	r    io.Reader
	left int64
	err  error // of the message, to tell it from one of the connection
}

func content(m *Message) *source {
	return &source{r: io.MultiReader(bytes.NewReader(m.Prefix), io.NewSectionReader(m.Body, 0, m.Size)), left: int64(len(m.Prefix)) + m.Size}
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.left -= int64(n)
	if err == io.EOF && s.left != 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// eightBit reports whether a message has bytes over 127.
func eightBit(r io.Reader) (bool, error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b >= 0x80 {
				return true, nil
			}
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
