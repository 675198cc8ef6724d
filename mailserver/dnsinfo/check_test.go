package dnsinfo

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models"
)

const (
	host   = "mail.postchi.example"
	domain = "example.com"
	rsaKey = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwFTqGMF5QlPj/QNgbiEVWsybejQ9xFmlOG8kPtbAbrAEqENWq/PnhcS0cetsR86W0KbC/imRk+cLjvHoKF9njQpzCkiMHsjpc0qQyD75M3fqsXU+cnMQkEENwHPVf/xG1+IQRckaiJYgmdSK1cbO8u6ms4HoaobPmI/1w1NMxjiPwtn4yz2bhdSby6CoTyf9np12IasT1GxOqmT32V6bcqwfOLJFfWIdD4DLQUBdNDDRKcQzcoqh0EwX6Wyj/S88zUoLYEoAgn9RL47yTR18HHIZ3zS056J+hsZ/etX7x/iW3mq22RfIO3kdce6theMj/XQtvmh6+o23YTfg9SVYOQIDAQAB"
	edKey  = "ZtFEC/R8I/g6l3Yto1qliR2Ac0lH37rC97wWlKRhFpA="
)

var keys = []models.DKIMKey{
	{Algorithm: models.DKIMRSA, Selector: "p1r", State: models.DKIMActive, Public: rsaKey},
	{Algorithm: models.DKIMEd25519, Selector: "p1e", State: models.DKIMActive, Public: edKey},
}

// world is a resolver that knows everything and, where a test wants it, the domain's own name
// server, which may know better.
type world struct {
	*resolvertest.Server
	authority *resolvertest.Server
	info      *Info
	domain    *models.Domain
	keys      []models.DKIMKey
}

func newWorld(t testing.TB) *world {
	t.Helper()
	s := resolvertest.New(t)
	w := &world{Server: s, domain: &models.Domain{Name: domain, State: models.DomainActive}, keys: keys}
	w.info = New(Config{Hostname: host, Resolver: s.Resolver(t), Private: true, CA: "letsencrypt.org", Services: func() []Service {
		return []Service{{"imaps", 993}, {"submissions", 465}, {"pop3s", 995}, {"imap", 0}}
	}})
	s.Set(host+". IN A 203.0.113.10", host+". IN AAAA 2001:db8::10",
		"10.113.0.203.in-addr.arpa. IN PTR "+host+".", dnsReverse6+" IN PTR "+host+".")
	w.right(s)
	return w
}

const dnsReverse6 = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."

// right publishes everything.
func (w *world) right(s *resolvertest.Server) {
	s.Set(domain+". IN MX 10 "+host+".",
		"_imaps._tcp."+domain+". IN SRV 0 1 993 "+host+".", "_submissions._tcp."+domain+". IN SRV 5 0 465 "+host+".",
		"_pop3s._tcp."+domain+". IN SRV 10 1 995 "+host+".", "_imap._tcp."+domain+". IN SRV 0 0 0 .")
	s.SetTXT(domain, "v=spf1 mx a:"+host+" ~all")
	for i := range keys {
		s.SetTXT(keys[i].Selector+"._domainkey."+domain, keyText(&keys[i]))
	}
	s.SetTXT("_dmarc."+domain, "v=DMARC1; p=none")
	s.SetTXT("_smtp._tls."+domain, "v=TLSRPTv1; rua=mailto:tls@example.com")
}

// delegate gives the domain a name server of its own with everything right, at another address.
func (w *world) delegate(t testing.TB) {
	t.Helper()
	for n := 2; w.authority == nil; n++ {
		w.authority = w.Authoritative(t, fmt.Sprintf("127.0.0.%d", n), domain)
	}
	ip, port, _ := strings.Cut(w.authority.Addr(), ":")
	fmt.Sscan(port, &w.info.config.Port)
	w.Set(domain+". IN NS ns.dns.example.", "ns.dns.example. IN A "+ip)
	w.right(w.authority)
}

func (w *world) check() *models.DNSReport {
	return w.info.Check(context.Background(), w.domain, w.keys)
}

// find returns the result of a purpose and, where there are several, a name.
func find(t testing.TB, r *models.DNSReport, purpose, name string) models.DNSResult {
	t.Helper()
	for _, x := range r.Results {
		if x.Purpose == purpose && (name == "" || x.Name == name) {
			return x
		}
	}
	t.Fatalf("no row %s %s in %+v", purpose, name, r.Results)
	return models.DNSResult{}
}

