package resolvertest

import (
	"strings"
	"time"

	"github.com/miekg/dns"
)

// negativeTTL is what answers without records may be kept for, in seconds.
const negativeTTL = 30

// ServeDNS answers one question.
func (s *Server) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	if len(m.Question) != 1 {
		reply := new(dns.Msg).SetRcode(m, dns.RcodeFormatError)
		_ = w.WriteMsg(reply)
		return
	}
	udp := w.RemoteAddr().Network() == "udp"
	reply, f := s.reply(m, udp)
	time.Sleep(f.delay)
	if !f.silent {
		_ = w.WriteMsg(reply)
	}
}

func (s *Server) reply(m *dns.Msg, udp bool) (*dns.Msg, fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := m.Question[0]
	name := strings.ToLower(q.Name)
	s.asked[name]++
	f, ok := s.faults[name]
	if !ok {
		f = s.all
	}
	reply := new(dns.Msg)
	reply.SetReply(m)
	reply.RecursionAvailable = s.recursive()
	reply.Authoritative = !s.recursive()
	switch {
	case f.rcode != 0:
		reply.Rcode = f.rcode
	case f.lame:
		reply.Authoritative = false
		reply.Ns = []dns.RR{&dns.NS{Hdr: header("com.", dns.TypeNS), Ns: "a.gtld-servers.net."}}
	case !s.has(name):
		reply.Rcode, reply.Authoritative = dns.RcodeRefused, false
	default:
		s.fill(reply, name, q.Qtype)
		reply.AuthenticatedData = s.validate
	}
	if udp {
		limit := dns.MinMsgSize
		if opt := m.IsEdns0(); opt != nil {
			reply.SetEdns0(opt.UDPSize(), false)
			limit = int(opt.UDPSize())
		}
		if f.truncate {
			reply.Answer, reply.Truncated = nil, true
		}
		reply.Truncate(limit)
		reply.Truncated = reply.Truncated || f.truncate
	}
	return reply, f
}

func (s *Server) recursive() bool { return len(s.zones) == 1 && s.zones[0] == "" }

func (s *Server) has(name string) bool {
	for _, zone := range s.zones {
		if zone == "" || dns.IsSubDomain(fqdn(zone), name) {
			return true
		}
	}
	return false
}

// fill puts the records of a name into the reply, at the end of its CNAMEs, or what says that
// there are none.
func (s *Server) fill(reply *dns.Msg, name string, qtype uint16) {
	for range 12 {
		records, exists := s.at(name)
		next := ""
		for _, rr := range records {
			if rr.Header().Rrtype == qtype || qtype == dns.TypeANY {
				reply.Answer = append(reply.Answer, rr)
				next = ""
			} else if cname, is := rr.(*dns.CNAME); is {
				reply.Answer = append(reply.Answer, rr)
				next = strings.ToLower(cname.Target)
			}
		}
		if next != "" && s.has(next) {
			name = next
			continue
		}
		if n := len(reply.Answer); next == "" && (n == 0 || reply.Answer[n-1].Header().Rrtype != qtype) {
			if !exists {
				reply.Rcode = dns.RcodeNameError
			}
			reply.Ns = []dns.RR{s.soa(name)}
		}
		return
	}
}

// at returns the records of a name, those of a wildcard in its place if it has none, and
// whether it exists: also if there are only names below it (RFC 8020).
func (s *Server) at(name string) ([]dns.RR, bool) {
	if records, ok := s.records[name]; ok {
		return records, true
	}
	for other := range s.records {
		if strings.HasSuffix(other, "."+name) {
			return nil, true
		}
	}
	for rest := name; ; {
		_, parent, ok := strings.Cut(rest, ".")
		if !ok || parent == "" {
			return nil, false
		}
		if wild, ok := s.records["*."+parent]; ok {
			return renamed(wild, name), true
		}
		rest = parent
	}
}

func renamed(records []dns.RR, name string) []dns.RR {
	out := make([]dns.RR, len(records))
	for i, rr := range records {
		out[i] = dns.Copy(rr)
		out[i].Header().Name = name
	}
	return out
}

// soa returns the SOA of the zone that has the name, a made-up one if none was set.
func (s *Server) soa(name string) dns.RR {
	for zone := name; zone != ""; {
		for _, rr := range s.records[zone] {
			if rr.Header().Rrtype == dns.TypeSOA {
				return rr
			}
		}
		_, parent, _ := strings.Cut(zone, ".")
		zone = parent
	}
	h := header(name, dns.TypeSOA)
	h.Ttl = negativeTTL
	return &dns.SOA{Hdr: h, Ns: "ns.invalid.", Mbox: "hostmaster.invalid.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL}
}

func header(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 60}
}
