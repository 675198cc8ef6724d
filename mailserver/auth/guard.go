package auth

import (
	"net/netip"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

// pair is an account seen from a network; account 0 is the network whatever the name. Names
// nobody has go by a negative number, so they are counted, delayed and blocked like others.
type pair struct {
	account models.ID
	network netip.Prefix
}

// guard counts failures and decides who waits and who is blocked. Its memory is bounded:
// beyond Limits.Networks the tally used longest ago is forgotten, never a block in force.
type guard struct {
	limits  Limits
	changed chan struct{} // a block awaits its row in the database

	mu      sync.Mutex
	pairs   *lru[pair, *tally]
	nets    *lru[netip.Prefix, *tally]
	delayed int
	blocks  map[pair]*block
	swept   time.Time
}

func newGuard(limits Limits) *guard {
	return &guard{
		limits: limits, changed: make(chan struct{}, 1),
		pairs:  newLRU[pair, *tally](limits.Networks),
		nets:   newLRU[netip.Prefix, *tally](limits.Networks),
		blocks: map[pair]*block{},
	}
}

// tallyOf returns the tally of key, a new one if there is none.
func tallyOf[K comparable](l *lru[K, *tally], key K) *tally {
	t, ok := l.get(key)
	if !ok {
		t = &tally{}
		l.put(key, t)
	}
	return t
}

// admission is one attempt that the guard has let in; leave must be called once.
type admission struct {
	guard    *guard
	pair     pair
	sum      uint64 // of the password
	mine     *tally
	net      *tally
	delay    time.Duration // to wait before the password is checked
	known    bool          // the password was wrong a moment ago
	familiar bool          // the account has logged in from here before
	stale    bool          // the password was right until a moment ago: no guess
}

// enter admits an attempt, or refuses it with login.blocked or login.many of kind Limited.
// Attempts under way count as failures, or many at once would get more guesses than one after
// another.
func (g *guard) enter(p pair, sum uint64, now time.Time) (*admission, *refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := &admission{guard: g, pair: p, sum: sum, mine: tallyOf(g.pairs, p), net: tallyOf(g.nets, p.network)}
	a.familiar = a.mine.familiar(now)
	if until, ok := g.blocked(p, a.familiar, now); ok {
		return nil, &refusal{reasonBlocked, errBlocked(until, now)}
	}
	a.mine.forgive(now, g.limits.Forgive)
	a.net.forgive(now, g.limits.ForgiveOfMany)
	a.known = a.mine.again(sum, now, g.limits.Same)
	count := a.mine.failures()
	if !a.known {
		count += a.mine.others(sum)
		if count >= g.limits.Wrong && a.mine.inflight[sum] == 0 {
			return nil, &refusal{reasonMany, errMany()}
		}
	}
	a.delay = g.limits.delay(count)
	if !a.familiar { // one person's slips make nobody else wait who is known there
		a.delay = max(a.delay, g.limits.delay(a.net.failures()-g.limits.WrongNetwork/2+g.limits.Free))
	}
	if a.delay > 0 {
		if g.delayed >= g.limits.Delayed || a.net.delayed >= delayedPerNetwork {
			return nil, &refusal{reasonMany, errMany()}
		}
		g.delayed++
		a.net.delayed++
	}
	a.mine.enter(sum)
	return a, nil
}

// waited ends the delay: the attempt no longer counts as waiting.
func (a *admission) waited() {
	if a.delay == 0 {
		return
	}
	g := a.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	a.delay = 0
	g.delayed--
	a.net.delayed--
}

// leave ends the attempt.
func (a *admission) leave() {
	a.waited()
	a.guard.mu.Lock()
	defer a.guard.mu.Unlock()
	a.mine.leave(a.sum)
}

// wrong counts the password as wrong unless it was a moment ago, and blocks if it was one too
// many.
func (a *admission) wrong(now time.Time) {
	g := a.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.mine.again(a.sum, now, g.limits.Same) {
		return
	}
	a.mine.remember(a.sum, now)
	g.count(a.pair, a.mine, pointsEach, g.limits.Wrong, now)
	g.count(pair{0, a.pair.network}, a.net, pointsEach, g.limits.WrongNetwork, now)
}

// malformed counts an attempt that was no guess against its network. The same again is not
// counted again: a client set up with a bare name must not get its network blocked.
func (g *guard) malformed(network netip.Prefix, sum uint64, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := tallyOf(g.nets, network)
	t.forgive(now, g.limits.ForgiveOfMany)
	if t.again(sum, now, g.limits.Same) {
		return
	}
	t.remember(sum, now)
	g.count(pair{0, network}, t, 1, g.limits.WrongNetwork, now)
}

// right forgets the slips before a password that was proved. That an attacker in the owner's
// own network gets a new start with it is bounded: it happens once in the longest block's time.
func (a *admission) right(now time.Time) {
	g := a.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(a.mine.good) >= g.limits.Block {
		a.mine.points, a.mine.blocks, a.mine.seen = 0, 0, nil
		a.mine.good = now
	}
}
