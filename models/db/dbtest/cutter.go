package dbtest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postchi/postchi/models/db"
)

// Cut is what a Cutter does with the connection of a COMMIT.
type Cut int

// The cuts.
const (
	Pass      Cut = iota
	CutBefore     // the server never hears of it
	CutWithin     // the server gets half of the packet
	CutDuring     // the server gets it, and nobody waits for its answer
	CutAfter      // the server has answered, and the client does not hear of it
)

// EveryThird returns a function for NewCutter that cuts every third COMMIT while on says so, each
// time in another way.
func EveryThird(on *atomic.Bool) func() Cut {
	var n atomic.Int64
	return func() Cut {
		if !on.Load() {
			return Pass
		}
		i := n.Add(1)
		if i%3 != 0 {
			return Pass
		}
		return CutBefore + Cut(i/3%4)
	}
}

// Cutter stands between a program and MariaDB. It understands as much of the protocol as it
// takes to find a COMMIT and to cut its connection at an exact moment.
type Cutter struct {
	server string
	decide func() Cut
	cuts   [CutAfter + 1]atomic.Int64
	conns  sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]bool
	refuse  bool // connections that would come after the next cut
	refused bool
}

// NewCutter returns a configuration that leads through a Cutter to the database of config, and
// the Cutter. decide is called for each COMMIT.
func NewCutter(t testing.TB, config db.Config, decide func() Cut) (db.Config, *Cutter) {
	t.Helper()
	u, err := url.Parse(config.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cut") // short: the path of a socket has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ln, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	c := &Cutter{server: q.Get("socket"), decide: decide, open: map[net.Conn]bool{}}
	c.conns.Go(func() { c.accept(ln) })
	t.Cleanup(func() {
		ln.Close()
		c.close()
		c.conns.Wait()
	})
	q.Set("socket", ln.Addr().String())
	u.RawQuery = q.Encode()
	config.URL = u.String()
	return config, c
}

// RefuseAfterCut makes the server stay away from the next cut until Return: no connection comes
// through.
func (c *Cutter) RefuseAfterCut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = true
}

// Return lets connections through again.
func (c *Cutter) Return() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse, c.refused = false, false
}

// Away reports whether no connection comes through.
func (c *Cutter) Away() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// cut closes everything if the server is to be away from this cut on.
func (c *Cutter) cut() {
	c.mu.Lock()
	refuse := c.refuse
	c.mu.Unlock()
	if refuse {
		c.close()
	}
}

// Cuts returns how often a cut was made.
func (c *Cutter) Cuts(what Cut) int64 { return c.cuts[what].Load() }

func (c *Cutter) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		c.conns.Go(func() { c.serve(conn) })
	}
}

func (c *Cutter) enter(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.refused {
		c.open[conn] = true
	}
	return !c.refused
}

func (c *Cutter) leave(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

func (c *Cutter) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = true
	for conn := range c.open {
		conn.Close()
	}
}

func (c *Cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	if !c.enter(client) {
		return
	}
	defer c.leave(client)
	var mute atomic.Bool // the next answer is the server's word on a COMMIT that is to be lost
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || mute.Load() {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	c.forward(client, server, &mute)
	if mute.Load() {
		<-answers
	}
	server.Close()
	<-answers
}

// forward passes packets on until one is to be cut.
func (c *Cutter) forward(client, server net.Conn, mute *atomic.Bool) {
	in := bufio.NewReader(client)
	for {
		packet, err := readPacket(in)
		if err != nil {
			return
		}
		what := Pass
		if string(packet[4:]) == "\x03COMMIT" { // COM_QUERY
			what = c.decide()
			c.cuts[what].Add(1)
		}
		if what != Pass {
			defer c.cut()
		}
		switch what {
		case CutBefore:
			return
		case CutWithin:
			packet = packet[:len(packet)/2]
		case CutAfter:
			mute.Store(true)
		}
		if _, err := server.Write(packet); err != nil || what != Pass {
			return
		}
	}
}

// readPacket reads a packet of the protocol: three bytes of length, a number, the payload.
func readPacket(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	packet := append(head, make([]byte, binary.LittleEndian.Uint32(head)&0xffffff)...)
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}
