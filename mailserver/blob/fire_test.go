package blob_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// fireTime is how long TestUnderFire burns for each of the two databases, and in the long form.
const (
	fireTime     = 5 * time.Second
	longFireTime = 60 * time.Second
)

// book is what the test knows to be true. A worker takes a blob out while it changes it.
type book struct {
	mu    sync.Mutex
	blobs map[models.ID]entry
	order []models.ID // those that nobody has taken
}

type entry struct {
	number, size, refs int64
}

func (k *book) add(id models.ID, e entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.blobs[id] = e
	k.order = append(k.order, id)
}

// take removes a random blob from those that others may take.
func (k *book) take(rnd *rand.Rand) (models.ID, entry, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.order) == 0 {
		return 0, entry{}, false
	}
	i, last := rnd.IntN(len(k.order)), len(k.order)-1
	id := k.order[i]
	k.order[i] = k.order[last]
	k.order = k.order[:last]
	e := k.blobs[id]
	delete(k.blobs, id)
	return id, e, true
}

// any returns a blob that is alive and may be taken at any time.
func (k *book) any(rnd *rand.Rand) (models.ID, entry, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.order) == 0 {
		return 0, entry{}, false
	}
	id := k.order[rnd.IntN(len(k.order))]
	return id, k.blobs[id], true
}

func (k *book) alive(id models.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.blobs[id]
	return ok
}

// All implements blob.Marks.
func (k *book) All(context.Context) iter.Seq2[blob.Mark, error] {
	slices.Sort(k.order)
	return func(yield func(blob.Mark, error) bool) {
		for _, id := range k.order {
			if !yield(blob.Mark{ID: id, Refs: k.blobs[id].refs}, nil) {
				return
			}
		}
	}
}

// Count implements blob.Marks.
func (k *book) Count(_ context.Context, _ *db.Tx, id models.ID) (int64, error) {
	return k.blobs[id].refs, nil
}

// fire is one run of TestUnderFire.
type fire struct {
	t      *testing.T
	d      *db.DB
	stores []*blob.Blobs // as of two processes
	book   *book
	number atomic.Int64
	moved  atomic.Int64
}

// TestUnderFire delivers, copies, expunges, reads slowly, collects and compacts at once.
func TestUnderFire(t *testing.T) {
	burn := fireTime
	if dbtest.Long() {
		burn = longFireTime
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dir := t.TempDir()
		f := &fire{t: t, d: d, stores: []*blob.Blobs{fireStore(t, d, dir), fireStore(t, d, dir)}, book: &book{blobs: map[models.ID]entry{}}}
		began := time.Now()
		burning := func() bool { // for longer where the machine is so busy that nothing was compacted yet
			age := time.Since(began)
			return !t.Failed() && (age < burn || age < 10*burn && f.moved.Load() == 0)
		}
		var all sync.WaitGroup
		work := []func(*rand.Rand, *blob.Blobs){f.deliver, f.deliver, f.deliver, f.discard, f.copy, f.expunge, f.expunge, f.read, f.read, f.read, f.collect, f.compact}
		for i, do := range work {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(8, uint64(i)))
				for burning() {
					do(rnd, f.stores[i%len(f.stores)])
				}
			})
		}
		all.Wait()
		f.end(dir)
	})
}

// fireStore opens a store with segments of 1 MiB.
func fireStore(t *testing.T, d *db.DB, dir string) *blob.Blobs {
	return storeOf(t, blob.Config{DB: d, Grace: -1}, seg.Config{Dir: dir, SegmentSize: 1 << 20})
}

// put makes a message durable, in one of the two ways there are.
func (f *fire) put(rnd *rand.Rand, b *blob.Blobs) (blob.Staged, entry) {
	e := entry{number: f.number.Add(1), size: rnd.Int64N(6000), refs: 1 + rnd.Int64N(2)}
	if rnd.IntN(50) == 0 {
		e.size = 1<<20 + rnd.Int64N(1<<20)
	}
	message := blobtest.Message(models.ID(e.number), e.size)
	if rnd.IntN(2) == 0 {
		s, err := b.Put(f.t.Context(), message, e.size)
		if err != nil {
			f.t.Error(err)
		}
		return s, e
	}
	p, err := b.Prepare(f.t.Context(), message, e.size)
	if err == nil {
		b.Flush(f.t.Context(), []*blob.Prepared{p})
		err = p.Err()
	}
	if err != nil {
		f.t.Error(err)
		return blob.Staged{}, e
	}
	return p.Staged, e
}

func (f *fire) deliver(rnd *rand.Rand, b *blob.Blobs) {
	s, e := f.put(rnd, b)
	if f.write(func(ctx context.Context, tx *db.Tx) error { return b.Insert(ctx, tx, e.refs, s) }) != nil {
		return
	}
	if rnd.IntN(2) == 0 {
		b.Settle(s) // the others are found by their rows
	}
	f.book.add(s.ID, e)
}

