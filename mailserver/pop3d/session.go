package pop3d

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/models"
)

// state is a state of RFC 1939, section 3. UPDATE is the run of QUIT.
type state uint8

const (
	authorization state = 1 << iota
	transaction
)

// session is one connection.
type session struct {
	server *Server
	raw    net.Conn // below TLS
	remote netip.Addr
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc

	in      input
	out     output
	state   state
	tls     bool
	quit    bool // the session ends once what is in out is sent
	user    string
	errors  int // unknown and malformed commands
	failed  int // log-ins
	started time.Time

	release   func() // the session's place among those of the account
	drop      Maildrop
	messages  []Message
	marks     marks
	dots      dotWriter
	retrieved int

	// Other goroutines end a session through these.
	mu      sync.Mutex
	conn    net.Conn // raw, or TLS upon it
	waiting bool     // in a read of the next command
	over    *models.Error
}

func newSession(s *Server, raw net.Conn) *session {
	c := &session{server: s, raw: raw, conn: raw, remote: remoteOf(raw), state: authorization, started: time.Now()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.log = s.log.With(slog.String("proto", string(models.ProtoPOP3)), slog.String("remote", c.remote.String()))
	c.out.w = raw
	return c
}

// run serves the connection until it ends.
func (s *session) run(implicitTLS bool) {
	if implicitTLS {
		if err := s.handshake(); err != nil {
			s.log.Debug("handshake failed", slog.Any("err", err))
			return
		}
	}
	s.greet()
	for !s.quit {
		line, err := s.next()
		if err != nil {
			s.farewell(err)
			return
		}
		if err := s.handle(line); err != nil {
			s.log.Debug("session cut", slog.Any("err", err))
			return
		}
	}
	s.out.Flush()
}

// greet has no timestamp in angle brackets: there is no APOP, since passwords are kept in a
// form that cannot answer it.
func (s *session) greet() {
	s.out.WriteString("+OK ")
	if s.server.config.Hostname != "" {
		s.out.WriteString(s.server.config.Hostname + " ")
	}
	s.out.WriteString("Postchi POP3 server ready\r\n")
}

// next returns the next line, valid until the call after it. What was answered so far is sent
// only when the client has no further command on the way (RFC 2449, section 6.6).
func (s *session) next() ([]byte, error) {
	if !s.in.ready() {
		if err := s.out.Flush(); err != nil {
			return nil, err
		}
	}
	if err := s.wait(true); err != nil {
		return nil, err
	}
	line, err := s.in.line(s.conn)
	if over := s.wait(false); over != nil {
		return nil, over
	}
	return line, err
}

// wait notes that a read of the next command begins or has ended; its error is the reason to
// end the session, once there is one.
func (s *session) wait(begins bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = begins
	if s.over != nil {
		return s.over
	}
	if begins && !s.in.ready() {
		idle := s.server.config.BeforeLogin
		if s.state == transaction {
			idle = s.server.config.Idle
		}
		s.conn.SetReadDeadline(time.Now().Add(idle))
	}
	return nil
}

// end stops the session from any goroutine. It is told the reason if it waits for a command;
// a command that runs is finished first, or cut off if hard.
func (s *session) end(reason *models.Error, hard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = reason
	}
	switch {
	case s.waiting:
		s.conn.SetReadDeadline(time.Unix(1, 0))
	case hard:
		s.cancel()
		s.conn.SetDeadline(time.Unix(1, 0))
	}
}

// farewell says why the server ends the session, where the protocol has a place for that.
func (s *session) farewell(err error) {
	var reason *models.Error
	switch {
	case errors.As(err, &reason):
		s.sayErr(codeTemp, reason.Msg)
	case errors.Is(err, errTooLong):
		s.sayErr("", "That line is too long.")
	case errors.Is(err, os.ErrDeadlineExceeded) && s.state == authorization:
		s.sayErr("", "Nothing came for too long.")
	default:
		// RFC 1939, section 3: when the timer of a session that is logged in expires, the
		// connection is closed without a response. The other errors mean that nobody listens.
		return
	}
	s.mu.Lock()
	s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	s.mu.Unlock()
	s.out.Flush()
}

// close gives back everything the session holds. Without a QUIT nothing was removed. Giving
// back the lock needs the database: a session that was ended from outside must not stay
// connected for that, and any other client should find its maildrop free when it is let go.
func (s *session) close() {
	defer s.conn.Close()
	defer s.cancel()
	s.out.drop()
	if s.ended() {
		s.conn.Close()
	}
	s.unlock()
	if s.state == transaction {
		s.log.Info("session ended", slog.Int("retrieved", s.retrieved), slog.Duration("took", time.Since(s.started)))
	}
}

func (s *session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over != nil
}

// unlock gives back the maildrop and the session's place, once.
func (s *session) unlock() {
	if s.drop != nil {
		s.drop.Close()
		s.drop = nil
	}
	if s.release != nil {
		s.release()
		s.release = nil
	}
}

// loggedIn tells the gate.
func (s *session) loggedIn() {
	if c := conn.From(s.raw); c != nil {
		c.LoggedIn()
	}
}
