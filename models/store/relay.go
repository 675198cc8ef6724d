package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// RelayFor returns the smarthost that mail of a mailbox (0 = of none) in a domain goes by: the
// mailbox's own, else its domain's, else the server's. NotFound if there is none.
func (s *Store) RelayFor(ctx context.Context, mailbox, domain models.ID) (*models.Relay, error) {
	var all []models.Relay
	if err := s.on(ctx).Where("owner_id IN ?", []models.ID{mailbox, domain, 0}).Find(&all).Error; err != nil {
		return nil, failed("relay", err)
	}
	for _, of := range []struct {
		kind  string
		owner models.ID
	}{{models.RelayOfMailbox, mailbox}, {models.RelayOfDomain, domain}, {models.RelayOfServer, 0}} {
		for i := range all {
			if all[i].OwnerKind == of.kind && all[i].OwnerID == of.owner {
				return &all[i], nil
			}
		}
	}
	return nil, failed("relay", gorm.ErrRecordNotFound)
}

// Relay returns the smarthost of one owner; NotFound if it has none of its own.
func (s *Store) Relay(ctx context.Context, owner models.ID) (*models.Relay, error) {
	var r models.Relay
	err := s.on(ctx).Where("owner_id = ?", owner).Take(&r).Error
	return found("relay", &r, err)
}

// SaveRelay adds or replaces the smarthost of an owner.
func (s *Store) SaveRelay(ctx context.Context, r *models.Relay) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, upsert(tx.Dialect(), "relays", "owner_id", "owner_kind", "host", "port", "security", "username", "secret", "updated_at"),
			r.OwnerID, r.OwnerKind, r.Host, r.Port, string(r.Security), r.Username, r.Secret, r.UpdatedAt)
		tx.Changed(db.ChangedMailbox, r.OwnerID)
		return failed("save relay", err)
	})
}

// DeleteRelay removes the smarthost of an owner; NotFound if it has none.
func (s *Store) DeleteRelay(ctx context.Context, owner models.ID) error {
	return s.change(ctx, db.ChangedMailbox, owner, func(g *gorm.DB) error {
		return one("delete relay", g.Where("owner_id = ?", owner).Delete(&models.Relay{}))
	})
}

// Relays returns all smarthosts with the names of their owners, the server's first; at most
// 1,000.
func (s *Store) Relays(ctx context.Context) ([]models.RelayRow, error) {
	var rows []models.RelayRow
	err := s.on(ctx).Table("relays").Select("relays.*, COALESCE(domains.name, mailboxes.address, '') AS owner").
		Joins("LEFT JOIN domains ON domains.id = relays.owner_id").Joins("LEFT JOIN mailboxes ON mailboxes.id = relays.owner_id").
		Order("CASE WHEN relays.owner_id = 0 THEN 0 ELSE 1 END, owner").Limit(1000).Scan(&rows).Error
	return rows, failed("relays", err)
}
