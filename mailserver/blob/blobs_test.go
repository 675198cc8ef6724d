package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// segmentSize is small, so that few messages make many segments.
const segmentSize = 64 << 10

// store opens a store without grace on a folder of segments.
func store(t testing.TB, d *db.DB, dir string, files blob.FS) *blob.Blobs {
	t.Helper()
	return storeOf(t, blob.Config{DB: d, Grace: -1}, seg.Config{Dir: dir, FS: files})
}

func storeOf(t testing.TB, c blob.Config, s seg.Config) *blob.Blobs {
	t.Helper()
	s.MinFree = -1
	if s.SegmentSize == 0 {
		s.SegmentSize = segmentSize
	}
	driver, err := seg.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	c.Drivers = []blob.Driver{driver}
	b, err := blob.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// add puts a message whose bytes follow from number and enters it with refs references.
func add(t testing.TB, d *db.DB, b *blob.Blobs, number, refs, size int64) blob.Staged {
	t.Helper()
	s, err := b.Put(t.Context(), blobtest.Message(models.ID(number), size), size)
	if err != nil {
		t.Fatal(err)
	}
	write(t, d, func(ctx context.Context, tx *db.Tx) error { return b.Insert(ctx, tx, refs, s) })
	b.Settle(s)
	return s
}

func write(t testing.TB, d *db.DB, fn func(context.Context, *db.Tx) error) {
	t.Helper()
	if err := d.Write(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func unref(t testing.TB, d *db.DB, b *blob.Blobs, ids ...models.ID) {
	t.Helper()
	take := map[models.ID]int64{}
	for _, id := range ids {
		take[id] = 1
	}
	write(t, d, func(ctx context.Context, tx *db.Tx) error { return b.Unref(ctx, tx, take) })
}

// readable checks that a blob has the bytes of number.
func readable(b *blob.Blobs, id models.ID, number, size int64) error {
	r, err := b.Open(context.Background(), id)
	if err != nil {
		return err
	}
	return blobtest.Check(r, models.ID(number), size)
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dir := t.TempDir()
		b := store(t, d, dir, nil)
		var gone []models.ID
		b.OnRemove(func(_ context.Context, _ *db.Tx, ids []models.ID) error {
			gone = append([]models.ID(nil), ids...)
			return nil
		})
		s := add(t, d, b, 1, 2, 5000)
		if err := readable(b, s.ID, 1, 5000); err != nil || s.Size() != 5000 {
			t.Fatal(err)
		}
		write(t, d, func(ctx context.Context, tx *db.Tx) error { return b.Ref(ctx, tx, s.ID, 1) })
		for left := 2; left >= 0; left-- {
			unref(t, d, b, s.ID)
			c, err := b.Collect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := int64(0); left > 0 && c.Rows != want || left == 0 && (c.Rows != 1 || c.Segments != 1) {
				t.Errorf("%d references left: collected %+v", left, c)
			}
		}
		if len(gone) != 1 || gone[0] != s.ID {
			t.Errorf("removed rows %v, want %d", gone, s.ID)
		}
		if n := len(segments(t, dir)); n != 0 {
			t.Errorf("%d segments left", n)
		}
		if err := readable(b, s.ID, 1, 5000); !models.Is(err, models.NotFound) {
			t.Errorf("open of a blob that is gone: %v, want NotFound", err)
		}
	})
}

func TestRefOfDeadBlobIsNotFound(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := store(t, d, t.TempDir(), nil)
		live, dead := add(t, d, b, 1, 1, 10), add(t, d, b, 2, 1, 10)
		unref(t, d, b, dead.ID)
		for _, ids := range [][]models.ID{{dead.ID}, {live.ID, dead.ID}, {12345}} {
			add := map[models.ID]int64{}
			for _, id := range ids {
				add[id] = 1
			}
			err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error { return b.Refs(ctx, tx, add) })
			if !models.Is(err, models.NotFound) {
				t.Errorf("ref of %v: %v, want NotFound", ids, err)
			}
		}
		if refs(t, d, live.ID) != 1 {
			t.Error("a refused transaction changed references")
		}
	})
}

