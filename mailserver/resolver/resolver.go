// Package resolver asks the DNS. It has the look-ups of net.Resolver under the same names, so
// that a consumer states the few it needs as an interface, and beside them what net.Resolver
// does not tell: time to live, whether an answer was authenticated (RFC 4035), and one
// question to one named server.
//
// A failed look-up is a *net.DNSError of exactly one of two sorts. IsNotFound: a server said
// that the name does not exist or has no record of this type. IsTemporary (with IsTimeout or
// without): nobody could say; SERVFAIL, REFUSED, silence, nonsense. Mail is refused for good
// only on the first sort.
//
// Names are taken as absolute: no search list, no hosts file. "localhost" and the names below
// it are loopback (RFC 6761, section 6.3) and IP addresses stand for themselves.
package resolver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/models"
)

const (
	// systemFile names the servers when the configuration names none.
	systemFile = "/etc/resolv.conf"
	// rounds is how often each server is asked before a look-up fails.
	rounds = 2
	// maxTime bounds a whole look-up, CNAMEs included.
	maxTime = 12 * time.Second
	// maxServers is how many servers of the list are used; libc uses three.
	maxServers = 4
)

// Config is what a Resolver needs; the zero value asks the system's servers.
type Config struct {
	Servers []string      // host:port of recursive servers; none = those of /etc/resolv.conf, read at New
	Timeout time.Duration // for one answer of one server; 0 = 3 s
	Cache   int           // bytes of answers kept; 0 = 8 MiB, below 0 = none
	Now     func() time.Time
	Log     *slog.Logger // nil = none
}

// Resolver asks recursive servers and remembers what they said for as long as they allow.
// Its methods may be called from any number of goroutines.
type Resolver struct {
	servers []string
	timeout time.Duration
	cache   *cache
	flight  flight
	log     *slog.Logger
}

// New makes a resolver. It fails, with kind Invalid, if a server is no address with a port.
func New(c Config) (*Resolver, error) {
	servers := c.Servers
	if len(servers) == 0 {
		servers = systemServers(systemFile)
	}
	for _, s := range servers {
		if !validServer(s) {
			return nil, models.Errorf(models.Invalid, "dns.resolver", "%q is no address of a DNS server (192.0.2.53:53).", s)
		}
	}
	r := &Resolver{servers: servers[:min(len(servers), maxServers)], timeout: c.Timeout, log: c.Log}
	if r.timeout <= 0 {
		r.timeout = 3 * time.Second
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if c.Cache >= 0 {
		r.cache = newCache(c.Cache, c.Now)
	}
	r.flight.cache = r.cache
	return r, nil
}

// systemServers reads the nameserver lines. Without any it is 127.0.0.1, as libc has it: a
// machine without a network still starts, and its look-ups fail for the time being.
func systemServers(file string) []string {
	var servers []string
	if config, err := dns.ClientConfigFromFile(file); err == nil {
		for _, host := range config.Servers {
			if server := net.JoinHostPort(host, config.Port); validServer(server) {
				servers = append(servers, server)
			}
		}
	}
	if len(servers) == 0 {
		servers = []string{"127.0.0.1:53"}
	}
	return servers
}

func validServer(server string) bool {
	_, err := netip.ParseAddrPort(server)
	return err == nil
}

// Servers returns the addresses of the servers that are asked, with their ports.
func (r *Resolver) Servers() []string { return r.servers }

// Forget empties the cache: someone has just changed a record and wants to see it. Answers to
// questions that are under way are not kept.
func (r *Resolver) Forget() {
	r.flight.forget()
}

// Lookup returns the records of one type (dns.TypeTXT ...) at name, CNAMEs followed. Errors
// are as the package says.
func (r *Resolver) Lookup(ctx context.Context, name string, qtype uint16) (*Answer, error) {
	a, err := r.find(ctx, name, qtype)
	if err != nil {
		return nil, err
	}
	return a.result(name)
}

// Exists reports whether there is such a name, be it with records of other types or with names
// below it alone: what is no NXDOMAIN exists (RFC 8020). The error is a temporary one.
func (r *Resolver) Exists(ctx context.Context, name string) (bool, error) {
	a, err := r.find(ctx, name, dns.TypeA)
	var known *net.DNSError
	if errors.As(err, &known) && known.IsNotFound { // no name that could exist
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return !a.nowhere, nil
}

// find looks in the cache, and asks. Callers with the same question at the same time share one
// asking, which has maxTime for all of it.
func (r *Resolver) find(ctx context.Context, name string, qtype uint16) (*Answer, error) {
	qname, err := wireName(name)
	if err != nil {
		return nil, err
	}
	key := question{qname, qtype}
	if a, ok := r.cache.get(key); ok {
		return a, nil
	}
	return r.flight.do(ctx, name, key, func(ctx context.Context) (*Answer, error) { return r.resolve(ctx, name, key) })
}
