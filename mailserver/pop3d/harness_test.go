package pop3d_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/pop3d"
)

// authority makes one certificate for all tests of this process.
var authority = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true,
		BasicConstraintsValid: true, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	c, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// caFile writes the certificate where a program can read it.
func caFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: certificate(t).Certificate[0]}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// loginExchange is the LOGIN mechanism, which go-sasl has no server for.
type loginExchange struct {
	step  int
	name  string
	login func(name, password string) error
}

func (l *loginExchange) Next(response []byte) ([]byte, bool, error) {
	if l.step == 0 && response != nil {
		l.step = 1
	}
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.name = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.login(l.name, string(response))
}

var mechanisms = []pop3d.Mechanism{
	{Name: "PLAIN", New: func(login func(string, string) error) pop3d.Exchange {
		return sasl.NewPlainServer(func(identity, name, password string) error {
			if identity != "" && identity != name {
				return errors.New("no")
			}
			return login(name, password)
		})
	}},
	{Name: "LOGIN", New: func(login func(string, string) error) pop3d.Exchange { return &loginExchange{login: login} }},
}

// door is a running server.
type door struct {
	*house
	server        *pop3d.Server
	gate          *conn.Gate
	plain, secure string // addresses
}

// start runs a server with h's accounts on two ports.
func start(t testing.TB, h *house, change ...func(*pop3d.Config)) *door {
	t.Helper()
	c := pop3d.Config{Accounts: h, Maildrops: drops{h}, Mechanisms: mechanisms}
	d := serve(t, c, change...)
	d.house = h
	t.Cleanup(func() {
		d.stop(t)
		if h.open() != 0 {
			t.Errorf("%d sessions are still counted", h.open())
		}
	})
	return d
}

// serve runs a server on two ports until the test ends.
func serve(t testing.TB, c pop3d.Config, change ...func(*pop3d.Config)) *door {
	t.Helper()
	c.Hostname = "mail.example.net"
	c.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS12}
	for _, fn := range change {
		fn(&c)
	}
	d := &door{server: pop3d.New(c), gate: conn.NewGate(conn.Limits{PerNetwork: 200}, nil, nil)}
	d.plain, d.secure = d.listen(t, false), d.listen(t, c.TLS != nil)
	t.Cleanup(func() { d.stop(t) })
	return d
}

func (d *door) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func (d *door) listen(t testing.TB, implicitTLS bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := d.server.Serve(context.Background(), d.gate.Listener(ln, pop3d.ListenOptions(implicitTLS)), implicitTLS); err != nil {
			t.Error(err)
		}
	}()
	return ln.Addr().String()
}

// client speaks to a server line by line.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (d *door) dial(t testing.TB) *client {
	t.Helper()
	c, err := net.Dial("tcp", d.plain)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

// dialTLS connects to the port with implicit TLS and reads the greeting.
func (d *door) dialTLS(t testing.TB) *client {
	t.Helper()
	c, err := tls.Dial("tcp", d.secure, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, c)
	client.want("+OK mail.example.net Postchi POP3 server ready")
	return client
}

// login connects and logs in.
func (d *door) login(t testing.TB, name, password string) *client {
	t.Helper()
	c := d.dialTLS(t)
	c.say("USER "+name, "+OK")
	c.say("PASS "+password, "+OK")
	return c
}

func newClient(t testing.TB, c net.Conn) *client {
	c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return &client{t: t, Conn: c, r: bufio.NewReader(c)}
}

func (c *client) send(lines ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// line returns the next line without its end.
func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.HasSuffix(line, "\r\n") {
		c.t.Fatalf("read %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// want reads a line that begins as given.
func (c *client) want(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("got %q, want %q", line, prefix)
	}
	return line
}

// say sends a line and reads one that begins as given.
func (c *client) say(line, want string) string {
	c.t.Helper()
	c.send(line)
	return c.want(want)
}

// body reads the rest of a multi-line response, dots removed, lines ended by CRLF.
func (c *client) body() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line := c.line()
		if line == "." {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
}

// closed waits for the server to close, and returns what it said before.
func (c *client) closed() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatal("the connection stays open")
	}
	return string(rest)
}
