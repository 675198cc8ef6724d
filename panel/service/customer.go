package service

import (
	"context"
	"strings"

	"github.com/postchi/postchi/models"
)

// NewCustomer is a customer to be added.
type NewCustomer struct {
	Name       string
	ExternalID string // of a billing system; may be empty
	Limits     models.CustomerLimits
	User       *NewUser // the first user; may be nil. Role and customer are set here
}

func customerTaken() *models.Error {
	return models.Errorf(models.Conflict, "customer.taken", "There is a customer of this name already.").On("name")
}

// Customers returns a page of customers. For administrators.
func (s *Service) Customers(ctx context.Context, v Viewer, q Query) (Page[models.Customer], error) {
	scope, err := permit(v, manageCustomers)
	if err != nil {
		return Page[models.Customer]{}, err
	}
	return s.store.Customers(ctx, scope, q)
}

// Customer returns one customer.
func (s *Service) Customer(ctx context.Context, v Viewer, id models.ID) (*models.Customer, error) {
	scope, err := permit(v, see)
	if err != nil {
		return nil, err
	}
	return s.store.Customer(ctx, scope, id)
}

// CustomerByName returns one customer by its exact name, spaces around it dropped.
func (s *Service) CustomerByName(ctx context.Context, v Viewer, name string) (*models.Customer, error) {
	scope, err := permit(v, see)
	if err != nil {
		return nil, err
	}
	return s.store.CustomerByName(ctx, scope, strings.TrimSpace(name))
}

