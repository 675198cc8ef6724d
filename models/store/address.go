package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// InsertAddress takes an address; Conflict if it exists, the bin included.
func (s *Store) InsertAddress(ctx context.Context, a *models.Address) error {
	return s.change(ctx, db.ChangedDomain, a.DomainID, func(g *gorm.DB) error {
		return failed("insert address", g.Create(a).Error)
	})
}

// TakenLocals returns which of these local parts exist in a domain, the bin included.
func (s *Store) TakenLocals(ctx context.Context, domain models.ID, locals []string) (map[string]bool, error) {
	var found []string
	err := s.on(ctx).Model(&models.Address{}).Where("domain_id = ? AND local_part IN ?", domain, locals).Pluck("local_part", &found).Error
	taken := make(map[string]bool, len(found))
	for _, local := range found {
		taken[local] = true
	}
	return taken, failed("addresses", err)
}

// HolderOf returns the mailbox that has a local part in a domain, the bin included; NotFound
// if it is free.
func (s *Store) HolderOf(ctx context.Context, domain models.ID, local string) (*models.MailboxRow, error) {
	var id models.ID
	err := s.row(ctx, "SELECT mailbox_id FROM addresses WHERE domain_id = ? AND local_part = ? AND mailbox_id IS NOT NULL", []any{domain, local}, &id)
	if err != nil {
		return nil, failed("address", err)
	}
	return s.MailboxByID(ctx, models.Everything(), id)
}

// AliasHolding reports whether an alias has a local part in a domain.
func (s *Store) AliasHolding(ctx context.Context, domain models.ID, local string) (bool, error) {
	var n int64
	err := s.row(ctx, "SELECT COUNT(*) FROM addresses WHERE domain_id = ? AND local_part = ? AND alias_id IS NOT NULL", []any{domain, local}, &n)
	return n > 0, failed("address", err)
}
