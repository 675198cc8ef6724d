package auth

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"github.com/postchi/postchi/models"
)

func prefix(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)
}

func (w *workers) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}

// line is a queue of attempts behind one worker that is taken.
type line struct {
	*workers
	t     testing.TB
	order chan string
	all   sync.WaitGroup
}

func newLine(t testing.TB, places int) *line {
	l := &line{workers: newWorkers(1, places), t: t, order: make(chan string, 1000)}
	if err := l.acquire(context.Background(), prefix(0), false); err != nil {
		t.Fatal(err)
	}
	return l
}

// join puts one attempt in the line; what becomes of it is told in order.
func (l *line) join(ctx context.Context, name string, from netip.Prefix, familiar bool) {
	before := l.queued()
	l.all.Go(func() {
		switch err := l.acquire(ctx, from, familiar); {
		case err == nil:
			l.order <- name
			l.release()
		case models.Is(err, models.Unavailable):
			l.order <- name + " busy"
		default:
			l.order <- name + " " + err.Error()
		}
	})
	until(l.t, "in the line", func() bool { return l.queued() != before || len(l.order) > 0 })
}

func (l *line) want(names ...string) {
	l.t.Helper()
	for _, name := range names {
		if got := <-l.order; got != name {
			l.t.Errorf("%s, want %s", got, name)
		}
	}
}

func TestWorkersTakeTurns(t *testing.T) {
	l := newLine(t, 100)
	ctx := context.Background()
	l.join(ctx, "a1", prefix(1), false)
	l.join(ctx, "a2", prefix(1), false)
	l.join(ctx, "a3", prefix(1), false)
	l.join(ctx, "b1", prefix(2), false)
	l.join(ctx, "b2", prefix(2), false)
	l.join(ctx, "c1", prefix(3), false)
	l.join(ctx, "a4", prefix(1), true)
	l.release()
	l.want("a4", "a1", "b1", "c1", "a2", "b2", "a3")
	l.all.Wait()
	if l.free != 1 || l.waiting != 0 || len(l.lines) != 0 || len(l.turns) != 0 {
		t.Errorf("left: %d free, %d waiting, %v, %v", l.free, l.waiting, l.lines, l.turns)
	}
}

func TestWorkersLongestLineGivesWay(t *testing.T) {
	l := newLine(t, 4)
	ctx := context.Background()
	l.join(ctx, "a1", prefix(1), false)
	l.join(ctx, "a2", prefix(1), false)
	l.join(ctx, "a3", prefix(1), false)
	l.join(ctx, "b1", prefix(2), false)
	if err := l.acquire(ctx, prefix(1), false); !models.Is(err, models.Unavailable) {
		t.Errorf("a line too long: %v", err)
	}
	l.all.Go(func() {
		if l.acquire(ctx, prefix(3), false) == nil {
			l.order <- "c1"
			l.release()
		}
	})
	l.want("a3 busy")
	until(t, "c1 in the line", func() bool { return l.queued() == 4 })
	if err := l.acquire(ctx, prefix(2), false); !models.Is(err, models.Unavailable) {
		t.Errorf("nobody has more: %v", err)
	}
	l.all.Go(func() {
		if l.acquire(ctx, prefix(1), true) == nil {
			l.order <- "a5"
			l.release()
		}
	})
	l.want("a2 busy")
	until(t, "a5 in the line", func() bool { return l.queued() == 4 })
	l.release()
	l.want("a5", "a1", "b1", "c1")
	l.all.Wait()
	if n := l.refused.Load(); n != 4 {
		t.Errorf("%d refused", n)
	}
}

func TestWorkersHangUp(t *testing.T) {
	l := newLine(t, 10)
	ctx, cancel := context.WithCancel(context.Background())
	l.join(ctx, "a1", prefix(1), false)
	l.join(context.Background(), "a2", prefix(1), false)
	l.join(ctx, "b1", prefix(2), false)
	l.join(ctx, "c1", prefix(3), true)
	cancel()
	until(t, "gone", func() bool { return l.queued() == 1 })
	for range 3 {
		<-l.order
	}
	l.release()
	l.want("a2")
	l.all.Wait()
	if l.free != 1 || len(l.turns) != 0 {
		t.Errorf("left: %d free, %v", l.free, l.turns)
	}
}

// Hanging up at the moment of one's turn must not lose the worker.
func TestWorkersNeverLost(t *testing.T) {
	w := newWorkers(2, 50)
	var all sync.WaitGroup
	for i := range 2000 {
		ctx, cancel := context.WithCancel(context.Background())
		all.Go(func() {
			if w.acquire(ctx, prefix(i%7), i%5 == 0) == nil {
				w.release()
			}
		})
		all.Go(cancel)
		if i%40 == 39 {
			all.Wait()
		}
	}
	all.Wait()
	if w.free != 2 || w.waiting != 0 || len(w.lines) != 0 || len(w.turns) != 0 || len(w.familiar) != 0 {
		t.Errorf("left: %d free, %d waiting", w.free, w.waiting)
	}
}
