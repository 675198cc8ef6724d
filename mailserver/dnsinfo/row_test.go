package dnsinfo

import (
	"context"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/models"
)

// TestOneRowAgain mends one record of a domain where two are missing.
func TestOneRowAgain(t *testing.T) {
	w := newWorld(t)
	w.Remove("_dmarc."+domain, dns.TypeANY)
	w.Remove(domain, dns.TypeMX)
	last := w.check()
	again := func(kind, name string) *models.DNSReport {
		return w.info.CheckRow(context.Background(), w.domain, w.keys, last, kind, name)
	}
	w.SetTXT("_dmarc."+domain, "v=DMARC1; p=none")
	w.Set(domain + ". IN MX 10 " + host + ".")
	r := again("TXT", "_dmarc."+domain)
	if x := find(t, r, "dmarc", ""); x.Verdict != models.DNSOK || x.CheckedAt == 0 || len(x.Found) != 0 {
		t.Errorf("%+v", x)
	}
	if x := find(t, r, "mx", ""); x.Verdict != models.DNSMissing || x.CheckedAt != 0 {
		t.Errorf("the other row: %+v", x)
	}
	if r.Health != models.DNSHealthBad || len(r.Results) != len(last.Results) {
		t.Errorf("%s, %d rows", r.Health, len(r.Results))
	}
	last = r
	if r = again("MX", domain); r.Health != models.DNSHealthOK {
		t.Error(r.Health)
	}
	if again("TXT", "other."+domain) != nil || again("A", domain) != nil {
		t.Error("a row that is none")
	}
	// A row that says nothing to anybody goes.
	w.Set(domain + `. IN CAA 0 issue "other.example"`)
	last = w.check()
	w.Remove(domain, dns.TypeCAA)
	if r = again("CAA", domain); r.Find("CAA", domain) != nil || len(r.Results) != len(last.Results)-1 {
		t.Errorf("%+v", r.Find("CAA", domain))
	}
}

// TestNoKnownAuthority leaves it open who should be in CAA records.
func TestNoKnownAuthority(t *testing.T) {
	w := newWorld(t)
	w.info.config.CA = ""
	if w.check().Find("CAA", domain) != nil {
		t.Error("a row about nothing")
	}
	w.Set(domain + `. IN CAA 0 issue "letsencrypt.org"`)
	r := w.check()
	x := r.Find("CAA", domain)
	if x == nil || x.Verdict != models.DNSNotNeeded || !slices.Equal(x.Notes, []string{"caa_unknown"}) || x.Value != "" || r.Health != models.DNSHealthOK {
		t.Errorf("%+v", x)
	}
	if zone := w.info.Zone(domain, w.info.Records(w.domain, w.keys, nil)); strings.Contains(zone, "CAA ") {
		t.Error(zone)
	}
}

func TestCSV(t *testing.T) {
	w := newWorld(t)
	w.Set(domain+". IN MX 10 "+host+".", domain+". IN MX 20 mx.other.example.")
	rows, err := csv.NewReader(strings.NewReader(w.info.CSV(w.check()))).ReadAll()
	if err != nil || len(rows) < 16 {
		t.Fatal(rows, err)
	}
	for _, want := range [][]string{
		{"type", "name", "full_name", "value", "needed", "verdict", "purpose"},
		{"MX", "@", domain, "10 " + host + ".", "yes", "extra", "mx"},
		{"TXT", "p1r._domainkey", "p1r._domainkey." + domain, keyText(&keys[0]), "yes", "ok", "dkim"},
		{"CNAME", "mta-sts", "mta-sts." + domain, host + ".", "no", "not_needed", "mta_sts_host"},
	} {
		if !slices.ContainsFunc(rows, func(got []string) bool { return slices.Equal(got, want) }) {
			t.Errorf("no row %q in %q", want, rows)
		}
	}
	if strings.Contains(w.info.CSV(w.check()), "other.example") {
		t.Error("a foreign text is in a spreadsheet")
	}
}
