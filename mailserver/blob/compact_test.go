package blob_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// populate adds n messages and kills all but every fourth; it returns the live ones by id, with
// the number and size of each.
func populate(t testing.TB, d *db.DB, b *blob.Blobs, n int64) map[models.ID][2]int64 {
	t.Helper()
	live := map[models.ID][2]int64{}
	var dead []models.ID
	for i := range n {
		size := 500 + i*37%9000
		if i%40 == 7 {
			size = 60_000
		}
		s := add(t, d, b, i, 1, size)
		if i%4 == 3 {
			live[s.ID] = [2]int64{i, size}
		} else {
			dead = append(dead, s.ID)
		}
	}
	unref(t, d, b, dead...)
	return live
}

// left populates a folder by a process that then ends.
func left(t testing.TB, d *db.DB, dir string, n int64) map[models.ID][2]int64 {
	t.Helper()
	b := store(t, d, dir, nil)
	defer b.Close()
	return populate(t, d, b, n)
}

func allReadable(t testing.TB, b *blob.Blobs, live map[models.ID][2]int64) {
	t.Helper()
	for id, m := range live {
		if err := readable(b, id, m[0], m[1]); err != nil {
			t.Errorf("blob %d: %v", id, err)
		}
	}
}

// compact runs until nothing is left to do and checks the size on disk.
func compact(t testing.TB, b *blob.Blobs) {
	t.Helper()
	for range 3 {
		if _, err := b.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Space(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if 10*s.Disk > 22*s.Live {
		t.Errorf("%d bytes on disk for %d live ones, more than 2.2 times", s.Disk, s.Live)
	}
}

func TestCompact(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dir := t.TempDir()
		b, other := store(t, d, dir, nil), store(t, d, dir, nil)
		live := populate(t, d, b, 200)
		allReadable(t, other, live) // fills the other process's caches
		readers := map[models.ID]blob.Reader{}
		for id := range live {
			r, err := b.Open(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			readers[id] = r
		}
		before, err := b.Space(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Compact(t.Context())
		if err != nil || c.Moved == 0 || c.Rewritten == 0 || c.Rows != 150 || c.Damaged != 0 {
			t.Fatalf("compacted %+v, %v", c, err)
		}
		compact(t, b)
		after, err := b.Space(t.Context())
		if err != nil || after.Disk*2 > before.Disk {
			t.Errorf("%d bytes became %d, %v", before.Disk, after.Disk, err)
		}
		for id, r := range readers {
			if err := blobtest.Check(r, models.ID(live[id][0]), live[id][1]); err != nil {
				t.Errorf("reader opened before: %v", err)
			}
		}
		allReadable(t, b, live)
		allReadable(t, other, live)
		allReadable(t, store(t, d, dir, nil), live)
	})
}

// TestCompactDies ends the disk at each operation of a compaction in turn, as kill -9 does, and
// opens the store again.
func TestCompactDies(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	dir := t.TempDir()
	live := map[models.ID][2]int64{}
	for n := 1; ; n++ {
		maps.Copy(live, left(t, d, dir, 60))
		died := false
		shim := &blobtest.Shim{FS: blob.OS{}}
		shim.Fail = func(i int, op blobtest.Op) error {
			if died = i > n; died { // the first makes the folder
				return syscall.EIO
			}
			return nil
		}
		b := store(t, d, dir, shim)
		_, err := b.Compact(t.Context())
		if err == nil && died {
			t.Errorf("nobody was told that the disk died at operation %d", n)
		}
		b.Close()
		allReadable(t, store(t, d, dir, nil), live)
		if t.Failed() {
			t.Fatalf("the disk died at operation %d", n)
		}
		if !died {
			t.Logf("%d operations", n)
			break
		}
	}
	compact(t, store(t, d, dir, nil))
	allReadable(t, store(t, d, dir, nil), live)
}

func TestDamage(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dir := t.TempDir()
		b := store(t, d, dir, nil)
		live := populate(t, d, b, 100)
		var bad blob.Located
		for id := range live {
			row := d.SQL().QueryRow("SELECT segment, position FROM blobs WHERE id = ?", id)
			if err := row.Scan(&bad.Ref.Segment, &bad.Ref.Offset); err != nil {
				t.Fatal(err)
			}
			bad.ID = id
			break
		}
		flip(t, filepath.Join(dir, bad.Ref.Segment+".seg"), bad.Ref.Offset+200)
		found := map[models.ID]error{}
		c, err := b.Check(t.Context(), func(p blob.Problem) error { found[p.ID] = p.Err; return nil })
		if err != nil || c.Problems != 1 || c.Blobs != int64(len(live)) || !errors.Is(found[bad.ID], blob.ErrDamaged) {
			t.Errorf("check found %+v: %v, %v", c, found, err)
		}
		for range 3 {
			if c, err := b.Compact(t.Context()); err != nil || c.Damaged > 1 {
				t.Errorf("compacted %+v, %v", c, err)
			}
		}
		if err := readable(b, bad.ID, 0, 0); !errors.Is(err, blob.ErrDamaged) {
			t.Errorf("open of the damaged blob: %v", err)
		}
		delete(live, bad.ID)
		allReadable(t, b, live)

		// A whole segment vanishes.
		b.Close()
		if err := os.Remove(filepath.Join(dir, bad.Ref.Segment+".seg")); err != nil {
			t.Fatal(err)
		}
		clear(found)
		b = store(t, d, dir, nil)
		if _, err := b.Check(t.Context(), func(p blob.Problem) error { found[p.ID] = p.Err; return nil }); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(found[bad.ID], blob.ErrMissing) {
			t.Errorf("check found %v, want blob %d missing", found, bad.ID)
		}
		stop := errors.New("enough")
		if _, err := b.Check(t.Context(), func(blob.Problem) error { return stop }); err != stop {
			t.Errorf("error of the function became %v", err)
		}
	})
}

