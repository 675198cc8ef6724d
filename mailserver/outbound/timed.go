package outbound

import (
	"context"
	"net"
	"sync"
	"time"
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// timed is a connection whose every step has a deadline, and that a context can end.
type timed struct {
	net.Conn
	block time.Duration // for one write

	mu      sync.Mutex
	ended   bool
	slowest time.Time // end of the time the body may take; zero = no limit
	rate    int64     // bytes a second by which slowest moves on
}

// within bounds what is read next.
func (t *timed) within(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.Conn.SetReadDeadline(time.Now().Add(d))
}

// body begins or ends the time in which a message must be taken at a minimum rate.
func (t *timed) body(rate int64, grace time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rate, t.slowest = rate, time.Time{}
	if rate > 0 {
		t.slowest = time.Now().Add(grace)
	}
}

// Write implements net.Conn.
func (t *timed) Write(p []byte) (int, error) {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return 0, context.Canceled
	}
	deadline := time.Now().Add(t.block)
	if !t.slowest.IsZero() {
		t.slowest = t.slowest.Add(time.Duration(int64(len(p)) * int64(time.Second) / t.rate))
		if t.slowest.Before(deadline) {
			deadline = t.slowest
		}
	}
	t.Conn.SetWriteDeadline(deadline)
	t.mu.Unlock()
	return t.Conn.Write(p)
}

// watch ends whatever waits on the connection when ctx does; call stop before the next user.
func (t *timed) watch(ctx context.Context) (stop func()) {
	cancel := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ended = true
		t.Conn.SetDeadline(past)
	})
	return func() { cancel() }
}
