package mtasts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
)

// fetchTime bounds a whole fetch (RFC 8461, section 3.3, proposes a minute).
const fetchTime = time.Minute

// Resolver is what is asked of the DNS; errors are *net.DNSError.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
}

// fetcher gets the texts of policies.
type fetcher struct {
	resolver Resolver
	private  bool
	port     int
	client   *http.Client
}

func newFetcher(resolver Resolver, roots *x509.CertPool, port int, private bool) *fetcher {
	f := &fetcher{resolver: resolver, private: private, port: port}
	f.client = &http.Client{
		Timeout: fetchTime,
		// RFC 8461, section 3.3: redirects are not followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: f.dial, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
			TLSHandshakeTimeout: 20 * time.Second, ResponseHeaderTimeout: 20 * time.Second, MaxResponseHeaderBytes: 32 << 10,
		},
	}
	return f
}

// fetch gets the policy of a domain. The domain is a name out of an address, and the host is
// always below it: it leads nowhere else.
func (f *fetcher) fetch(ctx context.Context, domain string) (*Policy, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return nil, err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, bad("status %d", response.StatusCode)
	}
	if kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "text/plain") {
		return nil, bad("type %.40q", kind)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxPolicy+1))
	if err != nil {
		return nil, err
	}
	return ParsePolicy(string(text))
}

// dial connects to a host's public addresses, in turn. The address is looked at when it is dialled,
// so no answer of the DNS leads inside.
func (f *fetcher) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	found, err := f.resolver.LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	last := errors.New("no public address")
	for _, a := range found[:min(len(found), 4)] {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok || !f.private && !outbound.Public(ip) {
			continue
		}
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, net.JoinHostPort(ip.Unmap().String(), strconv.Itoa(f.port)))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, fmt.Errorf("connect to %s: %w", host, last)
}