func flip(t testing.TB, file string, off int64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
}

// marks are what refers to blobs, by the test's own book.
type marks struct {
	order []models.ID
	count map[models.ID]int64
	seen  map[models.ID]int64 // what All says where it differs from the truth
}

func (m marks) All(context.Context) iter.Seq2[blob.Mark, error] {
	return func(yield func(blob.Mark, error) bool) {
		for _, id := range m.order {
			n := m.count[id]
			if other, ok := m.seen[id]; ok {
				n = other
			}
			if n > 0 && !yield(blob.Mark{ID: id, Refs: n}, nil) {
				return
			}
		}
	}
}

func (m marks) Count(_ context.Context, _ *db.Tx, id models.ID) (int64, error) {
	return m.count[id], nil
}

func TestRecount(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := store(t, d, t.TempDir(), nil)
		m := marks{count: map[models.ID]int64{}, seen: map[models.ID]int64{}}
		m.order = append(m.order, 5) // before all rows, and without one
		m.count[5] = 1
		want := map[models.ID]blob.Miscount{5: {ID: 5, Marked: 1, NoRow: true}}
		for i := range int64(1100) {
			s, err := b.Put(t.Context(), blobtest.Message(1, 10), 10)
			if err != nil {
				t.Fatal(err)
			}
			m.order, m.count[s.ID] = append(m.order, s.ID), 2
			rowRefs := int64(2)
			switch i {
			case 3, 700: // too few in the row
				rowRefs = 1
			case 4, 1099: // too many
				rowRefs = 5
			case 10: // nobody refers to it
				m.count[s.ID] = 0
			case 20: // only seems wrong: it changed while All was read
				m.seen[s.ID] = 3
			}
			if rowRefs != m.count[s.ID] {
				want[s.ID] = blob.Miscount{ID: s.ID, Row: rowRefs, Marked: m.count[s.ID]}
			}
			write(t, d, func(ctx context.Context, tx *db.Tx) error { return b.Insert(ctx, tx, rowRefs, s) })
			b.Settle(s)
		}
		dead := add(t, d, b, 1, 1, 10) // dead by a wrong count: the row is there yet
		unref(t, d, b, dead.ID)
		m.order, m.count[dead.ID] = append(m.order, dead.ID), 1
		want[dead.ID] = blob.Miscount{ID: dead.ID, Marked: 1}
		last := dead.ID + 1
		m.order, m.count[last] = append(m.order, last), 4
		want[last] = blob.Miscount{ID: last, Marked: 4, NoRow: true}

		recount := func(fix bool) map[models.ID]blob.Miscount {
			t.Helper()
			got := map[models.ID]blob.Miscount{}
			if err := b.Recount(t.Context(), m, fix, func(c blob.Miscount) error { got[c.ID] = c; return nil }); err != nil {
				t.Fatal(err)
			}
			return got
		}
		for _, fix := range []bool{false, true} {
			got := recount(fix)
			for id := range want {
				if got[id] != want[id] {
					t.Errorf("found %+v, want %+v", got[id], want[id])
				}
			}
			if len(got) != len(want) {
				t.Errorf("found %d miscounts, want %d", len(got), len(want))
			}
		}
		if got := recount(false); len(got) != 2 {
			t.Errorf("after mending %v is wrong, want the two without rows", got)
		}
		if _, err := b.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := readable(b, dead.ID, 1, 10); err != nil {
			t.Errorf("a blob brought back by the recount: %v", err)
		}
	})
}

