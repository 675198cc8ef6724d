package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	defaultGrace = 10 * time.Minute
	defaultEvery = 10 * time.Minute

	// refsCached bounds the cache of places, about 150 bytes each.
	refsCached = 20_000

	// sweepAt is how many staged blobs there must be before Put looks which of them have rows.
	sweepAt = 4096

	// giveUpAfter is how long a staged blob without a row is protected: no transaction takes as
	// long, so somebody forgot it.
	giveUpAfter = time.Hour
)

// Config is what Blobs needs. DB and Drivers are required.
type Config struct {
	DB      *db.DB
	Drivers []Driver // the first gets what is put; the others are read

	// Leases keeps two processes from collecting at once; nil uses those of DB.
	Leases Leases

	// Grace is how old a segment must be before bytes in it that no row names are taken for
	// garbage, and how long a segment stays after its last blob has moved away. It covers a
	// COMMIT that outlives the process that sent it. 0 is 10 minutes, negative none.
	Grace time.Duration

	// Every is the pause of Run; 0 is 10 minutes.
	Every time.Duration

	// OnDamage is told of every blob that somebody wanted to read and that is missing or damaged,
	// each time. It must not block; nil is told nothing.
	OnDamage func(id models.ID, err error)

	Now func() time.Time // nil is DB.Now
	Log *slog.Logger     // nil says nothing
}

// Blobs owns the table blobs. Safe for concurrent use.
type Blobs struct {
	cfg     Config
	drivers map[string]Driver
	refs    *refCache
	removed []func(context.Context, *db.Tx, []models.ID) error

	mu     sync.Mutex
	staged map[models.ID]underway
	sweep  int                  // how many staged blobs make Put look for rows
	empty  map[string]time.Time // since when a segment has been seen without rows
	warned map[string]bool      // segments that damage keeps from being removed
}

// underway is a staged blob that is not settled.
type underway struct {
	ref Ref
	at  time.Time
}

// Staged is a blob whose bytes are durable and that has no row yet. Its id is new and may be the
// unique key by which the transaction is recognized afterwards.
type Staged struct {
	ID  models.ID
	Ref Ref
}

// Size is the length of the message in bytes.
func (s Staged) Size() int64 { return s.Ref.Length }

// New returns the store over these drivers, which it closes with Close.
func New(cfg Config) (*Blobs, error) {
	if cfg.DB == nil || len(cfg.Drivers) == 0 {
		return nil, errors.New("blob: a database and at least one driver are required")
	}
	if cfg.Leases == nil {
		cfg.Leases = dbLeases{cfg.DB.Leases()}
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = cfg.DB.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Blobs{
		cfg: cfg, drivers: map[string]Driver{}, refs: newRefCache(refsCached), staged: map[models.ID]underway{},
		sweep: sweepAt, empty: map[string]time.Time{}, warned: map[string]bool{},
	}
	for _, d := range cfg.Drivers {
		if b.drivers[d.Name()] != nil {
			return nil, fmt.Errorf("blob: two drivers are named %q", d.Name())
		}
		b.drivers[d.Name()] = d
	}
	return b, nil
}

// OnRemove adds a function that Collect calls in the transaction that removes rows of blobs, so
// that rows of other tables that belong to them go as well. Call it before the store is used.
func (b *Blobs) OnRemove(fn func(ctx context.Context, tx *db.Tx, ids []models.ID) error) {
	b.removed = append(b.removed, fn)
}

// Close closes the drivers. Open readers stay usable.
func (b *Blobs) Close() error {
	var all error
	for _, d := range b.cfg.Drivers {
		all = errors.Join(all, d.Close())
	}
	return all
}

// Put makes exactly size bytes of r durable under a new id. Insert makes the row; call Settle
// after its transaction, or Discard if there will be none. Errors are those of Driver.Put.
func (b *Blobs) Put(ctx context.Context, r io.Reader, size int64) (Staged, error) {
	id := b.cfg.DB.IDs().New()
	ref, err := b.cfg.Drivers[0].Put(ctx, id, r, size)
	if err != nil {
		return Staged{}, err
	}
	staged := Staged{ID: id, Ref: ref}
	b.stage(ctx, staged)
	return staged, nil
}

// stage protects a durable blob until it is settled or discarded.
func (b *Blobs) stage(ctx context.Context, s Staged) {
	b.refs.put(s.ID, s.Ref)
	b.mu.Lock()
	b.staged[s.ID] = underway{s.Ref, b.cfg.Now()}
	many := len(b.staged) >= b.sweep
	b.mu.Unlock()
	if many {
		b.settleCommitted(ctx)
	}
}

// Settle says that the transaction that inserted these blobs is committed. Who forgets it is
// found out by looking for the rows now and then.
func (b *Blobs) Settle(staged ...Staged) { b.release(staged) }

// Discard says that these blobs will have no row: their bytes are garbage from here on. After an
// unknown COMMIT call it only if Committed says no.
func (b *Blobs) Discard(staged ...Staged) {
	b.release(staged)
	for _, s := range staged {
		b.refs.forget(s.ID)
	}
}

func (b *Blobs) release(staged []Staged) {
	for _, s := range staged {
		b.mu.Lock()
		u, ok := b.staged[s.ID]
		delete(b.staged, s.ID)
		b.mu.Unlock()
		if ok {
			b.driver(u.ref).Release(s.ID, u.ref)
		}
	}
}

// driver returns the driver of a ref that a driver of ours has returned.
func (b *Blobs) driver(ref Ref) Driver { return b.drivers[ref.Driver] }

// settleCommitted settles the staged blobs that have a row.
func (b *Blobs) settleCommitted(ctx context.Context) error {
	b.mu.Lock()
	ids := make([]models.ID, 0, len(b.staged))
	for id := range b.staged {
		ids = append(ids, id)
	}
	b.sweep = len(ids) * 2 // should the look-up fail, or all be under way
	b.mu.Unlock()
	for piece := range pieces(ids, maxIDs) {
		there, err := b.existing(ctx, piece)
		if err != nil {
			return err
		}
		for _, id := range there {
			b.release([]Staged{{ID: id}})
		}
	}
	b.mu.Lock()
	b.sweep = max(sweepAt, 2*len(b.staged))
	b.mu.Unlock()
	return nil
}

// giveUp releases the staged blobs that nobody settled or discarded.
func (b *Blobs) giveUp() {
	var lost []Staged
	now := b.cfg.Now()
	b.mu.Lock()
	for id, u := range b.staged {
		if now.Sub(u.at) >= giveUpAfter {
			lost = append(lost, Staged{id, u.ref})
		}
	}
	b.mu.Unlock()
	if len(lost) > 0 {
		b.cfg.Log.Warn("messages were stored and never entered or discarded", "blobs", len(lost))
		b.Discard(lost...)
	}
}
