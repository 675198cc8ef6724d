package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	pebbledb "github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/secret"
)

// authorityServer is an authority that speaks ACME: Let's Encrypt's own test server, within the test.
type authorityServer struct {
	directory string
	web       *x509.CertPool // of its web server
	issued    *x509.CertPool // of what it signs
}

// newAuthority starts one that finds every name at 127.0.0.1 and asks these ports. valid is how
// many seconds its certificates last.
func newAuthority(t *testing.T, httpPort, httpsPort int, valid uint64) *authorityServer {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	store := pebbledb.NewMemoryStore()
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: valid}})
	validator := va.New(quiet, httpPort, httpsPort, false, everythingHere(t), store)
	front := wfe.New(quiet, store, validator, signer, []string{"authority.example"}, false, false, 1, 1)
	web := httptest.NewTLSServer(front.Handler())
	t.Cleanup(web.Close)
	a := &authorityServer{directory: web.URL + wfe.DirectoryPath, web: x509.NewCertPool(), issued: x509.NewCertPool()}
	a.web.AddCert(web.Certificate())
	root, err := x509.ParseCertificate(signer.GetRootCert(0).DER)
	if err != nil {
		t.Fatal(err)
	}
	a.issued.AddCert(root)
	return a
}

// everythingHere is a DNS server that answers 127.0.0.1 to every question for an address.
func everythingHere(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the authority asks by TCP
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		r := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(r)
	})}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return ln.Addr().String()
}

// node is a server whose certificates come from an authority.
type node struct {
	*Source
	plain, secure net.Listener
	db            *db.DB
	stop          func()
}

