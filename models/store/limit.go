package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// CountSending counts n recipients outside this server for a mailbox and its domain, or returns
// Limited with the limit that they would pass. Within Write it is part of that transaction, and
// exact over all processes; whoever gets an error from it must give the transaction up, since
// the counters have been raised.
func (s *Store) CountSending(ctx context.Context, limits models.SendingLimits, mailbox, domain models.ID, n int64) error {
	now := models.At(s.d.Now())
	uses := limits.Uses(mailbox, domain, now)
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := charge(ctx, tx, uses, now, n); err != nil {
			return failed("count sending", err)
		}
		return failed("count sending", within(ctx, tx, uses, now, n))
	})
}

// charge raises all counters in one statement, and makes those that are not there yet. Their rows are
// locked then until the transaction ends.
func charge(ctx context.Context, tx *db.Tx, uses []models.LimitUse, now models.Micros, n int64) error {
	query := "INSERT INTO limits_used (subject_id, period, start, recipients) VALUES (?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?)", len(uses)-1)
	if tx.Dialect() == db.MySQL {
		query += " ON DUPLICATE KEY UPDATE recipients = recipients + VALUES(recipients)"
	} else {
		query += " ON CONFLICT (subject_id, period, start) DO UPDATE SET recipients = recipients + excluded.recipients"
	}
	var args []any
	for i := range uses {
		u := &uses[i]
		args = append(args, u.ID, string(u.Period), u.Period.Start(now), n)
	}
	_, err := tx.ExecContext(ctx, query, args...)
	return err
}

// within returns Limited for the first limit that is passed, with n recipients counted already.
func within(ctx context.Context, tx *db.Tx, uses []models.LimitUse, now models.Micros, n int64) error {
	limited := func(u models.LimitUse) bool { return u.Limit > 0 }
	if !slices.ContainsFunc(uses, limited) {
		return nil
	}
	counted, err := readUses(ctx, tx, uses, now)
	if err != nil {
		return err
	}
	for i := range counted {
		if u := &counted[i]; limited(*u) && u.Used > u.Limit {
			u.Used -= n
			return u.Limited()
		}
	}
	return nil
}

// SendingUse returns the sending limits of a mailbox and its domain with what is used now.
func (s *Store) SendingUse(ctx context.Context, limits models.SendingLimits, mailbox, domain models.ID) ([]models.LimitUse, error) {
	now := models.At(s.d.Now())
	uses, err := readUses(ctx, s.d.Kept(ctx), limits.Uses(mailbox, domain, now), now)
	return uses, failed("sending use", err)
}

// readUses returns the limits, all of one mailbox and its domain, with what is used of them.
func readUses(ctx context.Context, from db.Querier, uses []models.LimitUse, now models.Micros) ([]models.LimitUse, error) {
	uses = slices.Clone(uses)
	rows, err := from.QueryContext(ctx, "SELECT subject_id, period, start, recipients FROM limits_used WHERE subject_id IN (?, ?) AND start IN (?, ?)",
		uses[0].ID, uses[len(uses)-1].ID, models.PeriodHour.Start(now), models.PeriodDay.Start(now))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id models.ID
		var period models.Period
		var start models.Micros
		var used int64
		if err := rows.Scan(&id, &period, &start, &used); err != nil {
			return nil, err
		}
		for i := range uses {
			if uses[i].ID == id && uses[i].Period == period && start == period.Start(now) {
				uses[i].Used = used
			}
		}
	}
	return uses, rows.Err()
}

// SentToday returns what the domains in a scope have sent today. It goes from the domains to
// their counters, for those of mailboxes are many more.
func (s *Store) SentToday(ctx context.Context, scope models.Scope) (models.Sent, error) {
	query := `SELECT COALESCE(SUM(n), 0), COALESCE(MAX(n), 0) FROM (SELECT
		(SELECT recipients FROM limits_used WHERE subject_id = domains.id AND period = ? AND start = ?) AS n FROM domains`
	args := []any{string(models.PeriodDay), models.PeriodDay.Start(models.At(s.d.Now()))}
	if !scope.All() {
		query, args = query+" WHERE customer_id = ?", append(args, scope.Customer())
	}
	var sent models.Sent
	err := s.row(ctx, query+") AS domains_today", args, &sent.Today, &sent.Busiest)
	return sent, failed("sent today", err)
}

