package models

import (
	"net/netip"
	"strings"
)

// ParseSource reads an address that mail may leave from: one host's, without a zone. Invalid
// domain.source, field "source", for everything else.
func ParseSource(text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(strings.TrimSpace(text))
	ip = ip.Unmap()
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip == broadcast {
		return netip.Addr{}, Errorf(Invalid, "domain.source", "That is no address that mail can leave from.").On("source")
	}
	return ip, nil
}
