package blob

import (
	"context"
	"database/sql"
	"errors"

	"github.com/postchi/postchi/models"
)

// Problem is a blob that has a row and cannot be read.
type Problem struct {
	ID  models.ID
	Ref Ref
	Err error // ErrMissing, ErrDamaged, or why the disk cannot be read
}

// Checked says what Check has read.
type Checked struct {
	Blobs, Bytes, Problems int64
}

// Check reads every live blob and calls report for each that is missing, damaged or unreadable; an
// error of report ends it. Blobs that come, go or move meanwhile are no problem.
func (b *Blobs) Check(ctx context.Context, report func(Problem) error) (c Checked, err error) {
	for last := models.ID(-1); ; {
		page, err := b.page(ctx, last)
		if err != nil || len(page) == 0 {
			return c, err
		}
		for _, at := range page {
			last = at.ID
			p, err := b.checkOne(ctx, at.Located)
			if err != nil {
				return c, err
			}
			c.Blobs++
			c.Bytes += at.Ref.Length
			if p == nil {
				continue
			}
			c.Problems++
			if err := report(*p); err != nil {
				return c, err
			}
		}
	}
}

// checkOne verifies one blob. If that fails the row is read again: it may have moved.
func (b *Blobs) checkOne(ctx context.Context, at Located) (*Problem, error) {
	for {
		err := b.verify(ctx, at)
		if err == nil {
			return nil, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		ref, again := b.lookup(ctx, at.ID)
		switch {
		case models.Is(again, models.NotFound):
			return nil, nil
		case again != nil:
			return nil, again
		case ref == at.Ref:
			return &Problem{ID: at.ID, Ref: ref, Err: err}, nil
		}
		at.Ref = ref
	}
}

func (b *Blobs) verify(ctx context.Context, at Located) error {
	d := b.driver(at.Ref)
	if d == nil {
		return Missing("blob %d: no driver is named %q", at.ID, at.Ref.Driver)
	}
	return d.Verify(ctx, at.ID, at.Ref)
}

// counted is a blob with its references.
type counted struct {
	Located
	refs int64
}

const pageRows = 500

// page returns the live blobs behind an id, in order.
func (b *Blobs) page(ctx context.Context, last models.ID) ([]counted, error) {
	rows, err := b.cfg.DB.SQL().QueryContext(ctx,
		"SELECT id, driver, node, segment, position, length, refs FROM blobs WHERE id > ? AND state = ? ORDER BY id LIMIT ?", last, stateLive, pageRows)
	return all(rows, err, func(rows *sql.Rows, at *counted) error {
		return rows.Scan(&at.ID, &at.Ref.Driver, &at.Ref.Node, &at.Ref.Segment, &at.Ref.Offset, &at.Ref.Length, &at.refs)
	})
}

// IsBad reports whether err says that a blob is missing or damaged, which no retry will mend.
func IsBad(err error) bool { return errors.Is(err, ErrMissing) || errors.Is(err, ErrDamaged) }
