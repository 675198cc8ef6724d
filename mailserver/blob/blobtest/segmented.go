package blobtest

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// FSOpener opens a driver of segment files on fs (nil is the real one), with segments of 1 MiB and
// no minimum of free space. Opening the same dir again is a restart or another process.
type FSOpener func(t testing.TB, dir string, fs blob.FS) blob.Segmented

// RunSegmented holds a driver to the contract of blob.Segmented, under faults.
func RunSegmented(t *testing.T, open FSOpener) {
	for _, c := range []struct {
		name string
		test func(*testing.T, FSOpener)
	}{
		{"segments are private and of bounded size", bounded},
		{"two processes share a folder", twoProcesses},
		{"a lock waits for the writer and for releases", locks},
		{"copies are whole, sources that are damaged say so", copies},
		{"a removed segment stays readable to its readers", removed},
		{"scan finds every record", scanAll},
		{"a flipped bit costs one message", flippedBits},
		{"a zeroed page costs what lies in it", zeroedPages},
		{"a cut file costs what lies behind the cut", cutFile},
		{"a stranger's record within a message is none", forged},
		{"a failed operation loses nothing acknowledged", failedOperation},
		{"a failed operation of a copy loses nothing", failedCopy},
		{"a full disk refuses and recovers", fullDisk},
		{"a power cut loses nothing acknowledged", powerCut},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// segmentFiles returns the paths of the segments in dir.
func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func fill(t testing.TB, d blob.Driver, first models.ID, n int, size func(i int) int64) []blob.Located {
	t.Helper()
	var all []blob.Located
	for i := range n {
		l := put(t, d, first+models.ID(i), size(i))
		d.Release(l.ID, l.Ref)
		all = append(all, l)
	}
	return all
}

func bounded(t *testing.T, open FSOpener) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d := open(t, dir, nil)
	defer d.Close()
	all := fill(t, d, 1, 60, func(i int) int64 { return 100_000 })
	all = append(all, fill(t, d, 100, 3, func(i int) int64 { return 700_000 + int64(i)*1_000_000 })...)
	readAll(t, d, all)
	segments, err := d.Segments(t.Context())
	if err != nil || len(segments) < 6 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	var sum, want int64
	for _, s := range segments {
		sum += s.Size
		info, err := os.Stat(filepath.Join(dir, s.Name+".seg"))
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() != s.Size {
			t.Errorf("segment %s: %v, %v", s.Name, info, err)
		}
		if s.Size > 1<<20 && s.Size > d.RecordSize(2_700_000) {
			t.Errorf("segment of %d bytes", s.Size)
		}
	}
	for _, l := range all {
		want += d.RecordSize(l.Ref.Length)
	}
	if sum != want {
		t.Errorf("segments hold %d bytes, their records %d", sum, want)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info, err)
	}
}

func twoProcesses(t *testing.T, open FSOpener) {
	dir := t.TempDir()
	a, b := open(t, dir, nil), open(t, dir, nil)
	defer b.Close()
	var all []blob.Located
	for i := range 40 {
		all = append(all, put(t, a, models.ID(2*i+1), 3000), put(t, b, models.ID(2*i+2), 3000))
	}
	readAll(t, a, all)
	readAll(t, b, all)
	for _, l := range all {
		if _, err := b.Lock(l.Ref.Segment); !errors.Is(err, blob.ErrLocked) {
			t.Fatalf("lock of a segment in use: %v", err)
		}
	}
	a.Close()
	readAll(t, b, all)
	hold, err := b.Lock(all[0].Ref.Segment)
	if err != nil {
		t.Fatalf("lock of a segment whose process is gone: %v", err)
	}
	hold.Close()
}

func locks(t *testing.T, open FSOpener) {
	d := open(t, t.TempDir(), nil)
	defer d.Close()
	l := put(t, d, 1, 1000)
	locked := func() bool {
		hold, err := d.Lock(l.Ref.Segment)
		if err == nil {
			hold.Close()
		} else if !errors.Is(err, blob.ErrLocked) {
			t.Fatal(err)
		}
		return err != nil
	}
	if !locked() {
		t.Error("a segment that is written to can be locked")
	}
	d.Seal("another")
	if again := put(t, d, 2, 1000); again.Ref.Segment != l.Ref.Segment {
		t.Error("sealing another segment sealed this one")
	}
	d.Seal(l.Ref.Segment)
	if !locked() {
		t.Error("a segment with an unreleased blob can be locked")
	}
	d.Release(1, l.Ref)
	if !locked() {
		t.Error("a segment with one of two blobs released can be locked")
	}
	d.Release(2, l.Ref)
	if locked() {
		t.Error("a sealed segment without unreleased blobs cannot be locked")
	}
	if other := put(t, d, 3, 1000); other.Ref.Segment == l.Ref.Segment {
		t.Error("a sealed segment is written to")
	}
	if _, err := d.Lock("000-019a0000000-00112233445566ff"); !errors.Is(err, blob.ErrMissing) {
		t.Errorf("lock of no segment: %v", err)
	}
}

