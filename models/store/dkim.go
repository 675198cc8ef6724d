package store

import (
	"context"
	"database/sql"
	"slices"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// InsertKeys adds DKIM keys of a domain; Conflict if a selector is taken.
func (s *Store) InsertKeys(ctx context.Context, keys []models.DKIMKey) error {
	if len(keys) == 0 {
		return nil
	}
	return s.change(ctx, db.ChangedDomain, keys[0].DomainID, func(g *gorm.DB) error {
		return failed("insert keys", g.Create(&keys).Error)
	})
}

// Keys returns all DKIM keys of a domain, the oldest first.
func (s *Store) Keys(ctx context.Context, domain models.ID) ([]models.DKIMKey, error) {
	var keys []models.DKIMKey
	return keys, failed("keys", s.on(ctx).Where("domain_id = ?", domain).Order("id").Find(&keys).Error)
}

// UpdateKey writes what changes in a key's life, if its state is still from; otherwise
// Conflict: another process was first.
func (s *Store) UpdateKey(ctx context.Context, k *models.DKIMKey, from models.DKIMState) error {
	return s.change(ctx, db.ChangedDomain, k.DomainID, func(g *gorm.DB) error {
		r := g.Model(&models.DKIMKey{}).Where("id = ? AND state = ?", k.ID, from).
			Select("state", "sealed", "other_at", "active_at", "retired_at").Updates(k)
		if r.Error == nil && r.RowsAffected == 0 {
			return models.Errorf(models.Conflict, "dkim.changed", "The key has changed meanwhile.")
		}
		return failed("update key", r.Error)
	})
}

// DeleteKeys removes all DKIM keys of a domain.
func (s *Store) DeleteKeys(ctx context.Context, domain models.ID) error {
	return s.change(ctx, db.ChangedDomain, domain, func(g *gorm.DB) error {
		return failed("delete keys", g.Where("domain_id = ?", domain).Delete(&models.DKIMKey{}).Error)
	})
}

// ring is the keys that sign for a domain, and whose it is.
type ring struct {
	customer models.ID
	keys     []models.DKIMKey
}

// SigningKeys returns the keys that sign for a domain's normalized name, RSA first; none if it
// is not an active domain of this customer (0 = of anybody: the server itself signs). The answer
// may be as old as that of db.Recent, and must not be changed.
func (s *Store) SigningKeys(ctx context.Context, domain string, customer models.ID) ([]models.DKIMKey, error) {
	var r ring
	var err error
	if db.TxOf(ctx) != nil {
		r, err = s.signingKeys(ctx, domain)
	} else {
		r, err = s.signing.Get(domain, func() (ring, error) { return s.signingKeys(ctx, domain) })
	}
	if err != nil || customer != 0 && customer != r.customer {
		return nil, err
	}
	return r.keys, nil
}

func (s *Store) signingKeys(ctx context.Context, domain string) (r ring, err error) {
	err = s.each(ctx, `SELECT domains.customer_id, dkim_keys.id, dkim_keys.algorithm, dkim_keys.selector, dkim_keys.sealed
		FROM domains JOIN dkim_keys ON dkim_keys.domain_id = domains.id
		WHERE domains.active_name = ? AND dkim_keys.state = 'active'`, []any{domain}, func(rows *sql.Rows) error {
		k := models.DKIMKey{State: models.DKIMActive}
		err := rows.Scan(&r.customer, &k.ID, &k.Algorithm, &k.Selector, &k.Sealed)
		r.keys = append(r.keys, k)
		return err
	})
	// Some receivers give up at the first signature that they cannot read; all can read RSA.
	slices.SortFunc(r.keys, func(a, b models.DKIMKey) int {
		if (a.Algorithm == models.DKIMRSA) != (b.Algorithm == models.DKIMRSA) {
			if a.Algorithm == models.DKIMRSA {
				return -1
			}
			return 1
		}
		return int(a.ID - b.ID)
	})
	return r, failed("signing keys", err)
}

// DomainsWithoutKeys returns up to limit domains that have no DKIM key at all.
func (s *Store) DomainsWithoutKeys(ctx context.Context, limit int) ([]models.Domain, error) {
	var domains []models.Domain
	err := s.on(ctx).Where("NOT EXISTS (SELECT 1 FROM dkim_keys WHERE dkim_keys.domain_id = domains.id)").
		Order("id").Limit(limit).Find(&domains).Error
	return domains, failed("domains without keys", err)
}

// KeysToRenew returns up to limit active keys that began to sign before a moment and have no
// successor yet.
func (s *Store) KeysToRenew(ctx context.Context, before models.Micros, limit int) ([]models.DKIMKey, error) {
	var keys []models.DKIMKey
	err := s.on(ctx).Where("state = ? AND active_at < ?", models.DKIMActive, before).
		Where(`NOT EXISTS (SELECT 1 FROM dkim_keys other WHERE other.domain_id = dkim_keys.domain_id
			AND other.algorithm = dkim_keys.algorithm AND other.state = ?)`, models.DKIMNext).
		Order("active_at, id").Limit(limit).Find(&keys).Error
	return keys, failed("keys to renew", err)
}

// RetireKeys ends up to limit keys that ceased to sign before a moment, private parts and all.
func (s *Store) RetireKeys(ctx context.Context, before models.Micros, limit int) (n int64, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		var ids []models.ID
		err := s.on(ctx).Model(&models.DKIMKey{}).Where("state = ? AND retired_at < ?", models.DKIMRetiring, before).Order("id").Limit(limit).Pluck("id", &ids).Error
		if n = 0; err != nil || len(ids) == 0 {
			return failed("retire keys", err)
		}
		r := s.on(ctx).Model(&models.DKIMKey{}).Where("id IN ? AND state = ?", ids, models.DKIMRetiring).
			Updates(map[string]any{"state": models.DKIMRetired, "sealed": ""})
		n = r.RowsAffected
		return failed("retire keys", r.Error)
	})
	return n, err
}
