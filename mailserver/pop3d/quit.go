package pop3d

import (
	"context"
	"log/slog"
	"strings"
)

// dele answers DELE. Nothing is removed before QUIT.
func (s *session) dele(arg string) error {
	i, err := s.number(strings.TrimRight(arg, " "))
	if err != nil {
		return err
	}
	s.marks.set(i, s.messages[i].Size)
	s.sayOK("Marked as deleted")
	return nil
}

// rset answers RSET.
func (s *session) rset(arg string) error {
	if err := noArg(arg); err != nil {
		return err
	}
	s.marks.reset(len(s.messages))
	s.out.WriteString("+OK ")
	s.summary()
	s.out.WriteString("\r\n")
	return nil
}

// quitCommand answers QUIT: after log-in it enters the UPDATE state (RFC 1939, section 6).
// The lock is given back before the answer, so that a client may come again at once.
func (s *session) quitCommand(arg string) error {
	if err := noArg(arg); err != nil {
		return err
	}
	s.quit = true
	if s.state == authorization {
		s.sayOK("Bye")
		return nil
	}
	err := s.update()
	s.unlock()
	if err != nil {
		s.log.Warn("messages not removed", slog.Any("err", err))
		s.sayErr(codeTemp, "Some deleted messages were not removed.")
		return nil
	}
	s.sayOK("Bye")
	return nil
}

// update removes what is marked. It goes on when the client has gone or the server stops: the
// QUIT was said.
func (s *session) update() error {
	gone := s.marked()
	if len(gone) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), removeTime)
	defer cancel()
	err := s.drop.Remove(ctx, gone)
	if err == nil {
		s.log.Info("messages removed", slog.Int("count", len(gone)))
	}
	return err
}

// marked returns the positions of the messages marked as deleted.
func (s *session) marked() []int {
	count := len(s.messages) - s.marks.left
	if count == 0 {
		return nil
	}
	positions := make([]int, 0, count)
	for i := range s.messages {
		if s.marks.has(i) {
			positions = append(positions, i)
		}
	}
	return positions
}
