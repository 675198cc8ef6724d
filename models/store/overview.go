package store

import (
	"context"

	"github.com/postchi/postchi/models"
)

// Totals adds up what the scope has.
func (s *Store) Totals(ctx context.Context, scope models.Scope) (models.Totals, error) {
	var t models.Totals
	sums := scoped(s.on(ctx).Table("customers"), scope, "id").
		Select("COUNT(*) AS customers, COALESCE(SUM(domains), 0) AS domains, COALESCE(SUM(allocated), 0) AS allocated")
	if err := sums.Scan(&t).Error; err != nil {
		return t, failed("totals", err)
	}
	if err := s.selection(ctx, scope, models.Query{}).Count(&t.Mailboxes).Error; err != nil {
		return t, failed("totals", err)
	}
	if err := scoped(s.on(ctx).Table("mailboxes"), scope, "customer_id").Where("deleted_at > 0 AND purging = 0").Count(&t.Bin).Error; err != nil {
		return t, failed("totals", err)
	}
	used := s.on(ctx).Table("mailbox_state").Select("COALESCE(SUM(mailbox_state.bytes), 0)")
	if !scope.All() {
		used = used.Joins("JOIN mailboxes ON mailboxes.id = mailbox_state.mailbox_id").Where("mailboxes.customer_id = ?", scope.Customer())
	}
	return t, failed("totals", used.Scan(&t.Used).Error)
}

// NearlyFull returns up to limit live mailboxes in the scope that have used at least a share
// (in percent) of their quota of bytes, the fullest first.
func (s *Store) NearlyFull(ctx context.Context, scope models.Scope, percent, limit int) ([]models.MailboxRow, error) {
	var ids []models.ID // first: few rows are read whole
	err := scoped(s.on(ctx).Table("mailboxes"), scope, "mailboxes.customer_id").Select("mailboxes.id").
		Joins("JOIN mailbox_state ON mailbox_state.mailbox_id = mailboxes.id").
		Where("mailboxes.deleted_at = 0 AND mailboxes.quota_bytes > 0 AND mailbox_state.bytes >= mailboxes.quota_bytes / 100 * ?", percent).
		Order("mailbox_state.bytes * 1.0 / mailboxes.quota_bytes DESC, mailboxes.id").Limit(limit).Scan(&ids).Error
	if err != nil || len(ids) == 0 {
		return nil, failed("nearly full mailboxes", err)
	}
	var read []mailboxRead
	err = s.rows(ctx).Where("mailboxes.id IN ?", ids).Order("mailbox_state.bytes * 1.0 / mailboxes.quota_bytes DESC, mailboxes.id").Find(&read).Error
	items := make([]models.MailboxRow, len(read))
	for i := range read {
		items[i] = *read[i].row()
	}
	return items, failed("nearly full mailboxes", err)
}

// Waiting returns up to limit domains in the scope that receive nothing: not proven, or
// without a mailbox that lives.
func (s *Store) Waiting(ctx context.Context, scope models.Scope, limit int) ([]models.Domain, error) {
	var domains []models.Domain
	err := scoped(s.on(ctx), scope, "domains.customer_id").
		Where("domains.active_name IS NULL OR NOT EXISTS (SELECT 1 FROM mailboxes WHERE mailboxes.domain_id = domains.id AND mailboxes.deleted_at = 0)").
		Order("domains.id").Limit(limit).Find(&domains).Error
	return domains, failed("waiting domains", err)
}

// BlockedMailboxes returns up to limit blocks of log-ins to mailboxes in the scope, with the
// address in the row.
func (s *Store) BlockedMailboxes(ctx context.Context, scope models.Scope, now models.Micros, limit int) ([]models.BlockedMailbox, error) {
	var blocks []models.BlockedMailbox
	err := scoped(s.on(ctx).Table("login_blocks"), scope, "mailboxes.customer_id").
		Select("mailboxes.address AS address, login_blocks.network AS network, login_blocks.blocked_until AS blocked_until").
		Joins("JOIN mailboxes ON mailboxes.id = login_blocks.mailbox_id").
		Where("login_blocks.blocked_until > ?", now).Order("login_blocks.blocked_until DESC").Limit(limit).Scan(&blocks).Error
	return blocks, failed("blocked mailboxes", err)
}