func (n *node) port(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// listen opens the two ports of a node.
func listen(t *testing.T) *node {
	t.Helper()
	n := &node{}
	for _, ln := range []*net.Listener{&n.plain, &n.secure} {
		var err error
		if *ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// start serves on them. what chooses the challenges: "http", "tls" or both.
func (n *node) start(t *testing.T, d *db.DB, box Sealer, a *authorityServer, what string) {
	t.Helper()
	c := ACMEConfig{
		Names: []string{"Mail.example.net.", "panel.example.net"}, Directory: a.directory, Roots: a.web, Email: "admin@example.net",
		DB: d, Sealer: box, Every: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if strings.Contains(what, "http") {
		c.HTTPPort = n.port(n.plain)
	}
	if strings.Contains(what, "tls") {
		c.HTTPSPort = n.port(n.secure)
	}
	var err error
	if n.Source, err = ACME(c); err != nil {
		t.Fatal(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	quiet := log.New(io.Discard, "", 0)
	plain := &http.Server{Handler: n.Challenges(hello), ErrorLog: quiet}
	secure := &http.Server{Handler: hello, TLSConfig: n.WebTLSConfig(), ErrorLog: quiet}
	go plain.Serve(n.plain)
	go secure.ServeTLS(n.secure, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	n.db, n.stop = d, func() { cancel(); <-done; plain.Close(); secure.Close() }
	t.Cleanup(n.stop)
}

// certificate waits until a client that asks for name gets a certificate that it believes.
func (n *node) certificate(t *testing.T, a *authorityServer, name string) *x509.Certificate {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var c *tls.Conn
		if c, err = tls.Dial("tcp", n.secure.Addr().String(), &tls.Config{ServerName: name, RootCAs: a.issued}); err == nil {
			defer c.Close()
			return c.ConnectionState().PeerCertificates[0]
		}
	}
	t.Fatalf("no certificate for %s: %v", name, err)
	return nil
}

func box(t *testing.T) *secret.Box {
	t.Helper()
	b, err := secret.Open(filepath.Join(t.TempDir(), "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestACME(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Run("http", func(t *testing.T) { obtains(t, dbtest.Open(t, dbtest.SQLite(t)), "http") })
	t.Run("tls", func(t *testing.T) { obtains(t, dbtest.Open(t, dbtest.MySQL(t)), "tls") })
}

// obtains gets certificates by one challenge and keeps them.
func obtains(t *testing.T, d *db.DB, challenge string) {
	n := listen(t)
	a := newAuthority(t, n.port(n.plain), n.port(n.secure), 3600)
	sealer := box(t)
	n.start(t, d, sealer, a, challenge)
	if n.Names() != nil || n.Covers("mail.example.net", a.issued) == nil {
		t.Error("a certificate before there is one")
	}
	first := n.certificate(t, a, "mail.example.net")
	n.certificate(t, a, "panel.example.net")
	if !slices.Contains(first.DNSNames, "mail.example.net") {
		t.Errorf("names %v", first.DNSNames)
	}
	waitFor(t, "the source covers its name", func() bool { return n.Covers("mail.example.net", a.issued) == nil })
	looksSealed(t, d)
	otherClients(t, n, a)
	n.stop()

	// The next start, and a command, take it from the database: without the authority's root
	// they could not ask it.
	again, err := ACME(ACMEConfig{Names: []string{"mail.example.net"}, Directory: a.directory, HTTPPort: 1, DB: d, Sealer: sealer})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	again.Load(t.Context())
	if c := again.Certificate(); c == nil || !c.Leaf.Equal(first) {
		t.Error("the certificate was not kept")
	}
}

// otherClients get the first name's certificate, and pages beside the challenges.
func otherClients(t *testing.T, n *node, a *authorityServer) {
	t.Helper()
	for _, name := range []string{"", "mail.customer.example"} {
		c, err := tls.Dial("tcp", n.secure.Addr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Errorf("asked for %q: %v", name, err)
			continue
		}
		if err := c.ConnectionState().PeerCertificates[0].VerifyHostname("mail.example.net"); err != nil {
			t.Errorf("asked for %q: %v", name, err)
		}
		c.Close()
	}
	r, err := http.Get("http://" + n.plain.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, _ := io.ReadAll(r.Body); string(b) != "hello" {
		t.Errorf("the page is %q", b)
	}
}

func looksSealed(t *testing.T, d *db.DB) {
	t.Helper()
	rows, err := d.SQL().Query("SELECT name, value FROM certificates")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	keys := 0
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(value, "PRIVATE") || strings.Contains(value, "example") {
			t.Errorf("%s lies in clear", name)
		}
		if strings.HasSuffix(name, ".key") {
			keys++
		}
	}
	if keys < 3 {
		t.Errorf("%d keys: those of two certificates and the account are wanted", keys)
	}
}

// TestACMERenews has certificates that last seconds. The authority proposes any moment of their
// life for the renewal.
func TestACMERenews(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	n := listen(t)
	a := newAuthority(t, n.port(n.plain), n.port(n.secure), 20)
	n.start(t, dbtest.Open(t, dbtest.SQLite(t)), box(t), a, "http tls")
	first := n.certificate(t, a, "mail.example.net")
	waitFor(t, "another certificate without a restart", func() bool {
		c, err := tls.Dial("tcp", n.secure.Addr().String(), &tls.Config{ServerName: "mail.example.net", InsecureSkipVerify: true}) // which one, not whether in date
		if err != nil {
			return false
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(first.SerialNumber) != 0
	})
}

// TestACMEOnTwoNodes starts both at once; the authority's answer reaches the one or the other.
func TestACMEOnTwoNodes(t *testing.T) {
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	config := dbtest.MySQL(t)
	sealer := box(t)
	one, two := listen(t), listen(t)
	a := newAuthority(t, one.port(one.plain), one.port(one.secure), 3600)
	one.start(t, dbtest.Open(t, config), sealer, a, "http")
	two.start(t, dbtest.Open(t, config), sealer, a, "http")
	x, y := one.certificate(t, a, "mail.example.net"), two.certificate(t, a, "mail.example.net")
	if x.SerialNumber.Cmp(y.SerialNumber) != 0 {
		t.Error("each node has obtained a certificate of its own")
	}
}

func TestStorage(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := t.Context()
		s := &storage{db: d, sealer: box(t)}
		for _, key := range []string{"a/b/c.key", "a/b/d", "a/e", "a0", "z"} {
			for range 2 {
				if err := s.Store(ctx, key, []byte("of "+key)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if v, err := s.Load(ctx, "a/b/c.key"); err != nil || string(v) != "of a/b/c.key" {
			t.Errorf("%q, %v", v, err)
		}
		if _, err := s.Load(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a folder's value: %v", err)
		}
		for folder, want := range map[string][]string{"a": {"a/b", "a/e"}, "": {"a", "a0", "z"}, "a/b": {"a/b/c.key", "a/b/d"}} {
			if got, err := s.List(ctx, folder, false); err != nil || !slices.Equal(got, want) {
				t.Errorf("%q has %v, %v", folder, got, err)
			}
		}
		if got, err := s.List(ctx, "a", true); err != nil || !slices.Equal(got, []string{"a/b/c.key", "a/b/d", "a/e"}) {
			t.Errorf("all below a: %v, %v", got, err)
		}
		if info, err := s.Stat(ctx, "a/e"); err != nil || !info.IsTerminal || info.Size != int64(len("of a/e")) || info.Modified.IsZero() {
			t.Errorf("%+v, %v", info, err)
		}
		if info, err := s.Stat(ctx, "a/b"); err != nil || info.IsTerminal {
			t.Errorf("%+v, %v", info, err)
		}
		if err := s.Delete(ctx, "a"); err != nil || s.Exists(ctx, "a/b/d") || s.Exists(ctx, "a") || !s.Exists(ctx, "a0") || s.Delete(ctx, "a") != nil {
			t.Errorf("after Delete: %v", err)
		}
		if s.Store(ctx, strings.Repeat("x", maxKey+1), nil) == nil || s.Store(ctx, "", nil) == nil || s.Store(ctx, "x", make([]byte, maxValue+1)) == nil {
			t.Error("names and values have no bounds")
		}
		// What was moved to another place by hand is not taken for what belongs there.
		err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE certificates SET name = 'moved' WHERE name = 'z'")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(ctx, "moved"); err == nil || errors.Is(err, sql.ErrNoRows) {
			t.Errorf("a moved value: %v", err)
		}
	})
}

func TestLocks(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		one, two := &storage{db: dbtest.Open(t, config)}, &storage{db: dbtest.Open(t, config)}
		ctx := t.Context()
		if err := one.Lock(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		for _, s := range []*storage{one, two} {
			if ok, err := s.TryLock(ctx, "x"); ok || err != nil {
				t.Errorf("a held lock: %v, %v", ok, err)
			}
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := two.Lock(short, "x"); err == nil {
			t.Error("locked twice")
		}
		if err := one.Unlock(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		if err := two.Lock(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		if one.Unlock(ctx, "x") == nil {
			t.Error("unlocked what another holds")
		}
		if err := two.Unlock(ctx, "x"); err != nil {
			t.Error(err)
		}
	})
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > 90*time.Second {
			t.Fatalf("%s: not within 90 s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("%s: %v", what, time.Since(began).Round(time.Millisecond))
}
