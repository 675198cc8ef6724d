package imapd

import (
	"context"
	"crypto/tls"
	"fmt"
)

// startTLS answers STARTTLS (RFC 9051, section 6.2.1). What the client, or somebody on the way,
// sent in the clear after the command is thrown away, and nothing said before counts.
func (s *session) startTLS(r *request) error {
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	switch {
	case s.tls:
		return bad("", "TLS is on already")
	case s.config.TLS == nil:
		return bad("", "There is no TLS here")
	}
	s.out.Strings(r.tag, " OK Begin TLS negotiation now\r\n")
	if err := s.out.Flush(); err != nil {
		return err
	}
	s.in.Discard()
	s.client = ""
	if err := s.handshake(); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	r.tag = "" // answered
	return nil
}

// handshake makes the session go on over TLS.
func (s *session) handshake() error {
	if s.wait(true) != nil {
		return errGone
	}
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTime)
	defer cancel()
	secured := tls.Server(s.raw, s.config.TLS)
	err := secured.HandshakeContext(ctx)
	if over := s.wait(false); over != nil {
		return errGone
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.conn = secured
	s.mu.Unlock()
	s.tls = true
	return nil
}
