package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// hour is an hour in microseconds.
const hour = 3600 * 1e6

// loginRow is the record with the number that equal attempts share.
type loginRow struct {
	models.Login
	Fingerprint int64 `gorm:"column:fingerprint"`
}

// RecordLogins adds attempts to their aggregates: those equal in account, name, protocol,
// network, client and result within one hour are one row, whose count grows. A count of 0 is
// 1; the hour is that of LastAt. The last success is kept with the mailbox as well, where it
// outlives the aggregates. Each 100 attempts are one transaction.
func (s *Store) RecordLogins(ctx context.Context, logins []models.Login) error {
	rows := aggregate(logins)
	for start := 0; start < len(rows); start += batch {
		part := rows[start:min(start+batch, len(rows))]
		err := s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := s.addLogins(ctx, tx, part); err != nil {
				return failed("record log-ins", err)
			}
			return failed("record last log-ins", lastLogins(ctx, tx, part))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// aggregate gives each attempt its hour and fingerprint and adds up equal ones: an INSERT
// must not meet the same key twice.
func aggregate(logins []models.Login) []loginRow {
	at := make(map[[2]int64]int, len(logins))
	rows := make([]loginRow, 0, len(logins))
	for _, l := range logins {
		l = complete(l)
		row := loginRow{Login: l, Fingerprint: fingerprint(&l)}
		key := [2]int64{row.Fingerprint, int64(l.Hour)}
		i, found := at[key]
		if !found {
			at[key] = len(rows)
			rows = append(rows, row)
			continue
		}
		rows[i].Count += l.Count
		rows[i].FirstAt, rows[i].LastAt = min(rows[i].FirstAt, l.FirstAt), max(rows[i].LastAt, l.LastAt)
	}
	// The order of locks on MySQL is the same for everybody.
	slices.SortFunc(rows, func(a, b loginRow) int {
		return cmp.Or(cmp.Compare(a.MailboxID, b.MailboxID), cmp.Compare(a.Fingerprint, b.Fingerprint), cmp.Compare(a.Hour, b.Hour))
	})
	return rows
}

func complete(l models.Login) models.Login {
	l.Count = max(l.Count, 1)
	if l.FirstAt == 0 {
		l.FirstAt = l.LastAt
	}
	l.Hour = l.LastAt - l.LastAt%hour
	l.Name, l.Client = models.Clip(l.Name, 255), models.Clip(l.Client, 100)
	l.Network, l.Reason = models.Clip(l.Network, 64), models.Clip(l.Reason, 64)
	return l
}

// fingerprint is 63 bits of a hash over what equal attempts have in common.
func fingerprint(l *models.Login) int64 {
	h := sha256.Sum256(fmt.Appendf(nil, "%d\x00%d\x00%s\x00%s\x00%s\x00%s\x00%t\x00%s",
		l.MailboxID, l.UserID, l.Name, l.Protocol, l.Network, l.Client, l.OK, l.Reason))
	return int64(binary.BigEndian.Uint64(h[:]) >> 1)
}

// addLogins inserts rows or adds their counts. This and upsert below are the two places where
// the databases need different words.
func (s *Store) addLogins(ctx context.Context, tx *db.Tx, rows []loginRow) error {
	const columns = 14
	args := make([]any, 0, len(rows)*columns)
	for _, r := range rows {
		args = append(args, s.NewID(), r.Fingerprint, r.MailboxID, r.UserID, r.Name, r.Protocol, r.Network, r.Client, r.OK, r.Reason,
			r.Hour, r.FirstAt, r.LastAt, r.Count)
	}
	values := strings.TrimSuffix(strings.Repeat("(?"+strings.Repeat(",?", columns-1)+"),", len(rows)), ",")
	query := "INSERT INTO logins (id, fingerprint, mailbox_id, user_id, login_name, protocol, network, client, ok, reason, hour, first_at, last_at, count) VALUES " + values
	if tx.Dialect() == db.MySQL {
		query += " ON DUPLICATE KEY UPDATE count = count + VALUES(count), first_at = LEAST(first_at, VALUES(first_at)), last_at = GREATEST(last_at, VALUES(last_at))"
	} else {
		query += " ON CONFLICT (fingerprint, hour) DO UPDATE SET count = count + excluded.count, first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)"
	}
	_, err := tx.ExecContext(ctx, query, args...)
	return err
}

func lastLogins(ctx context.Context, tx *db.Tx, rows []loginRow) error {
	for _, r := range rows {
		if !r.OK || r.MailboxID == 0 {
			continue
		}
		_, err := tx.ExecContext(ctx, "UPDATE mailboxes SET last_login_at = ?, last_protocol = ? WHERE id = ? AND last_login_at < ?",
			r.LastAt, r.Protocol, r.MailboxID, r.LastAt)
		if err != nil {
			return err
		}
	}
	return nil
}

// Logins returns the latest aggregates of a mailbox, newest first; limit 0 is models.PageSize.
func (s *Store) Logins(ctx context.Context, mailbox models.ID, limit int) ([]models.Login, error) {
	size, _ := models.Query{Size: limit}.Window()
	var logins []models.Login
	err := s.on(ctx).Where("mailbox_id = ?", mailbox).Order("last_at DESC, id DESC").Limit(size).Find(&logins).Error
	return logins, failed("log-ins", err)
}

// SaveBlock adds or replaces the block of a network for a mailbox (0 = for all).
func (s *Store) SaveBlock(ctx context.Context, b models.LoginBlock) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, upsert(tx.Dialect(), "login_blocks", "network, mailbox_id", "failures", "blocked_until", "at"),
			b.Network, b.MailboxID, b.Failures, b.Until, b.At)
		tx.Changed(db.ChangedLimits, b.MailboxID)
		return failed("save block", err)
	})
}

