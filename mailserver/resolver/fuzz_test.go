package resolver

import (
	"testing"

	"github.com/miekg/dns"
)

// FuzzReply takes any bytes for the reply of a server: no panic, and an answer, a name that is
// not there, or an error, never two of them.
func FuzzReply(f *testing.F) {
	seed := func(lines ...string) {
		m := new(dns.Msg).SetQuestion("a.example.", dns.TypeTXT)
		m.Response = true
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed()
	seed("a.example. 60 IN TXT x", "b.example. 60 IN TXT y")
	seed("a.example. 60 IN CNAME b.example.", "b.example. 60 IN TXT y")
	seed("a.example. 60 IN CNAME b.example.", "b.example. 60 IN CNAME a.example.")
	f.Fuzz(func(t *testing.T, packet []byte) {
		var reply dns.Msg
		if reply.Unpack(packet) != nil {
			return
		}
		for _, qtype := range []uint16{dns.TypeTXT, dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeNS, dns.TypeCNAME} {
			a := &Answer{Name: "a.example.", TTL: maxTTL}
			alias, err := a.follow(&reply, qtype)
			if err != nil || alias {
				continue
			}
			for _, rr := range a.Records {
				if rr.Header().Rrtype != qtype {
					t.Fatalf("%v among the records of type %d", rr, qtype)
				}
			}
			if len(a.Records) == 0 {
				if err := a.absent("a.example", "127.0.0.1:53", &reply); (err == nil) != (a.missing != "") {
					t.Fatalf("%v, %q", err, a.missing)
				}
			}
			if len(a.Records) > 0 {
				lookUp(t, qtype, a)
			}
		}
	})
}

// lookUp asks for what is in the cache.
func lookUp(t *testing.T, qtype uint16, a *Answer) {
	r := Resolver{cache: newCache(0, nil)}
	a.TTL = maxTTL
	name := "a.example"
	if qtype == dns.TypePTR {
		name = "1.2.0.192.in-addr.arpa"
	}
	r.cache.put(question{name + ".", qtype}, a)
	switch qtype {
	case dns.TypeTXT:
		_, _ = r.LookupTXT(t.Context(), name)
	case dns.TypeMX:
		_, _ = r.LookupMX(t.Context(), name)
	case dns.TypeA:
		_, _ = r.LookupNetIP(t.Context(), "ip4", name)
	case dns.TypeAAAA:
		_, _ = r.LookupNetIP(t.Context(), "ip6", name)
	case dns.TypePTR:
		_, _ = r.LookupAddr(t.Context(), "192.0.2.1")
	case dns.TypeNS:
		_, _ = r.LookupNS(t.Context(), name)
	case dns.TypeCNAME:
		_, _ = r.LookupCNAME(t.Context(), name)
	}
}
