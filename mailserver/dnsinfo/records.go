package dnsinfo

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
)

// The purposes of records: keys of the words that say what each is for.
const (
	purposeProof        = "proof"
	purposeMX           = "mx"
	purposeSPF          = "spf"
	purposeDKIM         = "dkim"
	purposeDKIMNext     = "dkim_next"
	purposeDKIMRetiring = "dkim_retiring"
	purposeDKIMRetired  = "dkim_retired"
	purposeDMARC        = "dmarc"
	purposeSTS          = "mta_sts"
	purposeSTSHost      = "mta_sts_host"
	purposeTLSRPT       = "tls_rpt"
	purposeSRV          = "srv"
	purposeAutoconfig   = "autoconfig"
	purposeAutodiscover = "autodiscover"
	purposeCAA          = "caa"
	purposeHost         = "host"
	purposePTR          = "ptr"
)

// The groups of records, by what a domain gains from them.
const (
	groupProof   = "proof"
	groupReceive = "receive"
	groupTrust   = "trust"
	groupSetup   = "setup"
	groupHost    = "host"
)

// maxRetired is how many of the last retired keys are looked for.
const maxRetired = 4

// records are the records of one domain in the making.
type records struct {
	info   *Info
	domain *models.Domain
	list   []models.DNSRecord
}

func (r *records) add(group, purpose, kind, name, value string) *models.DNSRecord {
	rec := models.DNSRecord{Purpose: purpose, Group: group, Type: kind, Name: name, FullName: fullName(name, r.domain.Name), Value: value}
	if kind == "TXT" {
		rec.Strings = Split(value)
	}
	r.list = append(r.list, rec)
	return &r.list[len(r.list)-1]
}

func fullName(name, domain string) string {
	if name == "@" {
		return domain
	}
	return name + "." + domain
}

// Records returns the records of a domain with these keys in order of importance, those that
// belong to the server last. The addresses are those of the server's host; without them there
// is no PTR row.
func (i *Info) Records(d *models.Domain, keys []models.DKIMKey, host []netip.Addr) []models.DNSRecord {
	live := slices.DeleteFunc(slices.Clone(keys), func(k models.DKIMKey) bool { return k.State == models.DKIMRetired })
	return i.records(d, live, host)
}

// Expected returns the records of the domain's own zone, without asking anybody.
func (i *Info) Expected(d *models.Domain, keys []models.DKIMKey) []models.DNSRecord {
	return i.Records(d, keys, nil)
}

func (i *Info) records(d *models.Domain, keys []models.DKIMKey, host []netip.Addr) []models.DNSRecord {
	r := &records{info: i, domain: d}
	if d.State == models.DomainPending && d.ProofToken != "" {
		r.add(groupProof, purposeProof, "TXT", proofName, ProofText(d.ProofToken))
	}
	r.add(groupReceive, purposeMX, "MX", "@", "10 "+i.config.Hostname+".")
	r.add(groupTrust, purposeSPF, "TXT", "@", i.spf(d))
	r.keys(keys)
	r.add(groupTrust, purposeDMARC, "TXT", "_dmarc", "v=DMARC1; p=none")
	r.reports()
	r.clients()
	r.host(host)
	return r.list
}

// spf is the record of a domain that has none: mail leaves from where it arrives. The host is
// named beside "mx" for domains that receive elsewhere.
func (i *Info) spf(d *models.Domain) string {
	return "v=spf1 " + strings.Join(i.spfTerms(d), " ") + " ~all"
}

func (i *Info) spfTerms(d *models.Domain) []string {
	terms := []string{"mx", "a:" + i.config.Hostname}
	switch ip := i.source(d); {
	case ip.Is4():
		return append(terms, "ip4:"+ip.String())
	case ip.Is6():
		return append(terms, "ip6:"+ip.String())
	}
	return terms
}

// source is the address that the domain's mail comes from for everybody else; invalid if that is
// one of the server's. A private one is replaced on the way out, by which nobody here knows.
func (i *Info) source(d *models.Domain) netip.Addr {
	ip, err := netip.ParseAddr(d.SourceIP)
	if err != nil {
		ip = i.config.Source
	}
	if ip = ip.Unmap(); !ip.IsValid() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return netip.Addr{}
	}
	return ip
}

