package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates.
type authority struct {
	file string // its own, PEM
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "authority.pem")}
	a.cert, a.key = a.sign(t, a.file, &x509.Certificate{Subject: pkix.Name{CommonName: "Authority"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true})
	return a
}

// issue writes a certificate for names, and its key beside it, and returns the file of both.
func (a *authority) issue(t testing.TB, names ...string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "cert.pem")
	a.sign(t, file, &x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return file
}

func (a *authority) sign(t testing.TB, file string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	parent, by := template, key
	if a.cert != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t.(*testing.T), file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// restart ends the server and starts it again with more of the environment.
func (in *instance) restart(t testing.TB, extra ...string) {
	t.Helper()
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	in.env = append(in.env, extra...)
	in.start()
}

// secured tells what became of messages with a subject, step by step, and how each was secured:
// "sent TLS1.3 mta-sts OK".
func (in *instance) secured(t testing.TB, subject string) (all []string) {
	var found struct {
		Messages []struct {
			Events []struct{ Kind, TLS, Detail string }
		}
	}
	out, status := in.command("", "trace", subject, "--direction", "out", "--json")
	if err := json.Unmarshal([]byte(out), &found); status == 0 && err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, m := range found.Messages {
		for _, e := range m.Events {
			all = append(all, e.Kind+" "+e.TLS+" "+e.Detail)
		}
	}
	return all
}

// TestMTASTS sends to a server whose domains have MTA-STS policies, which it answers itself: an
// enforced one is obeyed, whatever certificate stands there and whoever hides STARTTLS, and one in
// testing is not.
func TestMTASTS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	port := freePort(t)
	ca := newAuthority(t)
	const mx, policy, lenient = "mx.two.test", "mta-sts.two.test", "mta-sts.lenient.test"
	right, wrong := ca.issue(t, "localhost", mx, policy, lenient), ca.issue(t, "localhost", policy, lenient)
	tls := func(file string) []string { return []string{"POSTCHI_TLS_CERT=" + file, "POSTCHI_TLS_KEY=" + file} }
	one := w.server("mx.one.test", "127.0.0.2", "sqlite", "POSTCHI_OUTBOUND_AUTHORITY="+ca.file, fmt.Sprintf("POSTCHI_OUTBOUND_POLICY_PORT=%d", port))
	two := w.server(mx, "127.0.0.3", "sqlite", append(tls(right), "POSTCHI_TLS_MODE=files", "POSTCHI_TLS_AUTHORITY="+ca.file, "POSTCHI_DOMAINS_MTA_STS=enforce",
		fmt.Sprintf("POSTCHI_LISTEN_HTTPS=%s", net.JoinHostPort("127.0.0.3", fmt.Sprint(port))))...)
	trusted(t, two, ca)
	one.populate("one.test", "sara")
	two.populate("two.test", "omid")
	two.must(nil, "", "domain", "add", "lenient.test", "--customer", "Example")
	two.must(nil, testPassword+"\n", "mailbox", "add", "omid@lenient.test", "--password-stdin")
	w.publish(one, "one.test")
	for _, domain := range []string{"two.test", "lenient.test"} {
		w.publish(two, domain)
		w.host("mta-sts."+domain, "127.0.0.3")
		w.dns.Set("_mta-sts." + domain + `. 60 IN TXT "v=STSv1; id=1"`)
	}

	// Between both somebody sits who can hide STARTTLS.
	w.host(mx, "127.0.0.5")
	between, honest := newCutter(t, fmt.Sprintf("127.0.0.5:%d", w.port), fmt.Sprintf("127.0.0.3:%d", w.port)), &cut{at: "nowhere", tls: true}
	between.arm(honest)

	one.send(t, "sara@one.test", "with the right certificate", "omid@two.test")
	two.arrival(t, "omid@two.test", "Subject: with the right certificate")
	one.outcome(t, "with the right certificate", "sent TLS1.3 mta-sts")

	between.arm(&cut{at: "MAIL"})
	one.send(t, "sara@one.test", "without STARTTLS", "omid@two.test")
	one.outcome(t, "without STARTTLS", "deferred", "does not offer TLS")
	select {
	case <-between.fired:
		t.Error("it was about to be sent in clear")
	default:
	}
	between.arm(honest)
	one.must(nil, "", "queue", "retry", "--domain", "two.test")
	two.arrival(t, "omid@two.test", "Subject: without STARTTLS")

	two.restart(t, tls(wrong)...)
	one.send(t, "sara@one.test", "with a wrong certificate", "omid@two.test")
	one.outcome(t, "with a wrong certificate", "deferred", "certificate")
	if n := two.found(t, "omid@two.test", "with a wrong certificate"); n != 0 {
		t.Errorf("%d messages arrived against the policy", n)
	}
	if n := one.waiting(); n != 1 {
		t.Errorf("%d wait", n)
	}

	two.restart(t, tls(right)...)
	one.must(nil, "", "queue", "retry", "--domain", "two.test")
	two.arrival(t, "omid@two.test", "Subject: with a wrong certificate")
	one.outcome(t, "with a wrong certificate", "sent TLS1.3 mta-sts")

	two.restart(t, append(tls(wrong), "POSTCHI_DOMAINS_MTA_STS=testing")...)
	one.send(t, "sara@one.test", "in testing", "omid@lenient.test")
	two.arrival(t, "omid@lenient.test", "Subject: in testing")
	one.outcome(t, "in testing", "sent TLS1.3 opportunistic")
	for _, subject := range []string{"with the right certificate", "without STARTTLS", "with a wrong certificate"} {
		if n := two.found(t, "omid@two.test", subject); n != 1 {
			t.Errorf("%s: arrived %d times", subject, n)
		}
	}
}

// outcome waits until a message's last attempt is told with these words.
func (in *instance) outcome(t testing.TB, subject string, words ...string) {
	t.Helper()
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("%s: %q", subject, got)
		}
	}()
	within(t, 3*time.Second, fmt.Sprintf("%s: %q", subject, words), func() bool {
		got = in.secured(t, subject)
		return len(got) > 0 && containsAll(got[len(got)-1], words)
	})
}

// trusted lets the test's own clients believe what an authority signs.
func trusted(t testing.TB, in *instance, a *authority) {
	t.Helper()
	write(t.(*testing.T), filepath.Join(in.dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})))
}
