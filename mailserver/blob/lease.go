package blob

import (
	"context"
	"errors"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// LeaseName is the lease under which segments are collected and compacted. A backup that takes it
// keeps every segment in place meanwhile.
const LeaseName = "compact"

// Leases are locks over all processes of a database.
type Leases interface {
	// Acquire takes a lease until it is released or this process is gone; kind Conflict if
	// somebody else holds it.
	Acquire(ctx context.Context, name string) (Lease, error)
}

// Lease is a lock that is held.
type Lease interface {
	Release(ctx context.Context) error
}

type dbLeases struct{ l *db.Leases }

func (l dbLeases) Acquire(ctx context.Context, name string) (Lease, error) {
	lease, err := l.l.Acquire(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// alone runs fn under the lease. That it is lost by a dead network is harmless: segments are
// locked and rows moved by compare-and-swap.
func (b *Blobs) alone(ctx context.Context, fn func(context.Context) error) error {
	lease, err := b.cfg.Leases.Acquire(ctx, LeaseName)
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx), lease.Release(context.WithoutCancel(ctx)))
}

// Busy reports whether Collect or Compact did nothing because another process is at it.
func Busy(err error) bool { return models.Is(err, models.Conflict) }
