package outbound

import (
	"context"
	"fmt"
	"net/netip"
)

// attempt is one Send.
type attempt struct {
	*Client
	m       *Message
	out     *Attempt
	settled []bool
	left    int
	route   Route
	policy  Policy
	size    int64
	eight   bool
	reached bool // a host has taken a MAIL command, or refused one
	busy    bool
	tries   int
	worst   *fault // what is said of recipients that nobody settled
}

// Send makes one attempt for all recipients of a message. It returns when each has a result, or
// ctx has ended; what ctx cut short is Deferred.
func (c *Client) Send(ctx context.Context, m *Message) *Attempt {
	a := &attempt{Client: c, m: m, out: &Attempt{Results: make([]Result, len(m.Recipients))}, settled: make([]bool, len(m.Recipients)), left: len(m.Recipients)}
	a.size = int64(len(m.Prefix)) + m.Size
	a.route = m.Route
	if f := a.run(ctx); f != nil {
		a.note(f)
	}
	for i := range a.settled {
		if !a.settled[i] && a.worst != nil {
			a.out.Results[i] = a.worst.result()
		}
	}
	a.out.Busy = a.busy && !a.reached && a.left == len(m.Recipients)
	a.out.Unreached = !a.reached && !a.out.Busy && a.left > 0 && a.worst != nil && !ours[a.worst.reason]
	return a.out
}

// ours are faults of this side, which say nothing of the other.
var ours = map[string]bool{ReasonMessage: true, ReasonAbandoned: true, ReasonRoute: true}

// run goes through the hosts until everybody is settled.
func (a *attempt) run(ctx context.Context) (f *fault) {
	if f := a.prepare(); f != nil {
		return f
	}
	key := a.key()
	for a.left > 0 {
		s := a.pool.get(key)
		if s == nil {
			break
		}
		a.out.Reused = true
		if f := a.use(ctx, key, s); f != nil && f.final {
			return f
		}
	}
	if a.left == 0 {
		return nil
	}
	a.out.Reused = false
	hosts, f := a.destination(ctx)
	if f != nil {
		return f
	}
	for _, host := range hosts {
		if a.left == 0 || a.tries >= maxTries || ctx.Err() != nil {
			break
		}
		if f := a.host(ctx, key, host); f != nil && f.final {
			return f
		}
	}
	if a.left > 0 && a.worst == nil && !a.busy {
		return temporary(ReasonAbandoned, "4.4.1", "the attempt was given up")
	}
	return nil
}

// prepare finds out what does not depend on the host.
func (a *attempt) prepare() (f *fault) {
	var err error
	if a.eight, err = eightBit(content(a.m)); err != nil {
		a.log.Error("message not readable", "err", err)
		return temporary(ReasonMessage, "4.3.0", "the message cannot be read at the moment")
	}
	return nil
}

// key names connections that may carry this message.
func (a *attempt) key() string {
	if r := a.route.Relay; r != nil {
		return fmt.Sprintf("relay %s:%d %s %s %s", r.Host, r.Port, r.Security, r.account(), a.route.Source)
	}
	return a.m.Domain + " " + a.route.Source.String()
}

// destination lists the hosts, and what they must prove.
func (a *attempt) destination(ctx context.Context) (hosts []string, f *fault) {
	if a.route.Relay != nil {
		return []string{a.route.Relay.Host}, nil
	}
	look, cancel := context.WithTimeout(ctx, a.config.Timeouts.DNS)
	defer cancel()
	hosts, f = a.hosts(look, a.m.Domain)
	if f != nil || a.config.Policies == nil {
		return hosts, f
	}
	var err error
	if a.policy, err = a.config.Policies.Policy(ctx, a.m.Domain); err != nil {
		a.log.Debug("policy not known", "domain", a.m.Domain, "err", err)
		return nil, temporary(ReasonTLS, "4.7.5", "what the domain demands of TLS cannot be found out at the moment")
	}
	if a.policy.Allows == nil {
		return hosts, nil
	}
	allowed := hosts[:0:0]
	for _, h := range hosts {
		if a.policy.Allows(h) {
			allowed = append(allowed, h)
		}
	}
	if len(allowed) == 0 {
		return nil, temporary(ReasonTLS, "4.7.5", "no host of %s is one that its policy (%s) names", a.m.Domain, a.policy.Name)
	}
	return allowed, nil
}

