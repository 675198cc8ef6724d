package dkim

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// plainBox seals nothing.
type plainBox struct{}

func (plainBox) Seal(plain []byte, context string) (string, error) {
	return context + "|" + hex.EncodeToString(plain), nil
}

func (plainBox) Unseal(sealed, context string) ([]byte, error) {
	plain, ok := strings.CutPrefix(sealed, context+"|")
	if !ok {
		return nil, errors.New("sealed for another")
	}
	return hex.DecodeString(plain)
}

// ring has the active keys of one domain.
type ring struct {
	domain string
	keys   []models.DKIMKey
}

func (r ring) SigningKeys(_ context.Context, domain string, _ models.ID) ([]models.DKIMKey, error) {
	if domain != r.domain {
		return nil, nil
	}
	return r.keys, nil
}

// txt answers like the DNS with the keys' records.
func (r ring) txt(name string) ([]string, error) {
	for i := range r.keys {
		if name == r.keys[i].Selector+"._domainkey."+r.domain {
			return []string{Text(&r.keys[i])}, nil
		}
	}
	return nil, fmt.Errorf("no %s", name)
}

var clock = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newRing(t testing.TB) ring {
	t.Helper()
	r := ring{domain: "example.com"}
	for i, a := range algorithms {
		k, err := newKey(plainBox{}, models.DKIMKey{ID: models.ID(i + 1), Algorithm: a, Selector: selector(a, 1)}, rsaBits)
		if err != nil {
			t.Fatal(err)
		}
		r.keys = append(r.keys, k)
	}
	return r
}

func (r ring) signer() *Signer {
	return NewSigner(SignerConfig{Keys: r, Box: plainBox{}, Now: func() time.Time { return clock }})
}

func (r ring) sign(t testing.TB, message string) string {
	t.Helper()
	fields, err := r.signer().Sign(context.Background(), r.domain, 0, strings.NewReader(message), int64(len(message)))
	if err != nil {
		t.Fatal(err)
	}
	return string(fields) + message
}

// verify returns the errors of the signatures, as a library of others sees them.
func (r ring) verify(t testing.TB, message string) []error {
	t.Helper()
	return r.verifyWith(t, message, r.txt)
}

func (r ring) verifyWith(t testing.TB, message string, txt func(string) ([]string, error)) (errs []error) {
	t.Helper()
	list, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{LookupTXT: txt})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		if v.Domain != r.domain {
			t.Errorf("signed for %q", v.Domain)
		}
		errs = append(errs, v.Err)
	}
	return errs
}

const header = "From: Sara <sara@example.com>\r\nTo: reza@example.org\r\nSubject: Hello\r\n\tagain \r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"

var messages = map[string]string{
	"plain":           header + "\r\nHello.\r\n",
	"no body":         header + "\r\n",
	"no last line":    header + "\r\nHello",
	"space lines":     header + "\r\n \t \r\n\r\n  a \t b  \r\n \r\n\r\n",
	"only empty":      header + "\r\n\r\n\r\n",
	"only space":      header + "\r\n   ",
	"8 bit":           header + "Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n\r\nسلام\r\n",
	"twice":           "To: a@example.org\r\nReferences: <1@x>\r\n <2@x>\r\n" + header + "\r\nx\r\n",
	"no To, Subject":  "From: sara@example.com\r\nDate: Sun, 29 Nov 2026 12:00:00 +0000\r\n\r\nx\r\n",
	"space at colon":  "From : sara@example.com\r\nSUBJECT:x\r\n\r\nx\r\n",
	"list":            header + "List-Id: <l.example.com>\r\nList-Unsubscribe: <mailto:l@example.com>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nx\r\n",
	"a long reply to": header + "Reply-To: " + strings.Repeat("somebody@example.com,\r\n ", 40) + "x@example.com\r\n\r\nx\r\n",
}

