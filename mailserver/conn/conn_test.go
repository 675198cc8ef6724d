package conn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
)

// listen opens a gated listener on loopback and returns the connections it accepts.
func listen(t *testing.T, g *conn.Gate, o conn.Options) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := g.Listener(raw, o)
	conns := make(chan net.Conn, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
		close(conns)
		for c := range conns {
			c.Close()
		}
	})
	return raw.Addr().String(), conns
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// next returns the next accepted connection.
func next(t *testing.T, accepted <-chan net.Conn) *conn.Conn {
	t.Helper()
	select {
	case c := <-accepted:
		t.Cleanup(func() { c.Close() })
		return c.(*conn.Conn)
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was accepted")
		return nil
	}
}

// pair returns both ends of one connection through g.
func pair(t *testing.T, g *conn.Gate, o conn.Options) (server *conn.Conn, client net.Conn) {
	t.Helper()
	addr, accepted := listen(t, g, o)
	client = dial(t, addr)
	return next(t, accepted), client
}

// certificate makes a throw-away certificate.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// overTLS runs TLS on both ends and returns them.
func overTLS(t *testing.T, server, client net.Conn) (*tls.Conn, *tls.Conn) {
	t.Helper()
	s := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	c := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	errs := make(chan error, 1)
	go func() { errs <- c.Handshake() }()
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	return s, c
}

// until polls until ok, for at most 10 s.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
	}
}

var loopback = netip.MustParseAddr("127.0.0.1")

func TestOneTooManyIsTold(t *testing.T) {
	g := conn.NewGate(conn.Limits{PerNetwork: 2}, nil, nil)
	addr, accepted := listen(t, g, conn.Options{Refuse: []byte("421 too many\r\n")})
	second, third := addr, addr
	other, otherAccepted := listen(t, g, conn.Options{}) // the count is over all listeners
	dial(t, second)
	dial(t, other)
	a, b := next(t, accepted), next(t, otherAccepted)

	refused := dial(t, third)
	refused.Write([]byte("EHLO x\r\n")) // unread input must not lose the line
	if line, err := io.ReadAll(refused); err != nil || string(line) != "421 too many\r\n" {
		t.Fatalf("refused connection read %q, %v", line, err)
	}
	if quiet, err := io.ReadAll(dial(t, other)); len(quiet) > 0 || err != nil {
		t.Fatalf("a listener without a line said %q, %v", quiet, err)
	}
	if g.Waiting(loopback) != 2 || g.Refused() != 2 {
		t.Fatalf("waiting %d, refused %d", g.Waiting(loopback), g.Refused())
	}

	a.LoggedIn() // makes room once, not twice
	a.LoggedIn()
	a.Close()
	dial(t, addr)
	c := next(t, accepted)
	if g.Waiting(loopback) != 2 {
		t.Fatalf("waiting %d after a log-in and a new connection", g.Waiting(loopback))
	}
	b.Close()
	b.Close()
	c.Close()
	if g.Waiting(loopback) != 0 {
		t.Fatalf("waiting %d after all closed", g.Waiting(loopback))
	}
}

func TestRefusalsNeverBlockAccept(t *testing.T) {
	g := conn.NewGate(conn.Limits{PerNetwork: 1}, nil, nil)
	addr, accepted := listen(t, g, conn.Options{Refuse: bytes.Repeat([]byte("x"), 8<<20)})
	dial(t, addr)
	first := next(t, accepted)
	for range 60 { // nobody reads: the slots fill, the rest is closed at once
		dial(t, addr)
	}
	until(t, "60 refusals", func() bool { return g.Refused() == 60 })
	first.Close()
	dial(t, addr)
	next(t, accepted)
}

func TestRemoteAndFrom(t *testing.T) {
	server, client := pair(t, conn.NewGate(conn.Limits{}, nil, nil), conn.Options{})
	if server.Remote() != loopback {
		t.Errorf("remote %s", server.Remote())
	}
	s, _ := overTLS(t, server, client)
	if conn.From(s) != server || conn.From(server) != server {
		t.Error("From does not find the connection")
	}
	if conn.From(client) != nil || conn.From(nil) != nil {
		t.Error("From finds what is not there")
	}
}

func TestEndOfInputIsAnError(t *testing.T) {
	for _, secure := range []bool{false, true} {
		server, client := pair(t, conn.NewGate(conn.Limits{}, nil, nil), conn.Options{})
		var s, c net.Conn = server, client
		if secure {
			s, c = overTLS(t, server, client)
		}
		if _, err := c.Write([]byte("half a message")); err != nil {
			t.Fatal(err)
		}
		client.Close() // of the socket: no close_notify
		got, err := io.ReadAll(s)
		if string(got) != "half a message" || !errors.Is(err, conn.ErrCut) {
			t.Errorf("TLS %v: read %q, %v", secure, got, err)
		}
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("TLS %v: %v does not match net.ErrClosed", secure, err)
		}
		if _, err := server.Read(make([]byte, 1)); err != conn.ErrCut {
			t.Errorf("TLS %v: then %v", secure, err)
		}
	}
}