func (f *fire) discard(rnd *rand.Rand, b *blob.Blobs) {
	s, _ := f.put(rnd, b)
	time.Sleep(time.Millisecond)
	b.Discard(s)
}

func (f *fire) copy(rnd *rand.Rand, b *blob.Blobs) { f.change(rnd, b.Ref, 1) }

func (f *fire) expunge(rnd *rand.Rand, b *blob.Blobs) {
	f.change(rnd, func(ctx context.Context, tx *db.Tx, id models.ID, n int64) error {
		return b.Unref(ctx, tx, map[models.ID]int64{id: n})
	}, -1)
}

func (f *fire) change(rnd *rand.Rand, do func(context.Context, *db.Tx, models.ID, int64) error, n int64) {
	id, e, ok := f.book.take(rnd)
	if !ok {
		time.Sleep(time.Millisecond)
		return
	}
	if f.write(func(ctx context.Context, tx *db.Tx) error { return do(ctx, tx, id, 1) }) != nil {
		return
	}
	if e.refs += n; e.refs > 0 {
		f.book.add(id, e)
	}
}

func (f *fire) write(fn func(context.Context, *db.Tx) error) error {
	err := f.d.Write(f.t.Context(), fn)
	if err != nil {
		f.t.Error(err)
	}
	return err
}

// read reads a blob so slowly that it may die and its segment go meanwhile.
func (f *fire) read(rnd *rand.Rand, b *blob.Blobs) {
	id, e, ok := f.book.any(rnd)
	if !ok {
		return
	}
	r, err := b.Open(f.t.Context(), id)
	if err != nil {
		// One that another worker has taken may have died.
		if f.book.alive(id) || !models.Is(err, models.NotFound) && !errors.Is(err, blob.ErrMissing) {
			f.t.Errorf("open blob %d: %v", id, err)
		}
		return
	}
	time.Sleep(time.Duration(rnd.Int64N(int64(5 * time.Millisecond))))
	if err := blobtest.Check(slow{r, rnd}, models.ID(e.number), e.size); err != nil {
		f.t.Errorf("read blob %d: %v", id, err)
	}
}

type slow struct {
	blob.Reader
	rnd *rand.Rand
}

func (s slow) WriteTo(w io.Writer) (int64, error) {
	time.Sleep(time.Duration(s.rnd.Int64N(int64(2 * time.Millisecond))))
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{s.Reader}, make([]byte, 1+s.rnd.IntN(100_000)))
}

func (f *fire) collect(_ *rand.Rand, b *blob.Blobs) {
	if _, err := b.Collect(f.t.Context()); err != nil && !blob.Busy(err) {
		f.t.Error(err)
	}
	time.Sleep(5 * time.Millisecond)
}

func (f *fire) compact(_ *rand.Rand, b *blob.Blobs) {
	c, err := b.Compact(f.t.Context())
	if err != nil && !blob.Busy(err) || c.Damaged > 0 {
		f.t.Errorf("compacted %+v, %v", c, err)
	}
	f.moved.Add(c.Moved)
	time.Sleep(5 * time.Millisecond)
}

// end checks that every blob is there, counted rightly, and nothing else takes space.
func (f *fire) end(dir string) {
	t := f.t
	f.stores[1].Close()
	compact(t, f.stores[0])
	f.stores[0].Close()
	b := fireStore(t, f.d, dir)
	for id, e := range f.book.blobs {
		if err := readable(b, id, e.number, e.size); err != nil {
			t.Errorf("blob %d: %v", id, err)
		}
	}
	if err := b.Recount(t.Context(), f.book, false, func(m blob.Miscount) error {
		t.Errorf("miscount %+v", m)
		return nil
	}); err != nil {
		t.Error(err)
	}
	compact(t, b)
	c, err := b.Check(t.Context(), func(p blob.Problem) error { t.Errorf("problem %+v", p); return nil })
	if err != nil || c.Blobs != int64(len(f.book.blobs)) {
		t.Errorf("checked %+v, %v; the book has %d", c, err, len(f.book.blobs))
	}
	s, err := b.Space(t.Context())
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d put, %d alive, %d moved; %d segments of %d bytes for %d live ones", f.number.Load(), len(f.book.blobs), f.moved.Load(), s.Segments, s.Disk, s.Live)
	if s.Disk*10 > s.Live*22 { // the disk holds at most 2.2 times what is alive
		t.Errorf("%d bytes on disk for %d live ones", s.Disk, s.Live)
	}
	if f.moved.Load() == 0 || len(f.book.blobs) == 0 {
		t.Error("nothing was compacted or nothing is left")
	}
}
