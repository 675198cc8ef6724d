package outbound

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// unproven is how many connections may be opened at once to an address that has not
	// answered lately: as many workers are what a host that hangs can take.
	unproven = 3

	// provenFor is how long an answer counts.
	provenFor = 5 * time.Minute

	// The pause of an address that could not be reached. It is shorter than the first pause of
	// the queue's plan, so that each planned attempt is a real one.
	firstPause = 30 * time.Second
	lastPause  = 4 * time.Minute

	// maxHosts bounds what is remembered, some 150 bytes each.
	maxHostsKept = 20_000
)

// health remembers which addresses could be reached, and counts connections.
type health struct {
	perHost int
	now     func() time.Time

	mu    sync.Mutex
	hosts map[netip.Addr]*hostState
}

type hostState struct {
	open     int       // connections
	failures int       // in a row
	until    time.Time // not tried before
	proven   time.Time // last greeting
	last     fault
}

func newHealth(perHost int, now func() time.Time) *health {
	return &health{perHost: perHost, now: now, hosts: map[netip.Addr]*hostState{}}
}

// enter counts a connection to be opened. It is refused with a fault if the address could not be
// reached a moment ago, and is busy while as many connections are open, or tried, as may be.
func (h *health) enter(addr netip.Addr) (f *fault, busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	s := h.hosts[addr]
	if s == nil {
		h.prune(now)
		s = &hostState{}
		h.hosts[addr] = s
	}
	if now.Before(s.until) {
		again := s.last
		return &again, false
	}
	if s.open >= h.limit(s, now) {
		return nil, true
	}
	s.open++
	return nil, false
}

// limit is how many connections an address may have now; h.mu is held.
func (h *health) limit(s *hostState, now time.Time) int {
	switch {
	case s.failures > 0:
		return 1 // one of them looks
	case now.Sub(s.proven) > provenFor:
		return min(h.perHost, unproven)
	}
	return h.perHost
}

// free reports whether enter would not be busy.
func (h *health) free(addr netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	s := h.hosts[addr]
	return s == nil || now.Before(s.until) || s.open < h.limit(s, now)
}

// leave says that a connection is closed or did not come about.
func (h *health) leave(addr netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.hosts[addr]; s != nil {
		s.open--
	}
}

// good says that the address has answered.
func (h *health) good(addr netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.hosts[addr]; s != nil {
		s.failures, s.until, s.proven = 0, time.Time{}, h.now()
	}
}

// bad says that the address could not be reached, or said nothing.
func (h *health) bad(addr netip.Addr, f *fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.hosts[addr]
	if s == nil {
		return
	}
	s.failures++
	s.proven = time.Time{}
	s.last = *f
	s.until = h.now().Add(min(firstPause<<min(s.failures-1, 4), lastPause))
}

// forget lets everything be tried again.
func (h *health) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.hosts {
		s.failures, s.until = 0, time.Time{}
	}
}

// prune makes room if there are too many; h.mu is held.
func (h *health) prune(now time.Time) {
	if len(h.hosts) < maxHostsKept {
		return
	}
	for addr, s := range h.hosts {
		if s.open == 0 && now.After(s.until) {
			delete(h.hosts, addr)
		}
	}
}
