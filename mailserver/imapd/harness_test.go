package imapd_test

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
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/imapd"
	"github.com/postchi/postchi/mailserver/imapd/entry"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/store"
)

const (
	sara   = "sara@example.com"
	secret = "open sesame"
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

// house is one whole process on a database: store, accounts and an IMAP server.
type house struct {
	*mailstoretest.Instance
	accounts      *store.Store
	auth          *auth.Service
	server        *imapd.Server
	plain, secure string // addresses
	box           *models.Mailbox
}

// open runs a process on a database until the test ends. Called again with the same database it
// is a second one.
func open(t testing.TB, config db.Config, change ...func(*imapd.Config)) *house {
	t.Helper()
	h := &house{Instance: mailstoretest.Seg(t, config)}
	var err error
	if h.accounts, err = store.New(h.DB, nil); err != nil {
		t.Fatal(err)
	}
	h.auth = auth.New(auth.Config{Accounts: h.accounts, Watch: h.DB, Cost: 4, PerMailbox: -1, PerNetwork: -1})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.auth.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	c := imapd.Config{
		Hostname: "mail.example.net", TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS12},
		Accounts: entry.Accounts(h.auth), Mechanisms: entry.Mechanisms(),
		Store: h.Store, Blobs: h.Blobs, Watch: h.DB, SpoolDir: t.TempDir(),
		Panicked: func() { t.Error("a session panicked") },
	}
	for _, fn := range change {
		fn(&c)
	}
	h.server = imapd.New(c)
	gate := conn.NewGate(conn.Limits{PerNetwork: 10_000}, nil, nil)
	h.plain, h.secure = h.listen(t, gate, false), h.listen(t, gate, c.TLS != nil)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) listen(t testing.TB, gate *conn.Gate, implicitTLS bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := h.server.Serve(context.Background(), gate.Listener(ln, imapd.ListenOptions(implicitTLS)), implicitTLS); err != nil {
			t.Error(err)
		}
	}()
	return ln.Addr().String()
}

// mailbox makes sara's mailbox.
func (h *house) mailbox(t testing.TB) *models.Mailbox {
	t.Helper()
	ctx := context.Background()
	hash, err := h.auth.Hash(ctx, secret)
	if err != nil {
		t.Fatal(err)
	}
	ids := h.DB.IDs()
	c := &models.Customer{ID: ids.New(), Name: "Example", CreatedAt: 1, UpdatedAt: 1}
	d := &models.Domain{ID: ids.New(), CustomerID: c.ID, Name: "example.com", State: models.DomainActive, CreatedAt: 1, UpdatedAt: 1}
	d.ActiveName = &d.Name
	m := &models.Mailbox{ID: ids.New(), CustomerID: c.ID, DomainID: d.ID, Address: sara, PasswordHash: hash, CreatedAt: 1, UpdatedAt: 1, PasswordAt: 1}
	a := &models.Address{ID: ids.New(), DomainID: d.ID, Local: "sara", Kind: models.AddressMailbox, MailboxID: &m.ID, CreatedAt: 1}
	for _, fn := range []func() error{
		func() error { return h.accounts.InsertCustomer(ctx, c) },
		func() error { return h.accounts.InsertDomain(ctx, d) },
		func() error { return h.accounts.InsertAddress(ctx, a) },
		func() error { return h.accounts.InsertMailbox(ctx, m) },
		func() error { return h.Store.CreateMailbox(ctx, m.ID) },
	} {
		if err := fn(); err != nil {
			t.Fatal(err)
		}
	}
	h.box = m
	return m
}

// client speaks to a server line by line.
type client struct {
	t testing.TB
	net.Conn
	r   *bufio.Reader
	tag int
}

func newClient(t testing.TB, c net.Conn) *client {
	c.SetDeadline(time.Now().Add(90 * time.Second))
	t.Cleanup(func() { c.Close() })
	return &client{t: t, Conn: c, r: bufio.NewReaderSize(c, 128<<10)}
}