func TestEverythingRight(t *testing.T) {
	for _, delegated := range []bool{false, true} {
		w := newWorld(t)
		if delegated {
			w.delegate(t)
		}
		r := w.check()
		for _, x := range r.Results {
			if x.Verdict != models.DNSOK && !(x.NotYet && x.Verdict == models.DNSNotNeeded) {
				t.Errorf("%s %s: %s %v %v", x.Purpose, x.Name, x.Verdict, x.Notes, x.Found)
			}
		}
		if r.Health != models.DNSHealthOK || len(r.Results) < 16 {
			t.Errorf("%s, %d rows", r.Health, len(r.Results))
		}
	}
}

// TestVerdicts is the table of usual mistakes.
func TestVerdicts(t *testing.T) {
	const dkimName = "p1r._domainkey"
	set := func(lines ...string) func(*world) { return func(w *world) { w.Set(lines...) } }
	txt := func(name, text string) func(*world) { return func(w *world) { w.SetTXT(name, text) } }
	gone := func(name string, qtype uint16) func(*world) { return func(w *world) { w.Remove(name, qtype) } }
	both := func(fns ...func(*world)) func(*world) {
		return func(w *world) {
			for _, fn := range fns {
				fn(w)
			}
		}
	}
	includes := func(n int) func(*world) {
		return func(w *world) {
			record := "v=spf1 mx"
			for i := range n - 1 {
				record += fmt.Sprintf(" include:s%d.example", i)
				w.SetTXT(fmt.Sprintf("s%d.example", i), "v=spf1 ip4:192.0.2.1 -all")
			}
			w.SetTXT(domain, record+" -all")
		}
	}
	for name, test := range map[string]struct {
		break_  func(*world)
		purpose string
		row     string
		verdict models.DNSVerdict
		note    string
		health  models.DNSHealth // "" = bad
	}{
		"two SPF": {func(w *world) {
			w.Set(domain+`. IN TXT "v=spf1 mx a:`+host+` ~all"`, domain+`. IN TXT "v=spf1 include:s.example -all"`)
		}, "spf", "", models.DNSWrong, "spf_several", ""},
		"10 look-ups":              {includes(10), "spf", "", models.DNSOK, "", models.DNSHealthOK},
		"11 look-ups":              {includes(11), "spf", "", models.DNSWrong, "spf_lookups", ""},
		"3 void look-ups":          {txt(domain, "v=spf1 mx a:v1.example a:v2.example a:v3.example ~all"), "spf", "", models.DNSWrong, "spf_voids", ""},
		"order and case":           {txt(domain, "V=spf1  A:"+strings.ToUpper(host)+" MX -ALL"), "spf", "", models.DNSOK, "", models.DNSHealthOK},
		"our network":              {txt(domain, "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 -all"), "spf", "", models.DNSOK, "", models.DNSHealthOK},
		"IPv6 not covered":         {txt(domain, "v=spf1 ip4:203.0.113.10 -all"), "spf", "", models.DNSWrong, "spf_not_covered", ""},
		"SPF of others":            {both(txt(domain, "v=spf1 include:s.example -all"), txt("s.example", "v=spf1 ip4:192.0.2.1 -all")), "spf", "", models.DNSWrong, "spf_not_covered", ""},
		"include without SPF":      {txt(domain, "v=spf1 mx include:none.example -all"), "spf", "", models.DNSWrong, "spf_include", ""},
		"ours after all":           {txt(domain, "v=spf1 -all mx"), "spf", "", models.DNSWrong, "spf_not_covered", ""},
		"no all":                   {txt(domain, "v=spf1 mx"), "spf", "", models.DNSOK, "spf_no_all", models.DNSHealthOK},
		"+all":                     {txt(domain, "v=spf1 +all"), "spf", "", models.DNSWrong, "spf_all_pass", ""},
		"ptr":                      {txt(domain, "v=spf1 mx ptr -all"), "spf", "", models.DNSOK, "spf_ptr", models.DNSHealthOK},
		"no such mechanism":        {txt(domain, "v=spf1 mx ip:203.0.113.10 -all"), "spf", "", models.DNSWrong, "syntax", ""},
		"redirect":                 {both(txt(domain, "v=spf1 redirect=s.example"), txt("s.example", "v=spf1 a:"+host+" -all")), "spf", "", models.DNSOK, "", models.DNSHealthOK},
		"SPF loop":                 {txt(domain, "v=spf1 include:"+domain+" -all"), "spf", "", models.DNSWrong, "spf_lookups", ""},
		"include fails":            {both(txt(domain, "v=spf1 include:s.example -all"), func(w *world) { w.Fail("s.example", dns.RcodeServerFailure) }), "spf", "", models.DNSUnknown, "", models.DNSHealthUnknown},
		"no SPF":                   {gone(domain, dns.TypeTXT), "spf", "", models.DNSMissing, "", ""},
		"other text at apex":       {set(domain+`. IN TXT "google-site-verification=x"`, domain+`. IN TXT "v=spf1 mx ~all"`), "spf", "", models.DNSOK, "", models.DNSHealthOK},
		"split TXT":                {set(dkimName + "." + domain + `. IN TXT ( "v=DKIM1; k=rsa; p=` + rsaKey[:100] + `" "` + rsaKey[100:] + `" )`), "dkim", dkimName, models.DNSOK, "", models.DNSHealthOK},
		"spaces in the key":        {set(dkimName + "." + domain + `. IN TXT ( "v=DKIM1; p=` + rsaKey[:100] + ` " "` + rsaKey[100:] + `" )`), "dkim", dkimName, models.DNSOK, "", models.DNSHealthOK},
		"wrong DKIM key":           {txt(dkimName+"."+domain, "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMmSOXv8"), "dkim", dkimName, models.DNSWrong, "dkim_other", ""},
		"half a key":               {txt(dkimName+"."+domain, "v=DKIM1; k=rsa; p="+rsaKey[:200]), "dkim", dkimName, models.DNSWrong, "dkim_cut", ""},
		"quotes in the key":        {txt(dkimName+"."+domain, `v=DKIM1; k=rsa; p=`+rsaKey[:200]+`" "`+rsaKey[200:]), "dkim", dkimName, models.DNSWrong, "dkim_quotes", ""},
		"revoked key":              {txt(dkimName+"."+domain, "v=DKIM1; p="), "dkim", dkimName, models.DNSWrong, "dkim_revoked", ""},
		"key in test":              {txt(dkimName+"."+domain, "v=DKIM1; t=y; k=rsa; p="+rsaKey), "dkim", dkimName, models.DNSOK, "dkim_test", models.DNSHealthOK},
		"key for SHA-1 alone":      {txt(dkimName+"."+domain, "v=DKIM1; h=sha1; k=rsa; p="+rsaKey), "dkim", dkimName, models.DNSWrong, "dkim_hash", ""},
		"two keys":                 {set(dkimName+"."+domain+`. IN TXT "v=DKIM1; p="`, dkimName+"."+domain+`. IN TXT "v=DKIM1; p=x"`), "dkim", dkimName, models.DNSWrong, "dkim_several", ""},
		"no Ed25519 key":           {gone("p1e._domainkey."+domain, dns.TypeANY), "dkim", "p1e._domainkey", models.DNSMissing, "", models.DNSHealthOK},
		"doubled name":             {both(gone(dkimName+"."+domain, dns.TypeANY), txt(dkimName+"."+domain+"."+domain, keyText(&keys[0]))), "dkim", dkimName, models.DNSMissing, "double", ""},
		"doubled apex":             {both(gone(domain, dns.TypeMX), set(domain+"."+domain+". IN MX 10 "+host+".")), "mx", "", models.DNSMissing, "double", ""},
		"CNAME at MX":              {set(domain+". IN MX 10 mx.example.com.", "mx.example.com. IN CNAME "+host+"."), "mx", "", models.DNSWrong, "mx_cname", ""},
		"own name for the MX":      {both(set(domain+". IN MX 10 mx.example.com.", "mx.example.com. IN A 203.0.113.10"), txt(domain, "v=spf1 a:"+host+" ~all")), "mx", "", models.DNSOK, "mx_other_name", models.DNSHealthOK},
		"MX to an address":         {set(domain + ". IN MX 10 203.0.113.10."), "mx", "", models.DNSWrong, "mx_address", ""},
		"null MX":                  {set(domain + ". IN MX 0 ."), "mx", "", models.DNSWrong, "mx_null", ""},
		"MX elsewhere":             {set(domain + ". IN MX 10 mx.other.example."), "mx", "", models.DNSWrong, "mx_elsewhere", ""},
		"old MX still listed":      {set(domain+". IN MX 10 "+host+".", domain+". IN MX 20 mx.other.example."), "mx", "", models.DNSExtra, "mx_others", ""},
		"MX twice":                 {set(domain+". IN MX 10 "+host+".", domain+". IN MX 20 "+strings.ToUpper(host)+"."), "mx", "", models.DNSOK, "", models.DNSHealthOK},
		"wildcard":                 {both(set("*."+domain+`. IN TXT "v=DKIM1; p=x"`), gone(dkimName+"."+domain, dns.TypeANY), gone("p1e._domainkey."+domain, dns.TypeANY)), "dkim", dkimName, models.DNSWrong, "wildcard", ""},
		"wildcard of texts":        {both(set("*."+domain+`. IN TXT "hello"`), gone("_dmarc."+domain, dns.TypeANY)), "dmarc", "", models.DNSMissing, "wildcard", ""},
		"SERVFAIL":                 {func(w *world) { w.Fail(domain, dns.RcodeServerFailure) }, "mx", "", models.DNSUnknown, "", models.DNSHealthUnknown},
		"SERVFAIL of one name":     {func(w *world) { w.Fail("_dmarc."+domain, dns.RcodeServerFailure) }, "dmarc", "", models.DNSUnknown, "", models.DNSHealthUnknown},
		"silence":                  {func(w *world) { w.Lame("_dmarc." + domain) }, "dmarc", "", models.DNSUnknown, "", models.DNSHealthUnknown},
		"pct present":              {txt("_dmarc."+domain, "v=DMARC1; p=quarantine; pct=50"), "dmarc", "", models.DNSOK, "dmarc_old", models.DNSHealthOK},
		"apex DMARC":               {both(gone("_dmarc."+domain, dns.TypeANY), set(domain+`. IN TXT "v=spf1 mx ~all"`, domain+`. IN TXT "v=DMARC1; p=none"`)), "dmarc", "", models.DNSMissing, "dmarc_apex", ""},
		"two DMARC":                {set("_dmarc."+domain+`. IN TXT "v=DMARC1; p=none"`, "_dmarc."+domain+`. IN TXT "v=DMARC1; p=reject"`), "dmarc", "", models.DNSWrong, "several", ""},
		"DMARC in any order":       {txt("_dmarc."+domain, "v=DMARC1;rua=mailto:a@example.com ; P=Reject;"), "dmarc", "", models.DNSOK, "", models.DNSHealthOK},
		"DMARC without policy":     {txt("_dmarc."+domain, "v=DMARC1; sp=none"), "dmarc", "", models.DNSWrong, "dmarc_policy", ""},
		"reports elsewhere":        {txt("_dmarc."+domain, "v=DMARC1; p=none; rua=mailto:x@reports.example"), "dmarc", "", models.DNSOK, "dmarc_reports", models.DNSHealthOK},
		"reports agreed":           {both(txt("_dmarc."+domain, "v=DMARC1; p=none; rua=mailto:x@reports.example"), txt(domain+"._report._dmarc.reports.example", "v=DMARC1")), "dmarc", "", models.DNSOK, "", models.DNSHealthOK},
		"DMARC in other letters":   {txt("_dmarc."+domain, "v=dmarc1; p=none"), "dmarc", "", models.DNSWrong, "version", ""},
		"TLS-RPT in other letters": {txt("_smtp._tls."+domain, "v=tlsrptv1; rua=mailto:a@example.com"), "tls_rpt", "", models.DNSWrong, "version", models.DNSHealthOK},
		"reports without mailto":   {txt("_dmarc."+domain, "v=DMARC1; p=none; rua=a@example.com"), "dmarc", "", models.DNSOK, "rua_mailto", models.DNSHealthOK},
		"void exists":              {txt(domain, "v=spf1 mx a:v1.example exists:v2.example exists:v3.example ~all"), "spf", "", models.DNSWrong, "spf_voids", ""},
		"by a smarthost": {func(w *world) {
			w.SetTXT(domain, "v=spf1 include:s.example -all")
			w.SetTXT("s.example", "v=spf1 ip4:192.0.2.1 -all")
			w.info.config.Relay = func(context.Context, models.ID) string { return "relay.example" }
		}, "spf", "", models.DNSOK, "spf_relay", models.DNSHealthOK},
		"the server's source address": {func(w *world) {
			w.info.config.Source = netip.MustParseAddr("192.0.2.9")
			w.Set("9.2.0.192.in-addr.arpa. IN PTR " + host + ".")
		}, "spf", "", models.DNSWrong, "spf_not_covered", ""},
		"host without address":     {gone(host, dns.TypeANY), "host", "", models.DNSMissing, "host_no_address", ""},
		"MX of a host without any": {gone(host, dns.TypeANY), "mx", "", models.DNSWrong, "mx_no_address", ""},
		"host not known":           {func(w *world) { w.Fail(host, dns.RcodeServerFailure) }, "host", "", models.DNSUnknown, "", models.DNSHealthUnknown},
		"CAA for another CA":       {set(domain + `. IN CAA 0 issue "other.example"`), "caa", "", models.DNSWrong, "caa", models.DNSHealthOK},
		"CAA for ours":             {set(domain + `. IN CAA 0 issue "letsencrypt.org; validationmethods=http-01"`), "caa", "", models.DNSOK, "", models.DNSHealthOK},
		"no TLS reports":           {gone("_smtp._tls."+domain, dns.TypeANY), "tls_rpt", "", models.DNSMissing, "", models.DNSHealthOK},
		"SRV elsewhere":            {set("_imaps._tcp." + domain + ". IN SRV 0 1 993 mail.other.example."), "srv", "_imaps._tcp", models.DNSWrong, "", models.DNSHealthOK},
		"PTR of the provider":      {set("10.113.0.203.in-addr.arpa. IN PTR h10.provider.example."), "ptr", "", models.DNSWrong, "ptr_other", models.DNSHealthOK},
		"host is an alias":         {set(host + ". IN CNAME other.example."), "host", "", models.DNSWrong, "host_cname", models.DNSHealthOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test.break_(w)
			r := w.check()
			x := find(t, r, test.purpose, test.row)
			if x.Verdict != test.verdict {
				t.Errorf("%s: %s %v %v", test.purpose, x.Verdict, x.Notes, x.Found)
			}
			if test.note != "" && !slices.Contains(x.Notes, test.note) || test.note == "" && len(x.Notes) > 0 {
				t.Errorf("notes %v, want %q", x.Notes, test.note)
			}
			want := test.health
			if want == "" {
				want = models.DNSHealthBad
			}
			if r.Health != want {
				t.Errorf("health %s, want %s: %+v", r.Health, want, r.Results)
			}
		})
	}
}

