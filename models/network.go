package models

import (
	"net/netip"
	"strings"
)

// Network returns what counts as one network: an IPv4 address (mapped into IPv6 or not), or
// the /64 of an IPv6 address, which is what one household or host is given. An invalid address
// gives the zero prefix, a network like others.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails for the zero address alone
	return prefix
}

// NetworkName is how a network is written in the database: an IPv4 address without its
// length, an IPv6 prefix with it, "" for none.
func NetworkName(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return ""
	case p.Addr().Is4():
		return p.Addr().String()
	}
	return p.String()
}

// ParseNetwork reads an address, or the network of one as NetworkName writes it. Error:
// network.invalid of kind Invalid.
func ParseNetwork(s string) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
	if addr, err := netip.ParseAddr(s); err == nil {
		return Network(addr), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || Network(p.Addr()) != p.Masked() {
		return netip.Prefix{}, Errorf(Invalid, "network.invalid", "%q is neither an IP address nor the /64 of one.", s).On("network")
	}
	return p.Masked(), nil
}
