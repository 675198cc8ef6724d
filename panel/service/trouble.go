package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

const (
	bounceTime = 24 * 3600 * 1e6 // for how long Home speaks of a bounce
	waitTime   = 4 * 3600 * 1e6  // from when on a message in the queue is a problem
)

// bounced says how many recipients were given up in the last 24 hours.
func (s *Service) bounced(ctx context.Context, scope models.Scope) ([]Problem, error) {
	n, err := s.store.Bounces(ctx, scope, s.now()-bounceTime)
	if err != nil || n == 0 {
		return nil, err
	}
	return []Problem{{Key: "bounced", Page: "/delivery?direction=out", Args: map[string]any{"n": n}}}, nil
}

// heldSenders names mailboxes whose mail is held.
func (s *Service) heldSenders(ctx context.Context, scope models.Scope) ([]Problem, error) {
	boxes, err := s.store.HeldSenders(ctx, scope, problemsOfAKind)
	var problems []Problem
	for _, m := range boxes {
		problems = append(problems, Problem{Key: "sending_held", Mailbox: m.Address, Args: map[string]any{"mailbox": m.Address, "reason": m.HeldReason}})
	}
	return problems, err
}

// longWaits names destinations for which something has waited for more than four hours.
func (s *Service) longWaits(ctx context.Context, scope models.Scope) ([]Problem, error) {
	if s.config.Queue == nil {
		return nil, nil
	}
	groups, err := s.config.Queue.Groups(ctx, scope)
	var problems []Problem
	for _, g := range groups {
		if g.Oldest < s.now()-waitTime && g.Held < g.Count && len(problems) < problemsOfAKind {
			problems = append(problems, Problem{Key: "waiting", Page: "/queue", Args: map[string]any{"n": g.Count, "destination": g.Domain, "since": g.Oldest.Time()}})
		}
	}
	return problems, err
}
