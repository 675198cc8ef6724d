package mailserver

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/dkim"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/mailserver/outbound/mxtest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

const (
	benchSara     = "sara@example.com"
	benchPassword = "correct horse battery staple"
)

// benchSite is a whole server in the process of the benchmark, with one mailbox, and a sink for
// what leaves it.
type benchSite struct {
	b                     *testing.B
	mx, submit, imap, pop string
	sinks                 []*mxtest.Server
	store                 *store.Store
}

var benchDatabases = []struct {
	name   string
	config func(testing.TB) db.Config
}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}}

func openBench(b *testing.B, base db.Config, signer delivery.Signer) *benchSite {
	in := mailstoretest.Seg(b, base)
	accounts, err := store.New(in.DB, nil)
	s := &benchSite{b: b, store: accounts}
	s.must(err)
	port := 0
	for i := range benchHosts {
		sink := mxtest.New(b, mxtest.Config{Addr: fmt.Sprintf("127.1.0.%d:%d", i+1, port), Discard: true})
		s.sinks, port = append(s.sinks, sink), sink.Port()
	}
	var listeners Listeners
	listen := func(to *[]net.Listener) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		s.must(err)
		*to = append(*to, ln)
		return ln.Addr().String()
	}
	s.mx, s.submit, s.imap, s.pop = listen(&listeners.MX), listen(&listeners.Submissions), listen(&listeners.IMAPS), listen(&listeners.POP3S)
	dir := b.TempDir()
	for _, name := range []string{"mx", "submission", "submissions"} {
		s.must(os.MkdirAll(filepath.Join(dir, "spool", name), 0o700))
	}
	server, err := New(Config{
		Hostname: "mail.example.net", DataDir: dir, TLS: benchTLS(b), DB: in.DB, Blobs: in.Blobs, Store: in.Store, Accounts: accounts, Listeners: listeners,
		Signer: signer, NetworkConnections: -1, MailboxSessions: -1, NetworkSessions: -1,
		Outbound: &Outbound{Resolver: everywhere{}, Relays: accounts, Port: port, Private: true, Alone: true},
	})
	s.must(err)
	s.mailbox(in, server)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	b.Cleanup(func() {
		limit, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		server.Shutdown(limit)
		cancel()
		<-ended
	})
	return s
}

func (s *benchSite) must(err error) {
	s.b.Helper()
	if err != nil {
		s.b.Fatal(err)
	}
}

func (s *benchSite) mailbox(in *mailstoretest.Instance, server *Server) {
	ctx := s.b.Context()
	hash, err := server.Auth().Hash(ctx, benchPassword)
	s.must(err)
	c := &models.Customer{ID: s.store.NewID(), Name: "Example"}
	s.must(s.store.InsertCustomer(ctx, c))
	d := &models.Domain{ID: s.store.NewID(), CustomerID: c.ID, Name: "example.com", State: models.DomainActive}
	d.ActiveName = &d.Name
	s.must(s.store.InsertDomain(ctx, d))
	m := &models.Mailbox{ID: s.store.NewID(), CustomerID: c.ID, DomainID: d.ID, Address: benchSara, PasswordHash: hash, QuotaBytes: 1 << 40}
	s.must(s.store.Write(ctx, func(ctx context.Context) error {
		a := &models.Address{ID: s.store.NewID(), DomainID: d.ID, Local: "sara", Kind: models.AddressMailbox, MailboxID: &m.ID}
		if err := s.store.InsertAddress(ctx, a); err != nil {
			return err
		}
		if err := s.store.InsertMailbox(ctx, m); err != nil {
			return err
		}
		return in.Store.CreateMailbox(ctx, m.ID)
	}))
}

// benchHosts is how many hosts take what leaves, each for a domain of its own.
const benchHosts = 10

// everywhere is a DNS in which the mail of d0.example, d1.example ... is at this machine.
type everywhere struct{}

func (everywhere) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return []*net.MX{{Host: "mx." + name, Pref: 10}}, nil
}

func (everywhere) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	var n int
	_, err := fmt.Sscanf(host, "mx.d%d.example", &n)
	return []net.IPAddr{{IP: net.IPv4(127, 1, 0, byte(n+1))}}, err
}

func (everywhere) LookupTXT(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func benchTLS(b *testing.B) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.net"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// talk is a client of any of the protocols.
type talk struct {
	net.Conn
	r *bufio.Reader
}

func dialTLS(addr string) (*talk, error) {
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, err
	}
	return &talk{c, bufio.NewReader(c)}, nil
}

