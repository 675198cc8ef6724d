package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// mailboxRow is the record with the text that search looks in.
type mailboxRow struct {
	models.Mailbox
	Folded string `gorm:"column:folded"`
}

func (r *mailboxRow) fold() { r.Folded = models.Clip(models.Fold(r.Address+" "+r.Name), 768) }

// InsertMailbox adds a mailbox; its address row is InsertAddress's.
func (s *Store) InsertMailbox(ctx context.Context, m *models.Mailbox) error {
	row := mailboxRow{Mailbox: *m}
	row.fold()
	return s.change(ctx, db.ChangedMailbox, m.ID, func(g *gorm.DB) error {
		return failed("insert mailbox", g.Create(&row).Error)
	})
}

// preferred orders mailboxes of the same address, which only unproven claims of one domain
// can have: the active domain's first, then those not in the bin, then the oldest.
const preferred = "CASE WHEN domains.active_name IS NULL THEN 1 ELSE 0 END, CASE WHEN mailboxes.deleted_at = 0 THEN 0 ELSE 1 END, mailboxes.id"

// Mailbox returns one mailbox in the scope by its normalized address, the bin included, with
// usage and last log-in; NotFound otherwise.
func (s *Store) Mailbox(ctx context.Context, scope models.Scope, address string) (*models.MailboxRow, error) {
	g := scopedMailbox(s.rows(ctx), scope, "mailboxes.customer_id", "mailboxes.id").Where("mailboxes.address = ?", address)
	var row mailboxRead
	err := g.Order(preferred).Limit(1).Take(&row).Error
	return found("mailbox", row.row(), err)
}

// MailboxByID is Mailbox by id.
func (s *Store) MailboxByID(ctx context.Context, scope models.Scope, id models.ID) (*models.MailboxRow, error) {
	var row mailboxRead
	err := scopedMailbox(s.rows(ctx), scope, "mailboxes.customer_id", "mailboxes.id").Where("mailboxes.id = ?", id).Take(&row).Error
	return found("mailbox", row.row(), err)
}

// mailboxRead is a mailbox as it is read with what belongs to it.
type mailboxRead struct {
	models.Mailbox
	LastLoginAt   models.Micros
	LastProtocol  models.Protocol
	UsedBytes     int64
	UsedMessages  int64
	Domain        string
	CustomerTitle string
}

func (r *mailboxRead) row() *models.MailboxRow {
	return &models.MailboxRow{Mailbox: r.Mailbox, Usage: models.MailboxUsage{Bytes: r.UsedBytes, Messages: r.UsedMessages},
		LastLogin: r.LastLoginAt, LastProtocol: r.LastProtocol, Domain: r.Domain, Customer: r.CustomerTitle}
}

func (s *Store) rows(ctx context.Context) *gorm.DB {
	return s.on(ctx).Table("mailboxes").
		Select(`mailboxes.*, domains.name AS domain, customers.name AS customer_title,
			COALESCE(mailbox_state.bytes, 0) AS used_bytes, COALESCE(mailbox_state.messages, 0) AS used_messages`).
		Joins("JOIN domains ON domains.id = mailboxes.domain_id").
		Joins("JOIN customers ON customers.id = mailboxes.customer_id").
		Joins("LEFT JOIN mailbox_state ON mailbox_state.mailbox_id = mailboxes.id")
}

// UpdateMailbox writes name, quotas and switches; NotFound if the mailbox is gone.
func (s *Store) UpdateMailbox(ctx context.Context, m *models.Mailbox) error {
	row := mailboxRow{Mailbox: *m}
	row.fold()
	return s.updateMailbox(ctx, &row, "name", "folded", "quota_bytes", "quota_messages",
		"login_off", "send_off", "receive_off", "reason", "switched_by", "updated_at")
}

// UpdateMailboxPassword writes hash and time of change.
func (s *Store) UpdateMailboxPassword(ctx context.Context, m *models.Mailbox) error {
	return s.updateMailbox(ctx, &mailboxRow{Mailbox: *m}, "password_hash", "password_at", "updated_at")
}

// UpdateMailboxHold writes whether sending is held, why, and by whom. With the release the count
// of what bounces begins anew.
func (s *Store) UpdateMailboxHold(ctx context.Context, m *models.Mailbox) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if m.HeldAt == 0 {
			if err := forgiveBounces(ctx, tx, m.ID, models.At(s.d.Now())); err != nil {
				return err
			}
		}
		return s.updateMailbox(ctx, &mailboxRow{Mailbox: *m}, "held_at", "held_reason", "held_by", "updated_at")
	})
}

