package outbound

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxHosts     = 10 // of one destination that are looked at
	maxAddresses = 4  // of one host that are tried
	maxTries     = 8  // connections of one attempt
)

// hosts returns the hosts of a destination, best first, those of equal preference in random
// order (RFC 5321, section 5.1).
func (c *Client) hosts(ctx context.Context, domain string) ([]string, *fault) {
	if strings.HasPrefix(domain, "[") {
		return nil, permanent(ReasonLiteral, "5.1.2", "mail to address literals is not sent")
	}
	records, err := c.config.Resolver.LookupMX(ctx, domain)
	switch {
	case notFound(err):
		// RFC 5321, section 5.1: without MX records the domain is its own host. Only if it is
		// known that there are none: during a fault of the DNS the mail would go astray.
		return c.notSelf(ctx, []*net.MX{{Host: domain}})
	case err != nil:
		return nil, temporary(ReasonDNS, "4.4.3", "the DNS does not say where mail for %s goes at the moment", domain)
	}
	// RFC 7505: one record that names no host.
	named := slices.DeleteFunc(slices.Clone(records), func(mx *net.MX) bool { return mx.Host == "." || mx.Host == "" })
	if len(named) == 0 {
		return nil, permanent(ReasonNullMX, "5.1.10", "%s says in the DNS that it takes no mail", domain)
	}
	rand.Shuffle(len(named), func(i, j int) { named[i], named[j] = named[j], named[i] })
	slices.SortStableFunc(named, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	return c.notSelf(ctx, named[:min(len(named), maxHosts)])
}

// notSelf cuts the list where this server stands in it: hosts of its own preference or a worse
// one would only send the mail back (RFC 5321, section 5.1).
func (c *Client) notSelf(ctx context.Context, records []*net.MX) ([]string, *fault) {
	cut := -1
	for _, mx := range records {
		if c.isSelf(ctx, hostName(mx.Host)) {
			cut = int(mx.Pref)
			break
		}
	}
	var names []string
	for _, mx := range records {
		if cut < 0 || int(mx.Pref) < cut {
			names = append(names, hostName(mx.Host))
		}
	}
	if len(names) == 0 {
		return nil, permanent(ReasonLoop, "5.4.6", "the DNS says that this server is the destination, and the domain is not served here")
	}
	return names, nil
}

// isSelf knows this server by its name, or by an address that it listens on.
func (c *Client) isSelf(ctx context.Context, host string) bool {
	if host == c.config.Hostname || slices.Contains(c.config.Names, host) {
		return true
	}
	if len(c.config.Own) == 0 {
		return false
	}
	addrs, err := c.config.Resolver.LookupIPAddr(ctx, host)
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if addr, ok := netip.AddrFromSlice(a.IP); ok && slices.Contains(c.config.Own, netip.AddrPortFrom(addr.Unmap(), uint16(c.config.Port))) {
			return true
		}
	}
	return false
}

func hostName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// addresses returns where a host is to be reached from the source, IPv4 first: more senders are
// known by name there, and whoever has IPv6 mostly has both.
func (c *Client) addresses(ctx context.Context, host string, route *Route) ([]netip.Addr, *fault) {
	source, private := route.Source, c.config.Private || route.Relay != nil && route.Relay.Inside
	found, err := c.config.Resolver.LookupIPAddr(ctx, host)
	switch {
	case notFound(err):
		return nil, hopeless(ReasonNoHost, "the host %s has no address", host)
	case err != nil:
		return nil, temporary(ReasonDNS, "4.4.3", "the DNS does not give the address of %s at the moment", host)
	}
	var v4, v6 []netip.Addr
	hidden := false
	for _, a := range found {
		addr, ok := netip.AddrFromSlice(a.IP)
		addr = addr.Unmap()
		switch {
		case !ok || source.IsValid() && source.Unmap().Is4() != addr.Is4():
		case !private && !Public(addr):
			hidden = true
		case addr.Is4():
			v4 = append(v4, addr)
		default:
			v6 = append(v6, addr)
		}
	}
	rand.Shuffle(len(v4), func(i, j int) { v4[i], v4[j] = v4[j], v4[i] })
	rand.Shuffle(len(v6), func(i, j int) { v6[i], v6[j] = v6[j], v6[i] })
	all := append(v4[:min(len(v4), maxAddresses-min(len(v6), 1))], v6...)
	if len(all) > 0 {
		return all[:min(len(all), maxAddresses)], nil
	}
	if hidden {
		return nil, hopeless(ReasonPrivate, "the address of %s is none of the internet", host)
	}
	return nil, temporary(ReasonNoHost, "4.4.4", "the host %s has no address that can be reached from here", host)
}

// hopeless is a fault of one host that will not pass; another one may do.
func hopeless(reason, format string, host string) *fault {
	f := permanent(reason, "5.4.4", format, host)
	f.final, f.host = false, host
	return f
}

// notFound reports whether the DNS said for certain that there is nothing.
func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound && !dns.IsTemporary && !dns.IsTimeout
}

// shared is the space of carriers' translation (RFC 6598), nat64 the prefix under which IPv4
// addresses are reached from IPv6 (RFC 6052).
var (
	shared = netip.MustParsePrefix("100.64.0.0/10")
	zero   = netip.MustParsePrefix("0.0.0.0/8")
	high   = netip.MustParsePrefix("240.0.0.0/4")
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
)

// Public reports whether an address may be one of another server on the internet.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr.IsValid() && addr.IsGlobalUnicast() && !addr.IsPrivate() && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() &&
		!shared.Contains(addr) && !zero.Contains(addr) && !high.Contains(addr)
}
