package resolver

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxTTL and maxNegativeTTL bound how long an answer is kept, whatever it says: an error
	// in somebody's zone is not to outlive its repair for long.
	maxTTL         = time.Hour
	maxNegativeTTL = time.Minute
	// maxAliases is the length of a chain of CNAMEs that is followed.
	maxAliases = 8
)

// Answer is what the DNS has at a name. It is shared: do not change it.
type Answer struct {
	Name          string        // at the end of the CNAMEs, lower case, with the final dot
	Records       []dns.RR      // of the type that was asked for; never empty
	TTL           time.Duration // the smallest on the way
	Authenticated bool          // a validating server on this machine says so (AD bit)

	missing string // why there are no records; "" if there are
	nowhere bool   // the name that was asked for does not exist
	size    int    // bytes, for the cache
}

// result is the answer, or the error that says that there is none.
func (a *Answer) result(name string) (*Answer, error) {
	if a.missing != "" {
		return nil, notFound(name, a.missing)
	}
	return a, nil
}

// question is what is asked: an absolute name in lower case and a type.
type question struct {
	name  string
	qtype uint16
}

// resolve asks until the end of the CNAMEs. A recursive server gives the whole chain at once.
func (r *Resolver) resolve(ctx context.Context, name string, q question) (*Answer, error) {
	a := &Answer{Name: q.name, TTL: maxTTL, Authenticated: true}
	for range maxAliases {
		reply, server, err := r.ask(ctx, name, question{a.Name, q.qtype})
		if err != nil {
			return nil, err
		}
		a.size += reply.Len()
		a.Authenticated = a.Authenticated && reply.AuthenticatedData && loopback(server)
		alias, err := a.follow(reply, q.qtype)
		if err != nil {
			return nil, temporary(name, server, err)
		}
		switch {
		case len(a.Records) > 0:
			return a, nil
		case reply.Rcode == dns.RcodeNameError || !alias:
			a.nowhere = reply.Rcode == dns.RcodeNameError && a.Name == q.name // else a CNAME stands there
			return a, a.absent(name, server, reply)
		}
	}
	return nil, temporary(name, "", errAliases)
}

// follow walks from a.Name along the CNAMEs of a reply and takes the records at the end.
// Records with other names are passed over: nobody asked for them. alias says that a.Name
// changed and that the reply says nothing of the new one.
func (a *Answer) follow(reply *dns.Msg, qtype uint16) (alias bool, err error) {
	for range maxAliases {
		next := ""
		for _, rr := range reply.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, a.Name) {
				continue
			}
			if cname, is := rr.(*dns.CNAME); is && qtype != dns.TypeCNAME {
				next = strings.ToLower(cname.Target)
				a.lower(h.Ttl)
			} else if h.Rrtype == qtype {
				a.Records = append(a.Records, rr)
				a.lower(h.Ttl)
			}
		}
		if len(a.Records) > 0 || next == "" {
			return alias, nil
		}
		a.Name, alias = next, true
	}
	return alias, errAliases
}

func (a *Answer) lower(ttl uint32) { a.TTL = min(a.TTL, time.Duration(ttl)*time.Second) }

// absent tells what a reply without records means. RFC 2308, section 2: a reply with the
// zone's SOA, or from the zone itself, says that there is nothing; one that only points to
// other servers says nothing (section 2.1.1, referral).
func (a *Answer) absent(name, server string, reply *dns.Msg) error {
	var soa *dns.SOA
	referral := false
	for _, rr := range reply.Ns {
		switch rr := rr.(type) {
		case *dns.SOA:
			soa = rr
		case *dns.NS:
			referral = true
		}
	}
	if reply.Rcode == dns.RcodeSuccess && soa == nil && referral && !reply.Authoritative {
		return temporary(name, server, errReferral)
	}
	a.missing = "no such name"
	if reply.Rcode == dns.RcodeSuccess {
		a.missing = "no record of this type"
	}
	if soa == nil { // RFC 2308, section 5: not to be kept
		a.TTL = 0
		return nil
	}
	a.lower(min(soa.Hdr.Ttl, soa.Minttl))
	a.TTL = min(a.TTL, maxNegativeTTL)
	return nil
}

// loopback reports whether a server runs on this machine. The AD bit of any other could have
// been set on the way.
func loopback(server string) bool {
	host, _, _ := net.SplitHostPort(server)
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
