// Package conn is what stands between the sockets and every mail protocol of the process: a
// Gate counts connections that have not logged in per network over all listeners, and each
// connection carries its own idle limits, a minimum rate while a message is transferred, and
// an end of input that cannot be taken for the end of a message.
//
// A Conn works below TLS: it sees the bytes on the wire, and From finds it again under a
// *tls.Conn. It starts no goroutine and holds no buffer.
package conn

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postchi/postchi/models"
)

// Limits bound what a connection may cost. A zero field means its default.
type Limits struct {
	PerNetwork  int           // connections not yet logged in, of one IPv4 address or IPv6 /64; default 50, negative = no limit
	Idle        time.Duration // longest wait for input or for output to be taken, after log-in; default 5 min
	BeforeLogin time.Duration // the same before log-in; default 60 s
	MinRate     int64         // bytes per second below which a transfer is cut; default 500, negative = no limit
	MinRateOver time.Duration // of waiting for input, over which MinRate is measured; default 30 s
}

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	if l.PerNetwork == 0 {
		l.PerNetwork = 50
	}
	if l.Idle <= 0 {
		l.Idle = 5 * time.Minute
	}
	if l.BeforeLogin <= 0 {
		l.BeforeLogin = time.Minute
	}
	if l.MinRate == 0 {
		l.MinRate = 500
	}
	if l.MinRateOver <= 0 {
		l.MinRateOver = 30 * time.Second
	}
	return l
}

// maxRefusals is the number of connections that are being told at once that there are too
// many of them; further ones are closed without a word.
const maxRefusals = 32

// Gate is shared by all listeners of the process. Its memory is one small map entry for each
// network that has connections not yet logged in. Safe for concurrent use.
type Gate struct {
	limits  Limits
	now     func() time.Time
	log     *slog.Logger
	refusal chan struct{} // a slot for each refusal being written

	refused atomic.Int64

	mu    sync.Mutex
	count map[netip.Prefix]*presence
}

// presence is what the gate knows of one network.
type presence struct {
	waiting int  // connections not yet logged in
	told    bool // the administrator was told that the limit was hit
}

// NewGate returns a gate. A nil now is time.Now; it measures rates only, deadlines of sockets
// always follow the machine's clock. A nil log discards.
func NewGate(limits Limits, now func() time.Time, log *slog.Logger) *Gate {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Gate{
		limits:  limits.withDefaults(),
		now:     now,
		log:     log,
		refusal: make(chan struct{}, maxRefusals),
		count:   map[netip.Prefix]*presence{},
	}
}

// Waiting returns how many connections of addr's network have not logged in.
func (g *Gate) Waiting(addr netip.Addr) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.count[models.Network(addr)]; p != nil {
		return p.waiting
	}
	return 0
}

// Refused returns how many connections were turned away since the start.
func (g *Gate) Refused() int64 { return g.refused.Load() }

// enter counts one more connection of a network, or reports that it is one too many; tell is
// true for the first refusal since the network was last without connections.
func (g *Gate) enter(network netip.Prefix) (ok, tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.count[network]
	if p == nil {
		p = &presence{}
		g.count[network] = p
	}
	if g.limits.PerNetwork >= 0 && p.waiting >= g.limits.PerNetwork {
		tell = !p.told
		p.told = true
		return false, tell
	}
	p.waiting++
	return true, false
}

// leave takes one connection of a network off the count.
func (g *Gate) leave(network netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.count[network]
	p.waiting--
	if p.waiting == 0 {
		delete(g.count, network)
	}
}