func TestAuthorityAndCaches(t *testing.T) {
	w := newWorld(t)
	w.delegate(t)
	// Saved a moment ago: the resolver still has the answer from before.
	w.Remove("_dmarc."+domain, dns.TypeANY)
	w.SetTXT("p1r._domainkey."+domain, "v=DKIM1; p=old")
	r := w.check()
	if x := find(t, r, "dmarc", ""); x.Verdict != models.DNSPending {
		t.Errorf("new record: %s", x.Verdict)
	}
	if x := find(t, r, "dkim", "p1r._domainkey"); x.Verdict != models.DNSPending || x.TTL != 60 || len(x.Found) != 1 {
		t.Errorf("changed record: %s, %d s, %v", x.Verdict, x.TTL, x.Found)
	}
	if r.Health != models.DNSHealthPending {
		t.Error(r.Health)
	}
	// Taken away a moment ago: the authority counts.
	w.right(w.Server)
	w.authority.Remove("_dmarc."+domain, dns.TypeANY)
	if x := find(t, w.check(), "dmarc", ""); x.Verdict != models.DNSMissing {
		t.Errorf("removed record: %s", x.Verdict)
	}
	w.right(w.authority)
	// The resolver fails: nothing is missing, whatever the authority says.
	w.authority.Remove("_dmarc."+domain, dns.TypeANY)
	w.Fail("_dmarc."+domain, dns.RcodeServerFailure)
	if x := find(t, w.check(), "dmarc", ""); x.Verdict != models.DNSUnknown {
		t.Errorf("the resolver fails: %s", x.Verdict)
	}
	// The authority fails and the resolver knows nothing: who knows.
	w.Fail("_dmarc."+domain, 0)
	w.Remove("_dmarc."+domain, dns.TypeANY)
	w.authority.Fail("*", dns.RcodeServerFailure)
	r = w.check()
	if x := find(t, r, "dmarc", ""); x.Verdict != models.DNSUnknown {
		t.Errorf("the authority fails: %s", x.Verdict)
	}
	if x := find(t, r, "mx", ""); x.Verdict != models.DNSOK {
		t.Errorf("what the resolver knows: %s", x.Verdict)
	}
}

