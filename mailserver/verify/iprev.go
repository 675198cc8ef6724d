package verify

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// maxReverse is the number of names of an address that are looked at.
const maxReverse = 5

// iprev looks for a name of the client that leads back to its address (RFC 8601, section 3). It
// returns the verdict and, for pass, the name.
func (v *Verifier) iprev(ctx context.Context, remote netip.Addr) (verdict, host string) {
	names, err := v.dns.LookupAddr(ctx, remote.String())
	switch {
	case err != nil && isNotFound(err):
		return "permerror", ""
	case err != nil:
		return "temperror", ""
	}
	unknown := false
	for _, name := range names[:min(len(names), maxReverse)] {
		addrs, err := v.dns.LookupNetIP(ctx, family(remote), name)
		if slices.Contains(addrs, remote) {
			return "pass", strings.ToLower(strings.TrimSuffix(name, "."))
		}
		unknown = unknown || err != nil && !isNotFound(err)
	}
	if unknown {
		return "temperror", ""
	}
	return "fail", ""
}

// family is the network of net.Resolver.LookupNetIP for an address.
func family(a netip.Addr) string {
	if a.Is4() {
		return "ip4"
	}
	return "ip6"
}
