package service

import (
	"context"
	"errors"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// NewAlias is an alias or group to be added.
type NewAlias struct {
	Local   string // the part before @; the whole address does as well
	Domain  string
	Kind    models.AliasKind // "" = AliasPlain
	Name    string           // shown to people; may be empty
	Targets []string         // as pasted; each text may hold several
}

// AliasView is an alias with what its targets are now.
type AliasView struct {
	models.Alias
	Domain   string       `json:"domain"`
	Customer string       `json:"customer"`
	Targets  []TargetView `json:"targets"`
}

// Dead reports whether mail reaches nobody by the alias now.
func (a *AliasView) Dead() bool {
	for _, t := range a.Targets {
		switch t.State {
		case TargetMailbox, TargetAlias, TargetVerified, "role":
			return false
		}
	}
	return true
}

// Aliases returns a page of aliases and groups.
func (s *Service) Aliases(ctx context.Context, v Viewer, q Query) (Page[AliasView], error) {
	scope, err := permit(v, see)
	if err != nil {
		return Page[AliasView]{}, err
	}
	list, err := s.store.Aliases(ctx, scope, q)
	if err != nil {
		return Page[AliasView]{}, err
	}
	all := Page[AliasView]{Total: list.Total, Page: list.Page, Size: list.Size, Pages: list.Pages}
	for i := range list.Items {
		one, err := s.aliasView(ctx, &list.Items[i])
		if err != nil {
			return Page[AliasView]{}, err
		}
		all.Items = append(all.Items, *one)
	}
	return all, nil
}

func (s *Service) aliasView(ctx context.Context, row *models.AliasRow) (*AliasView, error) {
	views, err := s.views(ctx, row.CustomerID, row.Targets)
	return &AliasView{Alias: row.Alias, Domain: row.Domain, Customer: row.Customer, Targets: views}, err
}

// Alias returns one alias by address.
func (s *Service) Alias(ctx context.Context, v Viewer, addr string) (*AliasView, error) {
	row, err := s.findAlias(ctx, v, see, addr)
	if err != nil {
		return nil, err
	}
	return s.aliasView(ctx, row)
}

func (s *Service) findAlias(ctx context.Context, v Viewer, a action, addr string) (*models.AliasRow, error) {
	scope, err := permit(v, a)
	if err != nil {
		return nil, err
	}
	parsed, err := address.Parse(addr)
	if err != nil {
		return nil, notFound()
	}
	return s.store.Alias(ctx, scope, parsed.String())
}

// AddAlias adds an alias or group. The owners of addresses elsewhere are mailed a link first.
// Errors, all bad fields in one tree: Invalid address.*, mailbox.local, mailbox.tag, alias.kind,
// domain.is_alias and those of targets; Conflict mailbox.reserved, alias.is_mailbox (argument
// address: it can forward), mailbox.in_bin, alias.taken; NotFound if there is no such domain.
func (s *Service) AddAlias(ctx context.Context, v Viewer, n NewAlias) (*AliasView, error) {
	_, d, err := s.findDomain(ctx, v, manageMailboxes, n.Domain)
	if err != nil {
		return nil, err
	}
	now := s.now()
	a := &models.Alias{ID: s.store.NewID(), CustomerID: d.CustomerID, DomainID: d.ID, Kind: n.Kind, Name: strings.TrimSpace(n.Name), CreatedAt: now, UpdatedAt: now}
	if a.Kind == "" {
		a.Kind = models.AliasPlain
	}
	addr, err := localPart(n.Local, d.Name)
	if err == nil {
		err = s.freeForAlias(ctx, d, addr)
	}
	list, bad := s.targets(ctx, wanted{owner: a.ID, self: addr, customer: d.CustomerID, most: models.MaxTargets, texts: n.Targets})
	if bad == nil && len(list) == 0 {
		bad = noTarget()
	}
	if err := errors.Join(err, a.Validate(), bad); err != nil {
		return nil, err
	}
	a.Address = addr.String()
	err = s.store.Write(ctx, func(ctx context.Context) error { return s.placeAlias(ctx, a, addr.Local, list) })
	if models.Is(err, models.Conflict) {
		if taken := s.freeForAlias(ctx, d, addr); taken != nil {
			err = taken
		}
	}
	if err != nil {
		return nil, err
	}
	s.done(v, "alias added", "alias", a.Address, "kind", a.Kind, "targets", len(list))
	s.ask(ctx)
	return s.Alias(ctx, v, a.Address)
}

func noTarget() error {
	return models.Errorf(models.Invalid, "target.none", "Say where the mail goes.").On("targets")
}

func (s *Service) placeAlias(ctx context.Context, a *models.Alias, local string, list []models.Target) error {
	if err := s.store.LockCustomer(ctx, a.CustomerID); err != nil {
		return err
	}
	d, err := s.store.DomainByID(ctx, models.OfCustomer(a.CustomerID), a.DomainID)
	if err != nil {
		return err
	}
	if d.AliasOf != nil {
		return isAlias(d)
	}
	row := &models.Address{ID: s.store.NewID(), DomainID: a.DomainID, Local: local, Kind: models.AddressAlias, AliasID: &a.ID, CreatedAt: a.CreatedAt}
	if err := s.store.InsertAddress(ctx, row); err != nil {
		return err
	}
	if err := s.store.InsertAlias(ctx, a); err != nil {
		return err
	}
	if err := s.saveTargets(ctx, a.ID, list); err != nil {
		return err
	}
	return s.store.UpdateAlias(ctx, a, addressesOf(list))
}

func addressesOf(list []models.Target) []string {
	all := make([]string, len(list))
	for i, t := range list {
		all[i] = t.Address
	}
	return all
}

// isAlias is why nothing can be added to a domain that is another name of one.
func isAlias(d *models.Domain) error {
	return models.Errorf(models.Invalid, "domain.is_alias", "%s is another name of a domain; add it there.", d.Name).With("domain", d.Name).On("domain")
}

// freeForAlias explains why an alias cannot have an address, nil if it can.
func (s *Service) freeForAlias(ctx context.Context, d *models.Domain, a address.Address) error {
	if d.AliasOf != nil {
		return isAlias(d)
	}
	held, err := s.store.AliasHolding(ctx, d.ID, a.Local)
	if err != nil {
		return err
	}
	if held {
		return models.Errorf(models.Conflict, "alias.taken", "There is an alias %s already.", a).With("address", a.String()).On("local")
	}
	m, err := s.store.HolderOf(ctx, d.ID, a.Local)
	switch {
	case models.Is(err, models.NotFound):
		return nil
	case err != nil:
		return err
	case m.InBin() && !m.Purging:
		return models.Errorf(models.Conflict, "mailbox.in_bin", "%s is in the bin and can be restored.", m.Address).With("address", m.Address).On("local")
	}
	return models.Errorf(models.Conflict, "alias.is_mailbox", "%s is a mailbox; let it forward instead.", m.Address).With("address", m.Address).On("local")
}

// AliasChange is what an alias becomes.
type AliasChange struct {
	Kind    models.AliasKind
	Name    string
	Targets []string
}

// EditAlias changes kind, name and targets. What it led to already keeps its owner's consent.
// Errors are those of AddAlias.
func (s *Service) EditAlias(ctx context.Context, v Viewer, addr string, c AliasChange) error {
	row, err := s.findAlias(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	self, err := address.Parse(row.Address)
	if err != nil {
		return err
	}
	list, bad := s.targets(ctx, wanted{owner: row.ID, self: self, customer: row.CustomerID, most: models.MaxTargets, texts: c.Targets, had: row.Targets})
	if bad == nil && len(list) == 0 {
		bad = noTarget()
	}
	edited := row.Alias
	edited.Kind, edited.Name = c.Kind, strings.TrimSpace(c.Name)
	if err := errors.Join(edited.Validate(), bad); err != nil {
		return err
	}
	err = s.changeAlias(ctx, v, "alias changed", row, func(ctx context.Context, a *models.Alias) error {
		a.Kind, a.Name = edited.Kind, edited.Name
		return s.saveTargets(ctx, a.ID, list)
	})
	if err == nil {
		s.ask(ctx)
	}
	return err
}

// SwitchAlias switches an alias off or on: off, mail to it is refused.
func (s *Service) SwitchAlias(ctx context.Context, v Viewer, addr string, off bool) error {
	row, err := s.findAlias(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	return s.changeAlias(ctx, v, "alias switched", row, func(_ context.Context, a *models.Alias) error {
		a.Off = off
		return nil
	})
}

func (s *Service) changeAlias(ctx context.Context, v Viewer, what string, row *models.AliasRow, fn func(context.Context, *models.Alias) error) error {
	err := s.store.Write(ctx, func(ctx context.Context) error {
		if err := s.store.LockCustomer(ctx, row.CustomerID); err != nil {
			return err
		}
		now, err := s.store.AliasByID(ctx, models.OfCustomer(row.CustomerID), row.ID)
		if err != nil {
			return err
		}
		if err := fn(ctx, &now.Alias); err != nil {
			return err
		}
		list, err := s.store.Targets(ctx, row.ID)
		if err != nil {
			return err
		}
		now.UpdatedAt = s.now()
		return s.store.UpdateAlias(ctx, &now.Alias, addressesOf(list))
	})
	if err == nil {
		s.done(v, what, "alias", row.Address)
	}
	return err
}

// RemoveAlias removes an alias. Conflict alias.used (arguments address and by) while another
// alias or a mailbox leads to it, or a domain's catch-all.
func (s *Service) RemoveAlias(ctx context.Context, v Viewer, addr string) error {
	row, err := s.findAlias(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error {
		if err := s.store.LockCustomer(ctx, row.CustomerID); err != nil {
			return err
		}
		if err := s.unused(ctx, row.CustomerID, row.Address); err != nil {
			return err
		}
		if err := s.store.ClearCatchAll(ctx, row.CustomerID, row.Address); err != nil {
			return err
		}
		return s.store.DeleteAlias(ctx, &row.Alias)
	})
	if err == nil {
		s.done(v, "alias removed", "alias", row.Address)
	}
	return err
}

// unused refuses if something of the customer leads to an address.
func (s *Service) unused(ctx context.Context, customer models.ID, addr string) error {
	to, err := s.store.TargetsTo(ctx, customer, addr, 1)
	if err != nil || len(to) == 0 {
		return err
	}
	by, err := s.ownerName(ctx, to[0].OwnerID)
	if err != nil {
		return err
	}
	return models.Errorf(models.Conflict, "alias.used", "%s leads to %s; change that first.", by, addr).With("address", addr).With("by", by)
}

// ownerName returns the address of the alias or mailbox that a target belongs to.
func (s *Service) ownerName(ctx context.Context, owner models.ID) (string, error) {
	a, err := s.store.AliasByID(ctx, models.Everything(), owner)
	if err == nil {
		return a.Address, nil
	}
	if !models.Is(err, models.NotFound) {
		return "", err
	}
	m, err := s.store.MailboxByID(ctx, models.Everything(), owner)
	if err != nil {
		return "", err
	}
	return m.Address, nil
}
