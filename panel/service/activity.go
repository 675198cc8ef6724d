package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

// Logins returns the latest log-ins of a mailbox, refused ones with their reason, newest
// first; limit 0 is models.PageSize.
func (s *Service) Logins(ctx context.Context, v Viewer, addr string, limit int) ([]models.Login, error) {
	row, err := s.Mailbox(ctx, v, addr)
	if err != nil {
		return nil, err
	}
	return s.store.Logins(ctx, row.ID, limit)
}

// Events returns the trace of a mailbox, newest first; before 0 is from now.
func (s *Service) Events(ctx context.Context, v Viewer, addr string, before models.Micros, limit int) ([]models.Event, error) {
	scope, err := permit(v, seeMailbox)
	if err != nil {
		return nil, err
	}
	row, err := s.Mailbox(ctx, v, addr)
	if err != nil {
		return nil, err
	}
	return s.store.Events(ctx, scope, models.EventQuery{MailboxID: row.ID, Before: before, Limit: limit})
}

// Blocks returns the networks that may not try the mailbox's password now.
func (s *Service) Blocks(ctx context.Context, v Viewer, addr string) ([]models.LoginBlock, error) {
	row, err := s.Mailbox(ctx, v, addr)
	if err != nil {
		return nil, err
	}
	return s.store.MailboxBlocks(ctx, row.ID, s.now())
}

// Unblock ends the block of a network ("" = of all) for a mailbox.
func (s *Service) Unblock(ctx context.Context, v Viewer, addr, network string) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	if err := s.store.DeleteBlocks(ctx, row.ID, network); err != nil {
		return err
	}
	s.done(v, "mailbox unblocked", "mailbox", row.Address, "network", network)
	return nil
}

// UnblockNetwork ends all blocks of a network, named by it or by an address in it. For
// administrators. Invalid network.invalid.
func (s *Service) UnblockNetwork(ctx context.Context, v Viewer, network string) error {
	if _, err := permit(v, manageCustomers); err != nil {
		return err
	}
	prefix, err := models.ParseNetwork(network)
	if err != nil {
		return err
	}
	name := models.NetworkName(prefix)
	if err := s.store.DeleteBlocks(ctx, 0, name); err != nil {
		return err
	}
	s.done(v, "network unblocked", "network", name)
	return nil
}

// SendTest puts a test message into a mailbox that is not in the bin. While its domain is not
// proven that is Conflict recipient.unproven: by its address it is not this mailbox that gets it.
func (s *Service) SendTest(ctx context.Context, v Viewer, addr, language string) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	if err := s.mayTest(ctx, row); err != nil {
		return err
	}
	return s.config.Sender.SendTest(ctx, &row.Mailbox, language)
}

// mayTest reports why the server cannot put messages of its own into a mailbox now.
func (s *Service) mayTest(ctx context.Context, row *models.MailboxRow) error {
	if row.InBin() {
		return notFound()
	}
	served, err := s.servedFor(ctx, models.OfCustomer(row.CustomerID), row.Address)
	if err != nil {
		return err
	}
	if !served {
		return unproven(row.Domain)
	}
	if s.config.Sender == nil {
		return models.Errorf(models.Unavailable, "unavailable", "Test messages cannot be sent now.")
	}
	return nil
}

// Recount compares the counters of a mailbox with its messages and with fix mends them.
func (s *Service) Recount(ctx context.Context, v Viewer, addr string, fix bool) (models.Drift, error) {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return models.Drift{}, err
	}
	drift, err := s.mail.Recount(ctx, row.ID, fix)
	if err == nil && drift.Fixed && drift.Any() {
		s.done(v, "mailbox counters mended", "mailbox", row.Address)
	}
	return drift, err
}
