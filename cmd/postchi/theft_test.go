package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/outbound/mxtest"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

// TestNobodySendsAsAnUnprovenDomain: a customer claims a domain that another has here, and makes
// an alias in it that leads to a mailbox in a proven domain of its own. That is no address to send
// from, in no place of envelope and header; and one of its own still is, signed.
func TestNobodySendsAsAnUnprovenDomain(t *testing.T) {
	t.Parallel()
	dns, away := resolvertest.New(t), mxtest.New(t, mxtest.Config{Name: "mx.away.test"})
	in := zoned(t, "sqlite", dns, away)
	in.populate("bank.example", "boss")
	in.must(nil, "", "customer", "add", "Thief")
	in.must(nil, "", "domain", "add", "thief.example", "--customer", "Thief")
	in.must(nil, testPassword+"\n", "mailbox", "add", "eve@thief.example", "--password-stdin")
	in.must(nil, "", "alias", "add", "sales@thief.example", "eve@thief.example")
	for _, domain := range []string{"bank.example", "thief.example"} {
		publish(t, in, dns, domain)
		in.must(nil, "", "domain", "check", domain)
	}
	claimAsCustomer(t, in, "Thief", "bank.example", "ceo", "eve@thief.example")

	c := in.submission(t, "eve@thief.example", testPassword)
	own := message("sales@thief.example", "hello", 300)
	forged := message("ceo@bank.example", "pay now", 300)
	for _, try := range []struct {
		sender string
		body   []byte
	}{
		{"ceo@bank.example", forged}, {"CEO+tag@Bank.Example", own}, {"eve@thief.example", forged},
		{"eve@thief.example", append([]byte("Sender: <ceo@bank.example>\r\n"), own...)},
		{"eve@thief.example", append([]byte("Resent-From: <ceo@bank.example>\r\nResent-Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n"), own...)},
	} {
		for _, to := range []string{"x@away.test", "boss@bank.example"} {
			if a := c.submit(try.sender, try.body, to); a.code != 550 && a.code != 553 {
				t.Errorf("%s to %s: %s", try.sender, to, a)
			}
			c.smtp("RSET")
		}
	}
	if a := c.submit("sales@thief.example", own, "x@away.test"); a.code != 250 {
		t.Fatal(a)
	}
	within(t, 10*time.Second, "message outside", func() bool { return away.Count() == 1 })
	if got := away.Messages()[0].Data; !bytes.Contains(got, []byte("d=thief.example")) || bytes.Contains(got, []byte("bank.example")) {
		t.Errorf("%.2000s", got)
	}
	if all := in.inbox(t, "boss@bank.example"); len(all) != 0 {
		t.Errorf("%.700s", all[0])
	}
}

// claimAsCustomer adds a domain and an alias in it as a person of a customer would: the domain
// waits for its proof.
func claimAsCustomer(t *testing.T, in *instance, customer, domain, local, target string) {
	t.Helper()
	config := in.beside(t, "sqlite").serviceConfig(nil)
	config.DevMode, config.Proof = false, "required"
	rules, err := service.New(config)
	if err != nil {
		t.Fatal(err)
	}
	x, err := rules.CustomerByName(t.Context(), service.Console(), customer)
	if err != nil {
		t.Fatal(err)
	}
	who := service.Viewer{Role: models.RoleCustomer, CustomerID: x.ID, Name: "thief@users.example"}
	d, err := rules.AddDomain(t.Context(), who, service.NewDomain{Name: domain})
	if err != nil || d.State != models.DomainPending {
		t.Fatal(d, err)
	}
	if _, err := rules.AddAlias(t.Context(), who, service.NewAlias{Local: local, Domain: domain, Targets: []string{target}}); err != nil {
		t.Fatal(err)
	}
}
