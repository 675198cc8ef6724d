package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

// detachPiece is how many targets one transaction looks at.
const detachPiece = 100

// detach ends what leads to an address that goes for good: targets, catch-alls, and aliases
// that led nowhere else, with what led to those. It works in pieces and can be repeated.
func (s *Service) detach(ctx context.Context, customer models.ID, addr string) error {
	gone := []string{addr}
	for len(gone) > 0 {
		one := gone[0]
		var more []string
		last := false
		err := s.store.Write(ctx, func(ctx context.Context) error {
			if err := s.store.LockCustomer(ctx, customer); err != nil {
				return err
			}
			list, err := s.store.TargetsTo(ctx, customer, one, detachPiece)
			if err != nil {
				return err
			}
			if more, err = s.dropTargets(ctx, list); err != nil {
				return err
			}
			last = len(list) < detachPiece
			return s.store.ClearCatchAll(ctx, customer, one)
		})
		if err != nil {
			return err
		}
		if last {
			gone = gone[1:]
		}
		gone = append(gone, more...)
	}
	return nil
}

// dropTargets removes targets in the transaction that ctx carries, and what makes no sense
// without them: an alias that leads nowhere else goes, a mailbox that kept nothing keeps all.
// It returns the addresses of the aliases that went.
func (s *Service) dropTargets(ctx context.Context, list []models.Target) (gone []string, err error) {
	for i := range list {
		if err := s.store.DeleteTarget(ctx, &list[i]); err != nil {
			return nil, err
		}
		alias, err := s.settle(ctx, list[i].OwnerID)
		if err != nil {
			return nil, err
		}
		if alias != "" {
			gone = append(gone, alias)
		}
	}
	return gone, nil
}

// settle brings an alias or mailbox into line with the targets it has left, and returns the
// address of an alias that went because it has none.
func (s *Service) settle(ctx context.Context, owner models.ID) (gone string, err error) {
	a, err := s.store.AliasByID(ctx, models.Everything(), owner)
	if err == nil {
		if len(a.Targets) > 0 {
			return "", s.store.UpdateAlias(ctx, &a.Alias, addressesOf(a.Targets))
		}
		s.log.Info("alias removed", "alias", a.Address, "why", "it led nowhere any more")
		return a.Address, s.store.DeleteAlias(ctx, &a.Alias)
	}
	if !models.Is(err, models.NotFound) {
		return "", err
	}
	m, err := s.store.MailboxByID(ctx, models.Everything(), owner)
	if models.Is(err, models.NotFound) {
		return "", nil
	}
	if err != nil || !m.ForwardOnly {
		return "", err
	}
	left, err := s.store.Targets(ctx, owner)
	if err != nil || len(left) > 0 {
		return "", err
	}
	m.ForwardOnly, m.UpdatedAt = false, s.now()
	return "", s.store.UpdateMailboxForward(ctx, &m.Mailbox)
}

// detachDomain removes the aliases of a domain that goes for good, and what leads into it.
func (s *Service) detachDomain(ctx context.Context, d *models.Domain) error {
	for {
		page, err := s.store.Aliases(ctx, models.Everything(), Query{DomainID: d.ID, Size: 20})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			break
		}
		for i := range page.Items {
			a := &page.Items[i]
			err := s.store.Write(ctx, func(ctx context.Context) error { return s.store.DeleteAlias(ctx, &a.Alias) })
			if err != nil && !models.Is(err, models.NotFound) {
				return err
			}
			if err := s.detach(ctx, d.CustomerID, a.Address); err != nil {
				return err
			}
		}
	}
	for {
		list, err := s.store.TargetsInto(ctx, d.CustomerID, d.Name, detachPiece)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			if err := s.detach(ctx, d.CustomerID, list[i].Address); err != nil {
				return err
			}
		}
	}
}
