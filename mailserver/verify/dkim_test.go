package verify

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

const joe = `From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.%s Are you hungry yet?

Joe.
`

// rfc6376 is the message of RFC 6376, appendix A.2, its key of A.3 is in brisbane.
var rfc6376 = crlfs(`DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
` + fmt.Sprintf(joe, ""))

const brisbane = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQ" +
	"KBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" +
	"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v" +
	"/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" +
	"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"

// rfc8463 is the message of RFC 8463, appendix A.3; its keys are those of A.2.
var rfc8463 = crlfs(`DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
` + fmt.Sprintf(joe, " "))

const ed25519Key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

const footballKey = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" +
	"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC" +
	"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3" +
	"Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

func newRFCServer(t testing.TB) *resolvertest.Server {
	s := resolvertest.New(t)
	s.SetTXT("brisbane._domainkey.example.com", brisbane)
	s.SetTXT("brisbane._domainkey.football.example.com", ed25519Key)
	s.SetTXT("test._domainkey.football.example.com", footballKey)
	return s
}

// signatures prints the verdicts of all signatures.
func signatures(r *Result) string {
	var all []string
	for _, s := range r.Signatures {
		v := s.Verdict
		if s.Reason != "" {
			v += " (" + s.Reason + ")"
		}
		all = append(all, v)
	}
	return strings.Join(all, ", ")
}