func (h *house) dial(t testing.TB) *client {
	t.Helper()
	c, err := net.Dial("tcp", h.plain)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

// dialTLS connects to the port with implicit TLS and reads the greeting.
func (h *house) dialTLS(t testing.TB) *client {
	t.Helper()
	c, err := tls.Dial("tcp", h.secure, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	cl := newClient(t, c)
	if greeting := cl.line(); !strings.HasPrefix(greeting, "* OK [CAPABILITY ") {
		t.Fatalf("greeting %q", greeting)
	}
	return cl
}

// login connects and logs in.
func (h *house) login(t testing.TB) *client {
	t.Helper()
	c := h.dialTLS(t)
	c.ok(fmt.Sprintf("LOGIN %s %q", sara, secret))
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// line returns the next line without its end; a literal in it stands as it is, with what
// follows it.
func (c *client) line() string {
	c.t.Helper()
	s, err := c.read()
	if err != nil {
		c.t.Fatalf("read %q, %v", s, err)
	}
	return s
}

func (c *client) read() (string, error) {
	var b strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return b.String() + line, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		b.WriteString(line)
		open := strings.LastIndexByte(line, '{')
		if open < 0 || !strings.HasSuffix(line, "}") {
			return b.String(), nil
		}
		n, err := strconv.Atoi(line[open+1 : len(line)-1])
		if err != nil {
			return b.String(), nil
		}
		b.WriteString("\r\n")
		if _, err := io.CopyN(&b, c.r, int64(n)); err != nil {
			return b.String(), err
		}
	}
}

// do sends a command and returns its untagged responses and the tagged one without its tag.
func (c *client) do(command string) (untagged []string, tagged string) {
	c.t.Helper()
	c.tag++
	tag := "t" + strconv.Itoa(c.tag)
	c.send(tag + " " + command + "\r\n")
	return c.answer(tag)
}

func (c *client) answer(tag string) (untagged []string, tagged string) {
	c.t.Helper()
	for {
		line, err := c.read()
		if err != nil {
			c.t.Fatalf("read %q, %v, after %q", line, err, untagged)
		}
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, line)
	}
}

// ok sends a command that must succeed, and returns its untagged responses.
func (c *client) ok(command string) []string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("%s: %q %q", command, untagged, tagged)
	}
	return untagged
}

// want sends a command whose tagged response must begin as given, and whose untagged ones must
// be these.
func (c *client) want(command, tagged string, untagged ...string) {
	c.t.Helper()
	got, last := c.do(command)
	if !strings.HasPrefix(last, tagged) {
		c.t.Fatalf("%s: %q, want %q", command, last, tagged)
	}
	if strings.Join(got, "\n") != strings.Join(untagged, "\n") {
		c.t.Fatalf("%s:\n%s\nwant\n%s", command, strings.Join(got, "\n"), strings.Join(untagged, "\n"))
	}
}

// wantSoon is want for a command whose answer ends with what another session did a moment ago: it
// is given again until that has come round.
func (c *client) wantSoon(told []string, command, tagged string, untagged ...string) {
	c.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got, last := c.do(command)
		if !strings.HasPrefix(last, tagged) {
			c.t.Fatalf("%s: %q, want %q", command, last, tagged)
		}
		switch all := strings.Join(got, "\n"); {
		case all == strings.Join(slices.Concat(untagged, told), "\n"):
			return
		case all != strings.Join(untagged, "\n") || time.Now().After(end):
			c.t.Fatalf("%s:\n%s\nwant\n%s\n%s", command, all, strings.Join(untagged, "\n"), strings.Join(told, "\n"))
		}
	}
}

// append adds a message to a folder.
func (c *client) append(folder, flags, text string) string {
	c.t.Helper()
	c.tag++
	tag := "t" + strconv.Itoa(c.tag)
	c.send(fmt.Sprintf("%s APPEND %s %s{%d}\r\n", tag, folder, flags, len(text)))
	if line := c.line(); !strings.HasPrefix(line, "+") {
		c.t.Fatalf("APPEND: %q", line)
	}
	c.send(text + "\r\n")
	_, tagged := c.answer(tag)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("APPEND: %q", tagged)
	}
	return tagged
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

func itoa(n int) string { return strconv.Itoa(n) }

// noTime is no deadline, for benchmarks.
var noTime time.Time
