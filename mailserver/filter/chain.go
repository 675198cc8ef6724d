package filter

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/postchi/postchi/models"
)

// defaultTimeout is the time of a filter that sets none.
const defaultTimeout = 10 * time.Second

// Check asks all filters at once and puts their verdicts together: refused if one refuses (the
// first of the list is quoted, one for good before one for now), junk if one says so, fields in
// the order of the list. An error is of kind Unavailable: a filter that must be heard was not.
func (c *Chain) Check(ctx context.Context, m *Message) (Verdict, error) {
	if c == nil || len(c.Entries) == 0 {
		return Verdict{}, nil
	}
	type answer struct {
		verdict Verdict
		err     error
	}
	answers := make([]chan answer, len(c.Entries))
	for i, e := range c.Entries {
		answers[i] = make(chan answer, 1)
		go func() {
			v, err := c.ask(ctx, e, m)
			answers[i] <- answer{v, err}
		}()
	}
	var all Verdict
	var failed error
	var summaries []string
	for i, e := range c.Entries {
		a := <-answers[i]
		if a.err != nil {
			c.logger().Warn("filter failed", "filter", e.Filter.Name(), "msgid", m.ID, "closed", e.Closed, "err", a.err)
			a.verdict = Verdict{Summary: e.Filter.Name() + "=error"}
			if e.Closed {
				failed = errors.Join(failed, a.err)
			}
		}
		all.add(a.verdict)
		if a.verdict.Summary != "" {
			summaries = append(summaries, a.verdict.Summary)
		}
	}
	all.Summary = strings.Join(summaries, " ")
	if failed != nil && (all.Refuse == nil || all.Refuse.Kind.Temporary()) {
		return all, &models.Error{Kind: models.Unavailable, Key: "filter.failed", Msg: "The message cannot be checked at the moment.", Err: failed}
	}
	return all, nil
}

// ask asks one filter, for as long as it may take. A filter that panics has no opinion.
func (c *Chain) ask(ctx context.Context, e Entry, m *Message) (v Verdict, err error) {
	timeout := e.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			c.logger().Error("filter panicked", "filter", e.Filter.Name(), "panic", r)
			v, err = Verdict{}, models.Errorf(models.Internal, "internal", "A filter failed.")
		}
	}()
	return e.Filter.Check(ctx, m)
}

func (c *Chain) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// add joins another verdict to v.
func (v *Verdict) add(other Verdict) {
	v.Junk = v.Junk || other.Junk
	v.Fields = append(v.Fields, other.Fields...)
	if other.Refuse == nil {
		return
	}
	if v.Refuse == nil || v.Refuse.Kind.Temporary() && !other.Refuse.Kind.Temporary() {
		v.Refuse = other.Refuse
	}
}
