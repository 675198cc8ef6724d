package verify

import (
	"bufio"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models/address"
)

// crlfs ends the lines of a text as mail has them.
func crlfs(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

var (
	client = netip.MustParseAddr("192.0.2.1")
	today  = time.Unix(1_800_000_000, 0)
)

func newVerifier(t testing.TB, s *resolvertest.Server) *Verifier {
	return New(Config{Resolver: s.Resolver(t), Hostname: "mx.postchi.test", Now: func() time.Time { return today }})
}

// message makes a Message out of the text of one, from sara@example.com at 192.0.2.1.
func message(t testing.TB, text string) Message {
	t.Helper()
	h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	sender := address.Address{Local: "sara", Domain: "example.com"}
	return Message{Remote: client, HELO: "mail.example.com", Sender: sender, Body: strings.NewReader(text), Size: int64(len(text)), Header: h}
}

// verdicts verifies a message and prints what the verdicts are.
func verdicts(t testing.TB, v *Verifier, m Message) (*Result, string) {
	t.Helper()
	r, err := v.Verify(t.Context(), m)
	if r == nil {
		t.Fatal(err)
	}
	s := r.Summary
	if r.Disposition != None {
		s += " " + r.Disposition.String()
	}
	if err != nil {
		s += " later"
	}
	return r, s
}

// keys are made once: RSA takes its time.
var keys = sync.OnceValue(func() (k struct {
	rsa     *rsa.PrivateKey
	ed25519 ed25519.PrivateKey
}) {
	k.rsa, _ = rsa.GenerateKey(nil, 2048)
	_, k.ed25519, _ = ed25519.GenerateKey(nil)
	return k
})

// keyRecord is the DNS text of a key.
func keyRecord(key crypto.Signer) string {
	if public, is := key.Public().(ed25519.PublicKey); is {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	der, _ := x509.MarshalPKIXPublicKey(key.Public())
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// signed signs a message with another implementation's code.
func signed(t testing.TB, text string, o dkim.SignOptions) string {
	t.Helper()
	var out strings.Builder
	if err := dkim.Sign(&out, strings.NewReader(text), &o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const plain = "From: Sara <sara@example.com>\r\nTo: b@example.net\r\nSubject:  a   test \r\n\tof folds\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700\r\n\r\nSalam.\r\n\r\nSara\r\n"

// oddText makes text out of what canonicalization is about.
func oddText(r *rand.Rand, n int) string {
	pieces := []string{" ", "\t", "  ", "\r\n", "\r\n\r\n", "a", "word", "=20", ".", "\xd8\xb3", " \r\n", "\t\r\n"}
	var b strings.Builder
	for range n {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}
