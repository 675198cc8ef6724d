package service

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Forward is what a mailbox sends on.
type Forward struct {
	Targets []TargetView `json:"targets"`
	Keep    bool         `json:"keep"` // a copy stays in the mailbox
}

// Forward returns what a mailbox sends on.
func (s *Service) Forward(ctx context.Context, v Viewer, addr string) (*Forward, error) {
	row, err := s.findMailbox(ctx, v, see, addr)
	if err != nil {
		return nil, err
	}
	list, err := s.store.Targets(ctx, row.ID)
	if err != nil {
		return nil, err
	}
	views, err := s.views(ctx, row.CustomerID, list)
	return &Forward{Targets: views, Keep: !row.ForwardOnly}, err
}

// SetForward sets what a mailbox sends on, and whether a copy stays; without targets a copy
// stays always. The owners of addresses elsewhere are mailed a link first, and until one has
// agreed everything stays. Errors are those of the targets of AddAlias.
func (s *Service) SetForward(ctx context.Context, v Viewer, addr string, targets []string, keep bool) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	self, err := address.Parse(row.Address)
	if err != nil {
		return err
	}
	had, err := s.store.Targets(ctx, row.ID)
	if err != nil {
		return err
	}
	list, err := s.targets(ctx, wanted{owner: row.ID, self: self, customer: row.CustomerID, most: models.MaxForwards, texts: targets, had: had})
	if err != nil {
		return err
	}
	err = s.changeMailbox(ctx, v, "mailbox forward changed", addr, func(ctx context.Context, m *models.Mailbox) error {
		m.ForwardOnly = !keep && len(list) > 0
		return s.saveTargets(ctx, m.ID, list)
	}, s.store.UpdateMailboxForward)
	if err == nil {
		s.ask(ctx)
	}
	return err
}