func refs(t testing.TB, d *db.DB, id models.ID) (n int64) {
	t.Helper()
	if err := d.SQL().QueryRow("SELECT refs FROM blobs WHERE id = ?", id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUnrefNeverTakesTooMany(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := store(t, d, t.TempDir(), nil)
		one, two := add(t, d, b, 1, 1, 10), add(t, d, b, 2, 3, 10)
		write(t, d, func(ctx context.Context, tx *db.Tx) error {
			return b.Unref(ctx, tx, map[models.ID]int64{one.ID: 2, two.ID: 2, 77: 2})
		})
		if refs(t, d, one.ID) != 1 || refs(t, d, two.ID) != 1 {
			t.Errorf("references %d and %d, want 1 and 1", refs(t, d, one.ID), refs(t, d, two.ID))
		}
		if c, err := b.Collect(t.Context()); err != nil || c.Rows != 0 {
			t.Errorf("collected %+v, %v", c, err)
		}
	})
}

func TestInsert(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := store(t, d, t.TempDir(), nil)
		var rows []blob.Row
		for i := range int64(300) {
			s, err := b.Put(t.Context(), blobtest.Message(models.ID(i), 100), 100)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, blob.Row{Staged: s, Refs: i%3 + 1})
		}
		insert := func(rows []blob.Row) error {
			return d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error { return b.InsertRows(ctx, tx, rows) })
		}
		committed := func() bool {
			there, err := b.Committed(t.Context(), rows[299].Staged.ID)
			if err != nil {
				t.Fatal(err)
			}
			return there
		}
		if committed() {
			t.Error("a blob is committed before its insert")
		}
		if err := insert(rows); err != nil || !committed() {
			t.Fatalf("insert: %v, committed: %v", err, committed())
		}
		for i, r := range rows {
			if got := refs(t, d, r.Staged.ID); got != r.Refs {
				t.Fatalf("row %d has %d references, want %d", i, got, r.Refs)
			}
		}
		if err := insert(rows[:1]); !db.IsDuplicate(err) {
			t.Errorf("second insert of an id: %v, want a duplicate", err)
		}
		for _, bad := range []blob.Row{{}, {Refs: 1}, {Staged: rows[0].Staged}} {
			if err := insert([]blob.Row{bad}); err == nil {
				t.Errorf("%+v was inserted", bad)
			}
		}
		if err := readable(b, rows[7].Staged.ID, 7, 100); err != nil {
			t.Error(err)
		}
	})
}

// TestStagedIsNotCollected holds a blob between its Put and its commit while everything is
// collected that may be.
func TestStagedIsNotCollected(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	dir := t.TempDir()
	b, other := store(t, d, dir, nil), store(t, d, dir, nil)
	collect := func() int {
		t.Helper()
		for _, s := range []*blob.Blobs{b, other} {
			if _, err := s.Compact(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return len(segments(t, dir))
	}
	put := func(number models.ID) blob.Staged {
		t.Helper()
		s, err := b.Put(t.Context(), blobtest.Message(number, 1000), 1000)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	lost := put(1)
	if n := collect(); n != 1 {
		t.Fatalf("%d segments with a staged blob, want 1", n)
	}
	rolledBack := errors.New("no")
	err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		return errors.Join(b.Insert(ctx, tx, 1, lost), rolledBack)
	})
	if !errors.Is(err, rolledBack) || collect() != 1 {
		t.Fatal("a blob is gone before it was discarded")
	}
	b.Discard(lost)
	if n := collect(); n != 0 {
		t.Fatalf("%d segments after discarding, want none", n)
	}

	// A caller that forgets Settle: the row itself settles it.
	kept := put(2)
	write(t, d, func(ctx context.Context, tx *db.Tx) error { return b.Insert(ctx, tx, 1, kept) })
	collect()
	if err := readable(other, kept.ID, 2, 1000); err != nil {
		t.Error(err)
	}
	unref(t, d, b, kept.ID)
	if n := collect(); n != 0 {
		t.Errorf("%d segments after the only blob died, want none", n)
	}
}

// TestForgottenBlob puts a blob and never speaks of it again.
func TestForgottenBlob(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	dir, now := t.TempDir(), time.Now()
	b := storeOf(t, blob.Config{DB: d, Grace: -1, Now: func() time.Time { return now }}, seg.Config{Dir: dir})
	if _, err := b.Put(t.Context(), blobtest.Message(1, 10), 10); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		left  int
	}{{0, 1}, {59 * time.Minute, 1}, {2 * time.Minute, 0}} {
		now = now.Add(c.after)
		if _, err := b.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(segments(t, dir)); n != c.left {
			t.Errorf("at %v %d segments, want %d", now, n, c.left)
		}
	}
}

