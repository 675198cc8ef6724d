package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// domainRow is the record with the text that search looks in.
type domainRow struct {
	models.Domain
	Folded string `gorm:"column:folded"`
}

// InsertDomain adds a domain; Conflict if an active one has its ActiveName. That a customer has
// had an active domain is remembered beyond its end.
func (s *Store) InsertDomain(ctx context.Context, d *models.Domain) error {
	row := domainRow{Domain: *d, Folded: models.Clip(models.Fold(d.Name+" "+address.Unicode(d.Name)), 768)}
	return s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		err := s.change(ctx, db.ChangedDomain, d.ID, func(g *gorm.DB) error {
			return failed("insert domain", g.Create(&row).Error)
		})
		if err != nil {
			return err
		}
		return s.held(ctx, d)
	})
}

// Domain returns one domain in the scope by its normalized name; NotFound otherwise. Of
// several claims the active one is meant, else the oldest.
func (s *Store) Domain(ctx context.Context, scope models.Scope, name string) (*models.Domain, error) {
	var d models.Domain
	err := scoped(s.on(ctx), scope, "customer_id").Where("name = ?", name).
		Order("CASE WHEN active_name IS NULL THEN 1 ELSE 0 END, id").Limit(1).Take(&d).Error
	return found("domain", &d, err)
}

// DomainByID returns one domain in the scope; NotFound otherwise.
func (s *Store) DomainByID(ctx context.Context, scope models.Scope, id models.ID) (*models.Domain, error) {
	var d models.Domain
	err := scoped(s.on(ctx), scope, "customer_id").Where("id = ?", id).Take(&d).Error
	return found("domain", &d, err)
}

// Claims returns all claims of a normalized name, the oldest first.
func (s *Store) Claims(ctx context.Context, name string) ([]models.Domain, error) {
	var claims []models.Domain
	return claims, failed("claims", s.on(ctx).Where("name = ?", name).Order("id").Limit(100).Find(&claims).Error)
}

// UpdateDomain writes state, client host, role addresses, alias, catch-all, what DMARC does, source
// address and proof. Conflict if another active one
// has its ActiveName, NotFound if the domain is gone.
func (s *Store) UpdateDomain(ctx context.Context, d *models.Domain) error {
	return s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		err := s.change(ctx, db.ChangedDomain, d.ID, func(g *gorm.DB) error {
			return one("update domain", g.Model(&models.Domain{}).Where("id = ?", d.ID).
				Select("active_name", "state", "client_host", "postmaster_id", "abuse_id", "alias_of", "catch_all", "dmarc_obey", "source_ip", "proof_token", "proven_at", "updated_at").Updates(d))
		})
		if err != nil {
			return err
		}
		return s.held(ctx, d)
	})
}

// CountAliasDomains counts the domains that are other names of a domain.
func (s *Store) CountAliasDomains(ctx context.Context, domain models.ID) (n int64, err error) {
	return n, failed("count alias domains", s.on(ctx).Model(&models.Domain{}).Where("alias_of = ?", domain).Count(&n).Error)
}

// ClearCatchAll ends the catch-all of all domains of a customer whose mail goes to an address.
func (s *Store) ClearCatchAll(ctx context.Context, customer models.ID, address string) error {
	return s.change(ctx, db.ChangedCustomer, customer, func(g *gorm.DB) error {
		return failed("clear catch-all", g.Exec("UPDATE domains SET catch_all = '' WHERE customer_id = ? AND catch_all = ?", customer, address).Error)
	})
}

// DeleteDomain removes the row with its relay; domains that were other names of it stand for
// themselves again.
func (s *Store) DeleteDomain(ctx context.Context, id models.ID) error {
	return s.change(ctx, db.ChangedDomain, id, func(g *gorm.DB) error {
		for _, query := range []string{"UPDATE domains SET alias_of = NULL WHERE alias_of = ?", "DELETE FROM relays WHERE owner_id = ?"} {
			if err := g.Exec(query, id).Error; err != nil {
				return failed("delete domain", err)
			}
		}
		return one("delete domain", g.Where("id = ?", id).Delete(&models.Domain{}))
	})
}

var domainSorts = map[string]string{"": "domains.name", "name": "domains.name", "created": "domains.created_at", "customer": "customers.name", "state": "domains.state"}

// Domains returns a page of the domains in the scope with their sums.
func (s *Store) Domains(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.DomainRow], error) {
	g := scoped(s.on(ctx).Table("domains"), scope, "domains.customer_id")
	g = g.Select("domains.*, customers.name AS customer").Joins("JOIN customers ON customers.id = domains.customer_id")
	if q.CustomerID != 0 {
		g = g.Where("domains.customer_id = ?", q.CustomerID)
	}
	if q.DomainID != 0 {
		g = g.Where("domains.id = ?", q.DomainID)
	}
	for _, like := range terms(q.Search) {
		g = g.Where("domains.folded LIKE ? ESCAPE '!'", like)
	}
	list, err := page[models.DomainRow](g, q, order(domainSorts, q, "domains.id"))
	if err != nil {
		return list, err
	}
	if err := s.healths(ctx, list.Items); err != nil {
		return list, err
	}
	return list, s.sums(ctx, list.Items)
}

// healths fills in what the last look at each domain's DNS amounted to.
func (s *Store) healths(ctx context.Context, rows []models.DomainRow) error {
	ids := make([]models.ID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	if len(ids) == 0 {
		return nil
	}
	var checks []models.DNSCheck
	if err := s.on(ctx).Select("domain_id", "health").Where("domain_id IN ?", ids).Find(&checks).Error; err != nil {
		return failed("health of domains", err)
	}
	known := map[models.ID]models.DNSHealth{}
	for _, c := range checks {
		known[c.DomainID] = c.Health
	}
	for i := range rows {
		if rows[i].DNS = known[rows[i].ID]; rows[i].DNS == "" {
			rows[i].DNS = models.DNSHealthUnknown
		}
	}
	return nil
}

// sums fills in what the mailboxes of each domain add up to, in one query for the page.
func (s *Store) sums(ctx context.Context, rows []models.DomainRow) error {
	if len(rows) == 0 {
		return nil
	}
	at := make(map[models.ID]*models.DomainRow, len(rows))
	ids := make([]models.ID, len(rows))
	for i := range rows {
		at[rows[i].ID], ids[i] = &rows[i], rows[i].ID
	}
	var sums []struct {
		DomainID                   models.ID
		Mailboxes, Used, Allocated int64
	}
	err := s.on(ctx).Raw(`SELECT m.domain_id AS domain_id,
			SUM(CASE WHEN m.deleted_at = 0 THEN 1 ELSE 0 END) AS mailboxes,
			SUM(CASE WHEN m.deleted_at = 0 THEN COALESCE(s.bytes, 0) ELSE 0 END) AS used,
			SUM(m.quota_bytes) AS allocated
		FROM mailboxes m LEFT JOIN mailbox_state s ON s.mailbox_id = m.id
		WHERE m.domain_id IN ? GROUP BY m.domain_id`, ids).Scan(&sums).Error
	for _, sum := range sums {
		row := at[sum.DomainID]
		row.Mailboxes, row.Used, row.Allocated = sum.Mailboxes, sum.Used, sum.Allocated
	}
	return failed("sums of domains", err)
}