func TestNothingIsMissingWhenNobodyAnswers(t *testing.T) {
	w := newWorld(t)
	w.info.config.Timeout = 200 * time.Millisecond
	for _, fault := range []func(){func() { w.Fail("*", dns.RcodeServerFailure) }, func() { w.Silence("*") }} {
		fault()
		for _, x := range w.check().Results {
			if x.Verdict != models.DNSUnknown && x.Verdict != models.DNSNotNeeded {
				t.Errorf("%s: %s", x.Purpose, x.Verdict)
			}
		}
	}
}

func TestInnerServersAreNotAsked(t *testing.T) {
	w := newWorld(t)
	w.delegate(t)
	w.info.config.Private = false
	w.check()
	if n := w.authority.Asked(domain); n != 0 {
		t.Errorf("a name server on loopback was asked %d times", n)
	}
}

func TestProofOfAClaim(t *testing.T) {
	w := newWorld(t)
	w.domain = &models.Domain{Name: domain, State: models.DomainPending, ProofToken: "ABC"}
	if x := w.check().Results[0]; x.Purpose != "proof" || x.Verdict != models.DNSMissing || x.FullName != "_postchi-challenge.example.com" || x.Value != "postchi-verify=ABC" {
		t.Errorf("%+v", x)
	}
	w.Set("_postchi-challenge."+domain+`. IN TXT "postchi-verify=XYZ"`, "_postchi-challenge."+domain+`. IN TXT "postchi-verify=ABC"`)
	if x := w.check().Results[0]; x.Verdict != models.DNSOK {
		t.Errorf("%+v", x)
	}
}

