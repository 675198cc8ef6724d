package dnsinfo

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/models"
)

const (
	// maxLookups and maxVoids are what receivers allow a record. RFC 7208, section 4.6.4: beyond
	// 10 terms that ask the DNS, or 2 answers without records, it is broken.
	maxLookups = 10
	maxVoids   = 2
	// stopLookups is where counting ends: the exact number beyond the limit interests nobody.
	stopLookups = 30
	// maxMX is how many hosts of one mx term are followed (RFC 7208, section 4.6.4).
	maxMX = 10
)

// spf reads the record as a receiver does that gets mail from each of our addresses.
func (c *checker) spf(r *reply) finding {
	ours := c.info.spfTerms(c.domain)
	texts := slices.DeleteFunc(r.texts(), func(s string) bool { return !isSPF(s) })
	switch {
	case len(texts) == 0:
		return missing()
	case len(texts) > 1: // RFC 7208, section 4.5
		f := wrong(texts, "spf_several")
		f.value = mergeSPF(texts, ours)
		return f
	}
	f := c.spfRecord(texts[0])
	if f.verdict == models.DNSWrong {
		f.found = clip(texts)
		if f.value == "" {
			f.value = mergeSPF(texts, ours)
		}
	}
	return f
}

func (c *checker) spfRecord(text string) finding {
	terms, good := parseSPF(text)
	if !good {
		return wrong(nil, "syntax")
	}
	w := &walk{checker: c, asked: map[string]*reply{}}
	w.count(terms, 0)
	switch {
	case w.failed:
		return finding{verdict: models.DNSUnknown}
	case w.broken != "":
		return wrong(nil, "spf_include", "domain", w.broken)
	case w.lookups > maxLookups:
		return wrong(nil, "spf_lookups", "n", strconv.Itoa(w.lookups))
	case w.voids > maxVoids:
		return wrong(nil, "spf_voids", "n", strconv.Itoa(w.voids))
	}
	f := c.spfStyle(terms)
	if f.verdict != models.DNSOK {
		return f
	}
	if c.info.config.Relay != nil {
		if host := c.info.config.Relay(c.ctx, c.domain.ID); host != "" {
			f.note("spf_relay", "host", host) // whose addresses are not known here
			return f
		}
	}
	for _, ip := range c.sources() {
		switch w.match(terms, c.domain.Name, ip, 0) {
		case '+':
		case 0:
			return finding{verdict: models.DNSUnknown}
		default:
			bad := wrong(nil, "spf_not_covered", "address", ip.String())
			bad.notes = append(bad.notes, f.notes...)
			return bad
		}
	}
	if len(c.sources()) == 0 && !names(terms, c.info.config.Hostname) {
		return wrong(nil, "spf_not_named", "host", c.info.config.Hostname)
	}
	return f
}

// sources are the addresses that the domain's mail leaves from.
func (c *checker) sources() []netip.Addr {
	if ip := c.info.source(c.domain); ip.IsValid() {
		return []netip.Addr{ip}
	}
	return c.host
}

// names reports whether a record names this host where its addresses are not known.
func names(terms []term, host string) bool {
	return slices.ContainsFunc(terms, func(t term) bool {
		return t.qualifier == '+' && (t.name == "a" && hostOf(t.value) == host || t.name == "mx" && t.value == "")
	})
}

// spfStyle says what is allowed and unwise.
func (c *checker) spfStyle(terms []term) finding {
	f := ok()
	end := slices.IndexFunc(terms, func(t term) bool { return t.name == "all" && t.qualifier != 0 })
	redirect := slices.ContainsFunc(terms, func(t term) bool { return t.name == "redirect" })
	switch {
	case end >= 0 && terms[end].qualifier == '+':
		return wrong(nil, "spf_all_pass")
	case end < 0 && !redirect:
		f.note("spf_no_all")
	case end >= 0 && terms[end].qualifier == '?':
		f.note("spf_neutral")
	}
	if end >= 0 && slices.ContainsFunc(terms[end+1:], func(t term) bool { return t.qualifier != 0 }) {
		f.note("spf_after_all")
	}
	if slices.ContainsFunc(terms, func(t term) bool { return t.name == "ptr" && t.qualifier != 0 }) {
		f.note("spf_ptr")
	}
	return f
}

// walk follows an SPF record through what it includes.
type walk struct {
	*checker
	lookups, voids int
	broken         string // the domain whose record, which is included, is none
	failed         bool   // something could not be asked
	asked          map[string]*reply
}

func (w *walk) ask(name string, qtype uint16) *reply {
	key := name + " " + strconv.Itoa(int(qtype))
	if r := w.asked[key]; r != nil {
		return r
	}
	r := w.resolver(name, qtype)
	w.asked[key] = r
	return r
}

