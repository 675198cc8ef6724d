package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

// charge gives something out to a customer, or explains which limit stands against it: kind
// Full with limit.domains, limit.mailboxes or limit.storage, arguments n (given out now) and
// max. It locks what the customer owns until the transaction ends, so it comes first in one.
func (s *Service) charge(ctx context.Context, customer models.ID, domains, mailboxes, bytes int64) error {
	ok, err := s.store.Charge(ctx, customer, domains, mailboxes, bytes)
	if err != nil || ok {
		return err
	}
	c, err := s.store.Customer(ctx, models.Everything(), customer)
	if err != nil {
		return err
	}
	over := func(more, used, most int64) bool { return more > 0 && most > 0 && used+more > most }
	switch {
	case over(domains, c.Domains, c.MaxDomains):
		return models.Errorf(models.Full, "limit.domains", "%d of %d domains are used.", c.Domains, c.MaxDomains).With("n", c.Domains).With("max", c.MaxDomains)
	case over(mailboxes, c.Mailboxes, c.MaxMailboxes):
		return models.Errorf(models.Full, "limit.mailboxes", "%d of %d mailboxes are used, the bin included.", c.Mailboxes, c.MaxMailboxes).With("n", c.Mailboxes).With("max", c.MaxMailboxes)
	case over(bytes, c.Allocated, c.MaxStorage):
		return models.Errorf(models.Full, "limit.storage", "%d of %d bytes are given out to mailboxes already.", c.Allocated, c.MaxStorage).
			With("n", c.Allocated).With("max", c.MaxStorage).On("quota")
	}
	return models.Errorf(models.Conflict, "conflict", "Somebody else changed this at the same moment. Try again.")
}

// bounded refuses a mailbox without a quota to a customer with a limit of storage: it could
// take more than the limit. Call it after charge, when nobody else can change the limit.
func (s *Service) bounded(ctx context.Context, customer models.ID, quota int64) error {
	if quota != 0 {
		return nil
	}
	c, err := s.store.Customer(ctx, models.Everything(), customer)
	if err == nil && c.MaxStorage > 0 {
		return models.Errorf(models.Invalid, "limit.quota_needed", "The customer's space is limited, so each mailbox needs a quota.").On("quota")
	}
	return err
}