func copies(t *testing.T, open FSOpener) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	defer d.Close()
	var all []blob.Located
	for i, size := range sizes {
		all = append(all, put(t, d, models.ID(i+1), size))
	}
	bad := fill(t, d, 100, 1, func(int) int64 { return 50_000 })[0]
	damage(t, filepath.Join(dir, bad.Ref.Segment+".seg"), bad.Ref.Offset+45_000, 1)
	gone := all[0]
	gone.Ref.Segment = "000-019a0000000-00112233445566ff"
	what := append(append([]blob.Located{bad}, all...), gone)
	got, err := d.Copy(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(got[0].Err, blob.ErrDamaged) || !errors.Is(got[len(got)-1].Err, blob.ErrMissing) {
		t.Errorf("damaged source: %v, missing source: %v", got[0].Err, got[len(got)-1].Err)
	}
	for i, c := range got[1 : len(got)-1] {
		if c.Err != nil || c.Ref.Segment == all[i].Ref.Segment {
			t.Errorf("copy of %d bytes: %+v", sizes[i], c)
		}
		if err := read(d, blob.Located{ID: all[i].ID, Ref: c.Ref}); err != nil {
			t.Errorf("copy of %d bytes: %v", sizes[i], err)
		}
		if _, err := d.Lock(c.Ref.Segment); !errors.Is(err, blob.ErrLocked) {
			t.Errorf("segment of an unreleased copy: %v", err)
		}
	}
	if l := put(t, d, 200, 100); l.Ref.Segment == got[1].Ref.Segment {
		t.Error("new messages are put beside copies")
	}
}

func removed(t *testing.T, open FSOpener) {
	d := open(t, t.TempDir(), nil)
	defer d.Close()
	l := fill(t, d, 1, 1, func(int) int64 { return 200_000 })[0]
	r, err := d.Open(t.Context(), l.ID, l.Ref)
	if err != nil {
		t.Fatal(err)
	}
	d.Seal(l.Ref.Segment)
	hold, err := d.Lock(l.Ref.Segment)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Remove(t.Context(), l.Ref.Segment), hold.Close()); err != nil {
		t.Fatal(err)
	}
	if err := read(d, l); !errors.Is(err, blob.ErrMissing) {
		t.Errorf("open after removal: %v, want ErrMissing", err)
	}
	if err := Check(r, l.ID, l.Ref.Length); err != nil {
		t.Errorf("reader opened before removal: %v", err)
	}
	if err := d.Remove(t.Context(), l.Ref.Segment); err != nil {
		t.Errorf("removing twice: %v", err)
	}
}

func scanAll(t *testing.T, open FSOpener) {
	d := open(t, t.TempDir(), nil)
	defer d.Close()
	all := fill(t, d, 1, 100, func(i int) int64 { return int64(i*i) * 13 })
	all = append(all, fill(t, d, 200, 2, func(int) int64 { return 2 << 20 })...)
	found := scanned(t, d)
	for _, l := range all {
		if rec := found[l.ID]; rec.Err != nil || rec.Length != l.Ref.Length || rec.Offset != l.Ref.Offset {
			t.Errorf("blob %d of %d bytes: scan found %+v", l.ID, l.Ref.Length, rec)
		}
	}
	if len(found) != len(all) {
		t.Errorf("scan found %d records of %d", len(found), len(all))
	}
	stop := errors.New("enough")
	if err := d.Scan(t.Context(), all[0].Ref.Segment, func(blob.Record) error { return stop }); err != stop {
		t.Errorf("error of the function became %v", err)
	}
}