func TestSignaturesVerifyElsewhere(t *testing.T) {
	r := newRing(t)
	for name, m := range messages {
		signed := r.sign(t, m)
		errs := r.verify(t, signed)
		if len(errs) != 2 || errs[0] != nil || errs[1] != nil {
			t.Errorf("%s: %v\n%s", name, errs, signed)
		}
		for line := range strings.Lines(strings.TrimSuffix(signed, m)) {
			if len(line) > 80 || !strings.HasSuffix(line, "\r\n") {
				t.Errorf("%s: line %q", name, line)
			}
		}
	}
}

// TestWhatIsSignedCannotChange changes a signed message and wants both signatures to break.
func TestWhatIsSignedCannotChange(t *testing.T) {
	r := newRing(t)
	signed := r.sign(t, messages["8 bit"])
	for name, changed := range map[string]string{
		"body":                 strings.Replace(signed, "سلام", "سلم", 1),
		"more body":            signed + "x\r\n",
		"From":                 strings.Replace(signed, "From: Sara", "From: Sarah", 1),
		"Subject":              strings.Replace(signed, "Hello", "Hallo", 1),
		"a From in front":      "From: boss@example.net\r\n" + signed,
		"a From behind":        strings.Replace(signed, "\r\n\r\n", "\r\nFrom: boss@example.net\r\n\r\n", 1),
		"a To in front":        "To: other@example.net\r\n" + signed,
		"a Subject in front":   "Subject: other\r\n" + signed,
		"another Content-Type": "Content-Type: text/html\r\n" + signed,
		"t=":                   strings.ReplaceAll(signed, "; t=17", "; t=18"),
	} {
		if changed == signed {
			t.Fatalf("%s: nothing changed", name)
		}
		for i, err := range r.verify(t, changed) {
			if err == nil {
				t.Errorf("%s: signature %d holds", name, i)
			}
		}
	}
	unsigned := r.sign(t, messages["no To, Subject"])
	for _, added := range []string{"To: x@example.net\r\n", "Subject: x\r\n"} {
		for _, err := range r.verify(t, added+unsigned) {
			if err == nil {
				t.Errorf("%q can be added", added)
			}
		}
	}
	for _, harmless := range []string{"Received: from x by y\r\n" + signed, strings.ReplaceAll(signed, "Subject: Hello\r\n\tagain \r\n", "Subject:  Hello again\r\n")} {
		for _, err := range r.verify(t, harmless) {
			if err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOthersAreNotSigned(t *testing.T) {
	r := newRing(t)
	fields, err := r.signer().Sign(context.Background(), "example.net", 0, strings.NewReader(messages["plain"]), 10)
	if fields != nil || err != nil {
		t.Fatal(string(fields), err)
	}
	broken := r
	broken.keys = append([]models.DKIMKey{{ID: 9, Algorithm: models.DKIMRSA, Selector: "p9r", Sealed: "?"}}, r.keys...)
	if got := broken.sign(t, messages["plain"]); strings.Count(got, "DKIM-Signature:") != 2 {
		t.Errorf("beside a broken key:\n%s", got)
	}
}

// TestGolden compares signatures with those kept in testdata: RSA's (PKCS #1 v1.5) and Ed25519's
// are the same each time.
func TestGolden(t *testing.T) {
	seed := sha256.Sum256([]byte("golden"))
	der, err := os.ReadFile(filepath.Join("testdata", "rsa.pkcs8"))
	if err != nil {
		t.Fatal(err)
	}
	r := ring{domain: "example.com", keys: []models.DKIMKey{
		{ID: 1, Algorithm: models.DKIMRSA, Selector: "p1r", Sealed: "dkim:1|" + hex.EncodeToString(der)},
		{ID: 2, Algorithm: models.DKIMEd25519, Selector: "p1e"},
	}}
	s := r.signer()
	s.open[2] = ed25519.NewKeyFromSeed(seed[:])
	var out bytes.Buffer
	for i := range r.keys {
		private, err := s.private(&r.keys[i])
		if err != nil {
			t.Fatal(err)
		}
		if r.keys[i].Public, err = publicText(private); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s\r\n", r.keys[i].Selector, Text(&r.keys[i]))
	}
	for _, name := range []string{"plain", "space lines", "twice", "list"} {
		fields, err := s.Sign(context.Background(), r.domain, 0, strings.NewReader(messages[name]), int64(len(messages[name])))
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range r.verify(t, string(fields)+messages[name]) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		fmt.Fprintf(&out, "\r\n%s\r\n%s", name, fields)
	}
	file := filepath.Join("testdata", "signatures.golden")
	if os.Getenv("POSTCHI_GOLDEN") == "write" {
		os.WriteFile(file, out.Bytes(), 0o644)
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(out.Bytes(), want) {
		t.Errorf("differs from %s (%v):\n%s", file, err, out.Bytes())
	}
}

// endless is a message of any size.
type endless struct{ size int64 }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	text := header + "\r\n"
	for i := range p {
		switch at := off + int64(i); {
		case at >= e.size:
			return i, io.EOF
		case at < int64(len(text)):
			p[i] = text[at]
		default:
			p[i] = "some words \t and a line\r\n"[(at-int64(len(text)))%25]
		}
	}
	return len(p), nil
}

func TestMemoryDoesNotGrow(t *testing.T) {
	s := newRing(t).signer()
	cost := func(size int64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := s.Sign(context.Background(), "example.com", 0, endless{size}, size); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	cost(1 << 10)
	if small, large := cost(1<<10), cost(4<<20); large > small+64<<10 {
		t.Errorf("1 kB takes %d bytes, 4 MB %d", small, large)
	}
}

func FuzzSign(f *testing.F) {
	r := newRing(f)
	r.keys = r.keys[1:] // RSA is slow
	for _, m := range messages {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m string) {
		if strings.ContainsAny(strings.ReplaceAll(m, "\r\n", ""), "\r\n\x00") || !strings.Contains(m, "\r\n\r\n") || !strings.HasPrefix(m, "From: ") {
			t.Skip() // smtpd lets no such thing in
		}
		if h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader(m))); err != nil || h.Check() != nil {
			t.Skip()
		}
		list, err := dkim.VerifyWithOptions(strings.NewReader(r.sign(t, m)), &dkim.VerifyOptions{LookupTXT: r.txt})
		if err != nil {
			t.Skip() // a header that the other library does not read
		}
		if len(list) == 0 || list[0].Err != nil {
			t.Fatalf("%v", list[0].Err)
		}
	})
}

// Benchmarks of one message of 10 kB: both algorithms apart, and beside them what the bare
// signature costs.
func BenchmarkSign(b *testing.B) {
	r := newRing(b)
	message := header + "\r\n" + strings.Repeat("A line of a message of the usual length, more or less.\r\n", 180)
	for i, a := range algorithms {
		b.Run(string(a), func(b *testing.B) {
			s := ring{r.domain, r.keys[i : i+1]}.signer()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(context.Background(), r.domain, 0, strings.NewReader(message), int64(len(message))); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
		})
	}
	b.Run("both", func(b *testing.B) {
		s := r.signer()
		for b.Loop() {
			if _, err := s.Sign(context.Background(), r.domain, 0, strings.NewReader(message), int64(len(message))); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
	digest := sha256.Sum256([]byte(message))
	private, _ := openKey(plainBox{}, &r.keys[0])
	b.Run("bare rsa.Sign", func(b *testing.B) {
		for b.Loop() {
			if _, err := rsa.SignPKCS1v15(rand.Reader, private.(*rsa.PrivateKey), crypto.SHA256, digest[:]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
	})
	small, _ := openKey(plainBox{}, &r.keys[1])
	b.Run("bare ed25519.Sign", func(b *testing.B) {
		for b.Loop() {
			ed25519.Sign(small.(ed25519.PrivateKey), digest[:])
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
	})
	b.Run("canonical hash", func(b *testing.B) {
		b.SetBytes(int64(len(message)))
		for b.Loop() {
			if _, err := read(strings.NewReader(message), int64(len(message))); err != nil {
				b.Fatal(err)
			}
		}
	})
}
