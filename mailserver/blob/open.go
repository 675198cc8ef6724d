package blob

import (
	"context"
	"errors"
	"sync"

	"github.com/postchi/postchi/models"
)

// Open returns a reader of a blob. NotFound means that it has no row; ErrMissing and ErrDamaged
// that the row's bytes are not there or not what was written.
func (b *Blobs) Open(ctx context.Context, id models.ID) (Reader, error) {
	ref, cached := b.refs.get(id)
	for attempt := 0; ; attempt++ {
		if !cached {
			var err error
			if ref, err = b.lookup(ctx, id); err != nil {
				return nil, err
			}
		}
		r, err := b.openAt(ctx, id, ref)
		if err == nil {
			b.refs.put(id, ref)
			return r, nil
		}
		b.refs.forget(id)
		// The blob may have moved since the row was read; a second move meanwhile is possible
		// too, a third one would be no accident.
		if attempt == 2 || !errors.Is(err, ErrMissing) {
			b.Notice(id, err)
			return nil, err
		}
		cached = false
	}
}

// Notice passes an error of reading a blob on to Config.OnDamage if it says that the blob is missing
// or damaged. Open calls it; who reads on from what Open returned should call it as well.
func (b *Blobs) Notice(id models.ID, err error) {
	if b.cfg.OnDamage != nil && IsBad(err) {
		b.cfg.OnDamage(id, err)
	}
}

func (b *Blobs) openAt(ctx context.Context, id models.ID, ref Ref) (Reader, error) {
	d := b.driver(ref)
	if d == nil {
		return nil, Missing("blob %d: no driver is named %q", id, ref.Driver)
	}
	return d.Open(ctx, id, ref)
}

// refCache remembers where blobs are. A blob that another process has moved is still where it was
// until its segment is removed, and then Open looks again. Two generations make it a rough LRU.
type refCache struct {
	mu         sync.Mutex
	half       int
	young, old map[models.ID]Ref
}

func newRefCache(most int) *refCache {
	return &refCache{half: most / 2, young: map[models.ID]Ref{}}
}

func (c *refCache) get(id models.ID) (Ref, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ref, ok := c.young[id]
	if !ok {
		if ref, ok = c.old[id]; ok {
			c.add(id, ref)
		}
	}
	return ref, ok
}

func (c *refCache) put(id models.ID, ref Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(id, ref)
}

func (c *refCache) add(id models.ID, ref Ref) {
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[models.ID]Ref, c.half)
	}
	c.young[id] = ref
}

func (c *refCache) forget(id models.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, id)
	delete(c.old, id)
}
