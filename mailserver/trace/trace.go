// Package trace writes the events of mail: what was accepted, delivered and refused, and why.
//
// Mail never waits for its trace. Record puts an event into a bounded buffer; one goroutine
// writes what has come together. While the database is away the buffer fills, and what comes
// then is counted and dropped.
package trace

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/postchi/postchi/models"
)

// Events stores lines of the trace.
type Events interface {
	InsertEvents(ctx context.Context, events []models.Event) error
}

// Config is what a Recorder needs.
type Config struct {
	Events Events

	Buffer int           // events that may wait; default 10,000 (some 5 MB)
	Batch  int           // events written at once, in one transaction; default 100
	Every  time.Duration // how long an event may wait for others; default 250 ms
	Retry  time.Duration // pause after a failure; default 1 s
	Last   time.Duration // how long Run may still write after its context has ended; default 5 s

	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // nil = none
}

func (c Config) withDefaults() Config {
	if c.Buffer <= 0 {
		c.Buffer = 10_000
	}
	if c.Batch <= 0 {
		c.Batch = 100
	}
	if c.Every <= 0 {
		c.Every = 250 * time.Millisecond
	}
	if c.Retry <= 0 {
		c.Retry = time.Second
	}
	if c.Last <= 0 {
		c.Last = 5 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Recorder takes events. Safe for concurrent use.
type Recorder struct {
	config  Config
	queue   chan models.Event
	dropped atomic.Int64
	told    int64 // of dropped, in the log
}

// New returns a recorder; Run makes it write.
func New(c Config) *Recorder {
	c = c.withDefaults()
	return &Recorder{config: c, queue: make(chan models.Event, c.Buffer)}
}

// Record takes one event, with the present time if it has none. It never blocks: an event for
// which there is no room is dropped.
func (r *Recorder) Record(e models.Event) {
	if e.At == 0 {
		e.At = models.At(r.config.Now())
	}
	select {
	case r.queue <- e:
	default:
		r.dropped.Add(1)
	}
}

// Dropped returns how many events were lost since the start.
func (r *Recorder) Dropped() int64 { return r.dropped.Load() }

// Run writes events until ctx ends, and then what is left, for at most Last. Call it once.
func (r *Recorder) Run(ctx context.Context) {
	batch := make([]models.Event, 0, r.config.Batch)
	for ctx.Err() == nil {
		batch = r.write(ctx, r.gather(ctx, batch))
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Last)
	defer cancel()
	for last.Err() == nil {
		batch = r.take(batch)
		if len(batch) == 0 {
			return
		}
		batch = r.write(last, batch)
	}
	r.dropped.Add(int64(len(batch) + len(r.queue)))
	r.tell()
}

// gather waits for an event and for those that come with it.
func (r *Recorder) gather(ctx context.Context, batch []models.Event) []models.Event {
	if len(batch) == 0 {
		select {
		case e := <-r.queue:
			batch = append(batch, e)
		case <-ctx.Done():
			return batch
		}
	}
	timer := time.NewTimer(r.config.Every)
	defer timer.Stop()
	for len(batch) < r.config.Batch {
		select {
		case e := <-r.queue:
			batch = append(batch, e)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// take adds what is there already.
func (r *Recorder) take(batch []models.Event) []models.Event {
	for len(batch) < r.config.Batch {
		select {
		case e := <-r.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// write stores a batch and returns what is to be written next: nothing, or the same again after
// a pause if the failure will pass. A batch that cannot be stored is dropped.
func (r *Recorder) write(ctx context.Context, batch []models.Event) []models.Event {
	if len(batch) == 0 {
		return batch
	}
	err := r.config.Events.InsertEvents(ctx, batch)
	switch {
	case err == nil:
		r.tell()
		return batch[:0]
	case ctx.Err() != nil: // stopping; it is written once more without this ctx
		return batch
	case errors.Is(err, context.Canceled), models.Is(err, models.Unavailable):
		r.config.Log.Warn("trace not written", slog.Int("events", len(batch)), slog.Any("err", err))
		r.pause(ctx)
		return batch
	}
	r.config.Log.Error("trace dropped", slog.Int("events", len(batch)), slog.Any("err", err))
	r.dropped.Add(int64(len(batch)))
	return batch[:0]
}

func (r *Recorder) pause(ctx context.Context) {
	timer := time.NewTimer(r.config.Retry)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// tell logs how many events were dropped since it last did.
func (r *Recorder) tell() {
	if n := r.dropped.Load(); n > r.told {
		r.config.Log.Warn("trace lost events", slog.Int64("events", n-r.told))
		r.told = n
	}
}
