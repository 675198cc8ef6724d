package verify

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// BenchmarkVerify is all checks of a message of 8 KiB whose DNS is cached: RSA and Ed25519
// signatures, SPF and DMARC that pass.
func BenchmarkVerify(b *testing.B) {
	v, m := benchMessage(b)
	for b.Loop() {
		if r, err := v.Verify(b.Context(), m); err != nil || r.DMARC != "pass" {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkVerifyParallel is the same on all cores.
func BenchmarkVerifyParallel(b *testing.B) {
	v, m := benchMessage(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r, err := v.Verify(b.Context(), m); err != nil || r.DMARC != "pass" {
				b.Error(r, err)
				return
			}
		}
	})
}

// BenchmarkVerifyBare is what the two signatures and the hash of the body cost by themselves.
func BenchmarkVerifyBare(b *testing.B) {
	body, digest := make([]byte, 8<<10), sha256.Sum256([]byte("x"))
	k := &publicKey{key: keys().rsa.Public(), algo: "rsa"}
	e := &publicKey{key: keys().ed25519.Public(), algo: "ed25519"}
	rsaSig, err := rsa.SignPKCS1v15(nil, keys().rsa, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	edSig, err := keys().ed25519.Sign(nil, digest[:], crypto.Hash(0))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sha256.Sum256(body)
		if !k.verify(digest[:], rsaSig) || !e.verify(digest[:], edSig) {
			b.Fatal("no match")
		}
	}
}

// BenchmarkVerifyRSA is one RSA-2048 verification by itself.
func BenchmarkVerifyRSA(b *testing.B) {
	digest := sha256.Sum256([]byte("x"))
	sig, err := rsa.SignPKCS1v15(nil, keys().rsa, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	k := &publicKey{key: keys().rsa.Public(), algo: "rsa"}
	for b.Loop() {
		if !k.verify(digest[:], sig) {
			b.Fatal("no match")
		}
	}
}

func benchMessage(b *testing.B) (*Verifier, Message) {
	s := resolvertest.New(b)
	s.Set(`example.com 3600 TXT "v=spf1 ip4:192.0.2.1 -all"`, `_dmarc.example.com 3600 TXT "v=DMARC1; p=reject"`,
		`mail.example.com 3600 TXT "v=spf1 a -all"`, "mail.example.com 3600 A 192.0.2.1", "1.2.0.192.in-addr.arpa 3600 PTR mail.example.com.")
	s.SetTXT("r._domainkey.example.com", keyRecord(keys().rsa))
	s.SetTXT("e._domainkey.example.com", keyRecord(keys().ed25519))
	text := plain + strings.Repeat("A line of some length that people write to each other.\r\n", 8<<10/56)
	relaxed := dkim.SignOptions{Domain: "example.com", HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "From"}}
	relaxed.Selector, relaxed.Signer = "r", keys().rsa
	text = signed(b, text, relaxed)
	relaxed.Selector, relaxed.Signer = "e", keys().ed25519
	text = signed(b, text, relaxed)
	dns, err := resolver.New(resolver.Config{Servers: []string{s.Addr()}})
	if err != nil {
		b.Fatal(err)
	}
	v := New(Config{Resolver: dns, Hostname: "mx.postchi.test"})
	return v, message(b, text)
}
