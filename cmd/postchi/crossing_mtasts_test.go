package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
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

// issue writes a certificate for names and its key into one file, in place of what was there.
func (a *authority) issue(t testing.TB, file string, names ...string) {
	t.Helper()
	a.sign(t, file+".new", &x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
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
	cert, web := filepath.Join(t.TempDir(), "cert.pem"), net.JoinHostPort("127.0.0.3", fmt.Sprint(port))
	ca.issue(t, cert, "localhost", mx, policy, lenient)
	one := w.server("mx.one.test", "127.0.0.2", "sqlite", "POSTCHI_OUTBOUND_AUTHORITY="+ca.file, fmt.Sprintf("POSTCHI_OUTBOUND_POLICY_PORT=%d", port))
	two := w.server(mx, "127.0.0.3", "sqlite", "POSTCHI_TLS_MODE=files", "POSTCHI_TLS_CERT="+cert, "POSTCHI_TLS_KEY="+cert, "POSTCHI_TLS_AUTHORITY="+ca.file,
		"POSTCHI_DOMAINS_MTA_STS=enforce", "POSTCHI_LISTEN_HTTPS="+web)
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
	one.again(t, two, "omid@two.test", "Subject: without STARTTLS")

	ca.issue(t, cert, "localhost", policy, lenient) // not for the MX
	two.restart(t)                                  // else a session that saw the other one is resumed
	one.send(t, "sara@one.test", "with a wrong certificate", "omid@two.test")
	one.outcome(t, "with a wrong certificate", "deferred", "certificate")
	if n := two.found(t, "omid@two.test", "with a wrong certificate"); n != 0 {
		t.Errorf("%d messages arrived against the policy", n)
	}
	if n := one.waiting(); n != 1 {
		t.Errorf("%d wait", n)
	}

	ca.issue(t, cert, "localhost", mx, policy, lenient)
	presented(t, web, mx)
	one.again(t, two, "omid@two.test", "Subject: with a wrong certificate")
	one.outcome(t, "with a wrong certificate", "sent TLS1.3 mta-sts")

	ca.issue(t, cert, "localhost", policy, lenient)
	two.restart(t, "POSTCHI_DOMAINS_MTA_STS=testing")
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
		time.Sleep(150 * time.Millisecond) // each look is a process
		got = in.secured(t, subject)
		return len(got) > 0 && containsAll(got[len(got)-1], words)
	})
}

// again lets what waits be tried until a message arrives.
func (in *instance) again(t testing.TB, there *instance, address string, words ...string) {
	t.Helper()
	within(t, 5*time.Second, fmt.Sprintf("%q after another try", words), func() bool {
		in.must(nil, "", "queue", "retry", "--all")
		time.Sleep(150 * time.Millisecond)
		return there.found(t, address, words...) > 0
	})
}

// presented waits until a web server's certificate holds for a name.
func presented(t testing.TB, addr, name string) {
	t.Helper()
	within(t, 3*time.Second, "the certificate is served", func() bool {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].VerifyHostname(name) == nil
	})
}

// trusted lets the test's own clients believe what an authority signs.
func trusted(t testing.TB, in *instance, a *authority) {
	t.Helper()
	write(t.(*testing.T), filepath.Join(in.dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})))
}
