package models

import (
	"net/netip"
	"testing"
)

func TestNetworkNames(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := NetworkName(Network(netip.MustParseAddr(addr))); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
		for _, text := range []string{addr, want, " " + want + "\n"} {
			if p, err := ParseNetwork(text); err != nil || NetworkName(p) != want {
				t.Errorf("ParseNetwork(%q): %s %v, want %s", text, p, err, want)
			}
		}
	}
	if got := NetworkName(Network(netip.Addr{})); got != "" {
		t.Errorf("no address: %q", got)
	}
	for _, bad := range []string{"", "nonsense", "10.0.0.0/8", "2001:db8::/32", "192.0.2.7/33"} {
		if p, err := ParseNetwork(bad); !Is(err, Invalid) {
			t.Errorf("%q: %v %v", bad, p, err)
		}
	}
}