// scanned returns what Scan finds in all segments, without stretches that are no record.
func scanned(t testing.TB, d blob.Segmented) map[models.ID]blob.Record {
	t.Helper()
	segments, err := d.Segments(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	found := map[models.ID]blob.Record{}
	for _, s := range segments {
		var next int64
		err := d.Scan(context.Background(), s.Name, func(r blob.Record) error {
			if r.Offset != next || r.Size <= 0 {
				t.Fatalf("scan of %s: record at %d of %d bytes after %d", s.Name, r.Offset, r.Size, next)
			}
			next += r.Size
			if r.ID != 0 {
				found[r.ID] = r
			}
			return nil
		})
		if err != nil || next != s.Size {
			t.Fatalf("scan of %s ended at %d of %d: %v", s.Name, next, s.Size, err)
		}
	}
	return found
}

// damage inverts n bytes of a file.
func damage(t testing.TB, file string, off int64, n int) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0xff
	}
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

// hurt checks that exactly the blobs that lie in [from, to) are damaged, to readers and to scan.
func hurt(t *testing.T, d blob.Segmented, all []blob.Located, from, to int64) {
	t.Helper()
	found := scanned(t, d)
	for _, l := range all {
		start, end := l.Ref.Offset, l.Ref.Offset+d.RecordSize(l.Ref.Length)
		err := read(d, l)
		if start < to && from < end {
			if !errors.Is(err, blob.ErrDamaged) {
				t.Errorf("bytes %d to %d: blob at %d to %d reads with error %v", from, to, start, end, err)
			}
			if rec, ok := found[l.ID]; ok && !errors.Is(rec.Err, blob.ErrDamaged) {
				t.Errorf("bytes %d to %d: scan says %+v", from, to, rec)
			}
		} else if rec, ok := found[l.ID]; err != nil || !ok || rec.Err != nil {
			t.Errorf("bytes %d to %d: blob at %d to %d reads with error %v, scan says %v", from, to, start, end, err, rec)
		}
	}
}

// oneSegment fills one segment with messages of mixed sizes.
func oneSegment(t *testing.T, open FSOpener) (d blob.Segmented, file string, all []blob.Located) {
	t.Helper()
	dir := t.TempDir()
	d = open(t, dir, nil)
	rnd := rand.New(rand.NewPCG(5, 5))
	all = fill(t, d, 1, 60, func(i int) int64 {
		if i%10 == 9 {
			return 40_000 + rnd.Int64N(60_000)
		}
		return rnd.Int64N(12_000)
	})
	files := segmentFiles(t, dir)
	if len(files) != 1 {
		t.Fatalf("%d segments, want 1", len(files))
	}
	return d, files[0], all
}

func flippedBits(t *testing.T, open FSOpener) {
	d, file, all := oneSegment(t, open)
	defer d.Close()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(6, 6))
	for page := int64(0); page < int64(len(whole)); page += 4096 {
		off := min(page+rnd.Int64N(4096), int64(len(whole))-1)
		overwrite(t, file, off, []byte{whole[off] ^ 1<<rnd.IntN(8)})
		hurt(t, d, all, off, off+1)
		overwrite(t, file, off, whole[off:off+1])
	}
	hurt(t, d, all, 0, 0)
}

func zeroedPages(t *testing.T, open FSOpener) {
	d, file, all := oneSegment(t, open)
	defer d.Close()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for page := 0; page < len(whole); page += 4096 {
		end := min(page+4096, len(whole))
		overwrite(t, file, int64(page), make([]byte, end-page))
		hurt(t, d, all, int64(page), int64(end))
		overwrite(t, file, int64(page), whole[page:end])
	}
}

func overwrite(t testing.TB, file string, off int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func cutFile(t *testing.T, open FSOpener) {
	d, file, all := oneSegment(t, open)
	defer d.Close()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for end := info.Size(); end > 0; end = min(end-1, end/4096*4096-1) {
		if err := os.Truncate(file, end); err != nil {
			t.Fatal(err)
		}
		hurt(t, d, all, end, info.Size())
	}
}

// forged puts a whole segment into a message, as an attacker would who guessed the format, and
// damages the message's own header: scan must not take its parts for records.
func forged(t *testing.T, open FSOpener) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	defer d.Close()
	fill(t, d, 1, 5, func(int) int64 { return 500 })
	inner, err := os.ReadFile(segmentFiles(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	outer := t.TempDir()
	e := open(t, outer, nil)
	defer e.Close()
	ref, err := e.Put(t.Context(), 50, bytesReader(inner), int64(len(inner)))
	if err != nil {
		t.Fatal(err)
	}
	last := put(t, e, 51, 100)
	damage(t, segmentFiles(t, outer)[0], ref.Offset+30, 1)
	found := scanned(t, e)
	if len(found) != 1 || found[51].Err != nil || found[51].Offset != last.Ref.Offset {
		t.Errorf("scan found %v, want blob 51 alone", found)
	}
}
