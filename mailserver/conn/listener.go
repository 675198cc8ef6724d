package conn

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/postchi/postchi/models"
)

// Options of one listener.
type Options struct {
	Proto models.Protocol // for the log
	// Refuse is written to a connection over the limit of its network before it is closed;
	// nil under implicit TLS, where nobody could read it.
	Refuse []byte
	// BeforeLogin replaces that of the gate if it is not 0; for a listener where nobody
	// logs in (RFC 5321, section 4.5.3.2.7, asks for 5 minutes).
	BeforeLogin time.Duration
	// Idle replaces that of the gate if it is not 0 (RFC 1939, section 3, asks for 10
	// minutes).
	Idle time.Duration
	// LoginWithin is the longest time from the connection to LoggedIn, however busy the
	// connection is; 0 = no limit. Without it a client that sends one byte at a time keeps
	// its place for ever.
	LoginWithin time.Duration
}

// The pauses after a failed Accept: out of file descriptors, usually.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// refuseWithin bounds the writing of Options.Refuse and the wait for the peer to read it.
const refuseWithin = 2 * time.Second

// Listener returns a listener whose Accept returns a *Conn. It turns away connections over
// the limit of their network without ever blocking Accept, and retries Accept with growing
// pauses while the machine is out of file descriptors or memory.
func (g *Gate) Listener(ln net.Listener, o Options) net.Listener {
	if o.BeforeLogin <= 0 {
		o.BeforeLogin = g.limits.BeforeLogin
	}
	if o.Idle <= 0 {
		o.Idle = g.limits.Idle
	}
	return &listener{Listener: ln, gate: g, options: o, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	gate    *Gate
	options Options

	once   sync.Once
	closed chan struct{}
}

// Close stops a pausing Accept too.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	pause := minPause
	for {
		raw, err := l.Listener.Accept()
		if err == nil {
			pause = minPause
			if c := l.admit(raw); c != nil {
				return c, nil
			}
			continue
		}
		if !passes(err) {
			return nil, err
		}
		l.gate.log.Warn("accept failed", slog.Any("err", err), slog.Duration("pause", pause),
			slog.String("proto", string(l.options.Proto)))
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// passes reports whether Accept may succeed later. ECONNABORTED and its like concern one
// connection that is gone already.
func passes(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPROTO, syscall.EINTR, syscall.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit counts the connection in, or turns it away and returns nil.
func (l *listener) admit(raw net.Conn) *Conn {
	remote := addrOf(raw.RemoteAddr())
	network := models.Network(remote)
	ok, tell := l.gate.enter(network)
	if ok {
		return newConn(raw, l, remote, network)
	}
	l.gate.refused.Add(1)
	level := slog.LevelDebug
	if tell {
		level = slog.LevelWarn
	}
	l.gate.log.Log(context.Background(), level, "too many connections of one network",
		slog.String("proto", string(l.options.Proto)), slog.String("remote", remote.String()))
	l.refuse(raw)
	return nil
}

// refuse closes raw, after telling it why if there is a slot for that.
func (l *listener) refuse(raw net.Conn) {
	if len(l.options.Refuse) == 0 {
		raw.Close()
		return
	}
	select {
	case l.gate.refusal <- struct{}{}:
	default:
		raw.Close()
		return
	}
	go func() {
		defer func() { <-l.gate.refusal }()
		defer raw.Close()
		tell(raw, l.options.Refuse)
	}()
}

// tell writes the line and waits a moment for the peer to close: closing with input unread
// would reset the connection, and the line would be lost on the way.
func tell(raw net.Conn, line []byte) {
	raw.SetDeadline(time.Now().Add(refuseWithin))
	if _, err := raw.Write(line); err != nil {
		return
	}
	if half, ok := raw.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	var waste [512]byte
	for range 16 {
		if _, err := raw.Read(waste[:]); err != nil {
			return
		}
	}
}

// addrOf returns the IP address of a socket's address, invalid if it has none.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
