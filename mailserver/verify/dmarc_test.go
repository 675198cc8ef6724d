package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

func TestParsePolicy(t *testing.T) {
	tests := []struct{ in, want string }{
		{"v=DMARC1", "p=none"},
		{"v=DMARC1;", "p=none"},
		{"v=DMARC1; p=reject", "p=reject"},
		{"v = DMARC1 ; p = Reject ; adkim=S; aspf=r", "p=reject adkim"},
		{"v=DMARC1;p=quarantine;sp=none;np=reject;t=y;psd=n;aspf=s", "p=quarantine sp=none np=reject psd=n aspf t"},
		{"v=DMARC1; psd=y", "p=none psd=y"},
		{"v=DMARC1; psd=x; t=maybe; adkim=?", "p=none"},
		{"v=DMARC1; p=reject; pct=0; rf=afrf; ri=86400; unknown=tag; nonsense; =; ;", "p=reject"},
		{"v=DMARC1; p=reject; p=none", "p=reject"},
		{"v=DMARC1; P=reject", "p=reject"},
		{"v=DMARC1; p=reject; rua=mailto:a@example.com", "p=reject"},
		{"v=DMARC1; p=please; rua=mailto:a@example.com", "p=none"},
		{"v=DMARC1; p=please", "meaningless"},
		{"v=DMARC1; p=; rua=,, ,mailto:", "meaningless"},
		{"v=DMARC1; p=reject; sp=please; psd=y", "meaningless psd=y"},
		{"v=DMARC1; p=reject; np=please; rua=https://example.com/r", "p=none"},
		{"v=DMARC1; p=please; sp=reject; aspf=s; t=y; rua=mailto:a@example.com!10m", "p=none aspf t"}, // section 4.10.1: as if p=none stood there
		{"v=DMARC1 p=reject", "no"},
		{"v=dmarc1; p=reject", "no"},
		{"V=DMARC1; p=reject", "p=reject"}, // section 4.8: the case of the value alone counts
		{"v=DMARC2; p=reject", "no"},
		{" p=reject; v=DMARC1", "no"},
		{"v=DMARC1x", "no"},
		{"v=spf1 -all", "no"},
		{"", "no"},
	}
	for _, tt := range tests {
		if got := printPolicy(parsePolicy(tt.in)); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.in, got, tt.want)
		}
	}
}

func printPolicy(p *policy, ok bool) string {
	if !ok {
		return "no"
	}
	s := "p=" + p.p.String()
	if p.meaningless {
		s = "meaningless"
	}
	if p.hasSP {
		s += " sp=" + p.sp.String()
	}
	if p.hasNP {
		s += " np=" + p.np.String()
	}
	if p.psd != 'u' {
		s += " psd=" + string(p.psd)
	}
	for name, on := range map[string]bool{" adkim": p.strictDKIM, " aspf": p.strictSPF} {
		if on {
			s += name
		}
	}
	if p.testing {
		s += " t"
	}
	return s
}

