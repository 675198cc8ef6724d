package pop3d

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// errGone ends a session whose connection is of no more use.
var errGone = errors.New("pop3d: connection gone")

// retr answers RETR.
func (s *session) retr(arg string) error {
	i, err := s.number(strings.TrimRight(arg, " "))
	if err != nil {
		return err
	}
	return s.message(i, func(r Reader) error {
		s.out.WriteString("+OK ")
		s.out.writeInt(s.messages[i].Size)
		s.out.WriteString(" octets\r\n")
		s.dots.reset(&s.out)
		_, err := r.WriteTo(&s.dots)
		return err
	})
}

// top answers TOP.
func (s *session) top(arg string) error {
	number, lines, _ := strings.Cut(strings.TrimRight(arg, " "), " ")
	wanted, err := strconv.ParseUint(lines, 10, 62)
	if err != nil {
		return bad("TOP needs a message number and a number of lines.")
	}
	i, err := s.number(number)
	if err != nil {
		return err
	}
	return s.message(i, func(r Reader) error {
		s.out.WriteString("+OK Top of message follows\r\n")
		s.dots.reset(&s.out)
		return copyTop(&s.dots, r, int64(wanted))
	})
}

// message opens a message, lets send write it and ends it. When its bytes fail before any of
// the answer has left, the client is told; after that the connection is all that can be cut,
// since a message that ends early must not look whole.
func (s *session) message(i int, send func(Reader) error) error {
	ctx, cancel := context.WithTimeout(s.ctx, openTime)
	r, err := s.drop.Open(ctx, i)
	cancel()
	if err != nil {
		return modelOf(err)
	}
	defer r.Close()
	start := s.out.mark()
	if err := send(r); err != nil {
		if s.out.undo(start) {
			return modelOf(err)
		}
		return fmt.Errorf("send message: %w", err)
	}
	s.dots.finish()
	s.retrieved++
	return s.out.err
}

// topPiece is how much of a message TOP reads at once, in bytes: most headers fit.
const topPiece = 8 << 10

// copyTop copies the header and some lines of the body, and reads little more than that.
func copyTop(w io.Writer, r io.Reader, lines int64) error {
	t := topReader{lines: lines}
	whole := outputs.Get().(*[outputSize]byte)
	defer outputs.Put(whole)
	buf := whole[:topPiece]
	for {
		n, err := r.Read(buf)
		keep, done := t.take(buf[:n])
		if _, err := w.Write(buf[:keep]); err != nil {
			return err
		}
		switch {
		case done || err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
