package panel

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/dnsinfo"
	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

// noDNS is a resolver without a network.
type noDNS struct{}

var errNoDNS = &net.DNSError{Err: "no network", IsTemporary: true}

func (noDNS) Lookup(context.Context, string, uint16) (*resolver.Answer, error) { return nil, errNoDNS }

func (noDNS) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return nil, errNoDNS }

func (noDNS) LookupAddr(context.Context, string) ([]string, error) { return nil, errNoDNS }

func (noDNS) Exchange(context.Context, string, *dns.Msg) (*dns.Msg, error) { return nil, errNoDNS }

// testKeys makes keys that sign nothing.
type testKeys struct{ f *fixture }

func (k testKeys) NewKeys(domain models.ID) ([]models.DKIMKey, error) {
	return []models.DKIMKey{{ID: k.f.store.NewID(), DomainID: domain, Algorithm: models.DKIMRSA, Selector: "p1r", State: models.DKIMNext, Public: strings.Repeat("MIIB", 98)}}, nil
}

func (k testKeys) Rotate(ctx context.Context, domain models.ID) error {
	keys, err := k.f.store.Keys(ctx, domain)
	if err != nil || len(keys) > 1 {
		return err
	}
	return k.f.store.InsertKeys(ctx, []models.DKIMKey{{ID: k.f.store.NewID(), DomainID: domain, Algorithm: models.DKIMRSA, Selector: "p2r", State: models.DKIMNext, Public: "MIIC"}})
}

func (testKeys) Seen(context.Context, models.ID, map[string]models.DNSVerdict) error { return nil }

// testDNS knows records and asks nobody.
func testDNS() *dnsinfo.Info {
	return dnsinfo.New(dnsinfo.Config{Hostname: "mail.example.net", Resolver: noDNS{}, Services: func() []dnsinfo.Service {
		return []dnsinfo.Service{{Name: "imaps", Port: 993}, {Name: "pop3", Port: 0}}
	}})
}

func TestDNSPage(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", "owner@users.example", "example.com")
	b := f.browser().login("owner@users.example", ownerPassword)
	b.get("/domains/example.com").has(t, `href="/domains/example.com/dns"`, "DNS not known")
	b.get("/domains/example.com/dns").has(t, "10 mail.example.net.", "p1r._domainkey.example.com", `value="@"`, "not looked up yet", "v=spf1 mx a:mail.example.net ~all",
		"In pieces", "Of use once the server has a certificate", "_imaps._tcp")
	b.follow("/domains/example.com/dns").has(t, "Not every answer came", "this is not an error of yours")
	if a := b.post("/domains/example.com/dns"); a.code != http.StatusSeeOther { // answered with what is known
		t.Error(a.code)
	}
	b.follow("/domains/example.com/dns/row", "type", "MX", "name", "example.com").has(t, "No answer about <bdi", `class="banner warn toast"`, "MX example.com", "Check this record")
	if a := b.post("/domains/example.com/dns/row", "type", "MX", "name", "example.com"); !strings.HasSuffix(a.location, "/domains/example.com/dns#r0-title") {
		t.Error(a.location)
	}
	if a := b.post("/domains/example.com/dns/row", "type", "A", "name", "example.com"); a.code != http.StatusNotFound {
		t.Error(a.code)
	}
	b.follow("/domains/example.com/keys").has(t, "New keys are made", "p2r._domainkey")
	b.follow("/domains/example.com/dmarc", "dmarc", "off").has(t, `value="off" selected`)
	if a := b.post("/domains/example.com/dmarc", "dmarc", "never"); a.code == http.StatusSeeOther {
		t.Error("no such way, and taken")
	}
	a := b.get("/domains/example.com/dns.zone")
	if !strings.Contains(a.body, "$ORIGIN example.com.") || !strings.Contains(a.header.Get("Content-Disposition"), "example.com.zone") {
		t.Error(a.body)
	}
	if a = b.get("/domains/example.com/dns.csv"); !strings.Contains(a.body, "MX,@,example.com,10 mail.example.net.,yes,unknown,mx\r\n") || !strings.Contains(a.header.Get("Content-Disposition"), "example.com-dns.csv") {
		t.Error(a.body)
	}
	var report models.DNSReport
	if err := json.Unmarshal([]byte(b.get("/domains/example.com/dns.json").body), &report); err != nil || len(report.Results) < 9 {
		t.Error(err, report)
	}
}