// DeleteBlocks removes blocks of a mailbox (0 = of any) and a network ("" = of any).
func (s *Store) DeleteBlocks(ctx context.Context, mailbox models.ID, network string) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM login_blocks WHERE (? = 0 OR mailbox_id = ?) AND (? = '' OR network = ?)", mailbox, mailbox, network, network)
		tx.Changed(db.ChangedLimits, mailbox)
		return failed("delete blocks", err)
	})
}

// Blocks returns the blocks that hold at a moment, those that last longest first.
func (s *Store) Blocks(ctx context.Context, now models.Micros) ([]models.LoginBlock, error) {
	var blocks []models.LoginBlock
	return blocks, failed("blocks", s.on(ctx).Where("blocked_until > ?", now).Order("blocked_until DESC, network").Find(&blocks).Error)
}

// MailboxBlocks is Blocks of one mailbox.
func (s *Store) MailboxBlocks(ctx context.Context, mailbox models.ID, now models.Micros) ([]models.LoginBlock, error) {
	var blocks []models.LoginBlock
	err := s.on(ctx).Where("mailbox_id = ? AND blocked_until > ?", mailbox, now).Order("blocked_until DESC, network").Find(&blocks).Error
	return blocks, failed("blocks", err)
}

// PruneBlocks removes the blocks that ended before a moment.
func (s *Store) PruneBlocks(ctx context.Context, before models.Micros) error {
	return s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		return failed("prune blocks", s.on(ctx).Exec("DELETE FROM login_blocks WHERE blocked_until < ?", before).Error)
	})
}

// upsert returns an INSERT of key and columns that replaces the columns of a row with the
// same key.
func upsert(dialect db.Dialect, table, key string, columns ...string) string {
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = c + " = excluded." + c
		if dialect == db.MySQL {
			sets[i] = c + " = VALUES(" + c + ")"
		}
	}
	n := strings.Count(key, ",") + 1 + len(columns)
	query := "INSERT INTO " + table + " (" + key + ", " + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", n-1) + ")"
	if dialect == db.MySQL {
		return query + " ON DUPLICATE KEY UPDATE " + strings.Join(sets, ", ")
	}
	return query + " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(sets, ", ")
}