// keys adds the records of DKIM keys. What signs, or will as the first of its algorithm, is
// needed with RSA; many receivers verify nothing else, so Ed25519 is optional.
func (r *records) keys(keys []models.DKIMKey) {
	active := map[models.DKIMAlgorithm]bool{}
	for _, k := range keys {
		active[k.Algorithm] = active[k.Algorithm] || k.State == models.DKIMActive
	}
	retired := 0
	for n := len(keys) - 1; n >= 0; n-- { // the newest first
		k := &keys[n]
		rec := models.DNSRecord{Purpose: purposeDKIM, Optional: k.Algorithm != models.DKIMRSA}
		switch k.State {
		case models.DKIMNext:
			if active[k.Algorithm] {
				rec = models.DNSRecord{Purpose: purposeDKIMNext, Optional: true}
			}
		case models.DKIMRetiring:
			rec = models.DNSRecord{Purpose: purposeDKIMRetiring, Optional: true}
		case models.DKIMRetired:
			if retired++; retired > maxRetired {
				continue
			}
			rec = models.DNSRecord{Purpose: purposeDKIMRetired, Optional: true}
		}
		added := r.add(groupTrust, rec.Purpose, "TXT", dkimName(k.Selector), keyText(k))
		added.Optional = rec.Optional
	}
	r.order()
}

// keyRank orders the rows of keys by importance.
func keyRank(rec *models.DNSRecord) int {
	rank := slices.Index([]string{purposeDKIM, purposeDKIMNext, purposeDKIMRetiring, purposeDKIMRetired}, rec.Purpose) * 2
	if rec.Optional {
		rank++
	}
	return rank
}

func (r *records) order() {
	first := len(r.list)
	for first > 0 && strings.HasPrefix(r.list[first-1].Purpose, purposeDKIM) {
		first--
	}
	slices.SortStableFunc(r.list[first:], func(a, b models.DNSRecord) int { return keyRank(&a) - keyRank(&b) })
}

// reports adds what concerns TLS between servers.
func (r *records) reports() {
	d, i := r.domain.Name, r.info
	ready := i.covers("mta-sts." + d)
	sts := r.add(groupTrust, purposeSTS, "TXT", "_mta-sts", "v=STSv1; id="+i.STSID())
	sts.Optional, sts.NotYet = true, !ready
	host := r.add(groupTrust, purposeSTSHost, "CNAME", "mta-sts", i.config.Hostname+".")
	host.Optional, host.NotYet = true, !ready
	r.add(groupTrust, purposeTLSRPT, "TXT", "_smtp._tls", "v=TLSRPTv1; rua=mailto:postmaster@"+d).Optional = true
}

// clients adds what mail clients look for. RFC 6186, section 3.4: a service that is not offered
// has the target ".".
func (r *records) clients() {
	host := r.info.config.Hostname
	if r.info.config.Services != nil {
		for _, s := range r.info.config.Services() {
			value := "0 0 0 ."
			if s.Port != 0 {
				priority := 0
				if strings.HasPrefix(s.Name, "pop3") {
					priority = 10 // RFC 6186, section 3.3: IMAP is preferred
				}
				value = fmt.Sprintf("%d 1 %d %s.", priority, s.Port, host)
			}
			r.add(groupSetup, purposeSRV, "SRV", "_"+s.Name+"._tcp", value).Optional = true
		}
	}
	for _, c := range []struct{ purpose, name string }{{purposeAutoconfig, "autoconfig"}, {purposeAutodiscover, "autodiscover"}} {
		rec := r.add(groupSetup, c.purpose, "CNAME", c.name, host+".")
		rec.Optional, rec.NotYet = true, !r.info.covers(c.name+"."+r.domain.Name)
	}
	value := "" // who issues is not known
	if ca := r.info.config.CA; ca != "" {
		value = `0 issue "` + ca + `"`
	}
	r.add(groupSetup, purposeCAA, "CAA", "@", value).Optional = true
}

// host adds what the operator of the server looks after.
func (r *records) host(addrs []netip.Addr) {
	for _, ip := range addrs {
		kind := "AAAA"
		if ip = ip.Unmap(); ip.Is4() {
			kind = "A"
		}
		r.list = append(r.list, r.info.hostRecord(kind, ip.String()))
		r.reverse(ip)
	}
	if ip := r.info.source(r.domain); ip.IsValid() && len(addrs) > 0 && !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap() == ip }) {
		r.reverse(ip)
	}
}

// hostRecord is an address of the server's name; "" where it has none that is known.
func (i *Info) hostRecord(kind, value string) models.DNSRecord {
	host := i.config.Hostname
	return models.DNSRecord{Purpose: purposeHost, Group: groupHost, Type: kind, Name: host + ".", FullName: host, Value: value, Operator: true}
}

// reverse adds the name of an address: receivers want one that they know from EHLO.
func (r *records) reverse(ip netip.Addr) {
	name := reverseName(ip)
	r.list = append(r.list, models.DNSRecord{Purpose: purposePTR, Group: groupHost, Type: "PTR", Name: name + ".", FullName: name, Value: r.info.config.Hostname + ".", Operator: true})
}
