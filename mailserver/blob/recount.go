package blob

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Mark says how many rows refer to a blob.
type Mark struct {
	ID   models.ID
	Refs int64
}

// Marks is every row that refers to blobs, wherever it is: messages, queue.
type Marks interface {
	// All yields each blob that is referred to once, in ascending order of ids. It need not be
	// one snapshot: what differs is counted again.
	All(ctx context.Context) iter.Seq2[Mark, error]

	// Count is the exact number for one blob as tx sees it.
	Count(ctx context.Context, tx *db.Tx, id models.ID) (int64, error)
}

// Miscount is a blob whose row says another number of references than there are.
type Miscount struct {
	ID     models.ID
	Row    int64 // what the row says
	Marked int64 // what there are
	NoRow  bool  // there is no row at all: the messages that refer to it are lost
}

// Recount compares the references of every blob with marks, calls report for each that differs
// and, if fix is set, corrects the row. A difference that only comes from rows changing meanwhile
// is none: each is counted again in a transaction that holds the row. Memory is constant.
func (b *Blobs) Recount(ctx context.Context, marks Marks, fix bool, report func(Miscount) error) error {
	next, stop := iter.Pull2(marks.All(ctx))
	defer stop()
	m, err := following(next)
	for last := models.ID(-1); ; {
		page, pageErr := b.page(ctx, last)
		if err := errors.Join(err, pageErr); err != nil {
			return err
		}
		for _, at := range page {
			for ; err == nil && m.ID < at.ID; m, err = following(next) {
				if err := b.recountOne(ctx, marks, m.ID, fix, report); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			if m.ID != at.ID || m.Refs != at.refs {
				if err := b.recountOne(ctx, marks, at.ID, fix, report); err != nil {
					return err
				}
			}
			if m.ID == at.ID {
				m, err = following(next)
			}
			last = at.ID
		}
		if len(page) == 0 {
			break
		}
	}
	for ; err == nil && m.ID < noMark; m, err = following(next) {
		if err := b.recountOne(ctx, marks, m.ID, fix, report); err != nil {
			return err
		}
	}
	return err
}

// noMark is behind every id.
const noMark = models.ID(math.MaxInt64)

func following(next func() (Mark, error, bool)) (Mark, error) {
	m, err, ok := next()
	if !ok {
		return Mark{ID: noMark}, nil
	}
	return m, err
}

// recountOne compares one blob exactly: whoever changes its references waits meanwhile.
func (b *Blobs) recountOne(ctx context.Context, marks Marks, id models.ID, fix bool, report func(Miscount) error) error {
	var m Miscount
	err := b.cfg.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		m = Miscount{ID: id}
		err := tx.QueryRowContext(ctx, "SELECT refs FROM blobs WHERE id = ?"+tx.Dialect().ForUpdate(), id).Scan(&m.Row)
		if m.NoRow = errors.Is(err, sql.ErrNoRows); err != nil && !m.NoRow {
			return err
		}
		if m.Marked, err = marks.Count(ctx, tx, id); err != nil || m.Row == m.Marked || m.NoRow || !fix {
			return err
		}
		state := stateLive
		if m.Marked == 0 {
			state = stateDead
		}
		_, err = tx.ExecContext(ctx, "UPDATE blobs SET refs = ?, state = ? WHERE id = ?", m.Marked, state, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("recount blob %d: %w", id, err)
	}
	if m.Row == m.Marked {
		return nil
	}
	return report(m)
}
