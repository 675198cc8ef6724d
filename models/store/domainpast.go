package store

import (
	"context"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// The table domain_pasts remembers of each customer and name, for as long as the database lives:
// since when the customer had the domain, if ever, and where its MX pointed when its claim was
// first looked at. Removing a domain and adding it again changes nothing there.

// past makes the row of a customer and a name if there is none.
func past(ctx context.Context, tx *db.Tx, customer models.ID, name string) error {
	query := "INSERT INTO domain_pasts (customer_id, name) VALUES (?, ?)"
	if tx.Dialect() == db.MySQL {
		query += " ON DUPLICATE KEY UPDATE name = VALUES(name)"
	} else {
		query += " ON CONFLICT DO NOTHING"
	}
	_, err := tx.ExecContext(ctx, query, customer, name)
	return err
}

// held notes that a domain is active, in the transaction that ctx carries.
func (s *Store) held(ctx context.Context, d *models.Domain) error {
	if d.ActiveName == nil {
		return nil
	}
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := past(ctx, tx, d.CustomerID, d.Name); err != nil {
			return failed("past of domain", err)
		}
		_, err := tx.ExecContext(ctx, "UPDATE domain_pasts SET held_at = ? WHERE customer_id = ? AND name = ? AND held_at = 0", max(d.UpdatedAt, 1), d.CustomerID, d.Name)
		return failed("past of domain", err)
	})
}

// The places of an MX at the first look.
const (
	mxHere      = "here"
	mxElsewhere = "elsewhere"
)

// FirstMX returns whether the MX of a name pointed here when a customer's claim was first looked
// at; if this is that look, it is what here says.
func (s *Store) FirstMX(ctx context.Context, customer models.ID, name string, here bool) (first bool, err error) {
	now := mxElsewhere
	if here {
		now = mxHere
	}
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := past(ctx, tx, customer, name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE domain_pasts SET first_mx = ? WHERE customer_id = ? AND name = ? AND first_mx = ''", now, customer, name); err != nil {
			return err
		}
		var was string
		err := tx.QueryRowContext(ctx, "SELECT first_mx FROM domain_pasts WHERE customer_id = ? AND name = ?", customer, name).Scan(&was)
		first = was == mxHere
		return err
	})
	return first, failed("first look at domain", err)
}

// HeldByOthers reports whether another customer has or ever had a name as an active domain, or one
// above or below it.
func (s *Store) HeldByOthers(ctx context.Context, customer models.ID, name string) (bool, error) {
	related := []string{name}
	for _, above, more := strings.Cut(name, "."); more; _, above, more = strings.Cut(above, ".") {
		related = append(related, above)
	}
	var n int64
	err := s.on(ctx).Raw(`SELECT COUNT(*) FROM domain_pasts WHERE customer_id <> ? AND held_at <> 0 AND (name IN ? OR name LIKE ? ESCAPE '!')`,
		customer, related, "%."+escapeLike(name)).Scan(&n).Error
	return n > 0, failed("others of domain", err)
}
