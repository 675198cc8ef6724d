package store

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// DNSCheck returns the last look at a domain's DNS; NotFound before the first.
func (s *Store) DNSCheck(ctx context.Context, domain models.ID) (*models.DNSCheck, error) {
	var c models.DNSCheck
	err := s.on(ctx).Where("domain_id = ?", domain).Take(&c).Error
	return found("DNS check", &c, err)
}

// SetDNSCheck keeps a look at a domain's DNS in place of the one before. told is what ToldAt was
// when that was read: if another look has told, or taken that back, meanwhile, its word stays and
// mine is false.
func (s *Store) SetDNSCheck(ctx context.Context, c *models.DNSCheck, told models.Micros) (mine bool, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		query := upsert(tx.Dialect(), "dns_checks", "domain_id", "health", "body", "checked_at", "due_at", "since")
		if _, err := tx.ExecContext(ctx, query, c.DomainID, c.Health, c.Body, c.CheckedAt, c.DueAt, c.Since); err != nil {
			return err
		}
		mine = true
		if c.ToldAt == told {
			return nil
		}
		r, err := tx.ExecContext(ctx, "UPDATE dns_checks SET told_at = ? WHERE domain_id = ? AND told_at = ?", c.ToldAt, c.DomainID, told)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		mine = n == 1
		return err
	})
	return mine, failed("set DNS check", err)
}

// PostponeDNSCheck says when a domain is due to be looked at again, and leaves what is known of it.
func (s *Store) PostponeDNSCheck(ctx context.Context, domain models.ID, due models.Micros) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		query := "INSERT INTO dns_checks (domain_id, health, body, checked_at, due_at, since) VALUES (?, ?, '{}', 0, ?, 0)"
		if tx.Dialect() == db.MySQL {
			query += " ON DUPLICATE KEY UPDATE due_at = VALUES(due_at)"
		} else {
			query += " ON CONFLICT (domain_id) DO UPDATE SET due_at = excluded.due_at"
		}
		_, err := tx.ExecContext(ctx, query, domain, models.DNSHealthUnknown, due)
		return failed("postpone DNS check", err)
	})
}

// DeleteDNSCheck forgets what is known of a domain's DNS.
func (s *Store) DeleteDNSCheck(ctx context.Context, domain models.ID) error {
	return s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		return failed("delete DNS check", s.on(ctx).Where("domain_id = ?", domain).Delete(&models.DNSCheck{}).Error)
	})
}

// DomainsToCheck returns up to limit domains whose DNS is due to be looked at, or never was.
func (s *Store) DomainsToCheck(ctx context.Context, now models.Micros, limit int) ([]models.Domain, error) {
	var domains []models.Domain
	err := s.on(ctx).Select("domains.*").Joins("LEFT JOIN dns_checks ON dns_checks.domain_id = domains.id").
		Where("dns_checks.due_at IS NULL OR dns_checks.due_at <= ?", now).
		Order("COALESCE(dns_checks.due_at, 0), domains.id").Limit(limit).Find(&domains).Error
	return domains, failed("domains to check", err)
}

// BadDNS returns up to limit active domains in the scope whose DNS lacks something needed.
func (s *Store) BadDNS(ctx context.Context, scope models.Scope, limit int) ([]models.Domain, error) {
	var domains []models.Domain
	err := scoped(s.on(ctx).Select("domains.*"), scope, "domains.customer_id").Joins("JOIN dns_checks ON dns_checks.domain_id = domains.id").
		Where("dns_checks.health = ? AND domains.active_name IS NOT NULL", models.DNSHealthBad).
		Order("domains.id").Limit(limit).Find(&domains).Error
	return domains, failed("domains with bad DNS", err)
}
