package verify

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models/address"
)

// newSPFServer has the zone of RFC 7208, appendix A.
func newSPFServer(t *testing.T) *resolvertest.Server {
	s := resolvertest.New(t)
	s.Set(
		"example.com MX 10 mail-a.example.com.", "example.com MX 20 mail-b.example.com.",
		"example.com A 192.0.2.10", "example.com A 192.0.2.11", "example.com AAAA 2001:db8::10",
		"amy.example.com A 192.0.2.65", "bob.example.com A 192.0.2.66",
		"mail-a.example.com A 192.0.2.129", "mail-b.example.com A 192.0.2.130",
		"www.example.com CNAME example.com.",
		"example.org MX 10 mail-c.example.org.", "mail-c.example.org A 192.0.2.140",
		"10.2.0.192.in-addr.arpa PTR example.com.", "11.2.0.192.in-addr.arpa PTR example.com.",
		"65.2.0.192.in-addr.arpa PTR amy.example.com.", "66.2.0.192.in-addr.arpa PTR bob.example.com.",
		"129.2.0.192.in-addr.arpa PTR mail-a.example.com.", "130.2.0.192.in-addr.arpa PTR mail-b.example.com.",
		"140.2.0.192.in-addr.arpa PTR mail-c.example.org.",
		"10.0.0.4.in-addr.arpa PTR bob.example.com.", // RFC 7208, appendix A: bob does not lead back to it
		"4.3.2.1.spf.example.com A 127.0.0.2",
	)
	return s
}

func TestSPF(t *testing.T) {
	s := newSPFServer(t)
	var exchangers []string
	tests := []struct{ record, remote, want string }{
		// RFC 7208, appendices A.1 to A.4.
		{"v=spf1 +all", "192.0.2.1", "pass"},
		{"v=spf1 a -all", "192.0.2.10", "pass"},
		{"v=spf1 a -all", "192.0.2.11", "pass"},
		{"v=spf1 a -all", "192.0.2.12", "fail"},
		{"v=spf1 a:example.org -all", "192.0.2.10", "fail"},
		{"v=spf1 mx -all", "192.0.2.129", "pass"},
		{"v=spf1 mx -all", "192.0.2.130", "pass"},
		{"v=spf1 mx -all", "192.0.2.10", "fail"},
		{"v=spf1 mx:example.org -all", "192.0.2.140", "pass"},
		{"v=spf1 mx mx:example.org -all", "192.0.2.140", "pass"},
		{"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", "pass"},
		{"v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", "pass"},
		{"v=spf1 ptr -all", "192.0.2.10", "pass"},
		{"v=spf1 ptr -all", "192.0.2.65", "pass"},
		{"v=spf1 ptr -all", "192.0.2.140", "fail"},
		{"v=spf1 ptr -all", "10.0.0.4", "fail"},
		{"v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", "pass"},
		{"v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", "fail"},
		{"v=spf1 -all", "192.0.2.10", "fail"},
		{"v=spf1 a mx -all", "192.0.2.129", "pass"},
		// The four other answers, IPv6, and what our resolver has to get right.
		{"v=spf1 ~all", "192.0.2.1", "softfail"},
		{"v=spf1 ?all", "192.0.2.1", "neutral"},
		{"v=spf1", "192.0.2.1", "neutral"},
		{"v=spf1 nonsense -all", "192.0.2.1", "permerror"},
		{"v=spf1 ip4:192.0.2.300 -all", "192.0.2.1", "permerror"},
		{"v=spf1 include:nowhere.example.com -all", "192.0.2.1", "permerror"},
		{"v=spf1 a -all", "2001:db8::10", "pass"},
		{"v=spf1 a -all", "2001:db8::11", "fail"},
		{"v=spf1 a/24//64 -all", "2001:db8::99", "pass"},
		{"v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::1", "pass"},
		{"v=spf1 a -all", "::ffff:192.0.2.10", "pass"},
		{"v=spf1 exists:%{ir}.spf.example.com -all", "1.2.3.4", "pass"},
		{"v=spf1 exists:4.3.2.1.spf.example.com -all", "2001:db8::1", "pass"},
		{"v=spf1 a:192.0.2.1 -all", "192.0.2.1", "permerror"}, // section 7.1: the last label of a name is not all digits
		{"v=spf1 +all nonsense", "192.0.2.1", "permerror"},    // section 4.6: a mistake anywhere counts
		{"v=spf1 ip4:192.0.2.1 exp=", "192.0.2.1", "permerror"},
		{"V=SPF1 IP4:192.0.2.1 -ALL", "192.0.2.1", "pass"},
		{"v=spf1 include:mistake.example.com +all", "192.0.2.1", "permerror"}, // section 5.2
		{"v=spf1 ~all redirect=mistake.example.com", "192.0.2.1", "softfail"}, // section 6.1: not used
		{"v=spf1 redirect=nowhere.example.com", "192.0.2.1", "permerror"},
		{"v=spf1 mx:many.example.com -all", "192.0.2.1", "permerror"}, // section 4.6.4: over 10 exchangers
		{"v=spf1 exists:%{h}.helo.example.com -all", "192.0.2.1", "pass"},
		{"v=spf1 exists:" + strings.Repeat("%{o}.", 30) + "long.example.com -all", "192.0.2.1", "pass"}, // section 7.3: cut on the left
		{"v=spf1 exists:%{l1r-}.%{o2}.macro.example.com -all", "192.0.2.1", "pass"},
		{"v=spf1 exists:%{i}.%{v}.%{s}.%%.macro.example.com -all", "192.0.2.1", "fail"},
		{"v=spf1 a:failing.example.com -all", "192.0.2.1", "temperror"},
		{"v=spf1 mx:failing.example.com ~all", "192.0.2.1", "temperror"},
		{"v=spf1 include:failing.example.com +all", "192.0.2.1", "temperror"},
		{"v=spf1 a:six-fails.example.com -all", "2001:db8::5", "temperror"},
		{"v=spf1 a:v1.example.com a:v2.example.com a:v3.example.com +all", "192.0.2.1", "permerror"}, // section 4.6.4: void look-ups
		{"v=spf1 redirect=loop.example.com", "192.0.2.1", "permerror"},
		{"v=spf1 include:loop.example.com +all", "192.0.2.1", "permerror"},
		{"v=spf1 exists:%{l}.%{o}.%{h}.example.com -all", "192.0.2.1", "fail"},
	}
	s.Set(`loop.example.com TXT "v=spf1 redirect=loop.example.com"`, `mistake.example.com TXT "v=spf1 +all ip4"`, "mail.example.com.helo.example.com A 127.0.0.2",
		"x.example.com.macro.example.com A 127.0.0.2", "*.long.example.com A 127.0.0.2")
	for i := range 11 {
		s.Set(fmt.Sprintf("x%d.many.example.com A 192.0.2.1", i))
		exchangers = append(exchangers, fmt.Sprintf("many.example.com MX 1 x%d.many.example.com.", i))
	}
	s.Set(exchangers...)
	s.Fail("failing.example.com", dns.RcodeServerFailure)
	s.Fail("six-fails.example.com", dns.RcodeServerFailure)
	v := newVerifier(t, s)
	for _, tt := range tests {
		t.Run(tt.record+" "+tt.remote, func(t *testing.T) {
			s.SetTXT("sender.example.com", tt.record)
			s.SetTXT("example.com", tt.record)
			domain := "example.com"
			m := message(t, plain)
			m.Remote, m.Sender = netip.MustParseAddr(tt.remote), address.Address{Local: "x", Domain: domain}
			r, _ := verdicts(t, v, m)
			if r.SPF != tt.want {
				t.Errorf("%s, want %s", r.SPF, tt.want)
			}
		})
	}
}

