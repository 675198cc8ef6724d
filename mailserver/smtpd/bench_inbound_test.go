package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/mailserver/trace"
	"github.com/postchi/postchi/mailserver/verify"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

// verified is the Checks of a server without filters.
type verified struct{ *verify.Verifier }

func (v verified) Check(ctx context.Context, m Incoming) (*Judgement, error) {
	r, err := v.Verify(ctx, verify.Message{Remote: m.Remote, HELO: m.HELO, Sender: m.Sender, Body: m.Body, Size: m.Body.Size(), Header: m.Header})
	if err != nil {
		return nil, err
	}
	if r.DMARC != "pass" {
		return nil, fmt.Errorf("dmarc is %s: %s", r.DMARC, r.Summary)
	}
	return &Judgement{Fields: r.Fields, Cut: verify.Forged(m.Header, "mx.example.net"), Summary: r.Summary}, nil
}

// signedMail is a message of a domain whose records are in the DNS: with SPF, DMARC and two
// signatures, as large servers send.
func signedMail(b *testing.B, dns *resolvertest.Server, size int) string {
	b.Helper()
	dns.Set(`away.test 3600 TXT "v=spf1 ip4:127.0.0.0/8 -all"`, `_dmarc.away.test 3600 TXT "v=DMARC1; p=reject"`,
		"1.0.0.127.in-addr.arpa 3600 PTR mx.away.test.", "mx.away.test 3600 A 127.0.0.1", `mx.away.test 3600 TXT "v=spf1 a -all"`)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		b.Fatal(err)
	}
	dns.SetTXT("r._domainkey.away.test", "v=DKIM1; k=rsa; p="+base64.StdEncoding.EncodeToString(der))
	dns.SetTXT("e._domainkey.away.test", "v=DKIM1; k=ed25519; p="+base64.StdEncoding.EncodeToString(public))
	text := strings.ReplaceAll(sized(size), "sara@example.com", "sara@away.test")
	text = sign(b, text, "r", rsaKey)
	return sign(b, text, "e", key)
}

func sign(b *testing.B, text, selector string, key crypto.Signer) string {
	b.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(text), &dkim.SignOptions{
		Domain: "away.test", Selector: selector, Signer: key, HeaderKeys: []string{"From", "To", "Subject", "Date", "From"},
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		b.Fatal(err)
	}
	return out.String()
}

// inbound is an MX with everything real behind it but the DNS, whose answers are remembered as they are
// for every domain that writes often.
func inbound(b *testing.B, config db.Config, dns *resolvertest.Server) string {
	in := mailstoretest.Seg(b, config)
	s, err := store.New(in.DB, nil)
	if err != nil {
		b.Fatal(err)
	}
	service := auth.New(auth.Config{Accounts: s, Watch: in.DB})
	addMailboxes(b, in, s, service)
	names, err := resolver.New(resolver.Config{Servers: []string{dns.Addr()}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() { cancel(); running.Wait() })
	recorder := trace.New(trace.Config{Events: s})
	running.Go(func() { recorder.Run(ctx) })
	server, err := New(Config{
		Mode: ModeMX, Hostname: "mx.example.net", TLS: serverTLS(), Checks: verified{verify.New(verify.Config{Resolver: names, Hostname: "mx.example.net"})},
		Delivery: delivery.New(delivery.Config{Resolver: s, Records: s, Blobs: in.Blobs, Mailboxes: in.Store, Events: recorder}),
		Events:   recorder, IDs: in.DB.IDs(), SpoolDir: b.TempDir(),
	})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	running.Go(func() {
		server.Serve(ctx, conn.NewGate(conn.Limits{PerNetwork: -1}, nil, nil).Listener(ln, ListenOptions(ModeMX)))
	})
	b.Cleanup(func() {
		ctx, cancel := contextOf(5 * time.Second)
		defer cancel()
		server.Shutdown(ctx)
	})
	return ln.Addr().String()
}

// connectMX comes as another server does.
func connectMX(addr string) (*load, error) {
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &load{raw, bufio.NewReader(raw)}
	for _, step := range [][2]string{{"", "220"}, {"EHLO mx.away.test\r\n", "250"}, {"STARTTLS\r\n", "220"}} {
		if err := l.ask(step[0], step[1]); err != nil {
			raw.Close()
			return nil, err
		}
	}
	secure := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	l = &load{secure, bufio.NewReader(secure)}
	if err := l.ask("EHLO mx.away.test\r\n", "250"); err != nil {
		raw.Close()
		return nil, err
	}
	return l, nil
}

// nullMX is the yardstick: go-smtp alone, with a backend that throws everything away, STARTTLS.
func nullMX(b *testing.B) string {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return nothing{}, nil }))
	s.TLSConfig = serverTLS()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go s.Serve(ln)
	b.Cleanup(func() { s.Close() })
	return ln.Addr().String()
}

// BenchmarkInbound prints mail from other servers, SPF, two DKIM signatures and DMARC looked at and
// synced to the store before the 250, beside go-smtp with a backend that throws away. Aim: 25 % of that at 10
// connections.
func BenchmarkInbound(b *testing.B) {
	dns := resolvertest.New(b)
	text := strings.ReplaceAll(signedMail(b, dns, 4<<10), "\r\n.", "\r\n..") + ".\r\n"
	send := func(l *load) error {
		for _, step := range [][2]string{{"MAIL FROM:<sara@away.test>\r\n", "250"}, {"RCPT TO:<omid@example.com>\r\n", "250"}, {"DATA\r\n", "354"}, {text, "250"}} {
			if err := l.ask(step[0], step[1]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, conns := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			var bare float64
			b.Run("null", func(b *testing.B) {
				addr := nullMX(b)
				bare = pushBy(b, func() (*load, error) { return connectMX(addr) }, send, conns, false)
			})
			for name, config := range map[string]func(testing.TB) db.Config{"sqlite": dbtest.SQLite, "mysql": dbtest.MySQL} {
				b.Run(name, func(b *testing.B) {
					addr := inbound(b, config(b), dns)
					rate := pushBy(b, func() (*load, error) { return connectMX(addr) }, send, conns, false)
					if bare > 0 {
						b.ReportMetric(100*rate/bare, "%-of-null")
					}
				})
			}
		})
	}
}