// say sends a line, if there is one, and reads lines up to one that begins as wanted.
func (t *talk) say(line, begin string) (string, error) {
	if line != "" {
		if _, err := io.WriteString(t.Conn, line); err != nil {
			return "", err
		}
	}
	for {
		got, err := t.r.ReadString('\n')
		if err != nil || strings.HasPrefix(got, begin) {
			return got, err
		}
		if len(got) > 3 && (got[0] == '4' || got[0] == '5') && got[3] == ' ' || strings.HasPrefix(got, "-ERR") || strings.Contains(got, " NO ") {
			return got, fmt.Errorf("%.20q: %s", line, got)
		}
	}
}

func (t *talk) all(steps ...[2]string) error {
	for _, s := range steps {
		if _, err := t.say(s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *benchSite) login() (*talk, error) {
	t, err := dialTLS(s.submit)
	if err != nil {
		return nil, err
	}
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + benchSara + "\x00" + benchPassword))
	return t, t.all([2]string{"", "220 "}, [2]string{"EHLO client.test\r\n", "250 "}, [2]string{"AUTH PLAIN " + plain + "\r\n", "235"})
}

// benchText is a message of some size, with dots stuffed and the final one.
func benchText(size int) string {
	text := "From: <" + benchSara + ">\r\nTo: <x@away.example>\r\nSubject: hello\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n"
	line := "A line of a message of the usual length, more or less, nothing in it.\r\n"
	return text + strings.Repeat(line, (size-len(text))/len(line)) + ".\r\n"
}

// benchKeys is what signs: every domain has these keys.
type benchKeys []models.DKIMKey

func (k benchKeys) SigningKeys(context.Context, string, models.ID) ([]models.DKIMKey, error) {
	return k, nil
}

// open is a box that hides nothing.
type openBox struct{}

func (openBox) Seal(plain []byte, _ string) (string, error) { return string(plain), nil }
func (openBox) Unseal(sealed, _ string) ([]byte, error)     { return []byte(sealed), nil }

func benchKey(b *testing.B, a models.DKIMAlgorithm) (models.DKIMKey, crypto.Signer) {
	var private crypto.Signer
	var err error
	if a == models.DKIMRSA {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		b.Fatal(err)
	}
	id := models.ID(len(a))
	return models.DKIMKey{ID: id, Algorithm: a, Selector: "p1" + string(a[:1]), Sealed: string(der)}, private
}

// signatures is how many one core makes a second, of the digest alone.
func signatures(private crypto.Signer) float64 {
	digest := sha256.Sum256([]byte("message"))
	hash := crypto.SHA256
	if _, ok := private.(ed25519.PrivateKey); ok {
		hash = 0
	}
	n, start := 0, time.Now()
	for ; time.Since(start) < 300*time.Millisecond; n++ {
		private.Sign(rand.Reader, digest[:], hash)
	}
	return float64(n) / time.Since(start).Seconds()
}

// BenchmarkRelay prints mail that is submitted over 10 connections, signed, queued and handed to
// another server over TLS: msg/s is from the first to the last that has arrived there. Beside it,
// bare/s is how many signatures one core makes in the same run, and %-of-cores the rate by that
// of all cores. Aim for RSA: 55 %.
func BenchmarkRelay(b *testing.B) {
	rsaKey, rsaPrivate := benchKey(b, models.DKIMRSA)
	edKey, edPrivate := benchKey(b, models.DKIMEd25519)
	for _, base := range benchDatabases {
		for _, signed := range []struct {
			name string
			keys benchKeys
			bare crypto.Signer
		}{{"unsigned", nil, nil}, {"rsa", benchKeys{rsaKey}, rsaPrivate}, {"ed25519", benchKeys{edKey}, edPrivate}, {"both", benchKeys{rsaKey, edKey}, rsaPrivate}} {
			b.Run(base.name+"/"+signed.name, func(b *testing.B) {
				s := openBench(b, base.config(b), dkim.NewSigner(dkim.SignerConfig{Keys: signed.keys, Box: openBox{}}))
				b.ResetTimer()
				rate := s.relay(10)
				b.StopTimer()
				b.ReportMetric(rate, "msg/s")
				if signed.bare != nil {
					bare := signatures(signed.bare)
					b.ReportMetric(bare, "bare/s")
					b.ReportMetric(100*rate/bare/float64(runtime.NumCPU()), "%-of-cores")
				}
			})
		}
	}
}

