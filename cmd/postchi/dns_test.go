package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/postchi/postchi/mailserver/outbound/mxtest"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

const dnsHost = "mail.postchi.example"

// zoned starts an instance that asks a DNS of the test and sends to a server of the test.
func zoned(t *testing.T, url string, dns *resolvertest.Server, away *mxtest.Server) *instance {
	t.Helper()
	dns.Set(dnsHost+". IN A 127.0.0.1", "away.test. IN MX 10 mx.away.test.", "mx.away.test. IN A 127.0.0.1")
	in := newInstance(t, url, "POSTCHI_DNS_RESOLVER="+dns.Addr(), "POSTCHI_DNS_CHECKS=true", "POSTCHI_HOSTNAME="+dnsHost,
		"POSTCHI_OUTBOUND_ENABLED=true", "POSTCHI_OUTBOUND_PRIVATE=true", fmt.Sprintf("POSTCHI_OUTBOUND_PORT=%d", away.Port()))
	in.start()
	return in
}

// publish puts what the program asks for into the DNS.
func publish(t *testing.T, in *instance, dns *resolvertest.Server, domain string) {
	t.Helper()
	var report models.DNSReport
	in.must(&report, "", "domain", "dns", domain)
	for _, r := range report.Results {
		switch {
		case r.Operator || r.NotYet || r.Type == "CAA":
		case r.Type == "TXT":
			dns.SetTXT(r.FullName, r.Value)
		default:
			dns.Set(r.FullName + ". IN " + r.Type + " " + r.Value)
		}
	}
}

// TestDomainInTheDNS goes the way of a domain's owner: nothing published, everything published,
// and then its mail is signed so that others can verify it.
func TestDomainInTheDNS(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		dns, away := resolvertest.New(t), mxtest.New(t, mxtest.Config{Name: "mx.away.test"})
		in := zoned(t, url, dns, away)
		in.populate("shop.example", "sara")
		c := in.submission(t, "sara@shop.example", testPassword)
		send := func(subject string) mxtest.Message {
			t.Helper()
			n := away.Count()
			if a := c.submit("sara@shop.example", message("sara@shop.example", subject, 3000), "reza@away.test"); a.code != 250 {
				t.Fatal(a)
			}
			within(t, 10*time.Second, "message sent", func() bool { return away.Count() > n })
			return away.Messages()[n]
		}
		if out, status := in.command("", "domain", "check", "shop.example"); status != exitRefused || !strings.Contains(out, "missing") {
			t.Fatalf("status %d\n%s", status, out)
		}
		if m := send("unsigned"); bytes.Contains(m.Data, []byte("DKIM-Signature:")) {
			t.Error("signed with a key that the DNS does not show")
		}
		publish(t, in, dns, "shop.example")
		if out, status := in.command("", "domain", "check", "shop.example"); status != exitDone {
			t.Fatalf("status %d\n%s", status, out)
		}
		within(t, time.Second, "keys known to the server", func() bool { return bytes.Count(send("signed").Data, []byte("DKIM-Signature:")) == 2 })
		signed := send("signed again")
		list, err := dkim.VerifyWithOptions(bytes.NewReader(signed.Data), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			return dns.Resolver(t).LookupTXT(context.Background(), name)
		}})
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		for _, v := range list {
			if v.Err != nil || v.Domain != "shop.example" {
				t.Errorf("%+v", v)
			}
		}
		if out, _ := in.command("", "domain", "dns", "shop.example", "--csv"); !strings.HasPrefix(out, "type,name,full_name,value,needed,verdict,purpose\r\n") || !strings.Contains(out, "\nMX,@,shop.example,") {
			t.Error(out)
		}
		if out, _ := in.command("", "domain", "dns", "shop.example", "--zone"); !strings.Contains(out, "$ORIGIN shop.example.") {
			t.Error(out)
		}
		in.policies(t)
		in.must(nil, "", "domain", "rotate", "shop.example")
		var report models.DNSReport
		in.must(&report, "", "domain", "dns", "shop.example")
		if report.Find("TXT", "p2r._domainkey.shop.example") == nil {
			t.Errorf("%+v", report.Results)
		}
		if m := send("in between"); !bytes.Contains(m.Data, []byte("s=p1r;")) {
			t.Error("the old key does not sign until the new one is published")
		}
	})
}

