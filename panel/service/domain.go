package service

import (
	"context"
	"errors"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// NewDomain is a domain to be added.
type NewDomain struct {
	Name            string    // as a person pastes it: https://www.example.com/ is example.com
	CustomerID      models.ID // 0 = the viewer's own, or NewCustomerName
	NewCustomerName string    // for administrators: a customer to be added with the domain
	FirstUser       *NewUser  // of the new customer; may be nil
}

func domainTaken() *models.Error {
	return models.Errorf(models.Conflict, "domain.taken", "This domain is here already.").On("name")
}

// Domains returns a page of domains with what their mailboxes add up to.
func (s *Service) Domains(ctx context.Context, v Viewer, q Query) (Page[DomainRow], error) {
	scope, err := permit(v, see)
	if err != nil {
		return Page[DomainRow]{}, err
	}
	return s.store.Domains(ctx, scope, q)
}

// Domain returns one domain by name. Of several claims the active one is meant, else the
// oldest in the viewer's scope.
func (s *Service) Domain(ctx context.Context, v Viewer, name string) (*DomainRow, error) {
	scope, d, err := s.findDomain(ctx, v, see, name)
	if err != nil {
		return nil, err
	}
	page, err := s.store.Domains(ctx, scope, Query{DomainID: d.ID, Size: 1})
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		return nil, notFound()
	}
	return &page.Items[0], nil
}

func (s *Service) findDomain(ctx context.Context, v Viewer, a action, name string) (models.Scope, *models.Domain, error) {
	scope, err := permit(v, a)
	if err != nil {
		return scope, nil, err
	}
	normalized, err := address.NormalizeDomain(name)
	if err != nil {
		return scope, nil, notFound()
	}
	d, err := s.store.Domain(ctx, scope, normalized)
	return scope, d, err
}

// AddDomain adds a domain. It is active at once if an administrator or the command line adds
// it; a customer's is pending unless the installation asks for no proof. Errors: Invalid for
// each bad field; Conflict domain.taken, customer.taken, user.taken; Full limit.domains;
// NotFound if there is no such customer.
func (s *Service) AddDomain(ctx context.Context, v Viewer, n NewDomain) (*models.Domain, error) {
	scope, err := permit(v, manageDomains)
	if err != nil {
		return nil, err
	}
	name, err := address.ParseDomain(n.Name)
	d := &models.Domain{ID: s.store.NewID(), Name: name, State: models.DomainPending, DMARCObey: models.DMARCObeyAll, ProofToken: newProofToken(),
		CreatedAt: s.now(), UpdatedAt: s.now()}
	if v.IsAdmin() || s.config.DevMode || s.config.Proof == "none" {
		d.State, d.ActiveName = models.DomainActive, &d.Name
	}
	owner, addOwner, ownerErr := s.ownerOf(ctx, v, scope, n)
	if err := errors.Join(on(err, "name"), ownerErr); err != nil {
		return nil, err
	}
	d.CustomerID = owner
	keys, err := s.newKeys(d.ID) // before the transaction: it takes a while
	if err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error {
		if err := addOwner(ctx); err != nil {
			return err
		}
		if err := s.placeDomain(ctx, d); err != nil {
			return err
		}
		return s.store.InsertKeys(ctx, keys)
	})
	if err != nil {
		return nil, err
	}
	if d.State == models.DomainActive {
		if err := s.moveIn(ctx, d); err != nil {
			s.log.Warn("targets into a new domain", "domain", d.Name, "err", err)
		}
	}
	s.done(v, "domain added", "domain", d.Name, "state", d.State)
	return d, nil
}

// ownerOf returns the customer of a new domain and what adds it, if it is new.
func (s *Service) ownerOf(ctx context.Context, v Viewer, scope models.Scope, n NewDomain) (models.ID, func(context.Context) error, error) {
	if n.NewCustomerName != "" {
		if _, err := permit(v, manageCustomers); err != nil {
			return 0, nil, err
		}
		c, insert, err := s.prepareCustomer(ctx, NewCustomer{Name: n.NewCustomerName, User: n.FirstUser})
		if err != nil {
			return 0, nil, renameField(err, "name", "customer")
		}
		return c.ID, func(ctx context.Context) error { return renameField(insert(ctx), "name", "customer") }, nil
	}
	id := n.CustomerID
	if id == 0 {
		id = v.CustomerID
	}
	if id == 0 {
		return 0, nil, models.Errorf(models.Invalid, "domain.customer", "Say whose domain it is.").On("customer")
	}
	_, err := s.store.Customer(ctx, scope, id)
	return id, func(context.Context) error { return nil }, err
}