// relay submits b.N messages and waits for them at the sink.
func (s *benchSite) relay(conns int) float64 {
	var left atomic.Int64
	left.Store(int64(s.b.N))
	text := benchText(8 << 10)
	began := time.Now()
	var all sync.WaitGroup
	for i := range conns {
		all.Go(func() {
			t, err := s.login()
			for n := 0; err == nil && left.Add(-1) >= 0; n++ {
				err = t.all([2]string{"MAIL FROM:<" + benchSara + ">\r\n", "250"}, [2]string{fmt.Sprintf("RCPT TO:<x@d%d.example>\r\n", (i+n)%benchHosts), "250"}, [2]string{"DATA\r\n", "354"}, [2]string{text, "250"})
			}
			if err != nil {
				s.b.Error(err)
				return
			}
			t.Close()
		})
	}
	all.Wait()
	s.b.ReportMetric(float64(s.b.N)/time.Since(began).Seconds(), "accepted/s")
	for end := time.Now().Add(time.Minute); s.arrived() < s.b.N && !s.b.Failed(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.b.Fatalf("%d of %d arrived", s.arrived(), s.b.N)
		}
	}
	return float64(s.b.N) / time.Since(began).Seconds()
}

// arrived is how many messages the other servers have.
func (s *benchSite) arrived() (n int) {
	for _, sink := range s.sinks {
		n += sink.Count()
	}
	return n
}

// BenchmarkVisible prints how long after the 250 of an MX a message is seen: by a session in IDLE
// (µs from the 250 to its EXISTS; it may come first), by the answer to a NOOP, and by a POP3
// session that begins then. Aim for IMAP: 2 ms.
func BenchmarkVisible(b *testing.B) {
	for _, base := range benchDatabases {
		b.Run(base.name, func(b *testing.B) {
			s := openBench(b, base.config(b), nil)
			mx, err := net.Dial("tcp", s.mx)
			s.must(err)
			from := &talk{mx, bufio.NewReader(mx)}
			s.must(from.all([2]string{"", "220 "}, [2]string{"EHLO mx.away.test\r\n", "250 "}))
			idle, asks := s.watch(), s.watch()
			_, err = idle.say("c IDLE\r\n", "+")
			s.must(err)
			seen := make(chan time.Time, 1)
			go func() {
				for {
					if _, err := idle.say("", "* "); err != nil {
						return
					}
					seen <- time.Now()
				}
			}()
			var pushed, asked, popped []time.Duration
			text := benchText(4 << 10)
			n := 0
			for b.Loop() {
				n++
				s.must(from.all([2]string{"MAIL FROM:<x@away.test>\r\n", "250"}, [2]string{"RCPT TO:<" + benchSara + ">\r\n", "250"}, [2]string{"DATA\r\n", "354"}, [2]string{text, "250"}))
				at := time.Now()
				_, err := asks.say("d NOOP\r\n", fmt.Sprintf("* %d EXISTS", n))
				s.must(err)
				asked = append(asked, time.Since(at))
				_, err = asks.say("", "d OK")
				s.must(err)
				pushed = append(pushed, max(0, (<-seen).Sub(at)))
				at = time.Now()
				pop, err := dialTLS(s.pop)
				s.must(err)
				s.must(pop.all([2]string{"", "+OK"}, [2]string{"USER " + benchSara + "\r\n", "+OK"}, [2]string{"PASS " + benchPassword + "\r\n", "+OK"}, [2]string{"STAT\r\n", fmt.Sprintf("+OK %d ", n)}))
				popped = append(popped, time.Since(at))
				s.must(pop.all([2]string{"QUIT\r\n", "+OK"}))
				pop.Close()
			}
			for name, all := range map[string][]time.Duration{"idle": pushed, "noop": asked, "pop3": popped} {
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds()), "us-"+name+"-p50")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "us-"+name+"-p99")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// watch is an IMAP session on the inbox.
func (s *benchSite) watch() *talk {
	t, err := dialTLS(s.imap)
	s.must(err)
	s.b.Cleanup(func() { t.Close() })
	s.must(t.all([2]string{"", "* OK"}, [2]string{"a LOGIN " + benchSara + " \"" + benchPassword + "\"\r\n", "a OK"}, [2]string{"b SELECT INBOX\r\n", "b OK"}))
	return t
}
