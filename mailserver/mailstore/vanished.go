package mailstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Vanished returns the UIDs expunged from a folder after since (RFC 7162, VANISHED). complete
// is false when some of that is no longer known (Folder.VanishedFloor): then all UIDs that are
// not in the folder are to be taken for expunged.
func (s *Store) Vanished(ctx context.Context, folder models.ID, since ModSeq) (gone Set, complete bool, err error) {
	q := s.db.Reader(ctx)
	rows, err := q.QueryContext(ctx, "SELECT uid_first, uid_last FROM expunged WHERE folder_id = ? AND modseq > ?", int64(folder), int64(since))
	if err != nil {
		return nil, false, failed("read expunged", err)
	}
	err = each(rows, func(rows *sql.Rows) error {
		var r Range
		err := rows.Scan(&r.First, &r.Last)
		gone = append(gone, r)
		return err
	})
	if err != nil {
		return nil, false, failed("read expunged", err)
	}
	// The floor is read last: what is pruned between the two has raised it.
	var floor ModSeq
	if err := q.QueryRowContext(ctx, "SELECT vanished_floor FROM folders WHERE id = ?", int64(folder)).Scan(&floor); err != nil {
		if err == sql.ErrNoRows {
			return nil, false, errFolder()
		}
		return nil, false, failed("read folder", err)
	}
	return gone.Normal(), since >= floor, nil
}

const (
	expungedDays = 90
	expungedMost = 10_000 // ranges of one folder
	pruneRows    = 500    // rows forgotten in one transaction, roughly
)

// pruneExpunged forgets what was expunged more than 90 days ago and what is over 10,000 ranges
// of a folder.
func (s *Store) pruneExpunged(ctx context.Context) error {
	before := s.now() - expungedDays*24*3600*1e6
	for {
		var folder models.ID
		var upTo ModSeq
		err := s.db.SQL().QueryRowContext(ctx, "SELECT folder_id, modseq FROM expunged WHERE at < ? ORDER BY at LIMIT 1", int64(before)).Scan(&folder, &upTo)
		if err == sql.ErrNoRows {
			break
		}
		if err != nil {
			return failed("find old expunged", err)
		}
		err = s.db.SQL().QueryRowContext(ctx, "SELECT modseq FROM expunged WHERE folder_id = ? AND at < ? ORDER BY modseq LIMIT 1 OFFSET ?", int64(folder), int64(before), pruneRows).Scan(&upTo)
		if err == sql.ErrNoRows {
			err = s.db.SQL().QueryRowContext(ctx, "SELECT MAX(modseq) FROM expunged WHERE folder_id = ? AND at < ?", int64(folder), int64(before)).Scan(&upTo)
		}
		if err != nil {
			return failed("find old expunged", err)
		}
		if err := s.forget(ctx, folder, upTo); err != nil {
			return err
		}
	}
	return s.pruneMany(ctx)
}

func (s *Store) pruneMany(ctx context.Context) error {
	rows, err := s.db.SQL().QueryContext(ctx, "SELECT folder_id, COUNT(*) FROM expunged GROUP BY folder_id HAVING COUNT(*) > ?", expungedMost)
	if err != nil {
		return failed("count expunged", err)
	}
	over := map[models.ID]int64{}
	err = each(rows, func(rows *sql.Rows) error {
		var folder models.ID
		var n int64
		err := rows.Scan(&folder, &n)
		over[folder] = n - expungedMost
		return err
	})
	if err != nil {
		return failed("count expunged", err)
	}
	for folder, n := range over {
		for n > 0 {
			var upTo ModSeq
			err := s.db.SQL().QueryRowContext(ctx, "SELECT modseq FROM expunged WHERE folder_id = ? ORDER BY modseq LIMIT 1 OFFSET ?", int64(folder), min(n, pruneRows)-1).Scan(&upTo)
			if err == sql.ErrNoRows {
				break
			}
			if err != nil {
				return failed("find expunged", err)
			}
			if err := s.forget(ctx, folder, upTo); err != nil {
				return err
			}
			n -= pruneRows
		}
	}
	return nil
}

// forget removes the expunged ranges of a folder up to a modseq and raises its floor to that.
func (s *Store) forget(ctx context.Context, folder models.ID, upTo ModSeq) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE folders SET vanished_floor = ? WHERE id = ? AND vanished_floor < ?", int64(upTo), int64(folder), int64(upTo)); err != nil {
			return fmt.Errorf("raise vanished floor: %w", err)
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM expunged WHERE folder_id = ? AND modseq <= ?", int64(folder), int64(upTo))
		return err
	})
}
