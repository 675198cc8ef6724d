package conn

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Conn is one connection. Read, Write and the methods about limits may be used from
// different goroutines.
//
// A read deadline in the future is taken for the longest idle time and counted anew at each
// Read, since a protocol library sets it once for a body of any length; the same holds for
// the write deadline. Neither can be longer than the idle limit of the gate, and removing it
// leaves that limit. A deadline in the past works at once and stays until the next is set.
type Conn struct {
	net.Conn
	gate    *Gate
	remote  netip.Addr
	network netip.Prefix

	mu          sync.Mutex
	idle        time.Duration // limit of ours, by log-in state
	idleLater   time.Duration // the limit after log-in
	loginBefore time.Time     // zero = no limit
	counted     bool          // in gate's count
	read, write wish

	allowed int64 // bytes that may be read still, negative = any number
	moving  bool  // Transfer is on
	waited  time.Duration
	moved   int64 // bytes read while waited passed
	fault   error // what every further Read returns
}

// wish is a deadline as the user of the connection set it.
type wish struct {
	idle time.Duration // 0 = none
	past bool
}

func newConn(raw net.Conn, l *listener, remote netip.Addr, network netip.Prefix) *Conn {
	c := &Conn{Conn: raw, gate: l.gate, remote: remote, network: network,
		idle: l.options.BeforeLogin, idleLater: l.options.Idle, counted: true, allowed: -1}
	if l.options.LoginWithin > 0 {
		c.loginBefore = time.Now().Add(l.options.LoginWithin)
	}
	return c
}

// From returns the Conn that c is or stands on (as *tls.Conn does), nil if there is none.
func From(c net.Conn) *Conn {
	for c != nil {
		if ours, ok := c.(*Conn); ok {
			return ours
		}
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = above.NetConn()
	}
	return nil
}

// Remote returns the client's address, IPv4 never mapped into IPv6; invalid if the socket
// has no IP address.
func (c *Conn) Remote() netip.Addr { return c.remote }

// NetConn returns the socket below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// LoggedIn takes the connection off the count of its network and raises its idle limit from
// BeforeLogin to Idle. Calling it again does nothing.
func (c *Conn) LoggedIn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = c.idleLater
	c.loginBefore = time.Time{}
	c.uncount()
}

// uncount gives the place in the gate back, once. c.mu is held.
func (c *Conn) uncount() {
	if c.counted {
		c.counted = false
		c.gate.leave(c.network)
	}
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.uncount()
	c.mu.Unlock()
	return c.Conn.Close()
}

// Transfer says that the client is sending a message now (on), or that it is done. While it
// is on, a client that sent less than MinRate bytes per second over MinRateOver is cut with
// ErrSlow. Only time spent waiting for the client counts, not what we need for its bytes.
func (c *Conn) Transfer(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moving = on
	c.waited, c.moved = 0, 0
}

// Cap allows n more bytes to be read, counted on the wire (under TLS some more than the
// text); after that Read returns ErrCap. A negative n takes the cap away.
func (c *Conn) Cap(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allowed = n
}

// Read implements net.Conn. It never returns io.EOF, see ErrCut.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		size, window, err := c.arm(len(p))
		if err != nil {
			return 0, err
		}
		start := c.gate.now()
		n, err := c.Conn.Read(p[:size])
		again, err := c.account(n, c.gate.now().Sub(start), window, err)
		if !again {
			return n, err
		}
	}
}

// arm sets the deadline of the next read of at most size bytes, and returns how many it may
// take. window tells that the deadline is the end of a window of the minimum rate.
func (c *Conn) arm(size int) (n int, window bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != nil {
		return 0, false, c.fault
	}
	if c.allowed >= 0 && int64(size) > c.allowed {
		if c.allowed == 0 {
			c.fault = ErrCap
			return 0, false, ErrCap
		}
		size = int(c.allowed)
	}
	if c.read.past {
		return size, false, c.Conn.SetReadDeadline(past)
	}
	wait := c.patience(c.read)
	if c.moving && c.gate.limits.MinRate > 0 {
		if left := c.gate.limits.MinRateOver - c.waited; left < wait {
			wait, window = left, true
		}
	}
	deadline := time.Now().Add(wait)
	if !c.loginBefore.IsZero() && c.loginBefore.Before(deadline) {
		deadline, window = c.loginBefore, false
	}
	return size, window, c.Conn.SetReadDeadline(deadline)
}

// account takes in what a read brought, and decides what the reader is told.
func (c *Conn) account(n int, took time.Duration, window bool, err error) (again bool, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.allowed > 0 {
		c.allowed -= int64(n)
	}
	if err == io.EOF {
		c.fault = ErrCut
		return false, ErrCut
	}
	ended := window && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && !c.read.past
	if c.moving {
		c.waited += took
		c.moved += int64(n)
		if ended || c.waited >= c.gate.limits.MinRateOver {
			if c.tooSlow() {
				c.fault = ErrSlow
				return false, ErrSlow
			}
			c.waited, c.moved = 0, 0
		}
	}
	// The window ended in the middle of this read and the client was quick enough in it, or
	// Transfer was switched off meanwhile: the read goes on.
	return ended, err
}

// tooSlow tells whether the window that just ended brought too little. c.mu is held.
func (c *Conn) tooSlow() bool {
	l := c.gate.limits
	return l.MinRate > 0 && float64(c.moved) < float64(l.MinRate)*l.MinRateOver.Seconds()
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// patience returns how long one read or write may wait. c.mu is held.
func (c *Conn) patience(w wish) time.Duration {
	if w.idle > 0 && w.idle < c.idle {
		return w.idle
	}
	return c.idle
}

// wished turns a deadline into a wish.
func wished(t time.Time) wish {
	if t.IsZero() {
		return wish{}
	}
	idle := time.Until(t)
	return wish{idle: idle, past: idle <= 0}
}

// SetReadDeadline implements net.Conn; see Conn for what it means.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = wished(t)
	if c.read.past {
		return c.Conn.SetReadDeadline(past) // wakes a Read that waits
	}
	return nil
}

// SetWriteDeadline implements net.Conn; see Conn for what it means.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = wished(t)
	if c.write.past {
		return c.Conn.SetWriteDeadline(past)
	}
	return nil
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.armWrite(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// armWrite sets the deadline of the next write.
func (c *Conn) armWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.write.past {
		return c.Conn.SetWriteDeadline(past)
	}
	return c.Conn.SetWriteDeadline(time.Now().Add(c.patience(c.write)))
}
