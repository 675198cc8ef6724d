package blob

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postchi/postchi/models/db"
)

// Compacted says what Compact did.
type Compacted struct {
	Collected
	Rewritten  int   // segments whose live blobs have moved
	Moved      int64 // blobs
	MovedBytes int64 // of their records
	Damaged    int64 // blobs that stay where they are, with their segment
}

// moveRows is how many blobs are copied, with one or few syncs, before their rows are moved.
const moveRows = 256

// Compact collects and then rewrites the segments with more than half dead bytes that nobody uses
// and that are older than Config.Grace: each live blob is copied, made durable and its row moved
// by compare-and-swap. The old segments go with a later collection. A crash at any point leaves
// copies without rows, which are garbage, or rows moved, which is progress. Another process that
// is at it makes it fail with kind Conflict.
func (b *Blobs) Compact(ctx context.Context) (c Compacted, err error) {
	err = b.alone(ctx, func(ctx context.Context) error {
		c, err = b.compact(ctx)
		return err
	})
	return c, err
}

func (b *Blobs) compact(ctx context.Context) (c Compacted, err error) {
	if c.Collected, err = b.collect(ctx); err != nil {
		return c, err
	}
	all, err := b.loads(ctx)
	if err != nil {
		return c, err
	}
	now := b.cfg.Now()
	for _, l := range all {
		if l.rows == 0 || 2*l.live >= l.Size || !b.oldEnough(l.Segment, now) {
			continue
		}
		if err := b.rewrite(ctx, l, &c); err != nil {
			return c, fmt.Errorf("compact segment %s: %w", l.Name, err)
		}
	}
	return c, nil
}

// rewrite moves all blobs out of a segment.
func (b *Blobs) rewrite(ctx context.Context, l load, c *Compacted) error {
	l.driver.Seal(l.Name)
	hold, err := l.driver.Lock(l.Name)
	if errors.Is(err, ErrLocked) || errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	defer hold.Close()
	blobs, err := b.inSegment(ctx, l)
	if err != nil {
		return err
	}
	before := *c
	for piece := range slices.Chunk(blobs, moveRows) {
		if err := b.move(ctx, l.driver, piece, c); err != nil {
			return err
		}
	}
	if stay := c.Damaged - before.Damaged; stay > 0 {
		b.warnDamaged(l.Name, stay)
	}
	if c.Moved > before.Moved {
		c.Rewritten++
		b.cfg.Log.Info("segment compacted", "segment", l.Name, "size", l.Size, "blobs", c.Moved-before.Moved, "bytes", c.MovedBytes-before.MovedBytes)
	}
	return nil
}

// inSegment lists the live blobs of a segment by their place, so that they are read in order.
func (b *Blobs) inSegment(ctx context.Context, l load) ([]Located, error) {
	rows, err := b.cfg.DB.SQL().QueryContext(ctx, "SELECT id, driver, node, position, length FROM blobs WHERE segment = ? AND state = ?", l.Name, stateLive)
	blobs, err := all(rows, err, func(rows *sql.Rows, at *Located) error {
		at.Ref.Segment = l.Name
		return rows.Scan(&at.ID, &at.Ref.Driver, &at.Ref.Node, &at.Ref.Offset, &at.Ref.Length)
	})
	slices.SortFunc(blobs, func(x, y Located) int { return int(min(1, max(-1, x.Ref.Offset-y.Ref.Offset))) })
	return blobs, err
}

// move copies blobs and moves their rows. One whose row went elsewhere or away meanwhile keeps its
// copy as garbage.
func (b *Blobs) move(ctx context.Context, d Segmented, blobs []Located, c *Compacted) error {
	copies, err := d.Copy(ctx, blobs)
	if err != nil {
		return err
	}
	defer func() {
		for i, to := range copies {
			if to.Err == nil {
				d.Release(blobs[i].ID, to.Ref)
			}
		}
	}()
	var from []Located
	var to []Ref
	for i, copied := range copies {
		if copied.Err != nil {
			b.Notice(blobs[i].ID, copied.Err)
			c.Damaged++
			continue
		}
		from, to = append(from, blobs[i]), append(to, copied.Ref)
	}
	for start := 0; start < len(from); start += maxIDs {
		end := min(start+maxIDs, len(from))
		moved, err := b.swap(ctx, from[start:end], to[start:end])
		if err != nil {
			return err
		}
		c.Moved += moved
		for i := start; i < end; i++ {
			c.MovedBytes += d.RecordSize(to[i].Length)
			b.refs.forget(from[i].ID)
		}
	}
	return nil
}

// swap moves rows from one place to another if they are still at the first.
func (b *Blobs) swap(ctx context.Context, from []Located, to []Ref) (moved int64, err error) {
	err = b.cfg.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		moved = 0
		for i, f := range from {
			n, err := changed(tx.ExecContext(ctx,
				"UPDATE blobs SET driver = ?, node = ?, segment = ?, position = ? WHERE id = ? AND driver = ? AND segment = ? AND position = ?",
				to[i].Driver, to[i].Node, to[i].Segment, to[i].Offset, f.ID, f.Ref.Driver, f.Ref.Segment, f.Ref.Offset))
			if err != nil {
				return err
			}
			moved += n
		}
		return nil
	})
	return moved, err
}

// warnDamaged says once that a segment cannot go because of damaged blobs.
func (b *Blobs) warnDamaged(segment string, n int64) {
	b.mu.Lock()
	known := b.warned[segment]
	b.warned[segment] = true
	b.mu.Unlock()
	if !known {
		b.cfg.Log.Warn("segment is kept for its damaged blobs", "segment", segment, "blobs", n)
	}
}

// Run collects and compacts every Config.Every until ctx ends. Only a server runs it, not a
// command beside it.
func (b *Blobs) Run(ctx context.Context) {
	tick := time.NewTicker(b.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := b.Compact(ctx); err != nil && !Busy(err) && ctx.Err() == nil {
			b.cfg.Log.Error("compaction failed", "err", err)
		}
	}
}

// Space says how much of the disk is in use and for what.
type Space struct {
	Segments int
	Disk     int64 // bytes of the segments
	Live     int64 // bytes of the records in them that have a row
}

// Space sums up all segments.
func (b *Blobs) Space(ctx context.Context) (s Space, err error) {
	all, err := b.loads(ctx)
	for _, l := range all {
		s.Segments++
		s.Disk += l.Size
		s.Live += l.live
	}
	return s, err
}
