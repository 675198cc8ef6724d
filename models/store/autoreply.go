package store

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// AutoReply returns what a mailbox answers by itself; NotFound if it never did.
func (s *Store) AutoReply(ctx context.Context, mailbox models.ID) (*models.AutoReply, error) {
	var a models.AutoReply
	err := s.on(ctx).Where("mailbox_id = ?", mailbox).Take(&a).Error
	return found("auto-reply", &a, err)
}

// SaveAutoReply adds or replaces what a mailbox answers by itself. With forget the people
// answered so far are counted anew.
func (s *Store) SaveAutoReply(ctx context.Context, a *models.AutoReply, forget bool) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		columns := []string{"enabled", "subject", "body", "outside", "starts_at", "ends_at", "updated_at"}
		args := []any{a.MailboxID, a.Enabled, a.Subject, a.Body, a.Outside, a.StartsAt, a.EndsAt, a.UpdatedAt}
		if forget {
			columns, args = append(columns, "answered"), append(args, 0)
		}
		_, err := tx.ExecContext(ctx, upsert(tx.Dialect(), "auto_replies", "mailbox_id", columns...), args...)
		tx.Changed(db.ChangedMailbox, a.MailboxID)
		return failed("save auto-reply", err)
	})
}

// ForgetAnswered removes up to 500 of the people whom a mailbox has answered by itself and
// returns how many; call it again until it returns 0.
func (s *Store) ForgetAnswered(ctx context.Context, mailbox models.ID) (int64, error) {
	return s.clear(ctx, "auto_replied", "sender", mailbox)
}

// clear removes up to 500 rows of a mailbox from a table with the key (mailbox_id, column).
func (s *Store) clear(ctx context.Context, table, column string, mailbox models.ID) (n int64, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		var keys []string
		if err := s.on(ctx).Raw("SELECT "+column+" FROM "+table+" WHERE mailbox_id = ? ORDER BY "+column+" LIMIT 500", mailbox).Scan(&keys).Error; err != nil {
			return failed("clear "+table, err)
		}
		if n = int64(len(keys)); n == 0 {
			return nil
		}
		return failed("clear "+table, s.on(ctx).Exec("DELETE FROM "+table+" WHERE mailbox_id = ? AND "+column+" IN ?", mailbox, keys).Error)
	})
	return n, err
}
