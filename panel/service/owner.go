package service

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Owner returns the person who has a mailbox's password, as its row is now, and what they may
// see. NotFound if the mailbox is gone or in the bin; Suspended login.suspended if it or its
// customer may not log in.
func (s *Service) Owner(ctx context.Context, mailbox models.ID) (*models.User, Viewer, error) {
	row, err := s.store.MailboxByID(ctx, models.OfMailbox(mailbox), mailbox)
	if err != nil {
		return nil, Viewer{}, err
	}
	if row.InBin() {
		return nil, Viewer{}, notFound()
	}
	c, err := s.store.Customer(ctx, models.Everything(), row.CustomerID)
	if err != nil {
		return nil, Viewer{}, err
	}
	if row.LoginOff || c.Suspended {
		reason := row.Reason
		if c.Suspended {
			reason = c.Reason
		}
		return nil, Viewer{}, models.Errorf(models.Suspended, "login.suspended", "The account is suspended.").With("reason", reason)
	}
	u := &models.User{ID: row.ID, Email: row.Address, Name: row.Name, Role: models.RoleOwner, CustomerID: &row.CustomerID,
		PasswordHash: row.PasswordHash, Language: row.Language, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, PasswordAt: row.PasswordAt}
	return u, Viewer{UserID: row.ID, Role: models.RoleOwner, CustomerID: row.CustomerID, MailboxID: row.ID, Name: row.Address}, nil
}

// changeOwn lets fn change the mailbox of an owner, while nobody else changes what its
// customer owns; save writes what fn changed.
func (s *Service) changeOwn(ctx context.Context, v Viewer, what string, fn func(*models.Mailbox), save func(context.Context, *models.Mailbox) error) error {
	scope, err := permit(v, manageOwn)
	if err != nil {
		return err
	}
	row, err := s.store.MailboxByID(ctx, scope, v.MailboxID)
	if err != nil {
		return err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error {
		m, err := s.lockMailbox(ctx, row.ID, row.CustomerID)
		if err != nil {
			return err
		}
		if m.InBin() {
			return notFound()
		}
		fn(m)
		m.UpdatedAt = s.now()
		return save(ctx, m)
	})
	if err == nil {
		s.done(v, what, "mailbox", row.Address)
	}
	return err
}

// setOwnerPassword is SetOwnPassword for the owner of a mailbox.
func (s *Service) setOwnerPassword(ctx context.Context, v Viewer, old, pw string) error {
	u, _, err := s.Owner(ctx, v.MailboxID)
	if err != nil {
		return err
	}
	if err := s.config.Verify(ctx, u.PasswordHash, old); err != nil {
		return on(err, "old")
	}
	own, err := address.Parse(u.Email)
	if err != nil {
		return err
	}
	if err := s.checkPassword(pw, own); err != nil {
		return err
	}
	hash, err := s.config.Hash(ctx, pw)
	if err != nil {
		return on(err, "password")
	}
	return s.changeOwn(ctx, v, "mailbox password changed", func(m *models.Mailbox) {
		m.PasswordHash, m.PasswordAt = hash, s.now()
	}, s.store.UpdateMailboxPassword)
}

// setOwnerLanguage is SetLanguage for the owner of a mailbox: it is also the language of
// words to them.
func (s *Service) setOwnerLanguage(ctx context.Context, v Viewer, language string) error {
	return s.changeOwn(ctx, v, "mailbox language changed", func(m *models.Mailbox) { m.Language = language }, s.store.UpdateMailboxLanguage)
}
