// Package resolvertest is a DNS server for tests: on loopback, by UDP and TCP, with records
// given as lines of a zone file, and with every failure that the real DNS has.
//
// A Server made by New knows everything, as a recursive server does: names without records do
// not exist, CNAMEs are followed, wildcards apply. Authoritative makes servers that are asked
// as the name servers of a zone are: they know that zone alone and refuse the rest.
package resolvertest

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver"
)

// Server is a DNS server on loopback. Its methods may be called while it answers.
type Server struct {
	addr  netip.AddrPort
	zones []string // "" as the only one = all names

	mu       sync.Mutex
	records  map[string][]dns.RR // by name, lower case, with the final dot
	faults   map[string]fault
	all      fault // for names without one of their own
	asked    map[string]int
	validate bool
}

// fault is what goes wrong at a name.
type fault struct {
	rcode    int // 0 = none
	delay    time.Duration
	silent   bool
	truncate bool
	lame     bool
}

// New starts a server on 127.0.0.1 and a free port; it ends with the test.
func New(t testing.TB) *Server { return start(t, "127.0.0.1:0", "") }

// Authoritative starts a server at another loopback address (127.0.0.2 ...) and the same port,
// which answers for these zones and refuses the others. It has records of its own.
func (s *Server) Authoritative(t testing.TB, ip string, zones ...string) *Server {
	t.Helper()
	return start(t, netip.AddrPortFrom(netip.MustParseAddr(ip), s.addr.Port()).String(), zones...)
}

func start(t testing.TB, addr string, zones ...string) *Server {
	t.Helper()
	s := &Server{zones: zones, records: map[string][]dns.RR{}, faults: map[string]fault{}, asked: map[string]int{}}
	packets, listener := listen(t, addr)
	s.addr = listener.Addr().(*net.TCPAddr).AddrPort()
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: listener, Handler: s}} {
		started, ended := make(chan struct{}), make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = server.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-ended
		})
	}
	return s
}

// listen takes one port for both transports; the second may be in use, then another is tried.
func listen(t testing.TB, addr string) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 20 {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			last = err
			continue
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return packets, listener
		}
		last = err
		listener.Close()
	}
	t.Fatalf("DNS server at %s: %v", addr, last)
	return nil, nil
}

// Addr returns host:port, as dns.resolver wants it.
func (s *Server) Addr() string { return s.addr.String() }

// Resolver returns a resolver that asks this server alone and keeps nothing.
func (s *Server) Resolver(t testing.TB) *resolver.Resolver {
	t.Helper()
	r, err := resolver.New(resolver.Config{Servers: []string{s.Addr()}, Timeout: 2 * time.Second, Cache: -1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Set adds records, one or more lines of a zone file each: "example.com. 300 IN MX 10 mx",
// names relative to the root, class and time to live (60) optional. Lines for a name and a
// type replace what was there for both. It panics on a mistake.
func (s *Server) Set(lines ...string) {
	fresh := map[string][]dns.RR{}
	replaced := map[string]map[uint16]bool{}
	for _, line := range lines {
		p := dns.NewZoneParser(strings.NewReader(line), ".", "")
		p.SetDefaultTTL(60)
		for rr, ok := p.Next(); ok; rr, ok = p.Next() {
			name := strings.ToLower(rr.Header().Name)
			fresh[name] = append(fresh[name], rr)
			if replaced[name] == nil {
				replaced[name] = map[uint16]bool{}
			}
			replaced[name][rr.Header().Rrtype] = true
		}
		if err := p.Err(); err != nil {
			panic("resolvertest: " + line + ": " + err.Error())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, records := range fresh {
		for _, rr := range s.records[name] {
			if !replaced[name][rr.Header().Rrtype] {
				records = append(records, rr)
			}
		}
		s.records[name] = records
	}
}

// SetTXT sets the one text of a name, which may have any length and any bytes.
func (s *Server) SetTXT(name, text string) {
	rr := &dns.TXT{Hdr: dns.RR_Header{Name: fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}}
	for len(text) > 255 {
		rr.Txt, text = append(rr.Txt, escape(text[:255])), text[255:]
	}
	rr.Txt = append(rr.Txt, escape(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := []dns.RR{rr}
	for _, old := range s.records[rr.Hdr.Name] {
		if old.Header().Rrtype != dns.TypeTXT {
			kept = append(kept, old)
		}
	}
	s.records[rr.Hdr.Name] = kept
}

func escape(text string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) }

// Remove takes the records of a type away, or all of a name with dns.TypeANY.
func (s *Server) Remove(name string, qtype uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = fqdn(name)
	var kept []dns.RR
	for _, rr := range s.records[name] {
		if qtype != dns.TypeANY && rr.Header().Rrtype != qtype {
			kept = append(kept, rr)
		}
	}
	if s.records[name] = kept; kept == nil {
		delete(s.records, name)
	}
}

// Fail makes every question about name end with this code (dns.RcodeServerFailure ...); 0 ends
// it, and so it does for the faults below. The name "*" is every name without a fault of its own.
func (s *Server) Fail(name string, rcode int) { s.fault(name, fault{rcode: rcode}) }

// Silence leaves questions about name without an answer.
func (s *Server) Silence(name string) { s.fault(name, fault{silent: true}) }

// Delay answers questions about name only after a while.
func (s *Server) Delay(name string, by time.Duration) { s.fault(name, fault{delay: by}) }

// Truncate cuts answers about name over UDP, so that they are asked for again over TCP.
func (s *Server) Truncate(name string) { s.fault(name, fault{truncate: true}) }

// Lame answers questions about name by pointing elsewhere, as a server does that does not have the zone.
func (s *Server) Lame(name string) { s.fault(name, fault{lame: true}) }

func (s *Server) fault(name string, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "*" {
		s.all = f
		return
	}
	s.faults[fqdn(name)] = f
}

// Validate sets whether answers carry the AD bit.
func (s *Server) Validate(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.validate = on
}

// Asked returns how often a name was asked for, by both transports and for all types.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[fqdn(name)]
}

func fqdn(name string) string { return strings.ToLower(dns.Fqdn(name)) }