// TestCompactionUsesItsReserve compacts when Put is refused for lack of space.
func TestCompactionUsesItsReserve(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	dir := t.TempDir()
	live := left(t, d, dir, 60)
	driver, err := seg.Open(seg.Config{Dir: dir, SegmentSize: segmentSize, MinFree: 64_000, FS: fixedFree{blob.OS{}, 70_000}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := blob.New(blob.Config{DB: d, Drivers: []blob.Driver{driver}, Grace: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Put(t.Context(), blobtest.Message(1, 10_000), 10_000); !models.Is(err, models.Unavailable) {
		t.Fatalf("put beyond the minimum of free space: %v", err)
	}
	if c, err := b.Compact(t.Context()); err != nil || c.Moved == 0 {
		t.Errorf("compacted %+v, %v", c, err)
	}
	allReadable(t, b, live)
}

type fixedFree struct {
	blob.FS
	free int64
}

func (f fixedFree) Free(string) (int64, error) { return f.free, nil }

// TestRowMovesMeanwhile moves a row by other hands while its blob is being copied: theirs stays.
func TestRowMovesMeanwhile(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dir := t.TempDir()
		live := left(t, d, dir, 40)
		var moved bool
		shim := &blobtest.Shim{FS: blob.OS{}, Fail: func(_ int, op blobtest.Op) error {
			if op.Kind != blobtest.OpSync || moved {
				return nil
			}
			moved = true
			return d.Write(context.Background(), func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.ExecContext(ctx, "UPDATE blobs SET position = position + 1")
				return err
			})
		}}
		c, err := store(t, d, dir, shim).Compact(t.Context())
		if err != nil || !moved || c.Moved != 0 {
			t.Errorf("compacted %+v, %v", c, err)
		}
		write(t, d, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE blobs SET position = position - 1")
			return err
		})
		allReadable(t, store(t, d, dir, nil), live)
	})
}

// TestYoungSegmentsStay compacts only what is older than the grace.
func TestYoungSegmentsStay(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	dir, now := t.TempDir(), time.Now()
	live := left(t, d, dir, 40)
	b := storeOf(t, blob.Config{DB: d, Grace: 10 * time.Minute, Now: func() time.Time { return now }}, seg.Config{Dir: dir})
	for _, c := range []struct {
		after     time.Duration
		rewritten bool
	}{{9 * time.Minute, false}, {2 * time.Minute, true}} {
		now = now.Add(c.after)
		got, err := b.Compact(t.Context())
		if err != nil || (got.Rewritten > 0) != c.rewritten {
			t.Errorf("compacted %+v, %v", got, err)
		}
	}
	allReadable(t, b, live)
}