// TestGrace keeps the segments of a process that has just died.
func TestGrace(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	dir, now := t.TempDir(), time.Now()
	dead := store(t, d, dir, nil)
	if _, err := dead.Put(t.Context(), blobtest.Message(1, 10), 10); err != nil {
		t.Fatal(err)
	}
	dead.Close()
	b := storeOf(t, blob.Config{DB: d, Grace: 10 * time.Minute, Now: func() time.Time { return now }}, seg.Config{Dir: dir})
	for i, left := range []int{1, 1, 0} {
		if _, err := b.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(segments(t, dir)); n != left {
			t.Errorf("collection %d: %d segments, want %d", i, n, left)
		}
		now = now.Add(6 * time.Minute)
	}
}

func TestOneCollectorAtATime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		b := store(t, d, t.TempDir(), nil)
		lease, err := d.Leases().Acquire(t.Context(), blob.LeaseName, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Collect(t.Context()); !blob.Busy(err) {
			t.Errorf("collect beside another: %v, want Busy", err)
		}
		if _, err := b.Compact(t.Context()); !blob.Busy(err) {
			t.Errorf("compact beside another: %v, want Busy", err)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Compact(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDatabaseAway(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	b := store(t, d, t.TempDir(), nil)
	s := add(t, d, b, 1, 1, 10)
	d.Close()
	fresh := store(t, d, t.TempDir(), nil)
	if _, err := fresh.Open(t.Context(), s.ID); err == nil || models.Is(err, models.NotFound) {
		t.Errorf("open without a database: %v", err)
	}
	if _, err := b.Committed(t.Context(), s.ID); !models.Is(err, models.Unavailable) {
		t.Errorf("committed without a database: %v, want Unavailable", err)
	}
}

func TestNew(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	if _, err := blob.New(blob.Config{DB: d}); err == nil {
		t.Error("a store without drivers")
	}
	if _, err := seg.Open(seg.Config{Dir: filepath.Join(os.DevNull, "x")}); !models.Is(err, models.Unavailable) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open below a file: %v", err)
	}
	if s := fmt.Sprint(blobtest.OpSync); s != "sync" {
		t.Error(s)
	}
}

// TestUnsettledBlobsDoNotPileUp enters blobs and never calls Settle.
func TestUnsettledBlobsDoNotPileUp(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	b := store(t, d, t.TempDir(), nil)
	b.SweepAt(40)
	for i := range int64(50) {
		s, err := b.Put(t.Context(), blobtest.Message(models.ID(i), 10), 10)
		if err != nil {
			t.Fatal(err)
		}
		if i%10 != 0 { // these stay under way
			write(t, d, func(ctx context.Context, tx *db.Tx) error { return b.Insert(ctx, tx, 1, s) })
		}
	}
	// The sweep at the 40th found all but four and the one that was being put.
	if n := b.Underway(); n != 15 {
		t.Errorf("%d blobs under way, want 15", n)
	}
}

func TestDamageIsTold(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	dir := t.TempDir()
	told := map[models.ID]error{}
	b := storeOf(t, blob.Config{DB: d, Grace: -1, OnDamage: func(id models.ID, err error) { told[id] = err }}, seg.Config{Dir: dir})
	sound, hurt := add(t, d, b, 1, 1, 500), add(t, d, b, 2, 1, 500)
	f, err := os.OpenFile(filepath.Join(dir, hurt.Ref.Segment+".seg"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("damage"), hurt.Ref.Offset+200); err != nil {
		t.Fatal(err)
	}
	for _, id := range []models.ID{sound.ID, hurt.ID, 12345} {
		if r, err := b.Open(t.Context(), id); err == nil {
			r.Close()
		}
	}
	if len(told) != 1 || !errors.Is(told[hurt.ID], blob.ErrDamaged) {
		t.Errorf("told %v, want blob %d", told, hurt.ID)
	}
	if n, err := b.Referred(t.Context(), sound.ID, 12345, hurt.ID); err != nil || n != 2 {
		t.Errorf("%d blobs are referred to, %v", n, err)
	}
	unref(t, d, b, hurt.ID)
	if n, err := b.Referred(t.Context(), sound.ID, 12345, hurt.ID); err != nil || n != 1 {
		t.Errorf("after one was let go %d blobs are referred to, %v", n, err)
	}
}
