package resolver

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// LookupTXT returns the texts at name, the strings of each record joined without anything in
// between (RFC 7208, section 3.3; RFC 6376, section 3.6.2.2).
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.Lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	texts := make([]string, 0, len(a.Records))
	for _, rr := range a.Records {
		texts = append(texts, Text(rr.(*dns.TXT)))
	}
	return texts, nil
}

// Text returns the strings of a record joined, as the bytes they are.
func Text(rr *dns.TXT) string {
	var b strings.Builder
	for _, s := range rr.Txt {
		b.WriteString(unescape(s))
	}
	return b.String()
}

// LookupMX returns the mail exchangers of name, best first and those of equal preference in
// random order (RFC 5321, section 5.1). The host of a null MX (RFC 7505) is ".".
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a, err := r.Lookup(ctx, name, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	var all []*net.MX
	for _, rr := range a.Records {
		if mx := rr.(*dns.MX); mx.Mx == "." || isHost(mx.Mx) {
			all = append(all, &net.MX{Host: mx.Mx, Pref: mx.Preference})
		}
	}
	if len(all) == 0 {
		return nil, temporary(name, "", errName)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	return all, nil
}

// LookupNS returns the name servers of a zone.
func (r *Resolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	a, err := r.Lookup(ctx, name, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	var all []*net.NS
	for _, rr := range a.Records {
		if ns := rr.(*dns.NS); isHost(ns.Ns) {
			all = append(all, &net.NS{Host: ns.Ns})
		}
	}
	if len(all) == 0 {
		return nil, temporary(name, "", errName)
	}
	return all, nil
}

// LookupCNAME returns the name that host is an alias of, one step, with the final dot. Unlike
// net.Resolver's, it is not found if there is no CNAME.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	a, err := r.Lookup(ctx, host, dns.TypeCNAME)
	if err != nil {
		return "", err
	}
	return a.Records[0].(*dns.CNAME).Target, nil
}

// LookupAddr returns the names of an IP address, with the final dot.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	reverse, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, notFound(addr, "no IP address")
	}
	a, err := r.Lookup(ctx, reverse, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, rr := range a.Records {
		if ptr := rr.(*dns.PTR); isHost(ptr.Ptr) {
			names = append(names, ptr.Ptr)
		}
	}
	if len(names) == 0 { // somebody wrote nonsense there, and it is said to be all
		return nil, notFound(addr, errName.Error())
	}
	return names, nil
}

// LookupIPAddr returns the addresses of a host, of both families. If one family cannot be
// found out and the other has addresses, those are returned: who must know for sure asks
// LookupNetIP for one family.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	all, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	out := make([]net.IPAddr, len(all))
	for i, ip := range all {
		out[i] = net.IPAddr{IP: ip.AsSlice(), Zone: ip.Zone()}
	}
	return out, nil
}

// LookupNetIP returns the addresses of a host; network is "ip", "ip4" or "ip6".
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if known := withoutDNS(network, host); known != nil {
		return known, nil
	}
	switch network {
	case "ip4":
		return r.lookupIP(ctx, host, dns.TypeA)
	case "ip6":
		return r.lookupIP(ctx, host, dns.TypeAAAA)
	}
	var six []netip.Addr
	var sixErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		six, sixErr = r.lookupIP(ctx, host, dns.TypeAAAA)
	}()
	four, err := r.lookupIP(ctx, host, dns.TypeA)
	<-done
	if all := append(four, six...); len(all) > 0 {
		return all, nil
	}
	if known, is := sixErr.(*net.DNSError); is && known.IsTemporary {
		return nil, sixErr
	}
	return nil, err
}

// withoutDNS knows addresses and localhost.
func withoutDNS(network, host string) []netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name != "localhost" && !strings.HasSuffix(name, ".localhost") {
		return nil
	}
	four, six := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	switch network {
	case "ip4":
		return []netip.Addr{four}
	case "ip6":
		return []netip.Addr{six}
	}
	return []netip.Addr{four, six}
}

func (r *Resolver) lookupIP(ctx context.Context, host string, qtype uint16) ([]netip.Addr, error) {
	a, err := r.Lookup(ctx, host, qtype)
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, rr := range a.Records {
		var raw net.IP
		switch rr := rr.(type) {
		case *dns.A:
			raw = rr.A.To4()
		case *dns.AAAA:
			raw = rr.AAAA.To16()
		}
		if ip, ok := netip.AddrFromSlice(raw); ok {
			all = append(all, ip)
		}
	}
	if len(all) == 0 {
		return nil, temporary(host, "", errName)
	}
	return all, nil
}
