package auth

import (
	"net/netip"
	"strings"

	"github.com/postchi/postchi/models"
)

// networkOf returns what counts as one network: an IPv4 address (mapped into IPv6 or not), or
// the /64 of an IPv6 address, which is what one household or host is given. An invalid address
// gives the zero prefix, a network like others.
func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails for the zero address alone
	return prefix
}

// networkText is how a network is written in the database: an IPv4 address without its
// length, an IPv6 prefix with it, "" for none.
func networkText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.Addr().Is4():
		return p.Addr().String()
	}
	return p.String()
}

// NetworkName returns the network of an address as it stands in models.Login and
// models.LoginBlock.
func NetworkName(addr netip.Addr) string { return networkText(networkOf(addr)) }

// ParseNetwork reads an address, or the network of one as NetworkName writes it, and returns
// the network's name. Error: network.invalid of kind Invalid.
func ParseNetwork(s string) (string, error) {
	p, ok := parseNetwork(strings.TrimSpace(s))
	if !ok {
		return "", models.Errorf(models.Invalid, "network.invalid", "That is neither an IP address nor the /64 of one.")
	}
	return networkText(p), nil
}

func parseNetwork(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return networkOf(addr), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || networkOf(p.Addr()) != p.Masked() {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}
