package pop3d

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// stls answers STLS (RFC 2595, section 4). What the client, or somebody on the way, sent in
// the clear after the command is thrown away, and nothing said before counts.
func (s *session) stls(arg string) error {
	if err := noArg(arg); err != nil {
		return err
	}
	switch {
	case s.tls:
		return bad("TLS is on already.")
	case s.server.config.TLS == nil:
		return bad("There is no TLS here.")
	}
	s.sayOK("Begin TLS negotiation now")
	if err := s.out.Flush(); err != nil {
		return err
	}
	s.in.discard()
	s.user = ""
	if err := s.handshake(); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return nil
}

// handshake makes the session go on over TLS.
func (s *session) handshake() error {
	if s.wait(true) != nil {
		return errGone
	}
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTime)
	defer cancel()
	secured := tls.Server(s.raw, s.server.config.TLS)
	err := secured.HandshakeContext(ctx)
	if over := s.wait(false); over != nil {
		return errGone
	}
	if err == nil {
		s.secure(secured)
	}
	return err
}

// secure replaces the connection by one upon it.
func (s *session) secure(secured net.Conn) {
	s.mu.Lock()
	s.conn = secured
	s.mu.Unlock()
	s.out.w = secured
	s.tls = true
}