// AddCustomer adds a customer and, if asked for, its first user. For administrators. Errors:
// Invalid for each bad field; Conflict customer.taken, user.taken.
func (s *Service) AddCustomer(ctx context.Context, v Viewer, n NewCustomer) (*models.Customer, error) {
	if _, err := permit(v, manageCustomers); err != nil {
		return nil, err
	}
	c, insert, err := s.prepareCustomer(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := s.store.Write(ctx, insert); err != nil {
		return nil, err
	}
	s.done(v, "customer added", "customer", c.Name)
	return c, nil
}

// prepareCustomer checks and hashes, and returns what is to run in a transaction.
func (s *Service) prepareCustomer(ctx context.Context, n NewCustomer) (*models.Customer, func(context.Context) error, error) {
	now := s.now()
	c := &models.Customer{ID: s.store.NewID(), Name: strings.TrimSpace(n.Name), ExternalID: strings.TrimSpace(n.ExternalID),
		MaxDomains: n.Limits.Domains, MaxMailboxes: n.Limits.Mailboxes, MaxStorage: n.Limits.Storage, CreatedAt: now, UpdatedAt: now}
	if err := c.Validate(); err != nil {
		return nil, nil, err
	}
	var u *models.User
	if n.User != nil {
		first := *n.User
		first.Role, first.CustomerID = models.RoleCustomer, c.ID
		var err error
		if u, err = s.prepareUser(ctx, first); err != nil {
			return nil, nil, err
		}
	}
	return c, func(ctx context.Context) error {
		if err := s.store.InsertCustomer(ctx, c); err != nil {
			return conflict(err, customerTaken())
		}
		if u == nil {
			return nil
		}
		return conflict(s.store.InsertUser(ctx, u), userTaken())
	}, nil
}

// RenameCustomer changes name and external id. For administrators. Conflict customer.taken.
func (s *Service) RenameCustomer(ctx context.Context, v Viewer, id models.ID, name, externalID string) error {
	return s.changeCustomer(ctx, v, "customer renamed", id, func(_ context.Context, c *models.Customer) error {
		c.Name, c.ExternalID = strings.TrimSpace(name), strings.TrimSpace(externalID)
		return nil
	})
}

// SetCustomerLimits sets what the customer may use. Lower than what is given out is allowed:
// all stays, and nothing more is given out. For administrators. A limit of storage is refused
// while mailboxes have no quota: Conflict limit.unlimited_exist, argument n.
func (s *Service) SetCustomerLimits(ctx context.Context, v Viewer, id models.ID, l models.CustomerLimits) error {
	return s.changeCustomer(ctx, v, "customer limits changed", id, func(ctx context.Context, c *models.Customer) error {
		if l.Storage > 0 {
			n, err := s.store.CountUnlimited(ctx, id)
			if err != nil {
				return err
			}
			if n > 0 {
				return models.Errorf(models.Conflict, "limit.unlimited_exist", "%d mailboxes have no quota. Give them one first.", n).With("n", n).On("storage")
			}
		}
		c.MaxDomains, c.MaxMailboxes, c.MaxStorage = l.Domains, l.Mailboxes, l.Storage
		return nil
	})
}

// SuspendCustomer stops the customer's users and mailboxes from logging in and sending, and
// with receive from receiving. Each mailbox keeps its own switches for later. For
// administrators.
func (s *Service) SuspendCustomer(ctx context.Context, v Viewer, id models.ID, reason string, receive bool) error {
	return s.changeCustomer(ctx, v, "customer suspended", id, func(_ context.Context, c *models.Customer) error {
		c.Suspended, c.SuspendReceive, c.Reason = true, receive, strings.TrimSpace(reason)
		return nil
	})
}

// ResumeCustomer ends the suspension. For administrators.
func (s *Service) ResumeCustomer(ctx context.Context, v Viewer, id models.ID) error {
	return s.changeCustomer(ctx, v, "customer resumed", id, func(_ context.Context, c *models.Customer) error {
		c.Suspended, c.SuspendReceive, c.Reason = false, false, ""
		return nil
	})
}

// changeCustomer lets fn change a customer while nobody else changes what it owns.
func (s *Service) changeCustomer(ctx context.Context, v Viewer, what string, id models.ID, fn func(context.Context, *models.Customer) error) error {
	scope, err := permit(v, manageCustomers)
	if err != nil {
		return err
	}
	var name string
	err = s.store.Write(ctx, func(ctx context.Context) error {
		if err := s.store.LockCustomer(ctx, id); err != nil {
			return err
		}
		c, err := s.store.Customer(ctx, scope, id)
		if err != nil {
			return err
		}
		if err := fn(ctx, c); err != nil {
			return err
		}
		if err := c.Validate(); err != nil {
			return err
		}
		name, c.UpdatedAt = c.Name, s.now()
		return conflict(s.store.UpdateCustomer(ctx, c), customerTaken())
	})
	if err == nil {
		s.done(v, what, "customer", name)
	}
	return err
}

// RemoveCustomer removes a customer with its users and domains. While it has mailboxes, the
// bin included, it is refused (Conflict customer.not_empty, argument n) unless purge, which
// removes them for good. Can be repeated after it was cut short. For administrators.
func (s *Service) RemoveCustomer(ctx context.Context, v Viewer, id models.ID, purge bool) error {
	scope, err := permit(v, manageCustomers)
	if err != nil {
		return err
	}
	c, err := s.store.Customer(ctx, scope, id)
	if err != nil {
		return err
	}
	if err := s.empty(ctx, c.ID, 0, purge, "customer.not_empty"); err != nil {
		return err
	}
	for {
		page, err := s.store.Domains(ctx, scope, Query{CustomerID: id, Size: 20})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			break
		}
		for _, d := range page.Items {
			if err := s.removeDomain(ctx, v, &d.Domain, purge); err != nil {
				return err
			}
		}
	}
	if err := s.store.Write(ctx, func(ctx context.Context) error { return s.dropCustomer(ctx, id) }); err != nil {
		return err
	}
	s.done(v, "customer removed", "customer", c.Name)
	return nil
}

// dropCustomer removes the row and the users of a customer that has no domain any more.
func (s *Service) dropCustomer(ctx context.Context, id models.ID) error {
	if err := s.store.LockCustomer(ctx, id); err != nil {
		return err
	}
	if page, err := s.store.Domains(ctx, models.OfCustomer(id), Query{Size: 1}); err != nil || page.Total > 0 {
		if err == nil { // one was added meanwhile
			err = notEmpty("customer.not_empty", 0)
		}
		return err
	}
	users, err := s.store.Users(ctx, models.OfCustomer(id), 0)
	if err != nil {
		return err
	}
	for _, u := range users {
		if err := s.store.DeleteUser(ctx, u.ID); err != nil {
			return err
		}
	}
	return s.store.DeleteCustomer(ctx, id)
}

func notEmpty(key string, n int64) error {
	return models.Errorf(models.Conflict, key, "There are still %d mailboxes, the bin included.", n).With("n", n)
}

// empty refuses if a customer, or one domain of it, has mailboxes; with purge it removes them.
func (s *Service) empty(ctx context.Context, customer, domain models.ID, purge bool, key string) error {
	n, err := s.store.CountMailboxes(ctx, customer, domain)
	if err != nil {
		return err
	}
	if n > 0 && !purge {
		return notEmpty(key, n)
	}
	for {
		ids, err := s.store.MailboxIDs(ctx, customer, domain, 20)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.purge(ctx, id); err != nil {
				return err
			}
		}
	}
}
