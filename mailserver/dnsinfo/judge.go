package dnsinfo

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/models"
)

func ok() finding      { return finding{verdict: models.DNSOK} }
func missing() finding { return finding{verdict: models.DNSMissing} }

func wrong(found []string, note string, args ...string) finding {
	f := finding{verdict: models.DNSWrong, found: clip(found)}
	if note != "" {
		f.note(note, args...)
	}
	return f
}

// judgeOf returns what knows the meaning of a record.
func (c *checker) judgeOf(rec *models.DNSRecord) judge {
	switch rec.Purpose {
	case purposeProof:
		return c.proof
	case purposeMX:
		return c.mx
	case purposeSPF:
		return c.spf
	case purposeDMARC:
		return c.dmarc
	case purposeSTS:
		return c.sts
	case purposeTLSRPT:
		return tlsrpt
	case purposeSRV:
		return srv(rec.Value)
	case purposeDKIMRetired:
		return retired(rec.Value)
	}
	if strings.HasPrefix(rec.Purpose, purposeDKIM) {
		return key(rec.Value)
	}
	return c.cname(rec)
}

// proof looks for the text of this claim; there may be those of others.
func (c *checker) proof(r *reply) finding {
	for _, text := range r.texts() {
		if strings.TrimSpace(text) == ProofText(c.domain.ProofToken) {
			return ok()
		}
	}
	f := missing()
	f.found = clip(r.texts())
	return f
}

// mx wants this host and no other.
func (c *checker) mx(r *reply) finding {
	if len(r.records) == 0 {
		f := missing()
		if r.alias != "" {
			f.note("mx_alias", "host", r.alias)
		}
		return f
	}
	var hosts []string
	for _, rr := range r.records {
		if mx, is := rr.(*dns.MX); is {
			hosts = append(hosts, hostOf(mx.Mx))
		}
	}
	ours := func(h string) bool { return h == c.info.config.Hostname }
	switch rest := slices.DeleteFunc(slices.Clone(hosts), ours); {
	case len(rest) == 0 && c.hostless:
		return wrong(hosts, "mx_no_address", "host", c.info.config.Hostname)
	case len(rest) == 0:
		return ok()
	case len(rest) < len(hosts):
		f := finding{verdict: models.DNSExtra, found: clip(rest)}
		f.note("mx_others")
		return f
	default:
		return c.mxElsewhere(rest)
	}
}

func (c *checker) mxElsewhere(hosts []string) finding {
	for _, h := range hosts {
		if h == "." {
			return wrong(hosts, "mx_null")
		}
		if ip, err := netip.ParseAddr(h); err == nil {
			return wrong(hosts, "mx_address", "address", ip.String())
		}
	}
	// RFC 2181, section 10.3: the host of an MX must not be an alias. Most senders follow it.
	for _, h := range hosts {
		if r := c.resolver(h, dns.TypeCNAME); r.err == nil && len(r.records) > 0 {
			if cname, is := r.records[0].(*dns.CNAME); is && hostOf(cname.Target) == c.info.config.Hostname {
				return wrong(hosts, "mx_cname", "host", h)
			}
		}
	}
	if len(hosts) == 1 && c.sameHost(hosts[0]) {
		f := ok()
		f.note("mx_other_name", "host", hosts[0])
		return f
	}
	return wrong(hosts, "mx_elsewhere")
}

// sameHost reports whether a name has addresses and all of them are this server's.
func (c *checker) sameHost(host string) bool {
	addrs, err := c.info.config.Resolver.LookupNetIP(c.ctx, "ip", host)
	if err != nil || !c.hostOK || len(addrs) == 0 {
		return false
	}
	for _, ip := range addrs {
		if !slices.Contains(c.host, ip) {
			return false
		}
	}
	return true
}

// key compares the published key with ours, p= without its spaces (RFC 6376, section 3.6.1).
func key(want string) judge {
	ours, _ := parseTags(want)
	return func(r *reply) finding {
		texts := r.texts()
		switch {
		case len(texts) == 0:
			return missing()
		case len(texts) > 1:
			return wrong(texts, "dkim_several")
		}
		tags, good := parseTags(texts[0])
		p := strings.Join(strings.Fields(get(tags, "p")), "")
		switch {
		case strings.ContainsAny(p, `"'`):
			return wrong(texts, "dkim_quotes")
		case !has(tags, "p"):
			return wrong(texts, "dkim_no_key")
		case p == "":
			return wrong(texts, "dkim_revoked")
		case p != get(ours, "p") && strings.HasPrefix(get(ours, "p"), p):
			return wrong(texts, "dkim_cut")
		case p != get(ours, "p"):
			return wrong(texts, "dkim_other")
		case !good, has(tags, "v") && (tags[0].name != "v" || get(tags, "v") != "DKIM1"):
			return wrong(texts, "syntax")
		}
		if k := get(tags, "k"); k != get(ours, "k") && !(k == "" && get(ours, "k") == "rsa") {
			return wrong(texts, "dkim_type", "type", get(ours, "k"))
		}
		if h := get(tags, "h"); h != "" && !lists(h, "sha256") {
			return wrong(texts, "dkim_hash")
		}
		if s := get(tags, "s"); s != "" && !lists(s, "*") && !lists(s, "email") {
			return wrong(texts, "dkim_service")
		}
		f := ok()
		if lists(get(tags, "t"), "y") {
			f.note("dkim_test")
		}
		return f
	}
}

// lists reports whether a list with colons has an item.
func lists(list, item string) bool {
	for part := range strings.SplitSeq(list, ":") {
		if strings.EqualFold(strings.TrimSpace(part), item) {
			return true
		}
	}
	return false
}

