package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Suppressions returns a page of the addresses that refused mail of the mailboxes in the scope
// for good, or of one mailbox, newest first.
func (s *Store) Suppressions(ctx context.Context, scope models.Scope, mailbox models.ID, q models.Query) (models.Page[models.Suppression], error) {
	g := scopedMailbox(s.on(ctx).Model(&models.Suppression{}), scope, "customer_id", "mailbox_id")
	if mailbox != 0 {
		g = g.Where("mailbox_id = ?", mailbox)
	}
	for _, like := range terms(q.Search) {
		g = g.Where("address LIKE ? ESCAPE '!'", like)
	}
	return page[models.Suppression](g, q, "at DESC, address")
}

// DeleteSuppression lets a mailbox send to an address again; NotFound if it may already.
func (s *Store) DeleteSuppression(ctx context.Context, mailbox models.ID, address string) error {
	return s.change(ctx, db.ChangedMailbox, mailbox, func(g *gorm.DB) error {
		return one("delete suppression", g.Where("mailbox_id = ? AND address = ?", mailbox, address).Delete(&models.Suppression{}))
	})
}

// ForgetSuppressions removes up to 500 of a mailbox's suppressions and returns how many; call
// it again until it returns 0.
func (s *Store) ForgetSuppressions(ctx context.Context, mailbox models.ID) (int64, error) {
	return s.clear(ctx, "suppressions", "address", mailbox)
}
