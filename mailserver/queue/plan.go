package queue

import (
	"time"

	"github.com/postchi/postchi/models"
)

// Plan says when a recipient is tried again, and for how long. Zero values mean the defaults.
type Plan struct {
	// Retry is the pauses after the first, second ... failed attempt. The last one repeats,
	// each time lengthened by a random part of itself. Default 5 m, 15 m, 30 m, 1 h, 2 h: so
	// every 2 to 4 hours in the end (RFC 5321, section 4.5.4.1, wants 30 minutes at least
	// after the first ones, and 4 to 5 days in all).
	Retry []time.Duration

	Lifetime       time.Duration // of a message; default 5 days
	ReportLifetime time.Duration // of a bounce or another message of the server's own; default 1 day
	WarnAfter      time.Duration // when its sender hears that it is late; default 4 h, negative = never
}

func (p Plan) withDefaults() Plan {
	if len(p.Retry) == 0 {
		p.Retry = []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour}
	}
	if p.Lifetime <= 0 {
		p.Lifetime = 5 * 24 * time.Hour
	}
	if p.ReportLifetime <= 0 {
		p.ReportLifetime = 24 * time.Hour
	}
	if p.WarnAfter == 0 {
		p.WarnAfter = 4 * time.Hour
	}
	return p
}

// lifetime is how long a message of this kind is tried.
func (p Plan) lifetime(kind models.QueueKind) time.Duration {
	if kind == models.QueueBounce || kind == models.QueueNotice {
		return p.ReportLifetime
	}
	return p.Lifetime
}

// pause is the time until the next attempt after so many failed ones (from 1). A tenth of the fixed
// steps is left to chance, and as much again of the last one, so that what failed together does
// not come back together; spread, from 0 to 1, is that part.
func (p Plan) pause(failed int64, spread float64) time.Duration {
	last := int64(len(p.Retry))
	step := p.Retry[min(max(failed, 1), last)-1]
	if failed >= last {
		return step + time.Duration(spread*float64(step))
	}
	return step + time.Duration(spread*float64(step)/10)
}

// next is when a recipient is tried again: by the plan, and once more at the end of its life.
func (p Plan) next(now time.Time, failed int64, expires models.Micros, spread float64) models.Micros {
	at := models.At(now.Add(p.pause(failed, spread)))
	if models.At(now) < expires && at > expires {
		return expires
	}
	return at
}

// Plan returns the plan with its defaults.
func (q *Queue) Plan() Plan { return q.config.Plan }