// RFC 7208, section 12.
func TestSPFGrammar(t *testing.T) {
	good := []string{
		"v=spf1", "v=spf1 ", "v=spf1  a   -all  ", "v=SPF1 A:example.com MX/24//64 ?All", "v=spf1 a/0 a//128 mx:example.com./32", "v=spf1 ptr ptr:example.com",
		"v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip6:2001:db8:: ip6:::1/128 ip6:::ffff:192.0.2.1", "v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all",
		"v=spf1 include:_spf.example.com redirect=a.b.xn--p1ai exp=ex.%{d}", "v=spf1 x=1 y.z-_=%{l} moo=", "v=spf1 exists:%{l1r+-}.%{D}", "v=spf1 exists:a%%b%_c%-.example.com",
		"v=spf1 exists:%{d}", "v=spf1 a:-x.example.com a:foo:bar.example.com", "v=spf1 mx:example.co-op",
	}
	bad := []string{
		"v=spf1 all.", "v=spf1 all:example.com", "v=spf1 all/8", "v=spf1 a: -all", "v=spf1 a:com", "v=spf1 a:com.", "v=spf1 a:example.com:8080", "v=spf1 a:1.2.3.4", "v=spf1 a:example.-com",
		"v=spf1 a:example.com-", "v=spf1 a/33", "v=spf1 a/032", "v=spf1 a//129", "v=spf1 a/", "v=spf1 a/-1", "v=spf1 a//24/64", "v=spf1 mx:", "v=spf1 include", "v=spf1 include:", "v=spf1 include:example.com/24",
		"v=spf1 ip4", "v=spf1 ip4:", "v=spf1 ip4:1.2.3", "v=spf1 ip4:1.2.3.4:25", "v=spf1 ip4:1.2.3.4//32", "v=spf1 ip4:256.0.0.1", "v=spf1 ip4:::1", "v=spf1 ip6:1.2.3.4", "v=spf1 ip6:::1/129", "v=spf1 ip6:::1//64", "v=spf1 ip6:1:::2",
		"v=spf1 exists", "v=spf1 exists:", "v=spf1 exists:%{x}.example.com", "v=spf1 exists:%(d)", "v=spf1 exists:%d.example.com", "v=spf1 exists:%{d0}", "v=spf1 exists:%{d", "v=spf1 exists:%{c}.example.com", "v=spf1 exp=%{t}.example.com",
		"v=spf1 redirect=", "v=spf1 redirect=example.com redirect=example.com", "v=spf1 exp=a.b EXP=a.b", "v=spf1 redirect:example.com", "v=spf1 =x", "v=spf1 1x=y", "v=spf1 -x=y", "v=spf1 x=%q",
		"v=spf1 a\tmx", "v=spf1 a\x00", "v=spf1 a:\xc3\xa9.example.com", "v=spf1 a,mx", "v=spf1 --all", "v=spf1 ++a", "v=spf1 ptr/24", "v=spf1 mistake",
	}
	for want, records := range map[bool][]string{true: good, false: bad} {
		for _, record := range records {
			if got := isSPF(record) && validSPF(record); got != want {
				t.Errorf("%q: %v", record, got)
			}
		}
	}
	for _, text := range []string{"", "v=spf10", "v=spf1-all", "v=spf1\t-all", " v=spf1", "spf1", "v=spf"} {
		if isSPF(text) {
			t.Errorf("%q is a record", text)
		}
	}
}

