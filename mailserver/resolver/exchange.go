package resolver

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is announced by EDNS; RFC 9715 names 1232 as what passes without fragments.
const udpSize = 1232

var (
	errAliases  = errors.New("too many CNAMEs")
	errReferral = errors.New("the server does not resolve, it points to others")
	errForeign  = errors.New("the reply answers another question")
	errName     = errors.New("the answer has names that no host can have")
)

// ask puts a question to the servers in turn until one of them knows: a reply with records,
// or one that says that there are none.
func (r *Resolver) ask(ctx context.Context, name string, q question) (*dns.Msg, string, error) {
	var last error
	for range rounds {
		for _, server := range r.servers {
			reply, err := r.askOne(ctx, server, q)
			if err == nil && (reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError) {
				return reply, server, nil
			}
			if err == nil {
				err = errors.New(dns.RcodeToString[reply.Rcode])
			}
			last = temporary(name, server, err)
			r.log.Debug("dns", "name", q.name, "type", dns.TypeToString[q.qtype], "server", server, "err", err)
			if ctx.Err() != nil {
				return nil, "", temporary(name, server, ctx.Err())
			}
		}
	}
	return nil, "", last
}

// askOne asks one server, first with EDNS; RFC 6891, section 7: one that does not know EDNS
// answers FORMERR or NOTIMP.
func (r *Resolver) askOne(ctx context.Context, server string, q question) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.AuthenticatedData = true // RFC 6840, section 5.7: we understand the AD bit
	m.SetEdns0(udpSize, false)
	reply, err := r.Exchange(ctx, server, m)
	if err == nil && (reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented) {
		m.Extra, m.Id = nil, dns.Id()
		return r.Exchange(ctx, server, m)
	}
	return reply, err
}

// Exchange puts one message to one server (host:port), by UDP and, if the reply was cut, again
// by TCP. It returns the reply as it came, whatever its code; the error is a temporary
// *net.DNSError. Nothing is cached.
func (r *Resolver) Exchange(ctx context.Context, server string, m *dns.Msg) (*dns.Msg, error) {
	reply, err := r.exchange(ctx, "udp", server, m)
	if err == nil && reply.Truncated {
		reply, err = r.exchange(ctx, "tcp", server, m)
	}
	if err != nil {
		name := ""
		if len(m.Question) > 0 {
			name = strings.TrimSuffix(m.Question[0].Name, ".")
		}
		return nil, temporary(name, server, err)
	}
	return reply, nil
}

// exchange is one try over one transport. By UDP, replies to other questions are passed over
// until the time is up: anyone can send some.
func (r *Resolver) exchange(ctx context.Context, network, server string, m *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	deadline, _ := ctx.Deadline()
	if err := socket.SetDeadline(deadline); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })()
	conn := &dns.Conn{Conn: socket, UDPSize: udpSize}
	if err := conn.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		reply, err := conn.ReadMsg()
		switch {
		case err == nil && answers(reply, m):
			return reply, nil
		case err == nil && network == "udp", network == "udp" && isNonsense(err):
			continue
		case err == nil:
			return nil, errForeign
		}
		return nil, err
	}
}

// isNonsense reports whether a packet came that is no DNS message.
func isNonsense(err error) bool {
	var network net.Error
	return !errors.As(err, &network)
}

// answers reports whether a message is the reply to this question.
func answers(reply, m *dns.Msg) bool {
	if !reply.Response || reply.Id != m.Id || len(reply.Question) != len(m.Question) {
		return false
	}
	for i, q := range reply.Question {
		asked := m.Question[i]
		if q.Qtype != asked.Qtype || q.Qclass != asked.Qclass || !strings.EqualFold(q.Name, asked.Name) {
			return false
		}
	}
	return true
}

func notFound(name, why string) error {
	return &net.DNSError{Err: why, Name: name, IsNotFound: true}
}

func temporary(name, server string, err error) error {
	var known *net.DNSError
	if errors.As(err, &known) {
		return known
	}
	var network net.Error
	timeout := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
	return &net.DNSError{UnwrapErr: err, Err: err.Error(), Name: name, Server: server, IsTimeout: timeout, IsTemporary: true}
}
