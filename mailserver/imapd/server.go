package imapd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/models"
)

// Server serves any number of listeners.
type Server struct {
	config Config
	log    *slog.Logger
	views  *views
	scans  chan struct{} // one place for each goroutine that may search text

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{}
	running   sync.WaitGroup // sessions
}

// New returns a server. It watches the database until Shutdown.
func New(c Config) *Server {
	c = c.withDefaults()
	return &Server{
		config: c, log: c.Log, views: newViews(c.Store, c.Watch), scans: make(chan struct{}, runtime.GOMAXPROCS(0)),
		listeners: map[net.Listener]struct{}{}, sessions: map[*session]struct{}{},
	}
}

var errStopping = models.Errorf(models.Unavailable, "server.stopping", "The server is stopping, try again later.")

// Serve accepts connections until the listener or the server is closed or ctx ends, and
// returns nil then. The sessions go on; Shutdown ends them. With implicitTLS every connection
// begins with a handshake, for which Config.TLS must be set.
func (s *Server) Serve(ctx context.Context, ln net.Listener, implicitTLS bool) error {
	if implicitTLS && s.config.TLS == nil {
		return errors.New("imapd: implicit TLS without a certificate")
	}
	if !s.listen(ln) {
		ln.Close()
		return nil
	}
	defer s.unlisten(ln)
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		raw, err := ln.Accept()
		switch {
		case err == nil:
			s.start(raw, implicitTLS)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			return err
		}
	}
}

func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.listeners[ln] = struct{}{}
	}
	return !s.stopping
}

func (s *Server) unlisten(ln net.Listener) {
	ln.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

// start runs one connection in a goroutine of its own.
func (s *Server) start(raw net.Conn, implicitTLS bool) {
	c := newSession(s, raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		raw.Close()
		return
	}
	s.sessions[c] = struct{}{}
	s.running.Go(func() {
		defer s.forget(c)
		// A fault of ours ends this connection alone.
		defer func() {
			if p := recover(); p != nil {
				s.config.Panicked()
				c.log.Error("panic in session", slog.Any("err", p), slog.String("stack", string(debug.Stack())))
			}
		}()
		defer c.close()
		c.run(implicitTLS)
	})
}

func (s *Server) forget(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c)
}

// Shutdown closes the listeners, ends sessions that wait for a command, and waits for the
// others to finish the one they are at. When ctx ends first they are cut off and its error is
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.views.close()
	s.each(func(c *session) { c.end(errStopping, false) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.running.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.each(func(c *session) { c.end(errStopping, true) })
	<-done
	return ctx.Err()
}

// each closes the listeners and calls fn for every session.
func (s *Server) each(fn func(*session)) {
	s.mu.Lock()
	s.stopping = true
	var all []*session
	for c := range s.sessions {
		all = append(all, c)
	}
	for ln := range s.listeners {
		ln.Close()
	}
	s.mu.Unlock()
	for _, c := range all {
		fn(c)
	}
}

// remoteOf returns the client's address, whether or not the connection came through a gate.
func remoteOf(raw net.Conn) netip.Addr {
	if c := conn.From(raw); c != nil {
		return c.Remote()
	}
	if a, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