func TestDKIMOfTheRFCs(t *testing.T) {
	s := newRFCServer(t)
	v := newVerifier(t, s)
	change := func(text, old, new string) string {
		out := strings.Replace(text, old, new, 1)
		if out == text {
			t.Fatalf("%q is not there", old)
		}
		return out
	}
	key := func(name, text string) func() func() {
		return func() func() {
			s.SetTXT(name, text)
			return func() { s.SetTXT("brisbane._domainkey.example.com", brisbane) }
		}
	}
	const at = "brisbane._domainkey.example.com"
	tests := []struct {
		name, text string
		before     func() func()
		want       string
	}{
		{"RFC 6376, A.2", rfc6376, nil, "pass"},
		{"RFC 8463, A.3", rfc8463, nil, "pass, pass"},
		{"body changed", change(rfc6376, "hungry", "angry"), nil, "fail (body has changed)"},
		{"header changed", change(rfc6376, "dinner", "lunch"), nil, "fail (signature does not match)"},
		{"space in simple header", change(rfc6376, "Subject: Is", "Subject:  Is"), nil, "fail (signature does not match)"},
		{"space in relaxed header and body", change(change(rfc8463, "Subject: Is", "SUBJECT :  Is\t"), "game.  Are", "game.\t \tAre"), nil, "pass, pass"},
		{"empty lines at the end", rfc8463 + "\r\n \r\n\t\r\n\r\n", nil, "pass, pass"},
		{"empty lines at the end, simple", rfc6376 + "\r\n\r\n", nil, "pass"},
		{"line of space at the end, simple", rfc6376 + " \r\n", nil, "fail (body has changed)"},
		{"second From", change(rfc8463, "To: Suzie", "From: evil@example.org\r\nTo: Suzie"), nil, "fail (signature does not match), fail (signature does not match)"},
		{"no last line end", strings.TrimSuffix(rfc8463, "\r\n"), nil, "pass, pass"},
		{"second field in front of a signed one", "Received: here\r\n" + rfc6376, nil, "pass"},
		{"unsigned field in front", "X-More: here\r\n" + rfc6376, nil, "pass"},
		{"unsigned", crlfs(fmt.Sprintf(joe, "")), nil, ""},
		{"no key", change(rfc6376, "s=brisbane", "s=nowhere"), nil, "permerror (no key)"},
		{"key of another domain", change(change(rfc6376, "d=example.com", "d=example.org"), "i=joe@football.example.com", "i=@example.org"), nil, "permerror (no key)"},
		{"i outside of d", change(rfc6376, "i=joe@football.example.com", "i=joe@example.org"), nil, "neutral (i= is outside of d=)"},
		{"i only looks like d", change(rfc6376, "i=joe@football.example.com", "i=joe@notexample.com"), nil, "neutral (i= is outside of d=)"},
		{"version", change(rfc6376, "v=1", "v=2"), nil, "neutral (unknown version)"},
		{"sha1", change(rfc6376, "rsa-sha256", "rsa-sha1"), nil, "policy (rsa-sha1 is not trusted)"},
		{"unknown algorithm", change(rfc6376, "rsa-sha256", "dsa-sha512"), nil, "neutral (unknown algorithm)"},
		{"unknown form", change(rfc6376, "simple/simple", "simple/nofws"), nil, "neutral (unknown c=)"},
		{"From not signed", change(rfc6376, "From :", ""), nil, "neutral (h= lacks From)"},
		{"tag twice", change(rfc6376, "v=1;", "v=1; v=1;"), nil, "neutral (a tag occurs twice)"},
		{"no d", change(rfc6376, "d=example.com;", ""), nil, "neutral (no d=)"},
		{"odd d", change(rfc6376, "d=example.com;", "d=exa mple..com;"), nil, "neutral (malformed d=)"},
		{"empty s", change(rfc6376, "s=brisbane", "s="), nil, "neutral (malformed s=)"},
		{"no tags", "DKIM-Signature: \r\n" + rfc6376, nil, "neutral (no a=), pass"},
		{"no list", "DKIM-Signature: nonsense\r\n" + rfc6376, nil, "neutral (syntax error in tag list), pass"},
		{"expired", change(rfc6376, "v=1;", "v=1; t=1; x=1700000000;"), nil, "fail (signature has expired)"},
		{"expires before it begins", change(rfc6376, "v=1;", "v=1; t=2000000000; x=1900000000;"), nil, "neutral (x= is not after t=)"},
		{"odd time", change(rfc6376, "v=1;", "v=1; t=-5;"), nil, "neutral (malformed t=)"},
		{"other look-up", change(rfc6376, "q=dns/txt", "q=http"), nil, "neutral (unknown q=)"},
		{"odd b", change(rfc6376, "b=AuUo", "b=*uUo"), nil, "neutral (malformed b=)"},
		{"long b", change(rfc6376, "b=AuUo", "b=AuUoAuUo"), nil, "fail (signature does not match)"},
		{"odd bh", change(rfc6376, "bh=2jUS", "bh=2j"), nil, "neutral (malformed bh=)"},
		{"l longer than the body", change(rfc6376, "v=1;", "v=1; l=1000;"), nil, "fail (body is shorter than l=)"},
		{"odd l", change(rfc6376, "v=1;", "v=1; l=all;"), nil, "neutral (malformed l=)"},
		{"revoked", rfc6376, key(at, "v=DKIM1; p="), "permerror (key is revoked)"},
		{"key for tests", rfc6376, key(at, brisbane+"; t=y"), "pass"},
		{"key for tests, changed", change(rfc6376, "hungry", "angry"), key(at, brisbane+"; t=y"), "fail (body has changed (the key is for tests))"},
		{"strict key", rfc6376, key(at, brisbane+"; t=y:s"), "permerror (i= is outside of d=)"},
		{"key without a version", rfc6376, key(at, strings.TrimPrefix(brisbane, "v=DKIM1; ")), "pass"},
		{"key with the version last", rfc6376, key(at, strings.TrimPrefix(brisbane, "v=DKIM1; ")+"; v=DKIM1"), "permerror (key record of another version)"},
		{"key of another version", rfc6376, key(at, strings.Replace(brisbane, "DKIM1", "DKIM2", 1)), "permerror (key record of another version)"},
		{"key for sha1", rfc6376, key(at, brisbane+"; h=sha1"), "permerror (key is not for sha256)"},
		{"key for both", rfc6376, key(at, brisbane+"; h=sha1 : sha256"), "pass"},
		{"key for other things", rfc6376, key(at, brisbane+"; s=tlsrpt"), "permerror (key is not for mail)"},
		{"key for mail", rfc6376, key(at, brisbane+"; s=tlsrpt:email"), "pass"},
		{"key of another algorithm", rfc6376, key(at, ed25519Key), "permerror (key is for another algorithm)"},
		{"key of unknown algorithm", rfc6376, key(at, "k=dsa; p=AAAA"), "permerror (key of unknown algorithm)"},
		{"odd key", rfc6376, key(at, "p=AAAA"), "permerror (malformed key)"},
		{"no key in the record", rfc6376, key(at, "v=DKIM1; k=rsa"), "permerror (key record without a key)"},
		{"other text", rfc6376, key(at, "v=spf1 -all"), "permerror (key record of another version)"},
		{"DNS fails", rfc6376, func() func() {
			s.Fail(at, dns.RcodeServerFailure)
			return func() { s.Fail(at, 0) }
		}, "temperror (DNS look-up of the key failed)"},
		{"two keys", rfc6376, func() func() {
			s.Set(at+" TXT \"v=DKIM1; p=AAAA\"", at+" TXT \""+brisbane[:100]+"\" \""+brisbane[100:]+"\"")
			return func() { s.SetTXT(at, brisbane) }
		}, "pass"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.before != nil {
				defer tt.before()()
			}
			r, _ := verdicts(t, v, message(t, tt.text))
			if got := signatures(r); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// What another implementation signs verifies here, whatever the message and the forms are; and
// no longer once a letter has changed.
func TestDKIMOfOthers(t *testing.T) {
	s := resolvertest.New(t)
	s.SetTXT("r._domainkey.example.com", keyRecord(keys().rsa))
	s.SetTXT("e._domainkey.example.com", keyRecord(keys().ed25519))
	v := newVerifier(t, s)
	random := rand.New(rand.NewPCG(1, 2))
	forms := []dkim.Canonicalization{dkim.CanonicalizationSimple, dkim.CanonicalizationRelaxed}
	for i := range 80 {
		value := strings.ReplaceAll(strings.ReplaceAll(oddText(random, 12), "\r\n\r\n", " "), "\r\n", "\r\n ") + "x"
		text := "From: sara@example.com\r\nX-Odd : " + value + "\r\nSubject:\r\n\r\n" + oddText(random, i*3) + "end\r\n"
		if i%10 == 0 {
			text = text[:strings.Index(text, "\r\n\r\n")+4]
		}
		o := dkim.SignOptions{Domain: "example.com", Selector: "r", Signer: keys().rsa, HeaderCanonicalization: forms[i%2], BodyCanonicalization: forms[i/2%2],
			HeaderKeys: []string{"From", "X-Odd", "Subject", "From"}}
		if i%4 != 0 {
			o.Selector, o.Signer = "e", keys().ed25519
		}
		text = signed(t, text, o)
		r, _ := verdicts(t, v, message(t, text))
		if r.DKIM != "pass" || r.Signatures[0].Selector != o.Selector {
			t.Fatalf("%s for %q", signatures(r), text)
		}
		r, _ = verdicts(t, v, message(t, strings.Replace(text, "From: sara", "From: sera", 1)))
		if got := signatures(r); got != "fail (signature does not match)" {
			t.Fatalf("%s for changed %q", got, text)
		}
	}
}

func TestWeakKeysDoNotCount(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(nil, 768)
	if err != nil {
		t.Skip(err)
	}
	s := resolvertest.New(t)
	s.SetTXT("weak._domainkey.example.com", keyRecord(key))
	text := signed(t, plain, dkim.SignOptions{Domain: "example.com", Selector: "weak", Signer: key})
	r, _ := verdicts(t, newVerifier(t, s), message(t, text))
	if got := signatures(r); got != "policy (RSA key is shorter than 1024 bits)" {
		t.Error(got)
	}
}

// l= lets anybody add to the body: it is no pass unless it covers all of it.
func TestLengthIsNotTrusted(t *testing.T) {
	s := resolvertest.New(t)
	s.SetTXT("s._domainkey.example.com", keyRecord(keys().rsa))
	sign := func(body string) string { return signedByHand(t, fmt.Sprintf("h=from; l=%d", len(body)), body) }
	text := sign("Salam\r\n")
	for _, tt := range []struct{ text, want string }{
		{text, "pass"},
		{text + "<a href=x>\r\n", "policy (l= leaves a part of the body unsigned)"},
		{sign("") + "anything\r\n", "policy (l= leaves a part of the body unsigned)"},
	} {
		r, _ := verdicts(t, newVerifier(t, s), message(t, tt.text))
		if got := signatures(r); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// signedByHand signs a message that is nothing but a From, in the simple forms, with more tags.
func signedByHand(t *testing.T, tags, body string) string {
	t.Helper()
	const header = "From: sara@example.com\r\n"
	sum := sha256.Sum256([]byte(body))
	field := "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=s; " + tags + "; bh=" + base64.StdEncoding.EncodeToString(sum[:]) + "; b="
	digest := sha256.Sum256([]byte(header + field))
	sig, err := rsa.SignPKCS1v15(nil, keys().rsa, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return field + base64.StdEncoding.EncodeToString(sig) + "\r\n" + header + "\r\n" + body
}

// A signature may say that no other stands below it; its own field is not meant (RFC 6376,
// section 3.5, h=).
func TestSignatureIsNotAmongWhatItSigns(t *testing.T) {
	s := resolvertest.New(t)
	s.SetTXT("s._domainkey.example.com", keyRecord(keys().rsa))
	text := signedByHand(t, "h=from:dkim-signature", "Salam\r\n")
	another := strings.Replace(text, "From:", "DKIM-Signature: v=1\r\nFrom:", 1)
	for _, tt := range []struct{ text, want string }{
		{text, "pass"},
		{another, "fail (signature does not match), neutral (no a=)"},
	} {
		r, _ := verdicts(t, newVerifier(t, s), message(t, tt.text))
		if got := signatures(r); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

func TestManySignatures(t *testing.T) {
	s := resolvertest.New(t)
	s.SetTXT("s._domainkey.example.com", keyRecord(keys().ed25519))
	text := plain
	for range 12 {
		text = signed(t, text, dkim.SignOptions{Domain: "example.com", Selector: "s", Signer: keys().ed25519, HeaderKeys: []string{"From"}})
	}
	r, _ := verdicts(t, newVerifier(t, s), message(t, text))
	if len(r.Signatures) != maxSignatures || r.DKIM != "pass" {
		t.Errorf("%d signatures, %s", len(r.Signatures), r.DKIM)
	}
	if n := s.Asked("s._domainkey.example.com"); n != 1 {
		t.Errorf("key asked for %d times", n)
	}
}

// A message of 50 MB is read once and kept nowhere.
func TestLargeMessageInConstantMemory(t *testing.T) {
	s := resolvertest.New(t)
	s.SetTXT("s._domainkey.example.com", keyRecord(keys().ed25519))
	size := 4 << 20
	if os.Getenv("POSTCHI_LONG") != "" {
		size = 50 << 20
	}
	body := strings.Repeat("A line of some length  with   space. \r\n", size/39)
	text := plain[:strings.Index(plain, "\r\n\r\n")+4] + body
	for _, form := range []dkim.Canonicalization{dkim.CanonicalizationSimple, dkim.CanonicalizationRelaxed} {
		text = signed(t, text, dkim.SignOptions{Domain: "example.com", Selector: "s", Signer: keys().ed25519, BodyCanonicalization: form})
	}
	m, v := message(t, text), newVerifier(t, s)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	r, _ := verdicts(t, v, m)
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	if r.DKIM != "pass" || len(r.Signatures) != 2 {
		t.Fatal(signatures(r))
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d MiB in %v, %d KiB allocated", size>>20, took, allocated>>10)
	if allocated > 2<<20 {
		t.Errorf("%d bytes allocated", allocated)
	}
}
