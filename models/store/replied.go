package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Answering returns the auto-reply of a mailbox; NotFound if it has none.
func (s *Store) Answering(ctx context.Context, mailbox models.ID) (*models.AutoReply, error) {
	a := models.AutoReply{MailboxID: mailbox}
	err := s.row(ctx, "SELECT enabled, subject, body, outside, starts_at, ends_at FROM auto_replies WHERE mailbox_id = ?", []any{mailbox},
		&a.Enabled, &a.Subject, &a.Body, &a.Outside, &a.StartsAt, &a.EndsAt)
	return found("auto-reply", &a, err)
}

// Inside reports whether a normalized domain is an active one of a customer.
func (s *Store) Inside(ctx context.Context, customer models.ID, domain string) (bool, error) {
	d, err := s.served(ctx, "active_name = ?", domain)
	if models.Is(err, models.NotFound) {
		return false, nil
	}
	return err == nil && d.customer == customer, err
}

// Answered reports whether a mailbox has answered a sender after a moment.
func (s *Store) Answered(ctx context.Context, mailbox models.ID, sender string, after models.Micros) (bool, error) {
	var one int
	err := s.row(ctx, "SELECT 1 FROM auto_replied WHERE mailbox_id = ? AND sender = ? AND at > ?", []any{mailbox, models.Clip(sender, 320), after}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, failed("look for auto-reply", err)
}

// TakeReply notes that a mailbox answers a sender now; false if it has after a moment already.
// Of several that ask at once, in any process, one gets true. Within Write it is part of that
// transaction.
func (s *Store) TakeReply(ctx context.Context, mailbox models.ID, sender string, now, notAfter models.Micros) (first bool, err error) {
	sender = models.Clip(sender, 320)
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		first = false
		query := "INSERT INTO auto_replied (mailbox_id, sender, at) VALUES (?, ?, 0)"
		if tx.Dialect() == db.MySQL {
			query += " ON DUPLICATE KEY UPDATE sender = VALUES(sender)"
		} else {
			query += " ON CONFLICT DO NOTHING"
		}
		if _, err := tx.ExecContext(ctx, query, mailbox, sender); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, "UPDATE auto_replied SET at = ? WHERE mailbox_id = ? AND sender = ? AND at <= ?", now, mailbox, sender, notAfter)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if first = n > 0; !first || err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE auto_replies SET answered = answered + 1 WHERE mailbox_id = ?", mailbox)
		return err
	})
	return first, failed("note auto-reply", err)
}

// PruneReplied removes up to 500 notes of answers from before a moment and returns how many.
func (s *Store) PruneReplied(ctx context.Context, before models.Micros) (n int64, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var last models.Micros
		err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(at), 0) FROM (SELECT at FROM auto_replied WHERE at < ? ORDER BY at LIMIT 500) AS oldest", before).Scan(&last)
		if err != nil || last == 0 {
			n = 0
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM auto_replied WHERE at <= ?", last)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, failed("prune auto-replies", err)
}
