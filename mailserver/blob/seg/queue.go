package seg

import (
	"context"
	"io"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// request is a small message that waits for the writer.
type request struct {
	d    *Driver
	head header
	buf  *buffer // the record: space for the header, the body, the table
	cost int64   // held of Driver.memory

	// settled is set by whoever comes first: the writer with an answer, or a caller whose
	// context ended. The loser acts upon it: nobody else knows the new blob.
	settled atomic.Bool
	done    chan answer
}

type answer struct {
	ref blob.Ref
	err error
}

// newRequest reads and sums the message in the caller's goroutine: the writer only writes.
func (d *Driver) newRequest(ctx context.Context, id models.ID, r io.Reader, size int64) (*request, error) {
	n := recordSize(size)
	if err := d.memory.Acquire(ctx, n); err != nil {
		return nil, err
	}
	q := &request{d: d, cost: n, buf: getBuffer(int(n)), done: make(chan answer, 1)}
	q.head = header{id: id, length: size, made: models.At(d.cfg.Now())}
	b := q.buf.b[:headerSize+size]
	if err := readFull(r, b[headerSize:]); err != nil {
		q.free()
		return nil, err
	}
	q.buf.b = q.head.finish(b, b[headerSize:])
	return q, nil
}

// free gives the memory back; the writer does it for what is in the queue.
func (q *request) free() {
	q.buf.free()
	q.d.memory.Release(q.cost)
}

// Drop implements blob.Pending.
func (q *request) Drop() { q.free() }

func (q *request) wait(ctx context.Context) (blob.Ref, error) {
	select {
	case a := <-q.done:
		return a.ref, a.err
	case <-ctx.Done():
		if q.settled.CompareAndSwap(false, true) {
			return blob.Ref{}, ctx.Err()
		}
		a := <-q.done
		return a.ref, a.err
	}
}

func (q *request) answer(ref blob.Ref, err error) {
	if q.settled.CompareAndSwap(false, true) {
		q.done <- answer{ref, err}
	} else if err == nil {
		q.d.Release(q.head.id, ref)
	}
}

// queue holds the requests that wait. Its length is bounded by Driver.memory.
type queue struct {
	mu      sync.Mutex
	waiting []*request
	closed  bool
	wake    chan struct{} // holds one token while something may wait
}

func (u *queue) add(q *request) bool {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return false
	}
	u.waiting = append(u.waiting, q)
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
	return true
}

// close reports false if it was closed before.
func (u *queue) close() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.closed = true
	close(u.wake)
	return true
}

// take moves the next batch into into: at most maxBatch records and limit bytes, at least one.
func (u *queue) take(into []*request, limit int64) []*request {
	u.mu.Lock()
	defer u.mu.Unlock()
	var n, total int64
	for _, q := range u.waiting {
		if n == maxBatch || n > 0 && total+int64(len(q.buf.b)) > limit {
			break
		}
		total += int64(len(q.buf.b))
		n++
	}
	into = append(into, u.waiting[:n]...)
	rest := copy(u.waiting, u.waiting[n:])
	clear(u.waiting[rest:])
	u.waiting = u.waiting[:rest]
	return into
}

// run is the writer of small messages.
func (d *Driver) run() {
	defer close(d.stopped)
	limit := d.batchLimit()
	var batch []*request
	for open := true; open; {
		_, open = <-d.queue.wake
		// Those that the last answer has woken are about to come back: let them into this batch.
		runtime.Gosched()
		for batch = d.queue.take(batch[:0], limit); len(batch) > 0; batch = d.queue.take(batch[:0], limit) {
			d.small.write(batch)
			clear(batch)
		}
	}
}

// buffer is memory from a pool.
type buffer struct {
	b     []byte
	class int
}

// pools hold buffers of 2^i bytes.
var pools [24]sync.Pool

func getBuffer(n int) *buffer {
	class := max(bits.Len(uint(max(n, 1)-1)), 12)
	if class >= len(pools) {
		return &buffer{b: make([]byte, n), class: len(pools)}
	}
	if v, ok := pools[class].Get().(*buffer); ok {
		v.b = v.b[:n]
		return v
	}
	return &buffer{b: make([]byte, n, 1<<class), class: class}
}

func (b *buffer) free() {
	if b.class < len(pools) {
		pools[b.class].Put(b)
	}
}