// retired wants a record gone.
func retired(text string) judge {
	same := key(text)
	return func(r *reply) finding {
		if same(r).verdict != models.DNSOK {
			return finding{verdict: models.DNSNotNeeded}
		}
		f := finding{verdict: models.DNSExtra}
		f.note("dkim_remove")
		return f
	}
}

func (c *checker) sts(r *reply) finding {
	texts, mistake := versioned(r.texts(), "STSv1")
	switch {
	case mistake != nil:
		return *mistake
	case len(texts) == 0:
		return missing()
	case len(texts) > 1: // RFC 8461, section 3.1: then there is no policy
		return wrong(texts, "several")
	}
	if tags, _ := parseTags(texts[0]); get(tags, "id") != c.info.STSID() {
		return wrong(texts, "sts_id")
	}
	return ok()
}

// tlsrpt takes any address that reports go to.
func tlsrpt(r *reply) finding {
	texts, mistake := versioned(r.texts(), "TLSRPTv1")
	switch {
	case mistake != nil:
		return *mistake
	case len(texts) == 0:
		return missing()
	case len(texts) > 1: // RFC 8460, section 3: then there is none
		return wrong(texts, "several")
	}
	tags, _ := parseTags(texts[0])
	for uri := range strings.SplitSeq(get(tags, "rua"), ",") {
		if uri = strings.TrimSpace(uri); strings.HasPrefix(uri, "mailto:") || strings.HasPrefix(uri, "https:") {
			return ok()
		}
	}
	return wrong(texts, "tlsrpt_rua")
}

// srv compares target and port; priority and weight are the owner's.
func srv(want string) judge {
	return func(r *reply) finding {
		if len(r.records) == 0 {
			return missing()
		}
		fields := strings.Fields(want)
		for _, rr := range r.records {
			if s, is := rr.(*dns.SRV); is && hostOf(s.Target) == hostOf(fields[3]) && (s.Target == "." || strconv.Itoa(int(s.Port)) == fields[2]) {
				return ok()
			}
		}
		return wrong(shown(r.records), "")
	}
}

// cname takes an alias for this host, or the host's own addresses.
func (c *checker) cname(rec *models.DNSRecord) judge {
	return func(r *reply) finding {
		for _, rr := range r.records {
			if cname, is := rr.(*dns.CNAME); is && hostOf(cname.Target) == c.info.config.Hostname {
				return ok()
			}
		}
		if len(r.records) > 0 {
			return wrong(shown(r.records), "elsewhere")
		}
		addrs := c.resolver(rec.FullName, dns.TypeA)
		switch {
		case addrs.err == nil && len(addrs.records) == 0:
			return missing()
		case addrs.err == nil && c.sameHost(rec.FullName):
			return ok()
		case addrs.err == nil:
			return wrong(shown(addrs.records), "elsewhere")
		}
		return finding{verdict: models.DNSUnknown}
	}
}

// caa looks whether others than our authority alone may issue certificates. RFC 8659, section
// 3: the nearest name above that has CAA records decides.
func (c *checker) caa() finding {
	for name := c.domain.Name; strings.Contains(name, "."); _, name, _ = strings.Cut(name, ".") {
		r := c.resolver(name, dns.TypeCAA)
		if r.err != nil {
			return finding{verdict: models.DNSUnknown}
		}
		if len(r.records) > 0 {
			return c.issuers(r)
		}
	}
	return finding{verdict: models.DNSNotNeeded}
}

func (c *checker) issuers(r *reply) finding {
	limited := false
	for _, rr := range r.records {
		caa, is := rr.(*dns.CAA)
		if !is || !strings.EqualFold(caa.Tag, "issue") {
			continue
		}
		limited = true
		issuer, _, _ := strings.Cut(caa.Value, ";")
		if ca := c.info.config.CA; ca != "" && strings.EqualFold(strings.TrimSpace(issuer), ca) {
			return ok()
		}
	}
	switch {
	case !limited:
		return finding{verdict: models.DNSNotNeeded}
	case c.info.config.CA == "": // who it is that should be among them, the operator knows
		f := finding{verdict: models.DNSNotNeeded, found: shown(r.records)}
		f.note("caa_unknown")
		return f
	}
	return wrong(shown(r.records), "caa", "ca", c.info.config.CA)
}

// hostRow looks whether the server's name is no alias; its addresses were found already.
func (c *checker) hostRow(rec *models.DNSRecord) finding {
	r := c.resolver(c.info.config.Hostname, dns.TypeCNAME)
	switch {
	case r.err != nil:
		return finding{verdict: models.DNSUnknown}
	case len(r.records) > 0:
		return wrong(shown(r.records), "host_cname", "host", rec.FullName)
	case !c.hostOK && !c.hostless:
		return finding{verdict: models.DNSUnknown}
	case c.hostless:
		f := missing()
		f.note("host_no_address", "host", rec.FullName)
		return f
	}
	return ok()
}

// ptr wants the address to have the server's name, as receivers compare it with HELO.
func (c *checker) ptr(rec *models.DNSRecord) finding {
	r := c.resolver(rec.FullName, dns.TypePTR)
	switch {
	case r.err != nil:
		return finding{verdict: models.DNSUnknown}
	case len(r.records) == 0:
		return missing()
	}
	for _, rr := range r.records {
		if ptr, is := rr.(*dns.PTR); is && hostOf(ptr.Ptr) == c.info.config.Hostname {
			return ok()
		}
	}
	return wrong(shown(r.records), "ptr_other")
}
