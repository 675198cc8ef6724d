package verify

import (
	"context"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// maxWalk is the number of look-ups of one tree walk (RFC 9989, section 4.10, step 4).
const maxWalk = 8

// found is a record of DMARC and where it is.
type found struct {
	domain string
	*policy
}

// walker does the tree walks for one message, each name looked up once. It is used by one
// goroutine.
type walker struct {
	ctx   context.Context
	dns   Resolver
	names map[string]lookup
	orgs  map[string]organization
}

type lookup struct {
	policy *policy // nil = none
	err    error   // temporary
}

// organization is the result of a walk.
type organization struct {
	domain string // organizational domain
	record *found // that holds for the domain at the start: its own, else of organization or public suffix; nil = none
	err    error  // temporary: neither is known
}

func (v *Verifier) newWalker(ctx context.Context) *walker {
	return &walker{ctx: ctx, dns: v.dns, names: map[string]lookup{}, orgs: map[string]organization{}}
}

// at returns the record of one name. Several records are as none.
func (w *walker) at(domain string) lookup {
	if l, ok := w.names[domain]; ok {
		return l
	}
	var l lookup
	texts, err := w.dns.LookupTXT(w.ctx, "_dmarc."+domain)
	if err != nil && !isNotFound(err) {
		// A registry whose servers fail for "_dmarc.<suffix>" is not to hold up the mail of its
		// whole country: that it is one is known from the list of public suffixes.
		if !isPublicSuffix(domain) {
			l.err = err
		}
	}
	n := 0
	for _, text := range texts {
		if p, ok := parsePolicy(text); ok {
			l.policy = p
			n++
		}
	}
	if n > 1 {
		l.policy = nil
	}
	w.names[domain] = l
	return l
}

// organization walks up from domain (RFC 9989, sections 4.10.1 and 4.10.2).
func (w *walker) organization(domain string) organization {
	if o, ok := w.orgs[domain]; ok {
		return o
	}
	o := w.walk(domain)
	w.orgs[domain] = o
	return o
}

func (w *walker) walk(start string) organization {
	var records []found
	for _, target := range targets(start) {
		l := w.at(target)
		if l.err != nil {
			return organization{err: l.err}
		}
		if l.policy == nil {
			continue
		}
		records = append(records, found{target, l.policy})
		if l.policy.psd != 'u' { // section 4.10, steps 2 and 6
			break
		}
	}
	o := organization{domain: selectOrganization(start, records)}
	for i := range records {
		r := &records[i]
		if r.domain == start || r.domain == o.domain || o.record == nil && isWithin(o.domain, r.domain) {
			o.record = r
		}
		if o.record != nil && o.record.domain == start {
			break
		}
	}
	return o
}

// targets are the names that a walk asks, the domain itself first.
func targets(domain string) []string {
	all := []string{domain}
	labels := strings.Split(domain, ".")
	for n := min(len(labels)-1, maxWalk-1); n > 0; n-- {
		all = append(all, strings.Join(labels[len(labels)-n:], "."))
	}
	return all
}

// selectOrganization picks the organizational domain out of the records of a walk, which are
// in the order of the walk (RFC 9989, section 4.10.2): psd=n names it, psd=y stands one label above it, else it is the
// highest. What the public suffix list knows as a registry's is never an organization, unless
// its owner says so by psd=n: else a careless record at "co.uk" would make all of its domains
// each other's senders (section 11.8 warns of it).
func selectOrganization(start string, records []found) string {
	org := start
	for i, r := range records {
		switch {
		case r.psd == 'n':
			return r.domain
		case r.psd == 'y' && r.domain != start:
			return below(r.domain, start)
		}
		org = r.domain
		if i == len(records)-1 && org != start && isPublicSuffix(org) {
			return below(org, start)
		}
	}
	return org
}

// below returns the domain one label below suffix on the way to domain.
func below(suffix, domain string) string {
	rest := strings.TrimSuffix(domain, "."+suffix)
	return rest[strings.LastIndexByte(rest, '.')+1:] + "." + suffix
}

// isPublicSuffix reports whether ICANN's part of the list has domain as a registry's.
func isPublicSuffix(domain string) bool {
	suffix, icann := publicsuffix.PublicSuffix(domain)
	return icann && suffix == domain
}
