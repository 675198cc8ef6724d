// Package blobtest is the contract of package blob's drivers, and the tools its tests and those of
// a whole server need: messages made from their id, and a file system that fails on demand and
// knows what a power cut leaves.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// Opener opens a driver that keeps everything below dir; opening the same dir again is a restart.
// The suite closes what it opened.
type Opener func(t testing.TB, dir string) blob.Driver

// sizes are those around the edges of blocks and lanes of any likely driver.
var sizes = []int64{
	0, 1, 87, 4095, 4096, 32<<10 - 1, 32 << 10, 32<<10 + 1, 64<<10 + 7, 256 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 333,
}

// Run holds a driver to the contract of blob.Driver.
func Run(t *testing.T, open Opener) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"every size comes back", everySize},
		{"readers read any part", anyPart},
		{"a restart keeps everything", restart},
		{"many puts and readers at once", manyAtOnce},
		{"50 MB in constant memory", constantMemory},
		{"another id or length is damage", wrongRef},
		{"nothing there is missing", nothingThere},
		{"a bad source stores nothing", badSource},
		{"a finished context puts nothing", finishedContext},
		{"a closed store is unavailable", closedStore},
		{"batches are written at once", batches},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

func everySize(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	for i, size := range sizes {
		l := put(t, d, models.ID(i+1), size)
		if l.Ref.Driver != d.Name() || l.Ref.Length != size {
			t.Errorf("ref is %+v, want driver %q and length %d", l.Ref, d.Name(), size)
		}
		readAll(t, d, []blob.Located{l})
		if err := d.Verify(t.Context(), l.ID, l.Ref); err != nil {
			t.Errorf("verify %d bytes: %v", size, err)
		}
		d.Release(l.ID, l.Ref)
		d.Release(l.ID, l.Ref) // once too often does nothing
	}
}

func anyPart(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	for i, size := range sizes {
		l := put(t, d, models.ID(i+1), size)
		r, err := d.Open(t.Context(), l.ID, l.Ref)
		if err != nil {
			t.Fatal(err)
		}
		want := Bytes(l.ID, size)
		if size < 100<<10 {
			if err := iotest.TestReader(r, want); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		partsAtOnce(t, r, want)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.ReadAt(make([]byte, 1), 0); err == nil {
			t.Error("a closed reader reads")
		}
	}
}

// partsAtOnce reads random parts from several goroutines, as io.ReaderAt allows.
func partsAtOnce(t *testing.T, r blob.Reader, want []byte) {
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), uint64(len(want))))
			for range 20 {
				off := rnd.IntN(len(want) + 2)
				p := make([]byte, rnd.IntN(len(want)+2))
				n, err := r.ReadAt(p, int64(off))
				exp := want[min(off, len(want)):min(off+len(p), len(want))]
				if !bytes.Equal(p[:n], exp) || n < len(p) && err != io.EOF || n == len(p) && err != nil {
					t.Errorf("ReadAt of %d at %d of %d gave %d, %v", len(p), off, len(want), n, err)
				}
			}
		})
	}
	all.Wait()
}

func restart(t *testing.T, open Opener) {
	dir := t.TempDir()
	var all []blob.Located
	for round := range 3 {
		d := open(t, dir)
		readAll(t, d, all)
		for i, size := range sizes[:10] {
			all = append(all, put(t, d, models.ID(round*100+i+1), size))
		}
		readAll(t, d, all)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func manyAtOnce(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	var mu sync.Mutex
	var all []blob.Located
	var done sync.WaitGroup
	for g := range 24 {
		done.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			for i := range 30 {
				size := rnd.Int64N(9000)
				if i%10 == 0 {
					size = rnd.Int64N(2 << 20)
				}
				id := models.ID(g*1000 + i + 1)
				ref, err := d.Put(t.Context(), id, Message(id, size), size)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, blob.Located{ID: id, Ref: ref})
				other := all[rnd.IntN(len(all))]
				mu.Unlock()
				if err := read(d, other); err != nil {
					t.Errorf("read blob %d: %v", other.ID, err)
				}
			}
		})
	}
	done.Wait()
	readAll(t, d, all)
}

func constantMemory(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	const size = 50 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l := put(t, d, 1, size)
	readAll(t, d, []blob.Located{l})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("putting and reading %d bytes allocated %d", size, used)
	}
}

func wrongRef(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	l := put(t, d, 7, 5000)
	put(t, d, 8, 5000)
	for name, change := range map[string]func(*blob.Located){
		"id":              func(l *blob.Located) { l.ID = 8 },
		"shorter":         func(l *blob.Located) { l.Ref.Length-- },
		"longer":          func(l *blob.Located) { l.Ref.Length++ },
		"negative length": func(l *blob.Located) { l.Ref.Length = -1 },
		"huge length":     func(l *blob.Located) { l.Ref.Length = 1<<63 - 1 },
	} {
		other := l
		change(&other)
		if err := read(d, other); !errors.Is(err, blob.ErrDamaged) && !errors.Is(err, blob.ErrMissing) {
			t.Errorf("%s: error %v, want damaged or missing", name, err)
		}
	}
}

func nothingThere(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	for _, segment := range []string{"000-019a0000000-00112233445566ff", "", "..", "../../etc/passwd", "a/b", "\x00"} {
		err := read(d, blob.Located{ID: 1, Ref: blob.Ref{Driver: d.Name(), Segment: segment, Length: 10}})
		if !errors.Is(err, blob.ErrMissing) {
			t.Errorf("segment %q: error %v, want ErrMissing", segment, err)
		}
		unavailable(t, err, "store.missing")
	}
}

func badSource(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	broken := errors.New("source broke")
	var good []blob.Located
	for i, size := range []int64{10, 5000, 100 << 10, 3 << 20} {
		id := models.ID(i + 1)
		for name, c := range map[string]struct {
			r    io.Reader
			want error
		}{
			"short":  {Message(id, size-1), io.ErrUnexpectedEOF},
			"long":   {Message(id, size+1), nil},
			"broken": {io.MultiReader(Message(id, size/2), iotest.ErrReader(broken)), broken},
		} {
			_, err := d.Put(t.Context(), id, c.r, size)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s source of %d bytes: error %v, want %v", name, size, err, c.want)
			}
		}
		good = append(good, put(t, d, id+100, size))
	}
	readAll(t, d, good)
}

func finishedContext(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, size := range []int64{100, 3 << 20} {
		// A small one may have been written before anybody looked; an error must be the context's.
		if _, err := d.Put(ctx, 1, Message(1, size), size); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("put %d bytes: %v", size, err)
		}
	}
	readAll(t, d, []blob.Located{put(t, d, 2, 100)})
}

func closedStore(t *testing.T, open Opener) {
	d := open(t, t.TempDir())
	l := put(t, d, 1, 100<<10)
	r, err := d.Open(t.Context(), l.ID, l.Ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if err := Check(r, l.ID, l.Ref.Length); err != nil {
		t.Errorf("a reader opened before: %v", err)
	}
	for _, size := range []int64{100, 3 << 20} {
		_, err := d.Put(t.Context(), 2, Message(2, size), size)
		unavailable(t, err, "store.unavailable")
	}
}