func TestSPFIsMerged(t *testing.T) {
	ours := []string{"mx", "a:" + host}
	for _, c := range []struct {
		want string
		in   []string
	}{
		{"v=spf1 mx a:mail.postchi.example include:_spf.google.com -all", []string{"v=spf1 include:_spf.google.com -all"}},
		{"v=spf1 mx a:mail.postchi.example ip4:192.0.2.1 include:b ?all", []string{"v=spf1 +mx ip4:192.0.2.1 ?all", "v=spf1 include:b MX -all"}},
		{"v=spf1 mx a:mail.postchi.example ~all", []string{"v=spf1 +all"}},
		{"v=spf1 mx a:mail.postchi.example redirect=x.example", []string{"v=spf1 redirect=x.example"}},
	} {
		if got := mergeSPF(c.in, ours); got != c.want {
			t.Errorf("%q", got)
		}
	}
}

// An MX that the claimed name has from a wildcard above or from another name is told apart from
// one of its own.
func TestBorrowedMX(t *testing.T) {
	for name, c := range map[string]struct {
		zone []string
		want string
	}{
		"own":           {[]string{"sales.example.com. IN MX 10 " + host + "."}, ""},
		"wildcard":      {[]string{"*.example.com. IN MX 10 " + host + "."}, "mx_wildcard"},
		"beside":        {[]string{"*.example.com. IN MX 20 " + host + ".", "*.example.com. IN MX 30 mx.other.example.", "sales.example.com. IN MX 10 " + host + "."}, "mx_wildcard"},
		"wildcard else": {[]string{"*.example.com. IN MX 10 mx.other.example.", "sales.example.com. IN MX 10 " + host + "."}, ""},
		"alias":         {[]string{"sales.example.com. IN CNAME other.example.", "other.example. IN MX 10 " + host + "."}, "mx_alias"},
	} {
		w := newWorld(t)
		w.Set(c.zone...)
		w.domain, w.keys = &models.Domain{Name: "sales.example.com", State: models.DomainPending, ProofToken: "ABC"}, nil
		if x := find(t, w.check(), "mx", ""); x.Verdict != models.DNSOK || strings.Join(x.Notes, ",") != c.want {
			t.Errorf("%s: %s %v, want %q", name, x.Verdict, x.Notes, c.want)
		}
		w.domain.State = models.DomainActive // what is proven needs no such question
		if x := find(t, w.check(), "mx", ""); len(x.Notes) != 0 {
			t.Errorf("%s: %v", name, x.Notes)
		}
	}
}
