package imapd

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
	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// state is a state of RFC 9051, section 3. Logout is session.quit.
type state uint8

const (
	notAuthenticated state = 1 << iota
	authenticated
	selectedState
)

// session is one connection.
type session struct {
	server *Server
	config *Config
	store  Store
	raw    net.Conn // below TLS
	remote netip.Addr
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc

	in      wire.Input
	out     wire.Output
	p       wire.Parser
	state   state
	tls     bool
	packed  *packed // not nil once COMPRESS is on
	quit    bool    // the session ends once what is in out is sent
	errors  int     // malformed commands
	failed  int     // log-ins
	started time.Time

	account *models.Account
	client  string // what it calls itself
	place   Place  // among the sessions of the account; nil before log-in
	bye     string // said at the end, if the session is ended by quit

	// What the client has enabled.
	rev2, utf8, condStore, qresync bool

	box   *selected     // the selected folder, nil = none
	saved mailstore.Set // the result of SEARCH RETURN (SAVE)
	own   []flagState   // what this command's STORE wrote, rising: not to be told again
	text  []byte        // for building responses

	// Other goroutines end or wake a session through these.
	mu      sync.Mutex
	conn    net.Conn // raw, or TLS upon it
	waiting bool     // in a read of the next command
	idling  bool     // in a read within IDLE
	woken   bool     // the folder changed while it was not
	cut     bool     // nothing is to be written any more
	over    *models.Error
}

func newSession(s *Server, raw net.Conn) *session {
	c := &session{server: s, config: &s.config, store: s.config.Store, raw: raw, conn: raw, remote: remoteOf(raw), state: notAuthenticated, started: time.Now()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.log = s.log.With(slog.String("proto", string(models.ProtoIMAP)), slog.String("remote", c.remote.String()))
	c.in.Src, c.out.Dst = c, c
	c.p.Continue = c.askForLiteral
	return c
}

// Read implements io.Reader for the input: it reads from the connection as it is now.
func (s *session) Read(p []byte) (int, error) {
	if s.packed != nil {
		return s.packed.Read(p)
	}
	return s.conn.Read(p)
}

// Write implements io.Writer for the output. Every piece has a time of its own to be taken, so
// a client that does not read holds nothing for long.
func (s *session) Write(p []byte) (int, error) {
	if s.packed != nil {
		return s.packed.Write(p)
	}
	return s.writeConn(p)
}

func (s *session) writeConn(p []byte) (int, error) {
	s.mu.Lock()
	cut := s.cut
	if !cut {
		s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	}
	s.mu.Unlock()
	if cut {
		return 0, errGone
	}
	return s.conn.Write(p)
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
		if err := s.serve(); err != nil {
			s.farewell(err)
			return
		}
	}
	if s.bye != "" {
		s.out.Strings("* BYE ", oneLine(s.bye), "\r\n")
	}
	s.out.Flush()
}

func (s *session) greet() {
	s.out.Strings("* OK [CAPABILITY ", s.capabilities(), "] ")
	if s.config.Hostname != "" {
		s.out.Strings(s.config.Hostname, " ")
	}
	s.out.WriteString("Postchi IMAP server ready\r\n")
}

// serve reads and answers one command. What was answered so far is sent only when the client
// has no further command on the way.
func (s *session) serve() error {
	if !s.in.Ready() {
		if err := s.out.Flush(); err != nil {
			return err
		}
		s.in.Rest()
		s.text = nil
	}
	if err := s.wait(true); err != nil {
		return err
	}
	limits := wire.BeforeLogin
	if s.state != notAuthenticated {
		limits = wire.AfterLogin
	}
	s.p.UTF8 = s.utf8 || s.rev2
	err := s.p.Begin(&s.in, limits)
	if over := s.wait(false); over != nil {
		return over
	}
	if err != nil {
		return err
	}
	return s.handle()
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
	if begins && !s.in.Ready() {
		s.conn.SetReadDeadline(time.Now().Add(s.patience()))
	}
	return nil
}

func (s *session) patience() time.Duration {
	if s.state == notAuthenticated {
		return s.config.BeforeLogin
	}
	return s.config.Idle
}

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// end stops the session from any goroutine. It is told the reason if it waits for a command;
// a command that runs is finished first, or cut off if hard.
func (s *session) end(reason *models.Error, hard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = reason
	}
	switch {
	case s.waiting || s.idling:
		s.conn.SetReadDeadline(past)
	case hard:
		s.cut = true
		s.cancel()
		s.conn.SetDeadline(past)
	}
}

// wake tells the session that its folder changed. It never blocks.
func (s *session) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.woken = true
	if s.idling {
		s.conn.SetReadDeadline(past)
	}
}

var (
	// errGone ends a session whose connection is of no more use.
	errGone = errors.New("imapd: connection gone")
	// errRemoved ends a session whose folder was removed by another.
	errRemoved = models.Errorf(models.NotFound, "folder.gone", "The selected folder was removed.")
)

// farewell says why the server ends the session: "BYE" has a place at any time.
func (s *session) farewell(err error) {
	code, text := "", ""
	var reason *models.Error
	if e, ok := err.(endSession); ok {
		err = e.error
	}
	switch {
	case errors.As(err, &reason):
		code, text = byeCode(reason), reason.Msg
	case errors.Is(err, wire.ErrLine), errors.Is(err, wire.ErrSkip):
		code, text = "TOOBIG", "That command is too long."
	case errors.Is(err, os.ErrDeadlineExceeded):
		text = "Nothing came for too long."
	default:
		s.log.Debug("session cut", slog.Any("err", err))
		return // nobody listens
	}
	s.out.WriteString("* BYE ")
	s.writeCode(code)
	s.out.Strings(oneLine(text), "\r\n")
	s.mu.Lock()
	s.cut = true // the deadline below is not to be moved
	s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	s.mu.Unlock()
	s.out.Dst = lastWords{s}
	s.out.Flush()
}

// lastWords writes without a new deadline.
type lastWords struct{ s *session }

func (l lastWords) Write(p []byte) (int, error) {
	if l.s.packed != nil {
		return l.s.packed.writeTo(l.s.conn, p)
	}
	return l.s.conn.Write(p)
}

// close gives back everything the session holds.
func (s *session) close() {
	defer s.conn.Close()
	defer s.cancel()
	s.out.Drop()
	s.mu.Lock()
	over := s.over != nil
	s.mu.Unlock()
	if over {
		s.conn.Close() // giving back may need the database; the client does not wait for that
	}
	s.leave()
	if s.place != nil {
		s.place.Close()
		s.place = nil
	}
	if s.state != notAuthenticated {
		s.log.Info("session ended", slog.Duration("took", time.Since(s.started)))
	}
}

// loggedIn tells the gate.
func (s *session) loggedIn() {
	if c := conn.From(s.raw); c != nil {
		c.LoggedIn()
	}
}

// transfer tells the gate that a message is being received, for its minimum rate.
func (s *session) transfer(on bool) {
	if c := conn.From(s.raw); c != nil {
		c.Transfer(on)
	}
}

// askForLiteral tells the client to go on with a literal.
func (s *session) askForLiteral() error {
	s.out.WriteString("+ Go on\r\n")
	return s.out.Flush()
}