// UpdateMailboxForward writes whether what is forwarded is kept.
func (s *Store) UpdateMailboxForward(ctx context.Context, m *models.Mailbox) error {
	return s.updateMailbox(ctx, &mailboxRow{Mailbox: *m}, "forward_only", "updated_at")
}

// UpdateMailboxLanguage writes the language of words to the mailbox's owner.
func (s *Store) UpdateMailboxLanguage(ctx context.Context, m *models.Mailbox) error {
	return s.updateMailbox(ctx, &mailboxRow{Mailbox: *m}, "language", "updated_at")
}

// UpdateMailboxBin writes what tells whether the mailbox is in the bin or being purged.
func (s *Store) UpdateMailboxBin(ctx context.Context, m *models.Mailbox) error {
	return s.updateMailbox(ctx, &mailboxRow{Mailbox: *m}, "deleted_at", "deleted_by", "purging", "updated_at")
}

func (s *Store) updateMailbox(ctx context.Context, row *mailboxRow, columns ...string) error {
	return s.change(ctx, db.ChangedMailbox, row.ID, func(g *gorm.DB) error {
		return one("update mailbox", g.Model(&mailboxRow{}).Where("id = ?", row.ID).Select(columns).Updates(row))
	})
}

// DeleteMailbox removes the row with its addresses, its blocks, its forwards, auto-reply and
// relay, and its place as a role address of its domain. What lies in the mailbox must be gone
// before, and so must what is not bounded (ForgetAnswered, ForgetSuppressions).
func (s *Store) DeleteMailbox(ctx context.Context, id models.ID) error {
	return s.change(ctx, db.ChangedMailbox, id, func(g *gorm.DB) error {
		for _, query := range []string{
			"DELETE FROM addresses WHERE mailbox_id = ?",
			"DELETE FROM login_blocks WHERE mailbox_id = ?",
			"DELETE FROM sessions WHERE user_id = ?", // its owner's
			"DELETE FROM targets WHERE owner_id = ?",
			"DELETE FROM auto_replies WHERE mailbox_id = ?",
			"DELETE FROM relays WHERE owner_id = ?",
			"UPDATE domains SET postmaster_id = NULL WHERE postmaster_id = ?",
			"UPDATE domains SET abuse_id = NULL WHERE abuse_id = ?",
		} {
			if err := g.Exec(query, id).Error; err != nil {
				return failed("delete mailbox", err)
			}
		}
		return one("delete mailbox", g.Where("id = ?", id).Delete(&models.Mailbox{}))
	})
}

// CountMailboxes counts the mailboxes of a customer or, if it is not 0, of one domain; the
// bin included.
func (s *Store) CountMailboxes(ctx context.Context, customer, domain models.ID) (n int64, err error) {
	g := s.on(ctx).Model(&models.Mailbox{}).Where("customer_id = ?", customer)
	if domain != 0 {
		g = g.Where("domain_id = ?", domain)
	}
	return n, failed("count mailboxes", g.Count(&n).Error)
}

// CountUnlimited counts the mailboxes of a customer without a quota of bytes, bin included.
func (s *Store) CountUnlimited(ctx context.Context, customer models.ID) (n int64, err error) {
	g := s.on(ctx).Model(&models.Mailbox{}).Where("customer_id = ? AND quota_bytes = 0", customer)
	return n, failed("count mailboxes", g.Count(&n).Error)
}

// MailboxesToPurge returns up to limit mailboxes that were put in the bin before a moment, or
// whose purge has begun; oldest ids first, after a given one.
func (s *Store) MailboxesToPurge(ctx context.Context, before models.Micros, after models.ID, limit int) ([]models.ID, error) {
	var ids []models.ID
	err := s.on(ctx).Raw("SELECT id FROM mailboxes WHERE deleted_at > 0 AND (deleted_at < ? OR purging = 1) AND id > ? ORDER BY id LIMIT ?",
		before, after, limit).Scan(&ids).Error
	return ids, failed("mailboxes to purge", err)
}

// MailboxIDs returns up to limit ids of the mailboxes of a customer or, if it is not 0, of
// one domain, the bin included; oldest first.
func (s *Store) MailboxIDs(ctx context.Context, customer, domain models.ID, limit int) ([]models.ID, error) {
	g := s.on(ctx).Model(&models.Mailbox{}).Where("customer_id = ?", customer)
	if domain != 0 {
		g = g.Where("domain_id = ?", domain)
	}
	var ids []models.ID
	return ids, failed("mailboxes", g.Order("id").Limit(limit).Pluck("id", &ids).Error)
}
