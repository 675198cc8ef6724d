package auth

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// workers bounds how many passwords are hashed at once. Who must wait waits in a line of the
// own network, and the lines are served in turn: a network that sends hundreds delays itself.
// Before them go pairs of account and network that have logged in before.
//
// When all places to wait are taken, the network with the longest line gives up its latest for
// a network with a shorter one, and for a familiar pair.
type workers struct {
	refused atomic.Int64

	mu       sync.Mutex
	free     int
	places   int // to wait in
	waiting  int
	familiar []*waiter
	lines    map[netip.Prefix][]*waiter // none is empty
	turns    []netip.Prefix             // the networks with a line, the next first
}

type waiter struct {
	from     netip.Prefix
	familiar bool
	answer   chan bool // true: go; false: give way
}

func newWorkers(n, places int) *workers {
	return &workers{free: n, places: places, lines: map[netip.Prefix][]*waiter{}}
}

// acquire waits for a worker; release gives it back. It returns login.busy of kind Unavailable
// when too many wait, or ctx's error.
func (w *workers) acquire(ctx context.Context, from netip.Prefix, familiar bool) error {
	w.mu.Lock()
	if w.free > 0 {
		w.free--
		w.mu.Unlock()
		return nil
	}
	if w.waiting >= w.places && !w.makeRoom(from, familiar) {
		w.mu.Unlock()
		w.refused.Add(1)
		return errBusy()
	}
	me := &waiter{from, familiar, make(chan bool, 1)}
	w.enqueue(me)
	w.mu.Unlock()
	select {
	case ok := <-me.answer:
		if !ok {
			return errBusy()
		}
		return nil
	case <-ctx.Done():
		w.abandon(me)
		return ctx.Err()
	}
}

func (w *workers) enqueue(me *waiter) {
	w.waiting++
	if me.familiar {
		w.familiar = append(w.familiar, me)
		return
	}
	if len(w.lines[me.from]) == 0 {
		w.turns = append(w.turns, me.from)
	}
	w.lines[me.from] = append(w.lines[me.from], me)
}

// makeRoom turns away the latest of the longest line, if that is longer than from's would be,
// or anyway for who is familiar.
func (w *workers) makeRoom(from netip.Prefix, familiar bool) bool {
	var line []*waiter
	most := len(w.lines[from]) + 1
	if familiar {
		most = 0
	}
	for _, l := range w.lines {
		if len(l) > most {
			line, most = l, len(l)
		}
	}
	if line == nil {
		return false
	}
	last := line[len(line)-1]
	w.remove(last)
	last.answer <- false
	w.refused.Add(1)
	return true
}

// remove takes a waiter out of its line; false if it has left it already.
func (w *workers) remove(me *waiter) bool {
	if me.familiar {
		i := slices.Index(w.familiar, me)
		if i < 0 {
			return false
		}
		w.familiar = slices.Delete(w.familiar, i, i+1)
		w.waiting--
		return true
	}
	line := w.lines[me.from]
	i := slices.Index(line, me)
	if i < 0 {
		return false
	}
	w.waiting--
	if line = slices.Delete(line, i, i+1); len(line) > 0 {
		w.lines[me.from] = line
		return true
	}
	delete(w.lines, me.from)
	w.turns = slices.DeleteFunc(w.turns, func(p netip.Prefix) bool { return p == me.from })
	return true
}

// abandon leaves the line; a worker that was given meanwhile goes back.
func (w *workers) abandon(me *waiter) {
	w.mu.Lock()
	left := w.remove(me)
	w.mu.Unlock()
	if !left && <-me.answer {
		w.release()
	}
}

// release hands the worker to the next in turn.
func (w *workers) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := w.next()
	if next == nil {
		w.free++
		return
	}
	w.remove(next)
	if len(w.lines[next.from]) > 0 && !next.familiar {
		w.turns = append(w.turns[1:], next.from)
	}
	next.answer <- true
}

func (w *workers) next() *waiter {
	switch {
	case len(w.familiar) > 0:
		return w.familiar[0]
	case len(w.turns) > 0:
		return w.lines[w.turns[0]][0]
	}
	return nil
}
