package verify

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"blitiri.com.ar/go/spf"

	"github.com/postchi/postchi/models/address"
)

// maxSPF bounds one evaluation. RFC 7208, section 4.6.4: at least 20 s.
const maxSPF = 20 * time.Second

// spfResult is what SPF says of the two identities of a client.
type spfResult struct {
	mailFrom, helo string // verdicts
	domain         string // that MAIL FROM speaks for, "" = none
}

// spf evaluates MAIL FROM and HELO. RFC 7208, section 2.4: the null sender speaks for
// postmaster at the name of HELO.
func (v *Verifier) spf(ctx context.Context, m *Message, remote netip.Addr) spfResult {
	helo, named := heloDomain(m.HELO)
	r := spfResult{mailFrom: "none", helo: "none", domain: m.Sender.Domain}
	var wg sync.WaitGroup
	if named {
		wg.Go(func() { r.helo = v.spfOf(ctx, remote, m.HELO, address.Address{Local: "postmaster", Domain: helo}) })
	}
	if !m.Sender.IsZero() {
		wg.Go(func() { r.mailFrom = v.spfOf(ctx, remote, m.HELO, m.Sender) })
	}
	wg.Wait()
	if m.Sender.IsZero() && named {
		r.mailFrom, r.domain = r.helo, helo
	}
	return r
}

// heloDomain returns the name of HELO if it is one that can have a record: with a dot, no
// address (RFC 7208, section 2.3).
func heloDomain(helo string) (string, bool) {
	domain, ok := domainName(strings.TrimSuffix(helo, "."))
	if _, err := netip.ParseAddr(domain); !ok || err == nil || !strings.Contains(domain, ".") {
		return "", false
	}
	return domain, true
}

// spfOf evaluates one identity; helo is what the client said, for the macro %{h}.
func (v *Verifier) spfOf(ctx context.Context, remote netip.Addr, helo string, sender address.Address) string {
	ctx, cancel := context.WithTimeout(ctx, maxSPF)
	defer cancel()
	local := sender.Local
	if strings.Contains(local, "@") {
		local = "postmaster" // the library takes the first @ for the one before the domain
	}
	dns := spfResolver{Resolver: v.dns, six: remote.Is6()}
	verdict, err := spf.CheckHostWithSender(remote.AsSlice(), helo, local+"@"+sender.Domain, spf.WithContext(ctx), spf.WithResolver(dns))
	v.log.Debug("spf", "domain", sender.Domain, "remote", remote, "verdict", verdict, "err", err)
	return string(verdict)
}

// spfResolver looks up the addresses that count for the client's family. RFC 7208, section 5:
// A for IPv4, AAAA for IPv6; an error of the other family does not matter, and one of the
// right family is never hidden by addresses of the other.
type spfResolver struct {
	Resolver
	six bool
}

// LookupTXT returns the texts at a name. The library reads a record term by term until one
// matches, and is mild about what stands in them: a record with a mistake anywhere is replaced by
// one that it calls a permanent error.
func (r spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	texts, err := r.Resolver.LookupTXT(ctx, fitting(name))
	texts = slices.Clone(texts)
	for i, text := range texts {
		if isSPF(text) && !validSPF(text) {
			texts[i] = "v=spf1 mistake"
		}
	}
	return texts, err
}

// LookupMX returns the mail exchangers of a name.
func (r spfResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	return r.Resolver.LookupMX(ctx, fitting(name))
}

// fitting cuts labels off the left of a name that macros have made too long (RFC 7208, section 7.3).
func fitting(name string) string {
	name = strings.TrimSuffix(name, ".")
	for len(name) > 253 {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		name = rest
	}
	return name
}

// LookupIPAddr returns the addresses of a host. For IPv6 clients those of A stand beside the
// others, since "exists" asks for A always (section 5.7) and the library does not tell.
func (r spfResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	host = fitting(host)
	if _, err := netip.ParseAddr(host); err == nil {
		return nil, &net.DNSError{Err: "an address, no name", Name: host, IsNotFound: true}
	}
	four, err := r.LookupNetIP(ctx, "ip4", host)
	if !r.six {
		return ipAddrs(four), err
	}
	six, sixErr := r.LookupNetIP(ctx, "ip6", host)
	if sixErr != nil && !isNotFound(sixErr) {
		return nil, sixErr
	}
	if all := ipAddrs(append(six, four...)); len(all) > 0 {
		return all, nil
	}
	return nil, err
}

func ipAddrs(all []netip.Addr) []net.IPAddr {
	out := make([]net.IPAddr, len(all))
	for i, a := range all {
		out[i].IP = a.AsSlice()
	}
	return out
}
