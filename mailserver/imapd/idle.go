package imapd

import (
	"errors"
	"os"
	"strings"
	"time"
)

// idle answers IDLE (RFC 2177). The session waits in the read of DONE, which a change of the
// folder interrupts: no goroutine and no timer beside it.
func (s *session) idle(*request) error {
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	s.out.WriteString("+ Idling\r\n")
	until := time.Now().Add(s.config.Idle)
	for {
		if err := s.update(true, false); err != nil {
			return asEnd(err)
		}
		if err := s.out.Flush(); err != nil {
			return asEnd(err)
		}
		s.in.Rest()
		s.text = nil
		if again, err := s.idleBegins(until); err != nil {
			return endSession{err}
		} else if again {
			continue
		}
		line, err := s.in.Line(maxResponse)
		over := s.idleEnds()
		switch {
		case over != nil:
			return endSession{over}
		case err == nil && strings.EqualFold(strings.TrimSpace(string(line)), "DONE"):
			return nil
		case err == nil:
			return bad("", "DONE was expected")
		case !errors.Is(err, os.ErrDeadlineExceeded), !time.Now().Before(until):
			return endSession{err}
		}
	}
}

// asEnd makes an error one that ends the session.
func asEnd(err error) error {
	if _, is := err.(endSession); is {
		return err
	}
	return endSession{err}
}

// idleBegins notes that the read of DONE begins, unless there is news to be told first.
func (s *session) idleBegins(until time.Time) (again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return false, s.over
	}
	if s.woken {
		s.woken = false
		return true, nil
	}
	s.idling = true
	s.conn.SetReadDeadline(until)
	return false, nil
}

func (s *session) idleEnds() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idling = false
	if s.over != nil {
		return s.over
	}
	return nil
}
