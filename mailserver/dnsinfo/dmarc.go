package dnsinfo

import (
	"slices"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/postchi/postchi/models"
)

// dmarc takes any policy that receivers understand (RFC 9989, section 4.7).
func (c *checker) dmarc(r *reply) finding {
	texts, mistake := versioned(r.texts(), "DMARC1")
	switch {
	case mistake != nil:
		return *mistake
	case len(texts) == 0:
		return c.noDMARC()
	case len(texts) > 1: // RFC 9989, section 4.7: then there is no policy
		return wrong(texts, "several")
	}
	f := dmarcRecord(texts[0])
	if f.verdict == models.DNSOK {
		c.reportsElsewhere(texts[0], &f)
	}
	return f
}

// oldTags went with RFC 9989: receivers pass them over.
var oldTags = []string{"pct", "rf", "ri"}

// dmarcRecord reads one record; it is a function of the text alone.
func dmarcRecord(text string) finding {
	tags, good := parseTags(text)
	if !good {
		return wrong([]string{text}, "syntax")
	}
	f := ok()
	switch p := strings.ToLower(get(tags, "p")); {
	case slices.Contains([]string{"none", "quarantine", "reject"}, p):
	case p == "" && has(tags, "rua"):
		f.note("dmarc_no_policy") // RFC 9989, section 4.7: taken as none
	default:
		return wrong([]string{text}, "dmarc_policy")
	}
	for _, old := range oldTags {
		if has(tags, old) {
			f.note("dmarc_old", "tag", old)
			break
		}
	}
	if strings.EqualFold(get(tags, "t"), "y") {
		f.note("dmarc_test")
	}
	return f
}

// noDMARC looks for the usual mistake, and for a policy of the domain above, which holds here
// too.
func (c *checker) noDMARC() finding {
	f := missing()
	if apex := c.resolver(c.domain.Name, dns.TypeTXT); slices.ContainsFunc(apex.texts(), func(s string) bool { return begins(s, "DMARC1") }) {
		f.note("dmarc_apex")
		return f
	}
	organisation, err := publicsuffix.EffectiveTLDPlusOne(c.domain.Name)
	if err != nil || organisation == c.domain.Name {
		return f
	}
	above := c.resolver("_dmarc."+organisation, dns.TypeTXT)
	if above.err == nil && slices.ContainsFunc(above.texts(), func(s string) bool { return begins(s, "DMARC1") }) {
		f = finding{verdict: models.DNSNotNeeded}
		f.note("dmarc_above", "domain", organisation)
	}
	return f
}

// maxReports is how many addresses for reports are looked at.
const maxReports = 4

// reportsElsewhere warns of addresses in other domains that have not agreed to get reports (RFC
// 9990, section 4).
func (c *checker) reportsElsewhere(text string, f *finding) {
	tags, _ := parseTags(text)
	n := 0
	for uri := range strings.SplitSeq(get(tags, "rua"), ",") {
		uri = strings.TrimSpace(uri)
		addr, is := cutFold(uri, "mailto:")
		if !is && uri != "" && !strings.Contains(uri, ":") {
			f.note("rua_mailto", "address", printable(uri))
			return
		}
		_, other, _ := strings.Cut(addr, "@")
		other, _, _ = strings.Cut(strings.ToLower(other), "!")
		if n++; !is || other == "" || n > maxReports || sameOrganisation(other, c.domain.Name) {
			continue
		}
		r := c.resolver(c.domain.Name+"._report._dmarc."+other, dns.TypeTXT)
		if r.err == nil && !slices.ContainsFunc(r.texts(), func(s string) bool { return begins(s, "DMARC1") }) {
			f.note("dmarc_reports", "domain", printable(other))
			return
		}
	}
}

// cutFold is strings.CutPrefix without regard to case.
func cutFold(s, prefix string) (after string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func sameOrganisation(a, b string) bool {
	x, err1 := publicsuffix.EffectiveTLDPlusOne(a)
	y, err2 := publicsuffix.EffectiveTLDPlusOne(b)
	return a == b || err1 == nil && err2 == nil && x == y
}