// policies asks for MTA-STS policies by the names of their hosts.
func (in *instance) policies(t *testing.T) {
	t.Helper()
	for host, want := range map[string]string{"mta-sts.shop.example": "version: STSv1\r\nmode: testing\r\nmx: " + dnsHost, "MTA-STS.shop.example:443": "version: STSv1", "mta-sts.other.example": "no policy"} {
		req, _ := http.NewRequest(http.MethodGet, in.url()+stsPath, nil)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.HasPrefix(string(body), want) || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %s %q", host, resp.Header.Get("Content-Type"), body)
		}
	}
}

// TestUnprovenDomain has a customer claim a domain that lives elsewhere: until it is proven,
// nothing is received for it, and the others' mail to it goes to its real server.
func TestUnprovenDomain(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		dns, away := resolvertest.New(t), mxtest.New(t, mxtest.Config{Name: "mx.away.test"})
		dns.Set("bank.example. IN MX 10 mx.away.test.")
		in := zoned(t, url, dns, away)
		in.populate("shop.example", "sara")
		in.must(nil, "", "customer", "add", "Thief")
		// Under --dev every domain is active at once: this claim is made by the rules of a server.
		b := in.beside(t, url)
		config := b.serviceConfig(nil)
		config.DevMode, config.Proof = false, "required"
		rules, err := service.New(config)
		if err != nil {
			t.Fatal(err)
		}
		x, err := rules.CustomerByName(t.Context(), service.Console(), "Thief")
		if err != nil {
			t.Fatal(err)
		}
		thief := service.Viewer{Role: models.RoleCustomer, CustomerID: x.ID, Name: "thief@users.example"}
		if _, err := rules.AddDomain(t.Context(), thief, service.NewDomain{Name: "bank.example"}); err != nil {
			t.Fatal(err)
		}
		in.must(nil, testPassword+"\n", "mailbox", "add", "boss@bank.example", "--password-stdin")

		receives := func() answer {
			t.Helper()
			mx, err := dial(in.addr("mx"), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer mx.Close()
			mx.answer()
			mx.smtp("EHLO client.example")
			mx.smtp("MAIL FROM:<a@away.test>")
			return mx.smtp("RCPT TO:<boss@bank.example>")
		}
		if a := receives(); a.code < 500 {
			t.Errorf("an unproven domain receives: %v", a)
		}
		c := in.submission(t, "sara@shop.example", testPassword)
		if a := c.submit("sara@shop.example", message("sara@shop.example", "to the bank", 1000), "boss@bank.example"); a.code != 250 {
			t.Fatal(a)
		}
		within(t, 10*time.Second, "message at the real server", func() bool { return away.Count() == 1 })

		// An MX that is elsewhere proves nothing; the TXT record does.
		if out, status := in.command("", "domain", "check", "bank.example"); status != exitRefused {
			t.Fatal(status, out)
		}
		var proof service.Proof
		in.must(&proof, "", "domain", "proof", "bank.example")
		if proof.State != models.DomainPending || proof.Name != "_postchi-challenge.bank.example" {
			t.Fatalf("%+v", proof)
		}
		dns.SetTXT(proof.Name, proof.Value)
		in.command("", "domain", "check", "bank.example")
		in.must(&proof, "", "domain", "proof", "bank.example")
		if proof.State != models.DomainActive {
			t.Fatalf("%+v", proof)
		}
		within(t, 2*time.Second, "the domain receives", func() bool { return receives().code == 250 })
	})
}
