package verify

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models/address"
)

// noDNS has nothing, and the keys of the RFCs.
type noDNS struct{}

func (noDNS) LookupTXT(_ context.Context, name string) ([]string, error) {
	switch name {
	case "brisbane._domainkey.example.com":
		return []string{brisbane}, nil
	case "brisbane._domainkey.football.example.com":
		return []string{ed25519Key}, nil
	}
	return nil, &net.DNSError{IsNotFound: true}
}

func (noDNS) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

func (noDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

func (noDNS) LookupAddr(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

func (noDNS) Exists(context.Context, string) (bool, error) { return false, nil }

// words are all verdicts of RFC 8601, section 2.7.
const words = " none pass fail policy neutral temperror permerror softfail "

// verifyAny verifies any bytes as a message: no panic, known words, one safe field, in time.
func verifyAny(t *testing.T, text string) *Result {
	t.Helper()
	h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		return nil
	}
	v := New(Config{Resolver: noDNS{}, Hostname: "mx.postchi.test"})
	m := Message{Remote: client, HELO: "x", Body: strings.NewReader(text), Size: int64(len(text)), Header: h}
	began := time.Now()
	r, err := v.Verify(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > quick() {
		t.Fatalf("%v", took)
	}
	for _, w := range []string{r.SPF, r.SPFHELO, r.DKIM, r.DMARC, r.ARC, r.IPRev} {
		if !strings.Contains(words, " "+w+" ") {
			t.Fatalf("verdict %q", w)
		}
	}
	fields, err := mime.ReadHeader(bufio.NewReader(strings.NewReader(string(r.Fields) + "\r\n")))
	if err != nil || len(fields.Fields()) != 1 || fields.Check() != nil {
		t.Fatalf("%q", r.Fields)
	}
	return r
}

func FuzzDKIMHeader(f *testing.F) {
	f.Add(rfc6376)
	f.Add(rfc8463)
	f.Add(strings.Replace(rfc6376, "v=1;", "v=1; l=5; t=1; x=2;", 1))
	f.Add("DKIM-Signature: v=1;;;=;b=;b\r\nFrom: x\r\n\r\n")
	f.Add("DKIM-Signature : " + strings.Repeat("a=b;", 100) + "\r\n\r\n")
	f.Add("From: \"a\" <a@b>, c@d (x\r\nFrom\t: @;:\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := verifyAny(t, text)
		if r != nil && r.DKIM == "pass" && !strings.Contains(text, "We lost the game") {
			t.Fatal("forged")
		}
	})
}

func FuzzKeyRecord(f *testing.F) {
	f.Add(brisbane)
	f.Add(ed25519Key)
	f.Add("v=DKIM1; p=; t=y:s; h=sha256; s=*; n=notes")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := parseKey(text); err == nil && k.verify(make([]byte, 32), make([]byte, 64)) {
			t.Fatal("anything matches")
		}
	})
}

func FuzzSPFRecord(f *testing.F) {
	f.Add("v=spf1 a:%{d2r-.}.example.com/24//64 -mx ip4:192.0.2.0/24 ip6:::1 redirect=_spf.%{d} exp=a.b x=y")
	f.Add("v=spf1 +all mistake")
	f.Fuzz(func(t *testing.T, record string) {
		v := New(Config{Resolver: oneSPF{noDNS{}, record}, Hostname: "mx.postchi.test"})
		sender := address.Address{Local: "x", Domain: "record.example"}
		got := v.spfOf(t.Context(), client, "helo", sender)
		if !strings.Contains(words, " "+got+" ") {
			t.Fatalf("verdict %q", got)
		}
		if isSPF(record) && !validSPF(record) && got != "permerror" {
			t.Fatalf("%q: %s", record, got)
		}
	})
}

// oneSPF has one text, whatever is asked.
type oneSPF struct {
	noDNS
	record string
}

func (o oneSPF) LookupTXT(context.Context, string) ([]string, error) { return []string{o.record}, nil }

func FuzzDMARCRecord(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; np=quarantine; psd=y; t=y; adkim=s; aspf=s; rua=mailto:a@b,https://c")
	f.Add("v=DMARC1;=;;;p")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parsePolicy(text)
		if ok != (p != nil) || ok && (p.meaningless && p.p != None || p.psd == 0) {
			t.Fatalf("%+v", p)
		}
	})
}

func FuzzAuthor(f *testing.F) {
	f.Add("Sara <sara@example.com>")
	f.Add("<@a.org,@b.org:c@d.org> (x (y) <e@f.org>; \"z@\\\"\" g@h@i, \xff@\xff")
	f.Fuzz(func(t *testing.T, value string) {
		h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader("From: " + value + "\r\n\r\n")))
		if err != nil || len(h.Fields()) == 0 || h.Fields()[0].Name != "From" {
			return
		}
		a := readAuthor(newFields(h))
		for _, domain := range a.domains {
			if !isName(domain) || domain != strings.ToLower(domain) {
				t.Fatalf("domain %q", domain)
			}
		}
		// An address alone in brackets is the author's whatever else stands there.
		if a = readAuthor(newFields(mustRead(t, "From: "+strings.NewReplacer("\r", "", "\n", "", "\"", "", "(", "", "\\", "", "\x00", "").Replace(value)+", <a@bank.org>\r\n\r\n"))); !slices.Contains(a.domains, "bank.org") && len(a.domains) <= maxAuthors && !a.absurd {
			t.Fatalf("%q hides an author: %v", value, a.domains)
		}
	})
}

func mustRead(t *testing.T, text string) *mime.Header {
	t.Helper()
	h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Skip(err)
	}
	return h
}

func FuzzARC(f *testing.F) {
	f.Add(readVector(f, "arc1.eml"))
	f.Add(readVector(f, "arc3.eml"))
	f.Add("ARC-Seal: i=1; cv=none; a=rsa-sha256; d=example.com; s=brisbane; b=AAAA\r\nARC-Message-Signature: i=1; a=rsa-sha256; d=example.com; s=brisbane; h=from; bh=; b=AAAA\r\nARC-Authentication-Results: i=1; x\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if r := verifyAny(t, text); r != nil && r.ARC == "pass" {
			t.Fatal("forged") // the keys of the vectors are not there
		}
	})
}

func FuzzAuthenticationResults(f *testing.F) {
	f.Add("mx.postchi.test; spf=pass")
	f.Add(` (a(b)\)c) "mx.postchi\.test" 1; none`)
	f.Fuzz(func(t *testing.T, value string) {
		id, ok := authservID(value)
		if ok && id == "" {
			t.Fatal("an empty name")
		}
		for _, s := range []string{pvalue(value), quoted(value), token(value)} {
			h, err := mime.ReadHeader(bufio.NewReader(strings.NewReader("A: " + s + "\r\n\r\n")))
			if err != nil || len(h.Fields()) != 1 || h.Check() != nil {
				t.Fatalf("%q", s)
			}
			if id, ok := authservID(s); !ok && s != `""` && s[0] != '(' && s[0] != '@' {
				t.Fatalf("%q is read as %q, %v", s, id, ok)
			}
		}
	})
}
