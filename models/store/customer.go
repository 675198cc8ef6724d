package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// customerRow is the record with the text that search looks in.
type customerRow struct {
	models.Customer
	Folded string `gorm:"column:folded"`
}

func (r *customerRow) fold() { r.Folded = models.Clip(models.Fold(r.Name+" "+r.ExternalID), 768) }

// InsertCustomer adds a customer; Conflict if the name is taken.
func (s *Store) InsertCustomer(ctx context.Context, c *models.Customer) error {
	row := customerRow{Customer: *c}
	row.fold()
	return s.change(ctx, db.ChangedCustomer, c.ID, func(g *gorm.DB) error {
		return failed("insert customer", g.Create(&row).Error)
	})
}

// Customer returns one customer in the scope; NotFound otherwise.
func (s *Store) Customer(ctx context.Context, scope models.Scope, id models.ID) (*models.Customer, error) {
	var c models.Customer
	err := scoped(s.on(ctx), scope, "id").Where("id = ?", id).Take(&c).Error
	return found("customer", &c, err)
}

// CustomerByName returns one customer in the scope by its exact name; NotFound otherwise.
func (s *Store) CustomerByName(ctx context.Context, scope models.Scope, name string) (*models.Customer, error) {
	var c models.Customer
	err := scoped(s.on(ctx), scope, "id").Where("name = ?", name).Take(&c).Error
	return found("customer", &c, err)
}

// customerSorts are the columns a list may be sorted by; "" is the usual order.
var customerSorts = map[string]string{"": "name", "name": "name", "domains": "domains", "mailboxes": "mailboxes", "allocated": "allocated", "created": "created_at"}

// Customers returns a page of the customers in the scope.
func (s *Store) Customers(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.Customer], error) {
	g := scoped(s.on(ctx).Table("customers"), scope, "id")
	for _, like := range terms(q.Search) {
		g = g.Where("folded LIKE ? ESCAPE '!'", like)
	}
	return page[models.Customer](g, q, order(customerSorts, q, "id"))
}

// UpdateCustomer writes the customer's own fields: not its counters, which only Charge
// changes. Conflict if the name is taken, NotFound if the customer is gone.
func (s *Store) UpdateCustomer(ctx context.Context, c *models.Customer) error {
	row := customerRow{Customer: *c}
	row.fold()
	return s.change(ctx, db.ChangedCustomer, c.ID, func(g *gorm.DB) error {
		return one("update customer", g.Model(&customerRow{}).Where("id = ?", c.ID).Select("name", "external_id", "folded",
			"suspended", "suspend_receive", "reason", "max_domains", "max_mailboxes", "max_storage", "updated_at").Updates(&row))
	})
}

// LockCustomer makes others that change what this customer owns wait until the transaction
// ends; call it first in a Write. NotFound if the customer is gone.
func (s *Store) LockCustomer(ctx context.Context, id models.ID) error {
	// An update takes the row's lock on both databases.
	return one("lock customer", s.on(ctx).Exec("UPDATE customers SET updated_at = updated_at WHERE id = ?", id))
}

// Charge adds to what is given out to a customer, in one conditional update: it reports
// false, and changes nothing, if a limit would be passed (or the customer is gone). What is
// negative is given back and is never refused. It also locks as LockCustomer does.
func (s *Store) Charge(ctx context.Context, id models.ID, domains, mailboxes, bytes int64) (ok bool, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		g := s.on(ctx).Exec(`UPDATE customers SET domains = domains + ?, mailboxes = mailboxes + ?, allocated = allocated + ?
			WHERE id = ? AND (? <= 0 OR max_domains = 0 OR domains + ? <= max_domains)
			AND (? <= 0 OR max_mailboxes = 0 OR mailboxes + ? <= max_mailboxes)
			AND (? <= 0 OR max_storage = 0 OR allocated + ? <= max_storage)`,
			domains, mailboxes, bytes, id, domains, domains, mailboxes, mailboxes, bytes, bytes)
		ok = g.RowsAffected == 1
		return failed("charge customer", g.Error)
	})
	return ok && err == nil, err
}

// DeleteCustomer removes the row alone.
func (s *Store) DeleteCustomer(ctx context.Context, id models.ID) error {
	return s.change(ctx, db.ChangedCustomer, id, func(g *gorm.DB) error {
		return one("delete customer", g.Where("id = ?", id).Delete(&models.Customer{}))
	})
}
