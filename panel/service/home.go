package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

// Overview is what Home shows.
type Overview struct {
	models.Totals
	Limits   models.CustomerLimits // of the viewer's customer; zero for administrators
	Sent     models.Sent
	MaxSent  int64 // recipients outside this server that each domain may write to in a day; 0 = no limit
	Problems []Problem
}

// Problem is something that needs somebody. Key is of the words under "problem."; Mailbox or
// Domain says what the link leads to.
type Problem struct {
	Key     string
	Args    map[string]any
	Mailbox string // address
	Domain  string // name
	Page    string // path of another page that the link leads to
}

// nearlyFull is the share of a quota, in percent, from which Home names a mailbox.
const nearlyFull = 95

// problemsOfAKind is how many problems of one kind Home lists.
const problemsOfAKind = 5

// Home returns the viewer's totals and what needs attention: problem.damaged (administrators
// only; args n, command), problem.pending, problem.held, problem.no_mailbox and
// problem.dns (of domains), problem.full and
// problem.nearly_full (args used, quota, percent), problem.sending_held (reason),
// problem.bounced (n), problem.waiting (n, destination, since), problem.blocked (args network, until).
func (s *Service) Home(ctx context.Context, v Viewer) (*Overview, error) {
	scope, err := permit(v, see)
	if err != nil {
		return nil, err
	}
	var o Overview
	if o.Totals, err = s.store.Totals(ctx, scope); err != nil {
		return nil, err
	}
	if o.Sent, err = s.store.SentToday(ctx, scope); err != nil {
		return nil, err
	}
	o.MaxSent = s.config.Sending.DomainDay
	if !scope.All() {
		c, err := s.store.Customer(ctx, scope, scope.Customer())
		if err != nil {
			return nil, err
		}
		o.Limits = c.Limits()
	}
	for _, find := range []func(context.Context, models.Scope) ([]Problem, error){s.damagedMessages, s.waitingDomains, s.badDNS, s.fullMailboxes, s.heldSenders, s.bounced, s.longWaits, s.blockedMailboxes} {
		problems, err := find(ctx, scope)
		if err != nil {
			return nil, err
		}
		o.Problems = append(o.Problems, problems...)
	}
	return &o, nil
}

// damagedMessages says how many messages cannot be read any more. Only the one who keeps the
// backups can do something about it.
func (s *Service) damagedMessages(ctx context.Context, scope models.Scope) ([]Problem, error) {
	if s.config.Damaged == nil || !scope.All() {
		return nil, nil
	}
	n, err := s.config.Damaged(ctx)
	if err != nil || n == 0 {
		return nil, err
	}
	return []Problem{{Key: "damaged", Args: map[string]any{"n": int64(n), "command": "postchi doctor --store"}}}, nil
}

func (s *Service) waitingDomains(ctx context.Context, scope models.Scope) ([]Problem, error) {
	domains, err := s.store.Waiting(ctx, scope, problemsOfAKind)
	var problems []Problem
	for _, d := range domains {
		key := "pending"
		switch {
		case d.State == models.DomainActive:
			key = "no_mailbox"
		case d.ProvenAt != 0:
			key = "held"
		}
		problems = append(problems, Problem{Key: key, Domain: d.Name, Args: map[string]any{"domain": d.Name}})
	}
	return problems, err
}

func (s *Service) badDNS(ctx context.Context, scope models.Scope) ([]Problem, error) {
	domains, err := s.store.BadDNS(ctx, scope, problemsOfAKind)
	var problems []Problem
	for _, d := range domains {
		problems = append(problems, Problem{Key: "dns", Domain: d.Name, Args: map[string]any{"domain": d.Name}})
	}
	return problems, err
}

func (s *Service) fullMailboxes(ctx context.Context, scope models.Scope) ([]Problem, error) {
	rows, err := s.store.NearlyFull(ctx, scope, nearlyFull, problemsOfAKind)
	var problems []Problem
	for _, r := range rows {
		key := "nearly_full"
		if r.Full() {
			key = "full"
		}
		problems = append(problems, Problem{Key: key, Mailbox: r.Address, Args: map[string]any{"mailbox": r.Address,
			"used": r.Usage.Bytes, "quota": r.QuotaBytes, "percent": percent(r.Usage.Bytes, r.QuotaBytes)}})
	}
	return problems, err
}

// percent avoids the overflow of part * 100.
func percent(part, whole int64) int64 { return int64(float64(part) / float64(whole) * 100) }

func (s *Service) blockedMailboxes(ctx context.Context, scope models.Scope) ([]Problem, error) {
	blocks, err := s.store.BlockedMailboxes(ctx, scope, s.now(), problemsOfAKind)
	var problems []Problem
	for _, b := range blocks {
		problems = append(problems, Problem{Key: "blocked", Mailbox: b.Address, Args: map[string]any{"mailbox": b.Address, "network": b.Network, "until": b.Until.Time()}})
	}
	return problems, err
}
