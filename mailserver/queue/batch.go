package queue

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/postchi/postchi/models"
)

// maxYields is how often the processor is offered to others before a batch is closed.
const maxYields = 2

// batch lets workers share transactions: while one runs, the wishes of others gather, and the
// next one fulfils them together. A sync of the disk and the round trips to the database are then
// paid once for many, which is most of what a message costs on MySQL.
type batch[T any] struct {
	most int // weight of one transaction; a wish that weighs more is alone

	// run fulfils all wishes in one transaction, or none of them. It may be called again.
	run func(ctx context.Context, all []*T) error

	mu      sync.Mutex
	waiting []*wish[T]
	running bool
}

type wish[T any] struct {
	what   *T
	weight int
	err    error
	done   chan struct{}
}

// do returns when a wish is fulfilled or refused.
func (b *batch[T]) do(what *T, weight int) error {
	w := &wish[T]{what: what, weight: weight, done: make(chan struct{})}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	if !b.running {
		b.running = true
		go b.drive()
	}
	b.mu.Unlock()
	<-w.done
	return w.err
}

// drive runs until nobody waits.
func (b *batch[T]) drive() {
	for {
		for range maxYields {
			runtime.Gosched() // whoever was answered a moment ago is about to come
		}
		all := b.next()
		if len(all) == 0 {
			return
		}
		b.fulfil(all)
	}
}

// next takes what waits, up to the weight of a transaction.
func (b *batch[T]) next() []*wish[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, weight := 0, 0
	for n < len(b.waiting) && (n == 0 || weight+b.waiting[n].weight <= b.most) {
		weight += b.waiting[n].weight
		n++
	}
	all := b.waiting[:n:n]
	if b.waiting = b.waiting[n:]; len(b.waiting) == 0 {
		b.waiting = nil
	}
	b.running = n > 0
	return all
}

// fulfil runs wishes together; if the database refuses that, one by one, so that only the guilty
// one fails. While the database is away all fail.
func (b *batch[T]) fulfil(all []*wish[T]) {
	err := b.guarded(all)
	if err == nil || len(all) == 1 || models.Is(err, models.Unavailable) {
		for _, w := range all {
			w.err = err
			close(w.done)
		}
		return
	}
	for i := range all {
		b.fulfil(all[i : i+1])
	}
}

// guarded makes an error of a panic: it ends the wish, not the process.
func (b *batch[T]) guarded(all []*wish[T]) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the queue: %v\n%s", p, debug.Stack())
		}
	}()
	what := make([]*T, len(all))
	for i, w := range all {
		what[i] = w.what
	}
	return b.run(context.Background(), what)
}
