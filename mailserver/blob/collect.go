package blob

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Collected says what Collect did.
type Collected struct {
	Rows     int64 // of dead blobs, removed
	Segments int   // removed
	Bytes    int64 // of those segments
}

// Collect removes the rows of dead blobs and the segments in which no row has a blob. A segment
// stays while anybody writes to it or has put a blob into it that is not settled yet, and until
// it is older than Config.Grace. It can be stopped at any point and repeated. Another process
// that is at it makes it fail with kind Conflict.
func (b *Blobs) Collect(ctx context.Context) (c Collected, err error) {
	err = b.alone(ctx, func(ctx context.Context) error {
		c, err = b.collect(ctx)
		return err
	})
	return c, err
}

func (b *Blobs) collect(ctx context.Context) (c Collected, err error) {
	if err := b.settleCommitted(ctx); err != nil {
		return c, err
	}
	b.giveUp()
	for {
		n, err := b.removeDead(ctx)
		c.Rows += int64(n)
		if err != nil {
			return c, fmt.Errorf("remove dead blobs: %w", err)
		}
		if n < maxIDs {
			break
		}
	}
	all, err := b.loads(ctx)
	if err != nil {
		return c, err
	}
	for _, l := range all {
		if l.rows > 0 {
			continue
		}
		removed, err := b.removeEmpty(ctx, l)
		if err != nil {
			return c, fmt.Errorf("remove segment %s: %w", l.Name, err)
		}
		if removed {
			c.Segments++
			c.Bytes += l.Size
		}
	}
	b.forgetEmpty(all)
	return c, nil
}

// deadBlobs finds them by an index that on SQLite holds no others, so that a new blob costs nothing
// there; it is used for this very condition.
const deadBlobs = "SELECT id FROM blobs WHERE state = 1 ORDER BY id LIMIT ?" // stateDead

// removeDead removes the rows of up to maxIDs dead blobs.
func (b *Blobs) removeDead(ctx context.Context) (n int, err error) {
	err = b.cfg.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		n = 0
		rows, err := tx.QueryContext(ctx, deadBlobs+tx.Dialect().ForUpdate(), maxIDs)
		ids, err := all(rows, err, func(rows *sql.Rows, id *models.ID) error { return rows.Scan(id) })
		if err != nil || len(ids) == 0 {
			return err
		}
		for piece := range pieces(ids, maxIDs) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM blobs WHERE id IN ("+list("?", len(piece))+")", args(piece)...); err != nil {
				return err
			}
		}
		for _, fn := range b.removed {
			if err := fn(ctx, tx, ids); err != nil {
				return err
			}
		}
		n = len(ids)
		return nil
	})
	return n, err
}

// load is a segment and what rows say about it.
type load struct {
	Segment
	driver Segmented
	rows   int64
	live   int64 // bytes of its records that have a row
}

// loads returns all segments of all drivers.
func (b *Blobs) loads(ctx context.Context) ([]load, error) {
	// The files first: of one that is made after this nobody asks for rows.
	var found []load
	for _, d := range b.cfg.Drivers {
		s, ok := d.(Segmented)
		if !ok {
			continue
		}
		segments, err := s.Segments(ctx)
		if err != nil {
			return nil, err
		}
		for _, seg := range segments {
			found = append(found, load{Segment: seg, driver: s})
		}
	}
	rows, err := b.cfg.DB.SQL().QueryContext(ctx, "SELECT segment, COUNT(*), SUM(length) FROM blobs GROUP BY segment")
	sums, err := all(rows, err, func(rows *sql.Rows, l *load) error { return rows.Scan(&l.Name, &l.rows, &l.live) })
	if err != nil {
		return nil, err
	}
	byName := make(map[string]load, len(sums))
	for _, l := range sums {
		byName[l.Name] = l
	}
	for i := range found {
		l := &found[i]
		sum := byName[l.Name]
		l.rows = sum.rows
		if sum.rows > 0 {
			// As if all were equally long: exact but for the tables of block sums.
			l.live = l.driver.RecordSize(sum.live/sum.rows) * sum.rows
		}
	}
	return found, nil
}

// removeEmpty removes a segment in which no row has a blob, if its time has come. The lock makes
// sure that no process is about to commit such a row, Grace that no dead one was.
func (b *Blobs) removeEmpty(ctx context.Context, l load) (bool, error) {
	if !b.emptyLongEnough(l.Segment) {
		return false, nil
	}
	l.driver.Seal(l.Name)
	hold, err := l.driver.Lock(l.Name)
	if errors.Is(err, ErrLocked) || errors.Is(err, ErrMissing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer hold.Close()
	used, err := b.used(ctx, l.Name)
	if err != nil || used {
		return false, err
	}
	if err := l.driver.Remove(ctx, l.Name); err != nil {
		return false, err
	}
	b.cfg.Log.Info("segment removed", "segment", l.Name, "size", l.Size)
	return true, nil
}

// emptyLongEnough reports whether a segment is older than the grace and was seen without rows for
// as long.
func (b *Blobs) emptyLongEnough(s Segment) bool {
	now := b.cfg.Now()
	b.mu.Lock()
	since, seen := b.empty[s.Name]
	if !seen {
		since = now
		b.empty[s.Name] = now
	}
	b.mu.Unlock()
	return b.oldEnough(s, now) && (b.cfg.Grace < 0 || now.Sub(since) >= b.cfg.Grace)
}

func (b *Blobs) oldEnough(s Segment, now time.Time) bool {
	return b.cfg.Grace < 0 || now.Sub(s.Modified.Time()) >= b.cfg.Grace
}

// forgetEmpty drops what is known about segments that are gone or have rows.
func (b *Blobs) forgetEmpty(all []load) {
	b.mu.Lock()
	defer b.mu.Unlock()
	empty := map[string]time.Time{}
	for _, l := range all {
		if since, ok := b.empty[l.Name]; ok && l.rows == 0 {
			empty[l.Name] = since
		}
	}
	b.empty = empty
}

// used reports whether a row has a blob in the segment. It asks where writes are made, since a
// reading connection may be behind.
func (b *Blobs) used(ctx context.Context, segment string) (used bool, err error) {
	err = b.cfg.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var one int
		err := tx.QueryRowContext(ctx, "SELECT 1 FROM blobs WHERE segment = ? LIMIT 1", segment).Scan(&one)
		used = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return used, err
}
