package dnsinfo

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver"
)

const (
	// maxServers is how many authoritative servers of a domain are tried.
	maxServers = 3
	// maxCNAMEs is how many aliases within one reply are followed.
	maxCNAMEs = 8
	// udpSize is announced by EDNS (RFC 9715).
	udpSize = 1232
)

// reply is what one side says of a name and a type.
type reply struct {
	records []dns.RR // of the type; none and no error = there are none
	alias   string   // the first CNAME on the way, without the final dot
	ttl     time.Duration
	err     error // nobody could say
}

// texts returns the texts of TXT records, the strings of each joined (RFC 7208, section 3.3).
func (r *reply) texts() []string {
	var out []string
	for _, rr := range r.records {
		if txt, ok := rr.(*dns.TXT); ok {
			out = append(out, resolver.Text(txt))
		}
	}
	return out
}

// answers is both sides' answers to one question.
type answers struct {
	direct *reply // of the authoritative servers; nil = they are not known
	cached *reply // of the resolver
}

// asker asks for the records of one domain.
type asker struct {
	info    *Info
	ctx     context.Context
	servers []string // authoritative for the domain, host:port
}

// newAsker finds the domain's name servers: those of the nearest name above that has some. A
// domain that hangs directly below a top-level domain without being delegated has none.
func (i *Info) newAsker(ctx context.Context, domain string) *asker {
	a := &asker{info: i, ctx: ctx}
	for zone := domain; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
		found, err := i.config.Resolver.Lookup(ctx, zone, dns.TypeNS)
		switch {
		case err == nil && hostOf(found.Name) == zone:
			a.find(found.Records)
			return a
		case err != nil && !notFound(err):
			return a // only the resolver is asked, and it will say what is wrong
		}
	}
	return a
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

func (a *asker) find(records []dns.RR) {
	for _, rr := range records {
		ns, ok := rr.(*dns.NS)
		if !ok || len(a.servers) == maxServers {
			continue
		}
		addrs, err := a.info.config.Resolver.LookupNetIP(a.ctx, "ip4", hostOf(ns.Ns))
		if err != nil || len(addrs) == 0 {
			if addrs, err = a.info.config.Resolver.LookupNetIP(a.ctx, "ip6", hostOf(ns.Ns)); err != nil {
				continue
			}
		}
		for _, ip := range addrs[:min(1, len(addrs))] {
			if a.info.config.Private || public(ip) {
				a.servers = append(a.servers, netip.AddrPortFrom(ip, a.info.config.Port).String())
			}
		}
	}
}

// public reports whether an address is one of the internet: whoever has a domain chooses the
// addresses of its servers, and nobody shall make us knock at doors of the inner network.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !shared.Contains(ip)
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// both asks the authoritative servers and the resolver.
func (a *asker) both(name string, qtype uint16) answers {
	out := answers{cached: a.resolver(name, qtype)}
	if len(a.servers) > 0 {
		out.direct = a.authority(name, qtype)
		if out.direct.err == nil && len(out.direct.records) == 0 && out.direct.alias != "" {
			out.direct = out.cached // the alias leads to a zone of others
		}
	}
	return out
}

func (a *asker) resolver(name string, qtype uint16) *reply {
	found, err := a.info.config.Resolver.Lookup(a.ctx, name, qtype)
	switch {
	case notFound(err):
		return &reply{}
	case err != nil:
		return &reply{err: err}
	}
	r := &reply{records: found.Records, ttl: found.TTL}
	if end := hostOf(found.Name); end != hostOf(name) {
		r.alias = end
	}
	return r
}

var errSilent = errors.New("no authoritative server answers")

func (a *asker) authority(name string, qtype uint16) *reply {
	r := &reply{err: errSilent}
	for _, server := range a.servers {
		m := new(dns.Msg)
		m.SetQuestion(dns.Fqdn(name), qtype)
		m.RecursionDesired = false
		m.SetEdns0(udpSize, false)
		got, err := a.info.config.Resolver.Exchange(a.ctx, server, m)
		if err != nil {
			r.err = err
			continue
		}
		if got.Authoritative && (got.Rcode == dns.RcodeSuccess || got.Rcode == dns.RcodeNameError) {
			return follow(got, name, qtype)
		}
		r.err = errSilent // refused, or points elsewhere: it does not know
	}
	return r
}

// follow takes the records at the end of the aliases that a reply has.
func follow(m *dns.Msg, name string, qtype uint16) *reply {
	r := &reply{}
	at := dns.Fqdn(strings.ToLower(name))
	for range maxCNAMEs {
		next := ""
		for _, rr := range m.Answer {
			if !strings.EqualFold(rr.Header().Name, at) {
				continue
			}
			if rr.Header().Rrtype == qtype {
				r.records = append(r.records, rr)
				r.ttl = time.Duration(rr.Header().Ttl) * time.Second
			} else if cname, ok := rr.(*dns.CNAME); ok {
				next = strings.ToLower(cname.Target)
			}
		}
		if len(r.records) > 0 || next == "" {
			break
		}
		if at = next; r.alias == "" {
			r.alias = hostOf(next)
		}
	}
	return r
}