// renameField moves errors to the field that a form of several records calls otherwise.
func renameField(err error, from, to string) error {
	if err == nil {
		return nil
	}
	var all []error
	for _, e := range models.Errors(err) {
		if e.Field == from {
			e = e.On(to)
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		return err
	}
	return errors.Join(all...)
}

func (s *Service) placeDomain(ctx context.Context, d *models.Domain) error {
	if err := s.charge(ctx, d.CustomerID, 1, 0, 0); err != nil {
		return err
	}
	// Two claims of one customer are nothing but a mistake; the charge above keeps others of
	// this customer from adding one between this look and the insert.
	switch _, err := s.store.Domain(ctx, models.OfCustomer(d.CustomerID), d.Name); {
	case err == nil:
		return domainTaken()
	case !models.Is(err, models.NotFound):
		return err
	}
	return conflict(s.store.InsertDomain(ctx, d), domainTaken())
}

// ActivateDomain declares a pending domain of a customer (0 = the oldest claim) proven. For
// administrators. Conflict domain.taken if another customer's is active.
func (s *Service) ActivateDomain(ctx context.Context, v Viewer, name string, customer models.ID) error {
	_, d, err := s.findDomain(ctx, v, manageCustomers, name)
	if err == nil && customer != 0 {
		d, err = s.store.Domain(ctx, models.OfCustomer(customer), d.Name)
	}
	if err != nil {
		return err
	}
	if err := s.moveIn(ctx, d); err != nil {
		return err
	}
	err = s.changeDomain(ctx, d.ID, func(_ context.Context, d *models.Domain) error {
		d.State, d.ActiveName = models.DomainActive, &d.Name
		return nil
	})
	if err == nil {
		s.done(v, "domain activated", "domain", d.Name)
	}
	return err
}

func (s *Service) changeDomain(ctx context.Context, id models.ID, fn func(context.Context, *models.Domain) error) error {
	return s.store.Write(ctx, func(ctx context.Context) error {
		d, err := s.store.DomainByID(ctx, models.Everything(), id)
		if err != nil {
			return err
		}
		if err := s.store.LockCustomer(ctx, d.CustomerID); err != nil {
			return err
		}
		if d, err = s.store.DomainByID(ctx, models.Everything(), id); err != nil {
			return err
		}
		if err := fn(ctx, d); err != nil {
			return err
		}
		d.UpdatedAt = s.now()
		return conflict(s.store.UpdateDomain(ctx, d), domainTaken())
	})
}

// SetDomainRoles sets the mailboxes that read mail to postmaster and abuse: addresses of live
// mailboxes of the domain, or "" for its first. Invalid domain.role, fields "postmaster" and
// "abuse", otherwise.
func (s *Service) SetDomainRoles(ctx context.Context, v Viewer, name, postmaster, abuse string) error {
	scope, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return err
	}
	err = s.changeDomain(ctx, d.ID, func(ctx context.Context, d *models.Domain) error {
		var err1, err2 error
		d.PostmasterID, err1 = s.roleMailbox(ctx, scope, d, "postmaster", postmaster)
		d.AbuseID, err2 = s.roleMailbox(ctx, scope, d, "abuse", abuse)
		return errors.Join(err1, err2)
	})
	if err == nil {
		s.done(v, "domain roles changed", "domain", d.Name, "postmaster", postmaster, "abuse", abuse)
	}
	return err
}

func (s *Service) roleMailbox(ctx context.Context, scope models.Scope, d *models.Domain, field, addr string) (*models.ID, error) {
	if addr == "" {
		return nil, nil
	}
	bad := models.Errorf(models.Invalid, "domain.role", "That is no mailbox of this domain.").On(field)
	a, err := address.Parse(addr)
	if err != nil || a.Domain != d.Name {
		return nil, bad
	}
	m, err := s.store.HolderOf(ctx, d.ID, a.Local)
	switch {
	case models.Is(err, models.NotFound):
		return nil, bad
	case err != nil:
		return nil, err
	case m.InBin() || !scope.Sees(m.CustomerID):
		return nil, bad
	}
	return &m.ID, nil
}

// RemoveDomain removes a domain. While it has mailboxes, the bin included, it is refused
// (Conflict domain.not_empty, argument n) unless purge, which removes them for good. Can be
// repeated after it was cut short.
func (s *Service) RemoveDomain(ctx context.Context, v Viewer, name string, purge bool) error {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return err
	}
	return s.removeDomain(ctx, v, d, purge)
}

func (s *Service) removeDomain(ctx context.Context, v Viewer, d *models.Domain, purge bool) error {
	if err := s.empty(ctx, d.CustomerID, d.ID, purge, "domain.not_empty"); err != nil {
		return err
	}
	if err := s.detachDomain(ctx, d); err != nil {
		return err
	}
	err := s.store.Write(ctx, func(ctx context.Context) error {
		if err := s.charge(ctx, d.CustomerID, -1, 0, 0); err != nil {
			return err
		}
		n, err := s.store.CountMailboxes(ctx, d.CustomerID, d.ID)
		if err != nil {
			return err
		}
		if n > 0 { // added meanwhile
			return notEmpty("domain.not_empty", n)
		}
		if n, err = s.store.CountAliases(ctx, d.ID); err != nil || n > 0 {
			if err == nil {
				err = models.Errorf(models.Conflict, "conflict", "Somebody else changed this at the same moment. Try again.")
			}
			return err
		}
		if err := errors.Join(s.store.DeleteKeys(ctx, d.ID), s.store.DeleteDNSCheck(ctx, d.ID)); err != nil {
			return err
		}
		return s.store.DeleteDomain(ctx, d.ID)
	})
	if err == nil {
		s.done(v, "domain removed", "domain", d.Name)
	}
	return err
}
