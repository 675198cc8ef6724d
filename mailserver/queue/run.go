package queue

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// lastWords is kept of the time of a shutdown for writing results.
const lastWords = time.Second

// Run tries what is due until ctx ends or Shutdown is called, and returns when no attempt is
// under way any more.
func (q *Queue) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, q.cut) })()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer close(q.stopped)
	var parts sync.WaitGroup
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	parts.Go(func() { q.keepClaims(life) })
	unwatch := q.config.DB.Watch(q.changed)
	defer unwatch()
	go func() {
		select {
		case <-q.stopping:
			stop()
		case <-ctx.Done():
		}
	}()
	parts.Go(func() { q.look(ctx) })
	q.dispatch(ctx)
	q.workers.Wait()
	end()
	parts.Wait()
}

// Shutdown begins nothing more, and waits for the attempts under way until ctx is about to end;
// what is left then is cut.
func (q *Queue) Shutdown(ctx context.Context) {
	q.stopOnce.Do(func() { close(q.stopping) })
	limit := time.NewTimer(time.Hour)
	if end, ok := ctx.Deadline(); ok {
		limit.Reset(max(time.Until(end)-lastWords, 0))
	}
	defer limit.Stop()
	select {
	case <-q.stopped:
		return
	case <-limit.C:
	case <-ctx.Done():
	}
	q.cut()
	select {
	case <-q.stopped:
	case <-ctx.Done():
	}
}

// changed hears of an administrator's order, from whatever process.
func (q *Queue) changed(changes []db.Change) {
	for _, c := range changes {
		if c.Kind == db.ChangedQueue || c.Kind == db.ChangedAll {
			q.schedule.forgive()
			if f, ok := q.config.Send.(interface{ Forget() }); ok {
				f.Forget()
			}
			select {
			case q.lookAll <- struct{}{}:
			default:
			}
			return
		}
	}
}

// look finds what becomes due.
func (q *Queue) look(ctx context.Context) {
	if q.config.Alone {
		if err := q.freeAll(ctx); err != nil {
			q.log.Warn("claims of the last run not given back yet", "err", err)
		}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var last models.Micros
	var lastAll time.Time
	for ctx.Err() == nil {
		now := models.At(q.now())
		whole := lastAll.IsZero() || time.Since(lastAll) >= allEvery
		err := q.lookOnce(ctx, whole, last, now)
		switch {
		case err == nil:
			if last = now - models.Micros(lookBack.Microseconds()); whole {
				lastAll = time.Now()
			}
			q.quiet(false, nil)
		case ctx.Err() == nil:
			q.quiet(true, err)
			lastAll = time.Time{} // what was missed meanwhile
		}
		select {
		case <-ctx.Done():
		case <-q.lookAll:
			lastAll = time.Time{}
		case <-tick.C:
		}
	}
}

func (q *Queue) lookOnce(ctx context.Context, whole bool, from, to models.Micros) (err error) {
	if whole {
		q.schedule.prune()
		err = q.dueAtAll(ctx)
	} else {
		err = q.due(ctx, from, to)
	}
	q.poke()
	return err
}

// quiet logs the begin and the end of a time in which the database does not answer.
func (q *Queue) quiet(away bool, err error) {
	if away == q.away.Swap(away) {
		return
	}
	if away {
		q.log.Warn("queue rests: the database does not answer", "err", err)
	} else {
		q.log.Info("queue goes on")
	}
}

// poke lets the dispatcher look at the schedule.
func (q *Queue) poke() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// dispatch starts workers while there is something to do and room for them.
func (q *Queue) dispatch(ctx context.Context) {
	for {
		select {
		case q.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		t := q.await(ctx)
		if t == nil {
			<-q.slots
			return
		}
		q.workers.Go(func() {
			defer q.poke()
			defer func() { <-q.slots }()
			q.turn(ctx, t)
		})
	}
}

// await waits for a turn; nil when ctx has ended.
func (q *Queue) await(ctx context.Context) *turn {
	for {
		if ctx.Err() != nil {
			return nil
		}
		t, pause := q.schedule.next()
		if t != nil {
			return t
		}
		if pause == 0 {
			pause = time.Minute
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-q.ready:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// turn is one worker's work on a flow; a fault of ours ends it alone.
func (q *Queue) turn(ctx context.Context, t *turn) {
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("attempt panicked", "domain", t.domain, "panic", p, "stack", string(debug.Stack()))
			q.schedule.busy(t.to)
			if q.config.Panicked != nil {
				q.config.Panicked()
			}
		}
		q.schedule.done(t)
	}()
	q.work(ctx, t)
}

// keepClaims renews the claims until ctx ends.
func (q *Queue) keepClaims(ctx context.Context) {
	tick := time.NewTicker(q.lease / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := q.renew(ctx); err != nil && ctx.Err() == nil {
			q.log.Warn("claims not renewed", "err", err)
		}
	}
}