func TestDeadlineIsIdle(t *testing.T) {
	for _, secure := range []bool{false, true} {
		server, client := pair(t, conn.NewGate(conn.Limits{}, nil, nil), conn.Options{})
		var s, c net.Conn = server, client
		if secure {
			s, c = overTLS(t, server, client)
		}
		const idle = 400 * time.Millisecond
		onTime(t, func() (late bool) {
			s.SetReadDeadline(time.Now().Add(idle)) // once, for a body that takes twice as long
			var pause time.Duration
			sent := make(chan bool)
			go func() {
				pause = steadily(16, idle/8, func() { c.Write([]byte("x")) })
				close(sent)
			}()
			got, err := io.ReadAll(s)
			if <-sent; pause > idle/2 {
				s.SetReadDeadline(time.Now().Add(idle / 4))
				io.Copy(io.Discard, s)
				return true
			}
			var timeout net.Error
			if len(got) != 16 || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("TLS %v: %d bytes, %v", secure, len(got), err)
			}
			return false
		})
	}
}

// steadily calls fn so many times with a pause behind each, and returns the longest time that
// lay between the beginnings of two.
func steadily(times int, pause time.Duration, fn func()) (longest time.Duration) {
	last := time.Now()
	for range times {
		longest = max(longest, time.Since(last))
		last = time.Now()
		fn()
		time.Sleep(pause)
	}
	return longest
}

// onTime calls fn again while it says that the machine, busy with other things, was too late for
// what it tests.
func onTime(t *testing.T, fn func() (late bool)) {
	t.Helper()
	for range 50 {
		if !fn() {
			return
		}
	}
	t.Fatal("the machine is too busy for this test")
}

