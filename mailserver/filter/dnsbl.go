package filter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/postchi/postchi/models"
)

// Action is what a list is good for.
type Action int

// The actions.
const (
	ToJunk Action = iota
	ToRefuse
)

// Resolver is what a DNSBL asks of the DNS, as net.Resolver has it.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// DNSBL is one list of addresses in the DNS (RFC 5782).
type DNSBL struct {
	Zone     string // zen.spamhaus.org
	Action   Action // with messages from an address on the list
	Resolver Resolver
}

var (
	// listed is what answers of lists are; any other comes from a server that answers for
	// everything, or from a list that has ceased to exist. RFC 5782, section 2.1.
	listed = netip.MustParsePrefix("127.0.0.0/8")
	// refusal is how lists say that they do not answer us: too many questions, a public
	// resolver. It means nothing about the address.
	refusal = netip.MustParsePrefix("127.255.255.0/24")

	errRefused = errors.New("the list refuses to answer this server")
)

// Name returns "dnsbl:" and the zone.
func (d *DNSBL) Name() string { return "dnsbl:" + d.Zone }

// Check looks the client up. Addresses that are not of the internet are on no list.
func (d *DNSBL) Check(ctx context.Context, m *Message) (Verdict, error) {
	remote := m.Remote.Unmap().WithZone("")
	if !remote.IsGlobalUnicast() || remote.IsPrivate() {
		return Verdict{}, nil
	}
	answers, err := d.Resolver.LookupNetIP(ctx, "ip4", reversed(remote)+"."+d.Zone)
	if err != nil {
		var known *net.DNSError
		if errors.As(err, &known) && known.IsNotFound {
			return Verdict{}, nil
		}
		return Verdict{}, err
	}
	on := false
	for _, a := range answers {
		switch {
		case refusal.Contains(a):
			return Verdict{}, errRefused
		case listed.Contains(a):
			on = true
		}
	}
	if !on {
		return Verdict{}, fmt.Errorf("answer %v is none of a list", answers)
	}
	return d.verdict(remote), nil
}

func (d *DNSBL) verdict(remote netip.Addr) Verdict {
	v := Verdict{Summary: "dnsbl=" + d.Zone}
	if d.Action == ToRefuse {
		v.Refuse = models.Errorf(models.Denied, "filter.listed", "%s is on the list %s.", remote, d.Zone).With("address", remote.String()).With("list", d.Zone)
		return v
	}
	v.Junk, v.Fields = true, fmt.Appendf(nil, "X-DNSBL: %s is on the list %s\r\n", remote, d.Zone)
	return v
}

// reversed writes an address the way it is looked up: IPv4 by bytes (RFC 5782, section 2.1),
// IPv6 by half bytes (section 2.4).
func reversed(a netip.Addr) string {
	raw := a.AsSlice()
	parts := make([]string, 0, 32)
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			parts = append(parts, fmt.Sprint(raw[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%x", raw[i]&15), fmt.Sprintf("%x", raw[i]>>4))
		}
	}
	return strings.Join(parts, ".")
}
