package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"

	"github.com/postchi/postchi/models"
)

// Server serves the connections of any number of listeners of one mode.
type Server struct {
	config Config
	clear  *half // serves connections without TLS
	secure *half // and those with
	spool  string
	temp   bool // spool is ours to remove

	mu        sync.Mutex
	wires     map[*wire]struct{}
	listeners map[net.Listener]struct{}
	ending    string // the reply that ends connections, once Shutdown has begun
	stopped   chan struct{}
}

// half is one of the two go-smtp servers, with the door through which it gets connections.
type half struct {
	*smtp.Server
	door chan net.Conn
	shut chan struct{}
	once sync.Once
}

// Accept implements net.Listener.
func (h *half) Accept() (net.Conn, error) {
	select {
	case c := <-h.door:
		return c, nil
	case <-h.shut:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *half) Close() error {
	h.once.Do(func() { close(h.shut) })
	return nil
}

// Addr implements net.Listener.
func (h *half) Addr() net.Addr { return &net.TCPAddr{} }

// New returns a server; Serve makes it work, Shutdown ends it.
func New(c Config) (*Server, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{config: c, spool: c.SpoolDir, wires: map[*wire]struct{}{}, listeners: map[net.Listener]struct{}{}, stopped: make(chan struct{})}
	if s.spool == "" {
		dir, err := os.MkdirTemp("", "postchi-spool-")
		if err != nil {
			return nil, fmt.Errorf("spool folder: %w", err)
		}
		s.spool, s.temp = dir, true
	} else if err := sweep(filepath.Clean(s.spool)); err != nil {
		return nil, err
	}
	s.clear, s.secure = s.newHalf(), s.newHalf()
	if c.Mode != ModeSubmissions {
		s.clear.TLSConfig = c.TLS // announces STARTTLS, which the wire does
	}
	// go-smtp knows of no TLS behind the wire; without it sessions offer no mechanism.
	s.secure.AllowInsecureAuth = true
	return s, nil
}

func (s *Server) newHalf() *half {
	h := &half{Server: smtp.NewServer(smtp.BackendFunc(s.newSession)), door: make(chan net.Conn), shut: make(chan struct{})}
	h.Domain = s.config.Hostname
	h.EnableDSN = true                      // RFC 3461
	h.MaxMessageBytes = s.config.MaxMessage // announced; held by the wire
	h.MaxLineLength = 0                     // held by the wire
	h.ErrorLog = log.New(libraryLog{s.config.Log}, "", 0)
	go h.Serve(h)
	return h
}

// libraryLog takes what go-smtp logs, which is about broken connections and panics outside of
// our own methods.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	if strings.HasPrefix(text, "panic") {
		l.log.Error("smtp library panicked", slog.String("text", text))
	} else {
		l.log.Debug("smtp library", slog.String("text", text))
	}
	return len(p), nil
}

// Serve accepts connections until ctx ends or Shutdown is called, which is no error; it closes
// the listener. The listener should be one of conn.Gate with ListenOptions: without it
// connections have no limits but an idle time. It may be called for several listeners at once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if !s.add(ln) {
		return ln.Close()
	}
	defer s.remove(ln)
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			s.begin(newWire(s, s.outer(c)))
		case ctx.Err() != nil, s.isStopped(), errors.Is(err, net.ErrClosed):
			return nil
		default:
			return fmt.Errorf("smtpd: accept: %w", err)
		}
	}
}

// outer puts TLS on a connection of a listener that begins with it.
func (s *Server) outer(c net.Conn) net.Conn {
	if s.config.Mode == ModeSubmissions {
		return tls.Server(c, s.config.TLS)
	}
	return c
}

func (s *Server) add(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != "" {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) remove(ln net.Listener) {
	ln.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

// begin gives a connection to the server of its kind.
func (s *Server) begin(w *wire) {
	s.mu.Lock()
	s.wires[w] = struct{}{}
	if s.ending != "" {
		w.end(s.ending, false)
	}
	s.mu.Unlock()
	h := s.clear
	if w.tls != nil {
		h = s.secure
	}
	select {
	case h.door <- w:
	case <-h.shut:
		w.Close()
	}
}

func (s *Server) forget(w *wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wires, w)
	if s.ending != "" && len(s.wires) == 0 {
		s.stop()
	}
}

// stop is called with mu held, once nothing is served any more.
func (s *Server) stop() {
	select {
	case <-s.stopped:
	default:
		close(s.stopped)
	}
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending != ""
}

// Shutdown stops accepting, ends idle connections with 421 and waits for open transactions until
// ctx ends; those that are still open then are cut, so that their senders try again.
func (s *Server) Shutdown(ctx context.Context) error {
	s.endAll("421 4.3.2 The server is stopping, please try again later.", false)
	var err error
	select {
	case <-s.stopped:
	case <-ctx.Done():
		err = ctx.Err()
		s.endAll("421 4.3.2 The server is stopping.", true)
	}
	s.clear.Close()
	s.secure.Close()
	if s.temp {
		os.RemoveAll(s.spool)
	}
	return err
}

func (s *Server) endAll(reply string, now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = reply
	for ln := range s.listeners {
		ln.Close()
	}
	for w := range s.wires {
		w.end(reply, now)
	}
	if len(s.wires) == 0 {
		s.stop()
	}
}

// tooLarge is the error for a message over the limit.
func (s *Server) tooLarge() *models.Error {
	return models.Errorf(models.TooLarge, "smtp.too_large", "The message is larger than the %d bytes that are accepted here.", s.config.MaxMessage).
		With("max", s.config.MaxMessage)
}

var _ io.Writer = libraryLog{}
