package outbound

import (
	"net/netip"
	"sync"
	"time"
)

// maxIdle bounds the connections that wait for another message.
const maxIdle = 256

// pool keeps connections for a few seconds after a message, by destination.
type pool struct {
	idle time.Duration

	mu     sync.Mutex
	byKey  map[string][]*session
	count  int
	closed bool
}

func newPool(idle time.Duration) *pool { return &pool{idle: idle, byKey: map[string][]*session{}} }

// get takes the connection that was used last.
func (p *pool) get(key string) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.byKey[key]
	if len(all) == 0 {
		return nil
	}
	s := all[len(all)-1]
	p.drop(key, len(all)-1)
	s.timer.Stop()
	return s
}

// take takes a connection that fits, whatever it was kept for.
func (p *pool) take(fits func(*session) bool) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, all := range p.byKey {
		for i, s := range all {
			if fits(s) {
				p.drop(key, i)
				s.timer.Stop()
				return s
			}
		}
	}
	return nil
}

// at reports whether a connection to an address waits.
func (p *pool) at(addr netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, all := range p.byKey {
		for _, s := range all {
			if s.addr.Addr() == addr {
				return true
			}
		}
	}
	return false
}

// put keeps a connection, or ends it if there is no room.
func (p *pool) put(key string, s *session) {
	p.mu.Lock()
	if p.closed || p.count >= maxIdle {
		p.mu.Unlock()
		s.quit()
		return
	}
	p.byKey[key] = append(p.byKey[key], s)
	p.count++
	s.timer = time.AfterFunc(p.idle, func() { p.expire(key, s) })
	p.mu.Unlock()
}

// expire ends a connection that nobody took.
func (p *pool) expire(key string, s *session) {
	p.mu.Lock()
	for i, other := range p.byKey[key] {
		if other == s {
			p.drop(key, i)
			p.mu.Unlock()
			s.quit()
			return
		}
	}
	p.mu.Unlock()
}

// drop takes one out; p.mu is held.
func (p *pool) drop(key string, i int) {
	all := p.byKey[key]
	all = append(all[:i], all[i+1:]...)
	p.count--
	if len(all) == 0 {
		delete(p.byKey, key)
		return
	}
	p.byKey[key] = all
}

func (p *pool) close() {
	p.mu.Lock()
	all := p.byKey
	p.byKey, p.count, p.closed = map[string][]*session{}, 0, true
	p.mu.Unlock()
	var wait sync.WaitGroup
	for _, sessions := range all {
		for _, s := range sessions {
			s.timer.Stop()
			wait.Go(s.quit)
		}
	}
	wait.Wait()
}