func TestSPFIdentities(t *testing.T) {
	s := resolvertest.New(t)
	s.Set(`mail.example.com TXT "v=spf1 ip4:192.0.2.1 -all"`, `example.com TXT "v=spf1 ip4:192.0.2.2 -all"`, `twice.example.com TXT "v=spf1 +all"`, `twice.example.com TXT "v=spf1 -all"`)
	s.Fail("failing.example.com", dns.RcodeServerFailure)
	v := newVerifier(t, s)
	sender := func(domain string) address.Address { return address.Address{Local: "a", Domain: domain} }
	tests := []struct {
		helo     string
		sender   address.Address
		want     string
		wantHELO string
	}{
		{"mail.example.com", sender("example.com"), "fail", "pass"},
		{"MAIL.Example.com.", sender("example.com"), "fail", "pass"},
		{"mail.example.com", address.Address{}, "pass", "pass"},
		{"[192.0.2.1]", sender("example.com"), "fail", "none"},
		{"192.0.2.1", address.Address{}, "none", "none"},
		{"localhost", address.Address{}, "none", "none"},
		{"", sender("nowhere.example.com"), "none", "none"},
		{"failing.example.com", sender("example.com"), "fail", "temperror"},
		{"x", sender("failing.example.com"), "temperror", "none"},
		{"x", sender("twice.example.com"), "permerror", "none"},
		{"x", address.Address{Local: "x@evil.example", Domain: "example.com"}, "fail", "none"},
	}
	for _, tt := range tests {
		m := message(t, plain)
		m.HELO, m.Sender = tt.helo, tt.sender
		r, _ := verdicts(t, v, m)
		if r.SPF != tt.want || r.SPFHELO != tt.wantHELO {
			t.Errorf("%q, %q: %s and %s, want %s and %s", tt.helo, tt.sender, r.SPF, r.SPFHELO, tt.want, tt.wantHELO)
		}
	}
}

func TestIPRev(t *testing.T) {
	s := resolvertest.New(t)
	s.Set("1.2.0.192.in-addr.arpa PTR wrong.example.com.", "1.2.0.192.in-addr.arpa PTR Mail.example.com.", "mail.example.com A 192.0.2.1", "wrong.example.com A 192.0.2.2",
		"2.2.0.192.in-addr.arpa PTR mail.example.com.", "3.2.0.192.in-addr.arpa PTR nowhere.example.com.", "5.2.0.192.in-addr.arpa PTR failing.example.com.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.example.com.", "six.example.com AAAA 2001:db8::1")
	s.Fail("failing.example.com", dns.RcodeServerFailure)
	s.Fail("6.2.0.192.in-addr.arpa", dns.RcodeServerFailure)
	v := newVerifier(t, s)
	tests := []struct{ remote, want, host string }{
		{"192.0.2.1", "pass", "mail.example.com"},
		{"192.0.2.2", "fail", ""},
		{"192.0.2.3", "fail", ""},
		{"192.0.2.4", "permerror", ""},
		{"192.0.2.5", "temperror", ""},
		{"192.0.2.6", "temperror", ""},
		{"2001:db8::1", "pass", "six.example.com"},
		{"::ffff:192.0.2.1", "pass", "mail.example.com"},
	}
	for _, tt := range tests {
		m := message(t, plain)
		m.Remote = netip.MustParseAddr(tt.remote)
		if r, _ := verdicts(t, v, m); r.IPRev != tt.want || r.Host != tt.host {
			t.Errorf("%s: %s %q, want %s %q", tt.remote, r.IPRev, r.Host, tt.want, tt.host)
		}
	}
	m := message(t, plain)
	m.Remote = netip.Addr{}
	if r, _ := verdicts(t, v, m); r.IPRev != "permerror" || r.SPF != "none" {
		t.Errorf("without an address: %s, %s", r.IPRev, r.SPF)
	}
}
