package verify

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"
	"github.com/emersion/go-msgauth/dkim"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

func TestAuthenticationResults(t *testing.T) {
	s := resolvertest.New(t)
	s.Set(`example.com TXT "v=spf1 ip4:192.0.2.1 -all"`, `_dmarc.example.com TXT "v=DMARC1; p=reject"`, "1.2.0.192.in-addr.arpa PTR mail.example.com.", "mail.example.com A 192.0.2.1")
	s.SetTXT("k._domainkey.example.com", keyRecord(keys().ed25519))
	text := signed(t, plain, dkim.SignOptions{Domain: "example.com", Selector: "k", Signer: keys().ed25519})
	r, _ := verdicts(t, newVerifier(t, s), message(t, text))
	want := "Authentication-Results: mx.postchi.test;\r\n\tiprev=pass policy.iprev=192.0.2.1;\r\n\tspf=pass smtp.mailfrom=sara@example.com;\r\n" +
		"\tspf=none smtp.helo=mail.example.com;\r\n\tdkim=pass header.d=example.com header.s=k header.a=ed25519-sha256 header.b="
	if got := string(r.Fields); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ";\r\n\tarc=none;\r\n\tdmarc=pass header.from=example.com policy.dmarc=reject\r\n") {
		t.Errorf("%q", got)
	}
}

// Whatever stands in a message, its results are one field that another implementation reads,
// and say what ours are.
func TestResultsAreSafe(t *testing.T) {
	v := newVerifier(t, resolvertest.New(t))
	evil := []string{"a;spf=pass", "a\r\nX-Evil: 1", `a" dmarc=pass`, "a) dmarc=pass (", `a\`, "ä", "\x00", strings.Repeat("a", 3000), "a b", "[x]", "a=b", "@", "a@b@c"}
	for _, e := range evil {
		folded := strings.ReplaceAll(e, "\r\n", "\r\n ")
		m := message(t, "DKIM-Signature: v=1; a="+strings.ReplaceAll(folded, ";", "")+"; d=example.com; s=k; b=x; bh=x; h=from; i="+strings.ReplaceAll(folded, ";", "")+"@x\r\nFrom: <a@"+e+">\r\n\r\n")
		m.HELO, m.Sender = e, address.Address{Local: e, Domain: "example.com"}
		r, _ := verdicts(t, v, m)
		h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader(string(r.Fields) + "\r\n")))
		if err != nil || len(h.Fields()) != 1 || h.Check() != nil {
			t.Errorf("%q: %q: %v", e, r.Fields, h.Check())
			continue
		}
		id, results, err := authres.Parse(h.Fields()[0].Value())
		if err != nil || id != "mx.postchi.test" {
			t.Errorf("%q: %q: %q, %v", e, r.Fields, id, err)
		}
		for _, got := range results {
			if spf, is := got.(*authres.SPFResult); is && spf.Value == authres.ResultPass {
				t.Errorf("%q: %q", e, r.Fields)
			}
			if dmarc, is := got.(*authres.DMARCResult); is && dmarc.Value == authres.ResultPass {
				t.Errorf("%q: %q", e, r.Fields)
			}
		}
		for line := range strings.SplitSeq(string(r.Fields), "\r\n") {
			if len(line) > 998 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	}
}

func TestForged(t *testing.T) {
	tests := []struct {
		value  string
		forged bool
	}{
		{"mx.postchi.test; spf=pass", true},
		{"MX.Postchi.TEST; spf=pass", true},
		{"mx.postchi.test. 1; spf=pass", true},
		{"mx.postchi.test", true},
		{"\r\n\tmx.postchi.test\r\n\t; spf=pass", true},
		{"(a (nested) comment) mx.postchi.test (c) 1 ; spf=pass", true},
		{"(quoted \\) )mx.postchi.test; spf=pass", true},
		{`"mx.postchi.test"; spf=pass`, true},
		{`"mx.post\chi.test"; spf=pass`, true},
		{"\"mx.post\r\n chi.test\"; spf=pass", false},
		{"", true},
		{"; spf=pass", true},
		{"(never ends; mx.postchi.test", true},
		{`"never ends; mx.postchi.test`, true},
		{`"ends in a backslash\`, true},
		{"mx.example.org; spf=pass", false},
		{"mx.postchi.test.example.org; spf=pass", false},
		{"xmx.postchi.test; spf=pass", false},
		{"(mx.postchi.test) mx.example.org; spf=pass", false},
	}
	for _, tt := range tests {
		h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader("Subject: x\r\nauthentication-results : " + tt.value + "\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(Forged(h, "mx.postchi.test")) == 1; got != tt.forged {
			t.Errorf("%q: %v", tt.value, got)
		}
	}
	h, _ := mime.ReadHeader(bufio.NewReader(strings.NewReader("Authentication-Results: xn--mgbh0fb.test; x\r\nAuthentication-Results: مثال.test; x\r\n\r\n")))
	if n := len(Forged(h, "xn--mgbh0fb.test")); n != 2 {
		t.Errorf("%d of 2 forms of one name", n)
	}
}

// A field that was put in front here does not change what a signature signs.
func TestAddedFieldsDoNotCount(t *testing.T) {
	s := resolvertest.New(t)
	s.SetTXT("k._domainkey.example.com", keyRecord(keys().ed25519))
	text := signed(t, plain, dkim.SignOptions{Domain: "example.com", Selector: "k", Signer: keys().ed25519, HeaderKeys: []string{"From", "Subject", "Received"}})
	m := message(t, text)
	if err := m.Header.Prepend("From", "x@example.org"); err != nil {
		t.Fatal(err)
	}
	if r, _ := verdicts(t, newVerifier(t, s), m); r.DKIM != "pass" || r.From != "example.com" {
		t.Errorf("%s, %s", signatures(r), r.From)
	}
}

// brokenReader is a message whose bytes are gone.
type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, errors.New("gone") }

func TestUnreadableMessageIsTemporary(t *testing.T) {
	text := signed(t, plain, dkim.SignOptions{Domain: "example.com", Selector: "k", Signer: keys().ed25519})
	m := message(t, text)
	m.Body = brokenReader{}
	r, err := newVerifier(t, resolvertest.New(t)).Verify(t.Context(), m)
	if !models.Is(err, models.Unavailable) || r == nil || r.DKIM != "temperror" {
		t.Errorf("%+v, %v", r, err)
	}
}