// TestSourceAddress sets where a domain's mail leaves from, as an administrator.
func TestSourceAddress(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", "owner@users.example", "example.com")
	f.browser().login("owner@users.example", ownerPassword).get("/domains/example.com").hasNot(t, "source-form")
	b := f.admin()
	b.get("/domains/example.com").has(t, "source-form")
	b.follow("/domains/example.com/source", "source", "192.0.2.7").has(t, "The source address was saved", `value="192.0.2.7"`, "does not have the address")
	b.get("/domains/example.com/dns").has(t, "ip4:192.0.2.7")
	if a := b.post("/domains/example.com/source", "source", "mail.example.net"); a.code != http.StatusUnprocessableEntity {
		t.Error(a.code)
	}
	b.post("/language", "language", "fa")
	b.post("/domains/example.com/source", "source", "0.0.0.0").has(t, "از این نشانی نمی\u200cتوان نامه فرستاد", `value="0.0.0.0"`)
	b.follow("/domains/example.com/source", "source", "").hasNot(t, "source-elsewhere")
}

// TestDNSVerdictsInWords shows a report with everything that can be in one, in both languages.
func TestDNSVerdictsInWords(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", "owner@users.example", "example.com")
	ctx := context.Background()
	d, err := f.store.Domain(ctx, models.Everything(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	base, err := f.service.DNS(ctx, service.Console(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	report := models.DNSReport{Domain: d.Name, CheckedAt: models.At(f.now), Health: models.DNSHealthBad}
	verdicts := []models.DNSVerdict{models.DNSOK, models.DNSMissing, models.DNSWrong, models.DNSExtra, models.DNSPending, models.DNSUnknown, models.DNSNotNeeded}
	n := 0
	for _, row := range base.Results {
		if row.NotYet {
			continue
		}
		row.Verdict = verdicts[n%len(verdicts)]
		n++
		row.Notes, row.Found = []string{"double", "spf_lookups", "dkim_other"}, []string{`"><script>alert(1)</script>`}
		row.Args = map[string]string{"name": `<b>_dmarc`, "n": "11"}
		row.TTL = 600
		report.Results = append(report.Results, row)
	}
	report.Results = append(report.Results, models.DNSResult{DNSRecord: models.DNSRecord{Purpose: "ptr", Group: "host", Type: "PTR", Name: "x.", FullName: "x", Value: "mail.example.net.", Operator: true}, Verdict: models.DNSWrong})
	body, _ := json.Marshal(report)
	if _, err := f.store.SetDNSCheck(ctx, &models.DNSCheck{DomainID: d.ID, Health: report.Health, Body: string(body), CheckedAt: report.CheckedAt}, 0); err != nil {
		t.Fatal(err)
	}
	b := f.browser().login("owner@users.example", ownerPassword)
	page := b.get("/domains/example.com/dns")
	page.has(t, "Correct", "Missing", "Different", "More than needed", "10 minutes", "Could not ask", "The editor added the domain by itself", "needs 11 look-ups", "Another key is published", "looks after these")
	if strings.Contains(page.body, "<script>alert") || strings.Contains(page.body, "<b>_dmarc") {
		t.Error("text from the DNS is not escaped")
	}
	b.get("/").has(t, "are missing or different in the DNS", `href="/domains/example.com/dns"`)
	b.get("/domains").has(t, "DNS needs you")
	b.post("/language", "language", "fa")
	b.get("/domains/example.com/dns").has(t, "وجود ندارد", "متفاوت", "۱۰ دقیقه", "ویرایشگر DNS دامنه را خودش افزوده است")
}