// The walks of RFC 9989, section 4.10, and what the list of public suffixes adds.
func TestTreeWalk(t *testing.T) {
	tests := []struct {
		name, domain string
		records      []string // at _dmarc.: domain, text
		org, record  string
	}{
		{"no record", "a.mail.example.com", nil, "a.mail.example.com", ""},
		{"own record", "example.com", []string{"example.com", "p=none"}, "example.com", "example.com"},
		{"example of the RFC: the highest record", "a.mail.example.com", []string{"mail.example.com", "", "example.com", ""}, "example.com", "example.com"},
		{"example of the RFC: only the registry's", "a.mail.example.com", []string{"com", "psd=y"}, "example.com", "com"},
		{"registry and organization", "a.mail.example.com", []string{"com", "psd=y", "example.com", ""}, "example.com", "example.com"},
		{"registry, organization and own", "a.example.com", []string{"com", "psd=y", "example.com", "", "a.example.com", ""}, "example.com", "a.example.com"},
		{"psd=n ends the walk", "a.mail.example.com", []string{"mail.example.com", "psd=n", "example.com", ""}, "mail.example.com", "mail.example.com"},
		{"own psd=n", "mail.example.com", []string{"mail.example.com", "psd=n", "example.com", ""}, "mail.example.com", "mail.example.com"},
		{"registry below another", "a.bank.example.com", []string{"bank.example.com", "psd=y", "com", "psd=y"}, "a.bank.example.com", "bank.example.com"},
		{"mail of a registry", "gov.example", []string{"gov.example", "psd=y"}, "gov.example", "gov.example"},
		{"mail of a registry below a record", "gov.example", []string{"gov.example", "psd=y", "example", ""}, "gov.example", "gov.example"}, // section 4.10, step 2: psd=y ends the walk
		{"psd=u", "a.mail.example.com", []string{"mail.example.com", "psd=u", "example.com", ""}, "example.com", "example.com"},
		{"policy between author and organization", "a.mail.example.com", []string{"mail.example.com", "p=reject", "example.com", "p=none"}, "example.com", "example.com"}, // section 4.10.1 names three places
		{"own record and organization", "mail.example.com", []string{"mail.example.com", "", "example.com", ""}, "example.com", "mail.example.com"},
		{"eight labels", "a.b.c.d.e.f.example.com", []string{"b.c.d.e.f.example.com", "psd=n"}, "b.c.d.e.f.example.com", "b.c.d.e.f.example.com"},
		{"section 5.1.8: zone cut that is not found", "mail.a.b.c.d.e.f.g.example.com", []string{"b.c.d.e.f.g.example.com", "psd=n", "example.com", ""}, "example.com", "example.com"},
		{"several records are none", "a.example.com", []string{"a.example.com", "p=none", "a.example.com", "p=reject", "example.com", "p=quarantine"}, "example.com", "example.com"},
		{"other texts do not count", "example.com", []string{"example.com", "p=none", "example.com", "!v=spf1 -all"}, "example.com", "example.com"},
		{"deep: the highest seven and itself", "a.b.c.d.e.f.g.h.mail.example.com", []string{"a.b.c.d.e.f.g.h.mail.example.com", "", "b.c.d.e.f.g.h.mail.example.com", "psd=n", "e.f.g.h.mail.example.com", ""}, "e.f.g.h.mail.example.com", "a.b.c.d.e.f.g.h.mail.example.com"},
		{"careless registry", "a.example.co.uk", []string{"co.uk", "p=reject"}, "example.co.uk", "co.uk"},
		{"careless registry and organization", "a.example.co.uk", []string{"co.uk", "p=reject", "example.co.uk", ""}, "example.co.uk", "example.co.uk"},
		{"careful registry", "a.example.co.uk", []string{"co.uk", "p=reject; psd=n"}, "co.uk", "co.uk"},
		{"private suffix follows the walk", "a.github.io", []string{"github.io", ""}, "github.io", "github.io"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := resolvertest.New(t)
			lines := []string{}
			for i := 0; i < len(tt.records); i += 2 {
				text, other := strings.CutPrefix(tt.records[i+1], "!")
				if !other {
					text = "v=DMARC1; " + text
				}
				lines = append(lines, fmt.Sprintf("_dmarc.%s TXT %q", tt.records[i], text))
			}
			s.Set(lines...)
			o := newVerifier(t, s).newWalker(t.Context()).organization(tt.domain)
			record := ""
			if o.record != nil {
				record = o.record.domain
			}
			if o.domain != tt.org || record != tt.record || o.err != nil {
				t.Errorf("organization %s, record of %q (%v); want %s, %q", o.domain, record, o.err, tt.org, tt.record)
			}
		})
	}
}

func TestWalkAsksEightNames(t *testing.T) {
	for _, want := range [][]string{
		{"a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com", "i.j.mail.example.com", "j.mail.example.com",
			"mail.example.com", "example.com", "com"}, // RFC 9989, section 4.10
		{"mail.a.b.c.d.e.f.g.example.com", "c.d.e.f.g.example.com", "d.e.f.g.example.com", "e.f.g.example.com", "f.g.example.com", "g.example.com", "example.com", "com"}, // section 5.1.8
		{"a.b.c.d.e.f.example.com", "b.c.d.e.f.example.com", "c.d.e.f.example.com", "d.e.f.example.com", "e.f.example.com", "f.example.com", "example.com", "com"},
		{"b.c.d.e.f.example.com", "c.d.e.f.example.com", "d.e.f.example.com", "e.f.example.com", "f.example.com", "example.com", "com"},
		{"com"},
	} {
		if got := targets(want[0]); !slices.Equal(got, want) {
			t.Error(got)
		}
	}
}

