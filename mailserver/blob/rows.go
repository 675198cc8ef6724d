package blob

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// The values of blobs.state.
const (
	stateLive = 0
	stateDead = 1 // refs is 0 and stays so: the row goes with the next collection
)

// maxIDs is how many ids or rows one statement has at most, a power of two: there are few lengths,
// so that prepared statements are used again.
const maxIDs = 128

// Row is a blob to insert and how many rows refer to it.
type Row struct {
	Staged Staged
	Refs   int64
}

// Insert makes the rows of blobs to which refs rows of the same transaction refer.
func (b *Blobs) Insert(ctx context.Context, tx *db.Tx, refs int64, staged ...Staged) error {
	rows := make([]Row, len(staged))
	for i, s := range staged {
		rows[i] = Row{s, refs}
	}
	return b.InsertRows(ctx, tx, rows)
}

// InsertRows makes the rows of blobs, each with its own number of references, at least one. An id
// that is there already is a db.IsDuplicate.
func (b *Blobs) InsertRows(ctx context.Context, tx *db.Tx, rows []Row) error {
	now := models.At(b.cfg.Now())
	for piece := range pieces(rows, maxIDs) {
		args := make([]any, 0, 8*len(piece))
		for _, r := range piece {
			ref := r.Staged.Ref
			if r.Refs < 1 || b.driver(ref) == nil {
				return fmt.Errorf("insert blob %d at %q with %d references", r.Staged.ID, ref.Driver, r.Refs)
			}
			args = append(args, r.Staged.ID, ref.Driver, ref.Node, ref.Segment, ref.Offset, ref.Length, r.Refs, now)
		}
		query := "INSERT INTO blobs (id, driver, node, segment, position, length, refs, created_at) VALUES " +
			list("(?, ?, ?, ?, ?, ?, ?, ?)", len(piece))
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("insert blobs: %w", err)
		}
	}
	return nil
}

// Committed reports whether the blob has a row, after an error that is db.ErrUnknownCommit. It
// waits for a transaction that is still at its COMMIT, so its answer is final.
func (b *Blobs) Committed(ctx context.Context, id models.ID) (there bool, err error) {
	err = b.cfg.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var one int
		err := tx.QueryRowContext(ctx, "SELECT 1 FROM blobs WHERE id = ?"+tx.Dialect().ForUpdate(), id).Scan(&one)
		there = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return there && err == nil, err
}

// Ref adds n references to a blob, for rows of the same transaction. A blob that is gone, or
// dead already, is of kind NotFound.
func (b *Blobs) Ref(ctx context.Context, tx *db.Tx, id models.ID, n int64) error {
	return b.Refs(ctx, tx, map[models.ID]int64{id: n})
}

// Refs adds references to many blobs; NotFound if one of them is gone.
func (b *Blobs) Refs(ctx context.Context, tx *db.Tx, add map[models.ID]int64) error {
	for n, ids := range byCount(add) {
		for piece := range pieces(ids, maxIDs) {
			found, err := changed(tx.ExecContext(ctx, "UPDATE blobs SET refs = refs + ? WHERE refs > 0 AND id IN ("+list("?", len(piece))+")", args(piece, n)...))
			if err != nil {
				return fmt.Errorf("add references to blobs: %w", err)
			}
			if found != int64(len(piece)) {
				return models.Errorf(models.NotFound, "not_found", "Not found.")
			}
		}
	}
	return nil
}

// Unref takes references away, for rows that the same transaction removes. A blob without any is
// dead. One with fewer than are to be taken, which only a bug or foreign hands can cause, is left
// as it is: a blob too many costs space, one too few costs mail. Recount mends it.
func (b *Blobs) Unref(ctx context.Context, tx *db.Tx, take map[models.ID]int64) error {
	for n, ids := range byCount(take) {
		for piece := range pieces(ids, maxIDs) {
			in := list("?", len(piece))
			found, err := changed(tx.ExecContext(ctx, "UPDATE blobs SET refs = refs - ? WHERE refs >= ? AND id IN ("+in+")", append([]any{n}, args(piece, n)...)...))
			if err == nil && found != int64(len(piece)) {
				b.cfg.Log.Error("references of blobs do not add up; run the recount", "expected", len(piece), "found", found)
			}
			if err == nil {
				_, err = tx.ExecContext(ctx, "UPDATE blobs SET state = ? WHERE refs = 0 AND state = 0 AND id IN ("+in+")", args(piece, stateDead)...)
			}
			if err != nil {
				return fmt.Errorf("take references of blobs: %w", err)
			}
		}
	}
	return nil
}

// Referred returns how many of the ids something still refers to.
func (b *Blobs) Referred(ctx context.Context, ids ...models.ID) (total int, err error) {
	for piece := range pieces(ids, maxIDs) {
		var n int
		err := b.cfg.DB.SQL().QueryRowContext(ctx, "SELECT COUNT(*) FROM blobs WHERE refs > 0 AND id IN ("+list("?", len(piece))+")", args(piece)...).Scan(&n)
		if err != nil {
			return 0, db.Failure(err)
		}
		total += n
	}
	return total, nil
}

// existing returns which of the ids have committed rows.
func (b *Blobs) existing(ctx context.Context, ids []models.ID) ([]models.ID, error) {
	rows, err := b.cfg.DB.SQL().QueryContext(ctx, "SELECT id FROM blobs WHERE id IN ("+list("?", len(ids))+")", args(ids)...)
	return all(rows, err, func(rows *sql.Rows, id *models.ID) error { return rows.Scan(id) })
}

// lookup reads where a blob is; NotFound if it has no row.
func (b *Blobs) lookup(ctx context.Context, id models.ID) (Ref, error) {
	var ref Ref
	err := b.cfg.DB.Kept(ctx).QueryRowContext(ctx, "SELECT driver, node, segment, position, length FROM blobs WHERE id = ?", id).
		Scan(&ref.Driver, &ref.Node, &ref.Segment, &ref.Offset, &ref.Length)
	if errors.Is(err, sql.ErrNoRows) {
		return Ref{}, models.Errorf(models.NotFound, "not_found", "Not found.")
	}
	return ref, db.Failure(err)
}

// all reads rows to their end.
func all[T any](rows *sql.Rows, err error, scan func(*sql.Rows, *T) error) ([]T, error) {
	if err != nil {
		return nil, db.Failure(err)
	}
	defer rows.Close()
	var got []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, db.Failure(err)
		}
		got = append(got, v)
	}
	return got, db.Failure(rows.Err())
}

// list is one repeated n times with commas between.
func list(one string, n int) string { return strings.Repeat(one+", ", n-1) + one }

// args are first and then the ids, as arguments of a statement.
func args(ids []models.ID, first ...any) []any {
	for _, id := range ids {
		first = append(first, id)
	}
	return first
}

func changed(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// byCount turns ids with a number each into numbers with their ids, in order, so that
// transactions mostly lock rows in the same order.
func byCount(counts map[models.ID]int64) iter.Seq2[int64, []models.ID] {
	groups := map[int64][]models.ID{}
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[id]; n != 0 {
			groups[n] = append(groups[n], id)
		}
	}
	return func(yield func(int64, []models.ID) bool) {
		for _, n := range slices.Sorted(maps.Keys(groups)) {
			if !yield(n, groups[n]) {
				return
			}
		}
	}
}

// pieces cuts a slice into parts whose lengths are powers of two and at most n.
func pieces[T any](s []T, n int) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for size := n; len(s) > 0; {
			for size > len(s) {
				size /= 2
			}
			if !yield(s[:size]) {
				return
			}
			s = s[size:]
		}
	}
}
