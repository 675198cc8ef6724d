package service

import (
	"context"

	"github.com/postchi/postchi/models"
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

// setOwnerPassword is SetOwnPassword for the owner of a mailbox.
func (s *Service) setOwnerPassword(ctx context.Context, v Viewer, old, pw string) error {
	row, err := s.ownRow(ctx, v)
	if err != nil {
		return err
	}
	if err := s.config.Verify(ctx, row.PasswordHash, old); err != nil {
		return on(err, "old")
	}
	return s.changePassword(ctx, v, row, pw)
}

// setOwnerLanguage is SetLanguage for the owner of a mailbox: it is also the language of
// words to them.
func (s *Service) setOwnerLanguage(ctx context.Context, v Viewer, language string) error {
	row, err := s.ownRow(ctx, v)
	if err != nil {
		return err
	}
	return s.changeRow(ctx, v, "mailbox language changed", row, func(_ context.Context, m *models.Mailbox) error {
		m.Language = language
		return nil
	}, s.store.UpdateMailboxLanguage)
}

// ownRow returns the mailbox of an owner, for changes; NotFound if it is in the bin.
func (s *Service) ownRow(ctx context.Context, v Viewer) (*MailboxRow, error) {
	scope, err := permit(v, manageOwn)
	if err != nil {
		return nil, err
	}
	row, err := s.store.MailboxByID(ctx, scope, v.MailboxID)
	if err == nil && row.InBin() {
		err = notFound()
	}
	if err != nil {
		return nil, err
	}
	return row, nil
}
