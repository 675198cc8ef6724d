package resolver

import (
	"context"
	"fmt"
	"sync"
)

// flight lets callers with one question share one asking. The lock is held to join and to leave,
// never while a server is asked.
type flight struct {
	cache *cache
	mu    sync.Mutex
	now   map[question]*asking
}

// asking is one question on its way.
type asking struct {
	callers int // that still wait; without any it is given up
	cancel  context.CancelFunc

	done   chan struct{} // closed when the rest is set
	answer *Answer
	err    error
}

// do returns what ask finds, or what another caller's ask finds that is under way. A caller whose
// ctx ends leaves with a temporary error; the others get the answer nevertheless.
func (f *flight) do(ctx context.Context, name string, key question, ask func(context.Context) (*Answer, error)) (*Answer, error) {
	f.mu.Lock()
	a, under := f.now[key]
	if !under {
		if known, ok := f.cache.get(key); ok { // an asking has ended a moment ago
			f.mu.Unlock()
			return known, nil
		}
		a = f.start(ctx, key, ask)
	}
	a.callers++
	f.mu.Unlock()
	select {
	case <-a.done:
		return a.answer, a.err
	case <-ctx.Done():
		f.leave(key, a)
		return nil, temporary(name, "", ctx.Err())
	}
}

// start begins an asking that outlives the caller who began it. f.mu is held.
func (f *flight) start(ctx context.Context, key question, ask func(context.Context) (*Answer, error)) *asking {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxTime)
	a := &asking{cancel: cancel, done: make(chan struct{})}
	if f.now == nil {
		f.now = map[question]*asking{}
	}
	f.now[key] = a
	go func() {
		defer cancel()
		defer close(a.done)
		defer f.end(key, a)
		defer func() {
			if p := recover(); p != nil { // a fault of ours ends the question, not the process
				a.err = temporary(key.name, "", fmt.Errorf("panic in the resolver: %v", p))
			}
		}()
		a.answer, a.err = ask(ctx)
	}()
	return a
}

// end keeps what was found, before a later caller could ask again; unless it was forgotten or
// given up meanwhile, for then it may be old.
func (f *flight) end(key question, a *asking) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now[key] != a {
		return
	}
	delete(f.now, key)
	if a.err == nil {
		f.cache.put(key, a.answer)
	}
}

// leave takes a caller away; the last one ends the asking.
func (f *flight) leave(key question, a *asking) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.callers--; a.callers > 0 {
		return
	}
	a.cancel()
	if f.now[key] == a {
		delete(f.now, key)
	}
}

// forget empties the cache and lets those who come later ask anew.
func (f *flight) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = nil
	f.cache.clear()
}