// host tries the addresses of one host.
func (a *attempt) host(ctx context.Context, key, host string) *fault {
	look, cancel := context.WithTimeout(ctx, a.config.Timeouts.DNS)
	addrs, f := a.addresses(look, host, &a.route)
	cancel()
	if f != nil {
		if f.reason == ReasonNoHost && f.status == Failed && host == a.m.Domain {
			f.reason, f.enhanced, f.text = ReasonNoDomain, "5.1.2", "the domain "+host+" does not exist, or takes no mail"
		}
		a.note(f)
		return f
	}
	port := uint16(a.config.Port)
	if a.route.Relay != nil && a.route.Relay.Port != 0 {
		port = uint16(a.route.Relay.Port)
	}
	for _, addr := range addrs {
		if a.tries >= maxTries || a.left == 0 || ctx.Err() != nil {
			return nil
		}
		f := a.address(ctx, key, &target{host: host, addr: netip.AddrPortFrom(addr, port), source: a.route.Source, policy: a.policy, relay: a.route.Relay})
		if f != nil && f.final {
			return f
		}
	}
	return nil
}

// address finds a session to one address, and uses it.
func (a *attempt) address(ctx context.Context, key string, t *target) *fault {
	id := t.id()
	if s := a.pool.take(func(s *session) bool { return s.to == id }); s != nil {
		a.out.Reused = true
		f := a.use(ctx, key, s)
		if a.left == 0 || f != nil && !f.closed() {
			return f
		}
		a.out.Reused = false
	}
	f, busy := a.enter(t.addr.Addr())
	if busy {
		a.busy = true
		a.out.BusyAt = append(a.out.BusyAt, t.addr.Addr())
		return nil
	}
	if f != nil {
		f.host, f.remote = t.host, t.addr.Addr().String()
		a.note(f)
		return f
	}
	a.tries++
	s, f := a.open(ctx, t)
	if f != nil {
		if f.reason == ReasonConnect || f.reason == ReasonTimeout {
			a.health.bad(t.addr.Addr(), f)
		}
		a.health.leave(t.addr.Addr())
		a.note(f)
		return f
	}
	a.health.good(t.addr.Addr())
	return a.use(ctx, key, s)
}

// enter counts a connection to an address; if there are as many as may be, one that waits for
// mail of others gives way.
func (a *attempt) enter(addr netip.Addr) (f *fault, busy bool) {
	if f, busy = a.health.enter(addr); !busy {
		return f, false
	}
	idle := a.pool.take(func(s *session) bool { return s.addr.Addr() == addr })
	if idle == nil {
		return nil, true
	}
	idle.leave()
	a.leaving.Go(idle.quit)
	return a.health.enter(addr)
}

// use sends the message over a session to who is not settled, and keeps it for others.
func (a *attempt) use(ctx context.Context, key string, s *session) *fault {
	spent := false
	for a.left > 0 && !spent {
		t := &transaction{session: s, m: a.m, size: a.size, eight: a.eight, settle: a.settle}
		for i := range a.settled {
			if !a.settled[i] {
				t.to = append(t.to, i)
			}
		}
		before := a.left
		f := t.run(ctx)
		s.used++
		spent = t.spent
		if a.reached = a.reached || t.heard; t.heard {
			a.health.good(s.addr.Addr())
		}
		if f != nil {
			s.close()
			// A connection that waited may be closed by the other side at any time: that says
			// nothing of the host.
			if !a.out.Reused || !f.closed() || f.final {
				a.note(f)
			}
			return f
		}
		if a.left == before {
			f := temporary(ReasonProtocol, "4.5.0", "the host neither takes nor refuses the recipients")
			f.final = true
			s.close()
			return s.place(f)
		}
	}
	if spent {
		s.close()
		return nil
	}
	if s.used >= a.config.Reuse || ctx.Err() != nil {
		a.leaving.Go(s.quit)
		return nil
	}
	a.pool.put(key, s)
	return nil
}

// settle notes what became of a recipient.
func (a *attempt) settle(i int, r Result) {
	if !a.settled[i] {
		a.settled[i] = true
		a.left--
	}
	a.out.Results[i] = r
}

// note keeps what is to be said if nobody does better: a fault that may pass counts more than
// one that will not, since there was a host that may take the message yet.
func (a *attempt) note(f *fault) {
	if a.worst == nil || a.worst.status == Failed || f.status != Failed {
		a.worst = f
	}
}