// record returns the SPF record of a domain that is included.
func (w *walk) record(name string) ([]term, bool) {
	r := w.ask(name, dns.TypeTXT)
	if r.err != nil {
		w.failed = true
		return nil, false
	}
	texts := slices.DeleteFunc(r.texts(), func(s string) bool { return !isSPF(s) })
	if len(texts) != 1 {
		return nil, false
	}
	return parseSPF(texts[0])
}

// maxDepth bounds inclusion; ten look-ups end it earlier.
const maxDepth = 12

// count counts the look-ups of a record and of all that it includes.
func (w *walk) count(terms []term, depth int) {
	for i := range terms {
		t := &terms[i]
		if w.lookups > stopLookups || depth > maxDepth || w.failed {
			return
		}
		if t.qualifier == 0 && t.name != "redirect" {
			continue // include=x is an unknown modifier
		}
		switch t.name {
		case "include", "redirect":
			w.lookups++
			if strings.Contains(t.value, "%") {
				continue // a macro: it depends on the message
			}
			inner, good := w.record(t.value)
			if !good && !w.failed && w.broken == "" {
				w.broken = printable(t.value)
			}
			w.count(inner, depth+1)
		case "a", "mx", "ptr", "exists":
			w.lookups++
			w.void(t)
		}
	}
}

// void counts an answer without records. Terms without a value ask for the domain itself, of
// which it is known.
func (w *walk) void(t *term) {
	if t.value == "" || strings.Contains(t.value, "%") || t.name == "ptr" {
		return
	}
	qtype := dns.TypeA
	if t.name == "mx" {
		qtype = dns.TypeMX
	}
	r := w.ask(t.value, qtype)
	if t.name == "a" && r.err == nil && len(r.records) == 0 {
		r = w.ask(t.value, dns.TypeAAAA)
	}
	if r.err != nil {
		w.failed = true
	} else if len(r.records) == 0 {
		w.voids++
	}
}

// match returns the qualifier of the first term that an address matches, '?' if none does, 0
// if it cannot be known.
func (w *walk) match(terms []term, domain string, ip netip.Addr, depth int) byte {
	if depth > maxDepth {
		return '?'
	}
	redirect := ""
	for i := range terms {
		t := &terms[i]
		if t.name == "redirect" {
			redirect = t.value
		}
		if t.qualifier == 0 {
			continue
		}
		matches := w.matches(t, domain, ip, depth)
		switch {
		case w.failed:
			return 0
		case matches:
			return t.qualifier
		}
	}
	if inner, good := []term(nil), false; redirect != "" && !strings.Contains(redirect, "%") {
		if inner, good = w.record(redirect); good {
			return w.match(inner, redirect, ip, depth+1)
		}
	}
	if w.failed {
		return 0
	}
	return '?'
}

func (w *walk) matches(t *term, domain string, ip netip.Addr, depth int) bool {
	target := t.value
	if target == "" {
		target = domain
	}
	switch {
	case t.name == "all":
		return true
	case t.name == "ip4" || t.name == "ip6":
		p, _ := prefix(t.value) // checked
		return p.Contains(ip.Unmap())
	case strings.Contains(target, "%"):
		return false
	case t.name == "include":
		inner, good := w.record(target)
		return good && w.match(inner, target, ip, depth+1) == '+'
	case t.name == "a":
		return w.hostMatches(t, target, ip)
	case t.name == "mx":
		r := w.ask(target, dns.TypeMX)
		w.failed = w.failed || r.err != nil
		for _, rr := range r.records[:min(len(r.records), maxMX)] {
			if mx, is := rr.(*dns.MX); is && w.hostMatches(t, hostOf(mx.Mx), ip) {
				return true
			}
		}
	}
	return false // exists without a macro and ptr say nothing of an address of ours
}

func (w *walk) hostMatches(t *term, host string, ip netip.Addr) bool {
	qtype, bits := dns.TypeAAAA, t.cidr6
	if ip = ip.Unmap(); ip.Is4() {
		qtype, bits = dns.TypeA, t.cidr4
	}
	if bits < 0 {
		bits = ip.BitLen()
	}
	r := w.ask(host, qtype)
	w.failed = w.failed || r.err != nil
	for _, rr := range r.records {
		if other, is := addressOf(rr); is && netip.PrefixFrom(other, bits).Contains(ip) {
			return true
		}
	}
	return false
}

func addressOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		ip, is := netip.AddrFromSlice(rr.A.To4())
		return ip, is
	case *dns.AAAA:
		ip, is := netip.AddrFromSlice(rr.AAAA.To16())
		return ip, is
	}
	return netip.Addr{}, false
}