// dmarcCase is a message with its DNS and what becomes of it.
type dmarcCase struct {
	name   string
	zone   []string
	fail   []string // names whose look-up fails
	from   string   // whole fields; "" is sara@example.com
	sender string   // "" is <>
	sign   []string // domains that sign
	want   string
}

func TestDMARC(t *testing.T) {
	const spf, spfNone = `example.com TXT "v=spf1 ip4:192.0.2.1 -all"`, `example.com TXT "v=spf1 -all"`
	record := func(domain, rest string) string { return fmt.Sprintf("_dmarc.%s TXT \"v=DMARC1; %s\"", domain, rest) }
	reject := record("example.com", "p=reject")
	exists := "sub.example.com A 192.0.2.9"
	tests := []dmarcCase{
		{"nothing is known", nil, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=none"},
		{"spf", []string{spf, reject}, nil, "", "sara@example.com", nil, "spf=pass dkim=none dmarc=pass"},
		{"dkim", []string{reject}, nil, "", "sara@other.org", []string{"example.com"}, "spf=none dkim=pass dmarc=pass"},
		{"both", []string{spf, reject}, nil, "", "sara@example.com", []string{"example.com"}, "spf=pass dkim=pass dmarc=pass"},
		{"neither", []string{spfNone, reject}, nil, "", "sara@example.com", nil, "spf=fail dkim=none dmarc=fail reject"},
		{"quarantine", []string{record("example.com", "p=quarantine")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail quarantine"},
		{"none", []string{record("example.com", "p=none")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail"},
		{"no p", []string{record("example.com", "")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail"},
		// RFC 9989, section 4.7, t: one level below
		{"reject, tried", []string{record("example.com", "p=reject; t=y")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail quarantine"},
		{"quarantine, tried", []string{record("example.com", "p=quarantine; t=y")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail"},
		{"none, tried", []string{record("example.com", "p=none; t=y")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail"},
		{"sp, tried", []string{record("example.com", "p=none; sp=reject; t=y"), exists}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail quarantine"},
		{"np, tried", []string{record("example.com", "p=none; np=quarantine; t=y")}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"t=n", []string{record("example.com", "p=reject; t=n")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail reject"},
		{"pct is gone", []string{record("example.com", "p=reject; pct=0")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=fail reject"},
		{"unreadable", []string{record("example.com", "p=please")}, nil, "", "sara@example.com", nil, "spf=none dkim=none dmarc=permerror"},
		{"null sender speaks for HELO", []string{`mail.example.com TXT "v=spf1 a -all"`, "mail.example.com A 192.0.2.1", reject}, nil, "", "", nil, "spf=pass dkim=none dmarc=pass"},

		{"spf of another domain", []string{`other.org TXT "v=spf1 +all"`, reject}, nil, "", "sara@other.org", nil, "spf=pass dkim=none dmarc=fail reject"},
		{"dkim of another domain", []string{reject}, nil, "", "sara@other.org", []string{"other.org"}, "spf=none dkim=pass dmarc=fail reject"},
		{"relaxed: spf below", []string{`bounce.example.com TXT "v=spf1 +all"`, reject}, nil, "", "x@bounce.example.com", nil, "spf=pass dkim=none dmarc=pass"},
		{"relaxed: dkim above", []string{reject}, nil, "From: a@news.example.com", "a@other.org", []string{"example.com"}, "spf=none dkim=pass dmarc=pass"},
		{"relaxed: siblings", []string{reject}, nil, "From: a@news.example.com", "a@other.org", []string{"mail.example.com"}, "spf=none dkim=pass dmarc=pass"},
		{"strict: spf below", []string{`bounce.example.com TXT "v=spf1 +all"`, record("example.com", "p=reject; aspf=s")}, nil, "", "x@bounce.example.com", nil, "spf=pass dkim=none dmarc=fail reject"},
		{"strict: dkim below", []string{record("example.com", "p=reject; adkim=s")}, nil, "", "x@other.org", []string{"news.example.com"}, "spf=none dkim=pass dmarc=fail reject"},
		{"strict: the same", []string{record("example.com", "p=reject; adkim=s")}, nil, "", "x@other.org", []string{"example.com"}, "spf=none dkim=pass dmarc=pass"},
		{"the registry is nobody's organization", []string{record("com", "p=reject; psd=y")}, nil, "", "x@other.org", []string{"evil.com"}, "spf=none dkim=pass dmarc=fail reject"},
		{"signature by the registry", []string{reject}, nil, "", "x@other.org", []string{"com"}, "spf=none dkim=pass dmarc=fail reject"},
		{"only looks like it", []string{reject}, nil, "", "x@other.org", []string{"notexample.com"}, "spf=none dkim=pass dmarc=fail reject"},

		{"subdomain follows p", []string{reject, exists}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"subdomain follows sp", []string{record("example.com", "p=reject; sp=none"), exists}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"subdomain with its own", []string{reject, record("sub.example.com", "p=none")}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"subdomain that does not exist", []string{record("example.com", "p=none; np=reject")}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"subdomain that exists, np", []string{record("example.com", "p=none; np=reject"), exists}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"subdomain with MX only, np", []string{record("example.com", "p=none; np=reject"), "sub.example.com MX 0 ."}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		// section 3.2.13 and A.4: any record makes a domain exist, and so does a name below it (RFC 8020)
		{"subdomain with TXT only, np", []string{record("example.com", "p=none; np=reject"), "sub.example.com TXT x"}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"subdomain with a name below it, np", []string{record("example.com", "p=none; np=reject"), "x.sub.example.com A 192.0.2.9"}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"without np, sp", []string{record("example.com", "p=none; sp=reject")}, nil, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"np for no domain itself", []string{record("example.com", "p=none; np=reject")}, nil, "", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"registry's policy for who is not there", []string{record("com", "p=none; np=reject; psd=y")}, nil, "", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},

		{"two From fields", []string{spf, reject}, nil, "From: sara@example.com\r\nFrom: x@evil.org", "sara@example.com", nil, "spf=pass dkim=none dmarc=fail reject"},
		{"From with space before the colon", []string{spf, reject}, nil, "From : x@other.org\r\nFrom: sara@example.com", "sara@example.com", nil, "spf=pass dkim=none dmarc=fail reject"},
		{"no From", []string{spf}, nil, "Subject: x", "sara@example.com", nil, "spf=pass dkim=none dmarc=none"},
		{"From without a domain", nil, nil, "From: root", "sara@example.com", nil, "spf=none dkim=none dmarc=permerror"},
		{"two authors, one forged", []string{spf, reject, record("bank.org", "p=quarantine")}, nil, "From: sara@example.com, ceo@bank.org", "sara@example.com", nil, "spf=pass dkim=none dmarc=fail quarantine"},
		{"two authors, one without policy", []string{spf, reject}, nil, "From: sara@example.com, x@other.org", "sara@example.com", nil, "spf=pass dkim=none dmarc=none"},
		{"two authors of one domain", []string{spf, reject}, nil, "From: sara@example.com, b@EXAMPLE.com", "sara@example.com", nil, "spf=pass dkim=none dmarc=pass"},
		{"too many authors", []string{spf}, nil, "From: a@a.org, a@b.org, a@c.org, a@d.org, a@example.com", "sara@example.com", nil, "spf=pass dkim=none dmarc=fail reject"},
		{"author in a group", []string{reject}, nil, "From: Team: sara@example.com;", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"author in another script", []string{record("xn--mgbh0fb.xn--mgba3a4f16a", "p=reject")}, nil, "From: a@مثال.ایران", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"author without closing bracket", []string{reject}, nil, "From: \"x\" <sara@example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"author after a comma", []string{reject}, nil, "From: x@other.org, <sara@example.com>", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},

		{"policy unknown", []string{spfNone}, []string{"_dmarc.example.com"}, "", "a@other.org", nil, "spf=none dkim=none dmarc=temperror later"},
		{"policy unknown, but met", []string{spf}, []string{"_dmarc.example.com"}, "", "sara@example.com", nil, "spf=pass dkim=none dmarc=temperror"},
		{"policy above unknown", nil, []string{"_dmarc.example.com"}, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=temperror later"},
		{"own policy is enough", []string{record("sub.example.com", "p=reject")}, []string{"_dmarc.example.com"}, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"a registry that fails holds nobody up", []string{reject}, []string{"_dmarc.com"}, "", "a@other.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"a registry that fails, no policy", nil, []string{"_dmarc.com"}, "", "a@other.org", nil, "spf=none dkim=none dmarc=none"},
		{"spf unknown", []string{reject}, []string{"example.com"}, "", "sara@example.com", nil, "spf=temperror dkim=none dmarc=temperror later"},
		{"spf unknown, policy none", []string{record("example.com", "p=none")}, []string{"example.com"}, "", "sara@example.com", nil, "spf=temperror dkim=none dmarc=temperror"},
		{"spf unknown, policy tried", []string{record("example.com", "p=quarantine; t=y")}, []string{"example.com"}, "", "sara@example.com", nil, "spf=temperror dkim=none dmarc=temperror"},
		{"spf unknown, stricter policy tried", []string{record("example.com", "p=reject; t=y")}, []string{"example.com"}, "", "sara@example.com", nil, "spf=temperror dkim=none dmarc=temperror later"},
		{"existence unknown, policies tried", []string{record("example.com", "p=none; np=quarantine; t=y")}, []string{"sub.example.com"}, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=fail"},
		{"spf unknown, dkim passes", []string{reject}, []string{"example.com"}, "", "sara@example.com", []string{"example.com"}, "spf=temperror dkim=pass dmarc=pass"},
		{"spf of another domain unknown", []string{reject}, []string{"other.org"}, "", "sara@other.org", nil, "spf=temperror dkim=none dmarc=fail reject"},
		{"dkim unknown", []string{spfNone, reject}, []string{"k._domainkey.example.com"}, "", "sara@example.com", []string{"example.com"}, "spf=fail dkim=temperror dmarc=temperror later"},
		{"dkim of another domain unknown", []string{spfNone, reject}, []string{"k._domainkey.other.org"}, "", "sara@example.com", []string{"other.org"}, "spf=fail dkim=temperror dmarc=fail reject"},
		{"dkim unknown, another passes", []string{reject}, []string{"k._domainkey.news.example.com"}, "", "sara@other.org", []string{"news.example.com", "example.com"}, "spf=none dkim=pass dmarc=pass"},
		{"alignment unknown", []string{reject}, []string{"_dmarc.news.example.com"}, "", "a@other.org", []string{"news.example.com"}, "spf=none dkim=pass dmarc=temperror later"},
		{"existence unknown", []string{record("example.com", "p=none; np=reject")}, []string{"sub.example.com"}, "From: a@sub.example.com", "a@other.org", nil, "spf=none dkim=none dmarc=temperror later"},
		{"one author unknown, another refused", []string{reject}, []string{"_dmarc.other.org"}, "From: a@other.org, sara@example.com", "a@third.org", nil, "spf=none dkim=none dmarc=fail reject"},
		{"one author unknown, another passes", []string{spf, reject}, []string{"_dmarc.other.org"}, "From: a@other.org, sara@example.com", "sara@example.com", nil, "spf=pass dkim=none dmarc=temperror later"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t) })
	}
}

func (tt dmarcCase) run(t *testing.T) {
	s := resolvertest.New(t)
	s.Set(tt.zone...)
	text := plain
	if tt.from != "" {
		text = strings.Replace(plain, "From: Sara <sara@example.com>", tt.from, 1)
	}
	for _, domain := range tt.sign {
		s.SetTXT("k._domainkey."+domain, keyRecord(keys().ed25519))
		text = signed(t, text, dkim.SignOptions{Domain: domain, Selector: "k", Signer: keys().ed25519})
	}
	for _, name := range tt.fail {
		s.Fail(name, dns.RcodeServerFailure)
	}
	m := message(t, text)
	m.Sender = address.Address{}
	if tt.sender != "" {
		m.Sender, _ = address.Parse(tt.sender)
	}
	v := newVerifier(t, s)
	if _, got := verdicts(t, v, m); got != tt.want {
		t.Errorf("%s, want %s", got, tt.want)
	}
	if strings.HasSuffix(tt.want, "later") {
		if _, err := v.Verify(t.Context(), m); !models.Is(err, models.Unavailable) {
			t.Errorf("%v", err)
		}
	}
}

// Two addresses in one From, in every form that lets programs disagree about which one it is: none
// passes for the one that SPF speaks for (RFC 9989, section 11.5).
func TestTwoAuthorsNeverPass(t *testing.T) {
	s := resolvertest.New(t)
	s.Set(`example.com TXT "v=spf1 ip4:192.0.2.1 -all"`, `_dmarc.example.com TXT "v=DMARC1; p=reject"`, `_dmarc.bank.org TXT "v=DMARC1; p=reject"`)
	v := newVerifier(t, s)
	for _, from := range []string{
		"sara@example.com, ceo@bank.org", "ceo@bank.org, sara@example.com", "ceo@bank.org\r\n\t, sara@example.com", "sara@example.com; ceo@bank.org",
		"<sara@example.com>, <ceo@bank.org>", "<sara@example.com> <ceo@bank.org>", "<ceo@bank.org> <sara@example.com>", "sara@example.com <ceo@bank.org>",
		"sara@example.com ceo@bank.org", "ceo@bank.org sara@example.com", "ceo@bank.org via list <sara@example.com>", "<sara@example.com ceo@bank.org>", "<ceo@bank.org\r\n sara@example.com>",
		"sara@example.com@bank.org", "ceo@bank.org@example.com", "<sara@example.com>@bank.org", "<sara@example.com> @bank.org",
		"<@bank.org:sara@example.com>", "<@example.com,@bank.org:sara@example.com>", "<@example.com:ceo@bank.org>", "<<ceo@bank.org>> <sara@example.com>",
		"x: ceo@bank.org; sara@example.com", "x: sara@example.com; ceo@bank.org", "ceo@bank.org: sara@example.com;", "Team: sara@example.com, ceo@bank.org;",
		"ceo@bank.org\\, sara@example.com", "(x sara@example.com, ceo@bank.org", "((x) sara@example.com, (ceo@bank.org)", "\"x sara@example.com, ceo@bank.org", "sara@example.com (x) ceo@ bank.org",
		"sara@example.com <sara@example.com> <ceo@bank.org>", "a@example.com, \"x\" <b@example.com>, \"y\" <c@bank.org>",
		"sara@example.com, ceo@bank.org..", "sara@example.com, ceo@ba\xffnk.org", "sara@example.com, ceo@-\xe2\x80\x8b.org",
	} {
		r, got := verdicts(t, v, message(t, strings.Replace(plain, "Sara <sara@example.com>", from, 1)))
		if r.DMARC == "pass" || r.DMARC == "none" {
			t.Errorf("%q: %s", from, got)
		}
	}
	for _, from := range []string{
		"sara@example.com", "Sara <sara@example.com>", "\"ceo@bank.org\" <sara@example.com>", "sara@example.com (ceo@bank.org)", "(ceo@bank.org) sara@example.com",
		"ceo@bank.org <sara@example.com>", // a name
		"\"a@b\"@example.com", "\"(\" <sara@example.com>", "(\") sara@example.com", "=?utf-8?q?ceo=40bank.org?= <sara@example.com>", "Team: sara@example.com, b@EXAMPLE.COM;", "sara@example.com.",
	} {
		if r, got := verdicts(t, v, message(t, strings.Replace(plain, "Sara <sara@example.com>", from, 1))); r.DMARC != "pass" {
			t.Errorf("%q: %s", from, got)
		}
	}
}
