package dnsinfo

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/models"
)

var hostAddrs = []netip.Addr{netip.MustParseAddr("203.0.113.10")}

// TestZoneFile compares the zone file with the one in testdata, and has the library read it.
func TestZoneFile(t *testing.T) {
	i := New(Config{Hostname: host, CA: "letsencrypt.org", Services: func() []Service { return []Service{{"imaps", 993}, {"pop3", 0}} }})
	all := append([]models.DKIMKey{
		{Algorithm: models.DKIMRSA, Selector: "p0r", State: models.DKIMRetired, Public: rsaKey},
		{Algorithm: models.DKIMEd25519, Selector: "p0e", State: models.DKIMRetiring, Public: edKey},
	}, keys...)
	all = append(all, models.DKIMKey{Algorithm: models.DKIMRSA, Selector: "p2r", State: models.DKIMNext, Public: rsaKey})
	list := i.Records(&models.Domain{Name: domain, State: models.DomainPending, ProofToken: "ABC", SourceIP: "192.0.2.7"}, all, hostAddrs)
	zone := i.Zone(domain, list)
	file := filepath.Join("testdata", "zone.golden")
	if os.Getenv("POSTCHI_GOLDEN") == "write" {
		os.WriteFile(file, []byte(zone), 0o644)
	}
	want, err := os.ReadFile(file)
	if err != nil || zone != string(want) {
		t.Errorf("differs from %s (%v):\n%s", file, err, zone)
	}
	p := dns.NewZoneParser(strings.NewReader(zone), "", "")
	n := 0
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		n++
		if rr.Header().Ttl != 300 || !dns.IsSubDomain(domain+".", rr.Header().Name) {
			t.Error(rr)
		}
		if txt, is := rr.(*dns.TXT); is && strings.HasPrefix(rr.Header().Name, "p1r.") && strings.Join(txt.Txt, "") != keyText(&keys[0]) {
			t.Error(txt)
		}
	}
	if p.Err() != nil || n != 11 {
		t.Errorf("%d records, %v", n, p.Err())
	}
}

// TestSourceAddress lets a domain's mail leave from an address of its own.
func TestSourceAddress(t *testing.T) {
	i := New(Config{Hostname: host})
	for source, want := range map[string]struct {
		spf string
		ptr int
	}{
		"":             {"v=spf1 mx a:" + host + " ~all", 1},
		"192.0.2.7":    {"v=spf1 mx a:" + host + " ip4:192.0.2.7 ~all", 2},
		"2001:db8::7":  {"v=spf1 mx a:" + host + " ip6:2001:db8::7 ~all", 2},
		"203.0.113.10": {"v=spf1 mx a:" + host + " ip4:203.0.113.10 ~all", 1}, // the host's own
		"10.0.0.7":     {"v=spf1 mx a:" + host + " ~all", 1},                  // replaced on the way out
	} {
		ptr, spf := 0, ""
		for _, r := range i.Records(&models.Domain{Name: domain, SourceIP: source}, nil, hostAddrs) {
			switch r.Purpose {
			case purposePTR:
				ptr++
			case purposeSPF:
				spf = r.Value
			}
		}
		if ptr != want.ptr || spf != want.spf {
			t.Errorf("%s: %d PTR, %s", source, ptr, spf)
		}
	}
}

func TestSplit(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 255: 1, 256: 2, 510: 2, 511: 3} {
		if got := Split(strings.Repeat("x", n)); len(got) != want || strings.Join(got, "") != strings.Repeat("x", n) {
			t.Errorf("%d: %d pieces", n, len(got))
		}
	}
	if got := Quote([]string{`a"b\`, "c"}); got != `"a\"b\\" "c"` {
		t.Error(got)
	}
}

func TestSTSPolicy(t *testing.T) {
	a, b := New(Config{Hostname: host}), New(Config{Hostname: host, STSMode: "enforce"})
	if got := a.STSPolicy(); got != "version: STSv1\r\nmode: testing\r\nmx: mail.postchi.example\r\nmax_age: 604800\r\n" {
		t.Errorf("%q", got)
	}
	if a.STSID() == b.STSID() || len(a.STSID()) > 32 {
		t.Error(a.STSID(), b.STSID())
	}
}

func TestRowsWaitForTheirCertificates(t *testing.T) {
	covered := ""
	i := New(Config{Hostname: host, Covers: func(name string) bool { return name == covered }})
	for _, name := range []string{"", "mta-sts.example.com", "autoconfig.example.com"} {
		covered = name
		for _, r := range i.Records(&models.Domain{Name: domain}, nil, nil) {
			waits := r.Purpose == purposeSTS || r.Purpose == purposeSTSHost || r.Type == "CNAME"
			ready := r.FullName == covered || r.Purpose == purposeSTS && covered == "mta-sts.example.com"
			if r.NotYet != (waits && !ready) {
				t.Errorf("with a certificate for %q: %s %v", covered, r.FullName, r.NotYet)
			}
		}
	}
}

func FuzzSPF(f *testing.F) {
	for _, s := range []string{"v=spf1 mx a:x/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:y ~all", "v=spf1", "V=SPF1 -ALL", "v=spf1 redirect=x exp=y %{i}", "v=spf1 a/", "v=spf1 +", "v=spf1 ip4:1.2.3.4/33"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		terms, ok := parseSPF(s)
		if !ok {
			return
		}
		for _, term := range terms {
			if term.name == "" || term.cidr4 > 32 || term.cidr6 > 128 {
				t.Fatalf("%+v", term)
			}
			if term.qualifier != 0 && (term.name == "ip4" || term.name == "ip6") {
				if _, ok := prefix(term.value); !ok {
					t.Fatal(term.value)
				}
			}
		}
		merged := mergeSPF([]string{s}, []string{"mx", "a:" + host})
		again, ok := parseSPF(merged)
		if !ok || len(again) < 3 {
			t.Fatalf("%q becomes %q", s, merged)
		}
	})
}

func FuzzDMARC(f *testing.F) {
	for _, s := range []string{"v=DMARC1; p=none", "v=DMARC1;p=reject;pct=5;;", "v=DMARC1; p", "v = dmarc1 ; rua=mailto:a@b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v := dmarcRecord(s); v.verdict == models.DNSOK && len(v.found) > 0 || v.verdict != models.DNSOK && v.verdict != models.DNSWrong {
			t.Fatalf("%+v", v)
		}
	})
}

func FuzzDKIM(f *testing.F) {
	for _, s := range []string{keyText(&keys[0]), "v=DKIM1; p=", "p=" + rsaKey, `v=DKIM1; k=rsa; p="x"`, "k=ed25519;p=" + edKey} {
		f.Add(s)
	}
	judge := key(keyText(&keys[0]))
	f.Fuzz(func(t *testing.T, s string) {
		rr := &dns.TXT{}
		for _, part := range Split(s) {
			rr.Txt = append(rr.Txt, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(part))
		}
		v := judge(&reply{records: []dns.RR{rr}})
		if v.verdict == models.DNSOK && !strings.Contains(strings.Join(strings.Fields(s), ""), rsaKey) || v.verdict == models.DNSMissing {
			t.Fatalf("%q: %+v", s, v)
		}
		for _, found := range v.found {
			if strings.ContainsAny(found, "\x00\n\r\x1b") {
				t.Fatalf("%q", found)
			}
		}
	})
}