func TestIdleLimits(t *testing.T) {
	g := conn.NewGate(conn.Limits{BeforeLogin: 20 * time.Millisecond, Idle: 60 * time.Millisecond}, nil, nil)
	took := func(c *conn.Conn) time.Duration {
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	server, _ := pair(t, g, conn.Options{})
	server.SetReadDeadline(time.Now().Add(time.Hour)) // cannot lengthen the limit
	if d := took(server); d < 20*time.Millisecond {
		t.Errorf("before log-in the wait was %s", d)
	}
	server.SetReadDeadline(time.Time{}) // nor remove it
	took(server)
	server.LoggedIn()
	if d := took(server); d < 60*time.Millisecond {
		t.Errorf("after log-in the wait was %s", d)
	}
	longer, _ := pair(t, g, conn.Options{BeforeLogin: 80 * time.Millisecond})
	if d := took(longer); d < 80*time.Millisecond {
		t.Errorf("the listener's own limit was not used: %s", d)
	}
	patient, _ := pair(t, g, conn.Options{Idle: 120 * time.Millisecond})
	patient.LoggedIn()
	if d := took(patient); d < 120*time.Millisecond {
		t.Errorf("the listener's own limit after log-in was not used: %s", d)
	}
}

func TestLoginWithin(t *testing.T) {
	g := conn.NewGate(conn.Limits{}, nil, nil)
	server, client := pair(t, g, conn.Options{LoginWithin: 150 * time.Millisecond})
	go func() {
		for { // busy, but never done
			if _, err := client.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := io.Copy(io.Discard, server); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	server.LoggedIn()
	if _, err := io.ReadFull(server, make([]byte, 3)); err != nil {
		t.Fatalf("after log-in: %v", err)
	}
}

func TestPastDeadlineWakesRead(t *testing.T) {
	for _, secure := range []bool{false, true} {
		server, client := pair(t, conn.NewGate(conn.Limits{}, nil, nil), conn.Options{})
		var s, c net.Conn = server, client
		if secure {
			s, c = overTLS(t, server, client)
		}
		errs := make(chan error, 1)
		go func() {
			_, err := s.Read(make([]byte, 1))
			errs <- err
		}()
		s.SetReadDeadline(time.Now().Add(-time.Second))
		select {
		case err := <-errs:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Read still waits")
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the next Read: %v", err)
		}
		s.SetReadDeadline(time.Now().Add(time.Minute))
		c.Write([]byte("x"))
		if _, err := s.Read(make([]byte, 1)); err != nil {
			t.Fatalf("after a new deadline: %v", err)
		}
	}
}

func TestSlowTransferIsCut(t *testing.T) {
	g := conn.NewGate(conn.Limits{MinRate: 1000, MinRateOver: 100 * time.Millisecond}, nil, nil)
	for _, secure := range []bool{false, true} {
		server, client := pair(t, g, conn.Options{})
		var s, c net.Conn = server, client
		if secure {
			s, c = overTLS(t, server, client)
		}
		server.Transfer(true)
		go func() { // 1 byte every 40 ms: below 1,000 bytes/s, TLS included
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(40 * time.Millisecond)
			}
		}()
		_, err := io.Copy(io.Discard, s)
		if !errors.Is(err, conn.ErrSlow) {
			t.Errorf("TLS %v: %v", secure, err)
		}
		server.Transfer(false)
		if _, err := server.Read(make([]byte, 1)); err != conn.ErrSlow {
			t.Errorf("TLS %v: then %v", secure, err)
		}
	}
}

func TestSilentTransferIsCut(t *testing.T) {
	g := conn.NewGate(conn.Limits{MinRateOver: 50 * time.Millisecond}, nil, nil)
	server, _ := pair(t, g, conn.Options{})
	server.Transfer(true)
	if _, err := server.Read(make([]byte, 1)); err != conn.ErrSlow {
		t.Fatal(err)
	}
}

func TestQuickTransferGoesOn(t *testing.T) {
	const window = 300 * time.Millisecond
	g := conn.NewGate(conn.Limits{MinRate: 1000, MinRateOver: window}, nil, nil)
	onTime(t, func() (late bool) {
		server, client := pair(t, g, conn.Options{})
		server.Transfer(true)
		var pause time.Duration
		sent := make(chan bool)
		go func() { // in bursts that leave windows ending in the middle of a wait
			pause = steadily(5, 140*time.Millisecond, func() { client.Write(make([]byte, 4000)) })
			client.Close()
			close(sent)
		}()
		n, err := io.Copy(io.Discard, server)
		if <-sent; pause > window*2/3 {
			return true
		}
		if n != 20000 || err != conn.ErrCut {
			t.Errorf("%d bytes, %v", n, err)
		}
		return false
	})
}

func TestOurOwnSlownessIsNotTheClients(t *testing.T) {
	g := conn.NewGate(conn.Limits{MinRateOver: 30 * time.Millisecond}, nil, nil)
	server, client := pair(t, g, conn.Options{})
	server.Transfer(true)
	for range 4 {
		client.Write([]byte("x"))
		time.Sleep(20 * time.Millisecond) // the store is busy
		if _, err := server.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCap(t *testing.T) {
	server, client := pair(t, conn.NewGate(conn.Limits{}, nil, nil), conn.Options{})
	client.Write(bytes.Repeat([]byte("x"), 5000))
	server.Cap(10)
	if _, err := io.ReadFull(server, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	server.Cap(-1)
	if _, err := io.ReadFull(server, make([]byte, 2000)); err != nil {
		t.Fatalf("after the cap was taken away: %v", err)
	}
	server.Cap(1000)
	if n, err := io.Copy(io.Discard, server); n != 1000 || err != conn.ErrCap {
		t.Fatalf("%d bytes, %v", n, err)
	}
}

func TestWriteIsBounded(t *testing.T) {
	g := conn.NewGate(conn.Limits{BeforeLogin: 50 * time.Millisecond}, nil, nil)
	server, _ := pair(t, g, conn.Options{})
	for range 1000 { // the client never reads
		if _, err := server.Write(make([]byte, 1<<20)); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("a gigabyte went into a socket that nobody reads")
}

// failing is a listener whose Accept fails some times first.
type failing struct {
	net.Listener
	mu    sync.Mutex
	fails []error
}

func (f *failing) Accept() (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.fails) > 0 {
		err := f.fails[0]
		f.fails = f.fails[1:]
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return f.Listener.Accept()
}

func TestAcceptOutlivesEMFILE(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := conn.NewGate(conn.Limits{}, nil, nil).Listener(
		&failing{Listener: raw, fails: []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.ENFILE}}, conn.Options{})
	defer ln.Close()
	dial(t, raw.Addr().String())
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestCloseStopsAPausingAccept(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fails := make([]error, 1000)
	for i := range fails {
		fails[i] = syscall.EMFILE
	}
	ln := conn.NewGate(conn.Limits{}, nil, nil).Listener(&failing{Listener: raw, fails: fails}, conn.Options{})
	errs := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		errs <- err
	}()
	ln.Close()
	select {
	case err := <-errs:
		if !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Accept still pauses")
	}
}
