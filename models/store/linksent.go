package store

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// LinksSent counts the links that were mailed since a moment for a customer, and to an address for
// whomever. What was asked and removed again counts.
func (s *Store) LinksSent(ctx context.Context, customer models.ID, address string, since models.Micros) (ofCustomer, toAddress int64, err error) {
	err = s.row(ctx, `SELECT (SELECT COUNT(*) FROM links_sent WHERE customer_id = ? AND sent_at > ?), (SELECT COUNT(*) FROM links_sent WHERE address = ? AND sent_at > ?)`,
		[]any{customer, since, address, since}, &ofCustomer, &toAddress)
	return ofCustomer, toAddress, failed("links sent", err)
}

// NoteLink counts a link that is about to be mailed, and returns what ForgetLink takes. Links of
// this customer from before since are forgotten.
func (s *Store) NoteLink(ctx context.Context, t *models.Target, at, since models.Micros) (id models.ID, err error) {
	id = s.NewID()
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM links_sent WHERE customer_id = ? AND sent_at <= ?", t.CustomerID, since); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO links_sent (id, customer_id, address, sent_at) VALUES (?, ?, ?, ?)", id, t.CustomerID, t.Address, at)
		return err
	})
	return id, failed("note link", err)
}

// ForgetLink takes back a link that could not be mailed.
func (s *Store) ForgetLink(ctx context.Context, id models.ID) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM links_sent WHERE id = ?", id)
		return failed("forget link", err)
	})
}

// CountUnasked counts the targets elsewhere of a customer whose link is still to be mailed.
func (s *Store) CountUnasked(ctx context.Context, customer models.ID) (n int64, err error) {
	return n, failed("count targets", s.on(ctx).Model(&models.Target{}).Where("customer_id = ? AND external = 1 AND verified_at = 0 AND asked_at = 0", customer).Count(&n).Error)
}
