package seg

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// RecordSize implements blob.Segmented.
func (d *Driver) RecordSize(length int64) int64 { return recordSize(length) }

// Segments implements blob.Segmented. Files with other names are left out.
func (d *Driver) Segments(ctx context.Context) ([]blob.Segment, error) {
	infos, err := d.cfg.FS.List(d.cfg.Dir)
	if err != nil {
		return nil, blob.Failed("list segments", err)
	}
	var all []blob.Segment
	for _, i := range infos {
		name, ok := strings.CutSuffix(i.Name, suffix)
		if _, named := saltOf(name); ok && named {
			all = append(all, blob.Segment{Name: name, Node: nodeOf(name), Size: i.Size, Modified: models.At(i.Modified)})
		}
	}
	return all, ctx.Err()
}

// Seal implements blob.Segmented.
func (d *Driver) Seal(name string) {
	for _, l := range d.lanes() {
		if !l.mu.TryLock() {
			continue // writing at this moment; another time
		}
		if l.cur != nil && l.cur.name == name {
			d.seal(l.cur)
			l.cur = nil
		}
		l.mu.Unlock()
	}
}

// Lock implements blob.Segmented. The lock of a segment of our own is held by another
// descriptor, so it counts as any other process's.
func (d *Driver) Lock(name string) (io.Closer, error) {
	if _, ok := saltOf(name); !ok {
		return nil, blob.Missing("no segment has the name %q", name)
	}
	l, err := d.cfg.FS.Lock(d.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, blob.Missing("segment %s", name)
	case err != nil && !errors.Is(err, blob.ErrLocked):
		return nil, blob.Failed("lock segment", err)
	}
	return l, err
}

// Remove implements blob.Segmented. The name need not be gone durably: one that comes back after
// a power cut has no rows and is removed again.
func (d *Driver) Remove(_ context.Context, name string) error {
	if _, ok := saltOf(name); !ok {
		return blob.Missing("no segment has the name %q", name)
	}
	d.files.forget(name)
	if err := d.cfg.FS.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return blob.Failed("remove segment", err)
	}
	return nil
}

// Copy implements blob.Segmented: small records are joined into batches as those of Put are.
func (d *Driver) Copy(ctx context.Context, what []blob.Located) ([]blob.Copied, error) {
	d.copying.Lock()
	defer d.copying.Unlock()
	all := make([]blob.Copied, len(what))
	c := &copier{d: d, what: what, all: all, limit: min(maxBytes, d.cfg.SegmentSize)}
	for i, w := range what {
		if err := c.add(ctx, i, w); err != nil {
			c.flush()
			return all, c.give(err)
		}
	}
	c.flush()
	return all, c.give(c.err)
}

// copier gathers small records for one write.
type copier struct {
	d     *Driver
	what  []blob.Located
	all   []blob.Copied
	batch []*request
	index []int // of the batch in all
	bytes int64
	limit int64
	err   error // of a write
}

func (c *copier) add(ctx context.Context, i int, w blob.Located) error {
	r, err := c.d.openReader(ctx, w.ID, w.Ref)
	if err != nil {
		return c.refuse(i, err)
	}
	defer r.Close()
	if w.Ref.Length > c.d.cfg.LargeSize {
		c.all[i].Ref, err = c.d.moved.stream(ctx, w.ID, r, w.Ref.Length)
		return c.refuse(i, err)
	}
	q, err := c.d.newRequest(ctx, w.ID, r, w.Ref.Length)
	if err != nil {
		return c.refuse(i, err)
	}
	if c.bytes+q.cost > c.limit || len(c.batch) == maxBatch {
		c.flush()
	}
	c.batch, c.index, c.bytes = append(c.batch, q), append(c.index, i), c.bytes+q.cost
	return c.err
}

// refuse keeps what is wrong with one source; any other error ends the copy.
func (c *copier) refuse(i int, err error) error {
	if errors.Is(err, blob.ErrDamaged) || errors.Is(err, blob.ErrMissing) {
		c.all[i].Err = err
		return nil
	}
	return err
}

func (c *copier) flush() {
	if len(c.batch) == 0 {
		return
	}
	c.d.moved.write(c.batch)
	for n, q := range c.batch {
		a := <-q.done
		c.all[c.index[n]].Ref = a.ref
		if a.err != nil {
			c.err = a.err
		}
	}
	c.batch, c.index, c.bytes = nil, nil, 0
}

// give releases what was copied if the whole failed: the caller gets nothing to release.
func (c *copier) give(err error) error {
	if err == nil {
		return nil
	}
	for i, w := range c.what {
		c.d.Release(w.ID, c.all[i].Ref)
	}
	return err
}