// CountBounces adds n recipients that were given up to the hour in which their message was
// accepted, and returns what that hour has. What was accepted before the mailbox's sending was
// released last counts no more. Within Write it is part of that transaction.
func (s *Store) CountBounces(ctx context.Context, mailbox models.ID, accepted models.Micros, n int64) (recipients, bounced int64, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		at := []any{mailbox, string(models.PeriodHour), models.PeriodHour.Start(accepted)}
		if _, err := tx.ExecContext(ctx, "UPDATE limits_used SET bounced = bounced + ? WHERE released_at < ? AND subject_id = ? AND period = ? AND start = ?", append([]any{n, accepted}, at...)...); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, "SELECT recipients - recipients_before, bounced FROM limits_used WHERE subject_id = ? AND period = ? AND start = ?", at...).Scan(&recipients, &bounced)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // counted longer ago than is kept
		}
		return err
	})
	return recipients, bounced, failed("count bounces", err)
}

// PruneSending removes some 500 counters that began before a moment and returns how many.
func (s *Store) PruneSending(ctx context.Context, before models.Micros) (n int64, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		start, subject := before, models.ID(0) // the first that stays; all that are older go if they are few
		err := tx.QueryRowContext(ctx, "SELECT start, subject_id FROM limits_used WHERE start < ? ORDER BY start, subject_id LIMIT 1 OFFSET 500", before).Scan(&start, &subject)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM limits_used WHERE start < ? OR start = ? AND subject_id < ?", start, start, subject)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, failed("prune sending", err)
}

// forgiveBounces begins the count of a held mailbox's bounces anew: it is about to be released.
func forgiveBounces(ctx context.Context, tx *db.Tx, mailbox models.ID, now models.Micros) error {
	_, err := tx.ExecContext(ctx, `UPDATE limits_used SET recipients_before = recipients, bounced = 0, released_at = ? WHERE subject_id = ? AND period = ?
		AND EXISTS (SELECT 1 FROM mailboxes WHERE id = ? AND held_at <> 0)`, now, mailbox, string(models.PeriodHour), mailbox)
	return failed("forgive bounces", err)
}

// HoldSending keeps what a mailbox sends in the queue from now on; false if it is held already.
// What lies in the queue is held by the queue.
func (s *Store) HoldSending(ctx context.Context, mailbox models.ID, reason string) (held bool, err error) {
	now := models.At(s.d.Now())
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE mailboxes SET held_at = ?, held_reason = ? WHERE id = ? AND held_at = 0", now, models.Clip(reason, 255), mailbox)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		held = n > 0
		if held {
			tx.Changed(db.ChangedMailbox, mailbox)
		}
		return err
	})
	return held, failed("hold sending", err)
}

// Suppressed reports whether an address has refused a mailbox's mail for good.
func (s *Store) Suppressed(ctx context.Context, mailbox models.ID, address string) (bool, error) {
	var one int
	err := s.row(ctx, "SELECT 1 FROM suppressions WHERE mailbox_id = ? AND address = ?", []any{mailbox, address}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, failed("suppression", err)
}

// SetFullSince notes since when a mailbox is full, 0 that it has room again. What is known stays:
// the first refusal counts.
func (s *Store) SetFullSince(ctx context.Context, mailbox models.ID, since models.Micros) error {
	where := " AND full_since = 0"
	if since == 0 {
		where = " AND full_since <> 0"
	}
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE mailboxes SET full_since = ? WHERE id = ?"+where, since, mailbox)
		if err != nil {
			return failed("note full mailbox", err)
		}
		if n, _ := res.RowsAffected(); n > 0 {
			tx.Changed(db.ChangedMailbox, mailbox)
		}
		return nil
	})
}
