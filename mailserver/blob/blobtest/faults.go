package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// run puts messages one after another, some at once and some large, and returns those that were
// acknowledged and how long the log of shim was then.
func run(t *testing.T, d blob.Driver, shim *Shim) (acked []blob.Located, at []int) {
	t.Helper()
	var mu sync.Mutex
	one := func(id models.ID, size int64) {
		ref, err := d.Put(t.Context(), id, Message(id, size), size)
		n := shim.Len()
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			unavailable(t, err, "")
			return
		}
		acked, at = append(acked, blob.Located{ID: id, Ref: ref}), append(at, n)
	}
	for i := range 12 {
		one(models.ID(i+1), int64(i)*300)
	}
	var together sync.WaitGroup
	for i := range 12 {
		together.Go(func() { one(models.ID(i+100), 6000) })
	}
	together.Wait()
	for i := range 4 {
		one(models.ID(i+200), 400_000) // begins another segment of 1 MiB
	}
	one(300, 1<<20+100)
	one(301, 500)
	return acked, at
}

// failedOperation runs the same again and again, each time with another operation failing, until
// the run is over before the fault comes.
func failedOperation(t *testing.T, open FSOpener) {
	for n := 2; ; n++ { // the first makes the folder
		var failed, over atomic.Bool
		shim := &Shim{FS: blob.OS{}, Fail: func(i int, op Op) error {
			if i != n || over.Load() {
				return nil
			}
			failed.Store(true)
			return &os.PathError{Op: op.Kind.String(), Path: op.Name, Err: syscall.EIO}
		}}
		dir := t.TempDir()
		d := open(t, dir, shim)
		acked, _ := run(t, d, shim)
		over.Store(true)
		if failed.Load() == (len(acked) == 30) {
			t.Errorf("%d of 30 messages acknowledged", len(acked))
		}
		acked = append(acked, put(t, d, 1000, 700)) // works again at once
		readAll(t, d, acked)
		d.Close()
		again := open(t, dir, nil)
		readAll(t, again, acked)
		again.Close()
		if t.Failed() {
			t.Fatalf("with operation %d failing", n)
		}
		if !failed.Load() {
			return
		}
	}
}

func failedCopy(t *testing.T, open FSOpener) {
	for n := 1; ; n++ {
		var armed, failed bool // Copy works in its caller's goroutine
		start := 0
		shim := &Shim{FS: blob.OS{}}
		shim.Fail = func(i int, op Op) error {
			if !armed || i != start+n {
				return nil
			}
			failed = true
			return syscall.EIO
		}
		d := open(t, t.TempDir(), shim)
		all := fill(t, d, 1, 30, func(i int) int64 { return int64(i) * 6000 })
		all = append(all, fill(t, d, 100, 1, func(int) int64 { return 1<<20 + 5 })...)
		armed, start = true, shim.Count()
		got, err := d.Copy(t.Context(), all)
		if (err != nil) != failed {
			t.Fatalf("operation %d failing: error %v", n, err)
		}
		readAll(t, d, all)
		if err == nil {
			for i, c := range got {
				if err := errors.Join(c.Err, read(d, blob.Located{ID: all[i].ID, Ref: c.Ref})); err != nil {
					t.Error(err)
				}
			}
		}
		d.Close()
		if !failed {
			return
		}
		unavailable(t, err, "store.unavailable")
	}
}

// fullDisk fills a small disk: a tmpfs if this process may mount one, else one made by a Shim.
func fullDisk(t *testing.T, open FSOpener) {
	dir := t.TempDir()
	space := &smallDisk{left: 3 << 20}
	shim := &Shim{FS: blob.OS{}, Fail: space.fail}
	filler := filepath.Join(dir, "filler")
	if err := mountSmall(t, dir); err == nil {
		shim.Fail = nil
	} else {
		t.Logf("no tmpfs (%v): the full disk is simulated", err)
	}
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir, shim)
	defer d.Close()
	acked, refused := untilFull(t, d)
	for range 5 {
		_, err := d.Put(t.Context(), 9000, Message(9000, 100_000), 100_000)
		unavailable(t, err, "store.full")
	}
	readAll(t, d, acked)
	if n := len(segmentFiles(t, dir)); n > 5 {
		t.Errorf("%d refusals left %d segments", refused+5, n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	space.give(1 << 20)
	acked = append(acked, put(t, d, 9001, 100_000))
	readAll(t, d, acked)
	if len(acked) < 20 {
		t.Errorf("only %d messages found room", len(acked))
	}
}

func untilFull(t *testing.T, d blob.Driver) (acked []blob.Located, refused int) {
	for id := models.ID(1); refused < 20; id++ {
		size := int64(id%7) * 20_000
		ref, err := d.Put(t.Context(), id, Message(id, size), size)
		if err == nil {
			acked = append(acked, blob.Located{ID: id, Ref: ref})
			continue
		}
		unavailable(t, err, "store.full")
		refused++
	}
	return acked, refused
}

// smallDisk counts written bytes; a half written failure counts as well.
type smallDisk struct {
	mu   sync.Mutex
	left int
}

func (s *smallDisk) fail(_ int, op Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op.Kind == OpWrite {
		if len(op.Data) > s.left {
			return syscall.ENOSPC
		}
		s.left -= len(op.Data)
	}
	return nil
}

func (s *smallDisk) give(n int) {
	s.mu.Lock()
	s.left += n
	s.mu.Unlock()
}

// powerCut logs a run with a copy in it and opens what the disk may hold after many cuts.
func powerCut(t *testing.T, open FSOpener) {
	dir := t.TempDir()
	shim := &Shim{FS: blob.OS{}, Keep: true}
	d := open(t, dir, shim)
	acked, at := run(t, d, shim)
	got, err := d.Copy(t.Context(), acked)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range got {
		acked, at = append(acked, blob.Located{ID: acked[i].ID, Ref: c.Ref}), append(at, shim.Len())
	}
	d.Close()
	log := shim.Log()
	cuts := 150
	if testing.Short() {
		cuts = 40
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	for range cuts {
		cut := rnd.IntN(len(log) + 1)
		t.Run(fmt.Sprint(cut), func(t *testing.T) { cutAt(t, open, log[:cut], dir, acked, at, rnd) })
	}
}

func cutAt(t *testing.T, open FSOpener, log []Op, dir string, acked []blob.Located, at []int, rnd *rand.Rand) {
	after := t.TempDir()
	if err := Replay(log, dir, after, Torn(rnd)); err != nil {
		t.Fatal(err)
	}
	d := open(t, after, nil)
	defer d.Close()
	scanned(t, d)
	for i, l := range acked {
		err := read(d, l)
		if at[i] <= len(log) && err != nil {
			t.Errorf("blob %d was acknowledged at %d of %d: %v", l.ID, at[i], len(log), err)
		}
		if err != nil && !errors.Is(err, blob.ErrDamaged) && !errors.Is(err, blob.ErrMissing) {
			t.Errorf("blob %d: %v", l.ID, err)
		}
	}
	readAll(t, d, []blob.Located{put(t, d, 5000, 3000)})
}

// Torn is the disk at its worst, for Replay: what was not synced is there whole, not at all, or
// in part.
func Torn(rnd *rand.Rand) func(Op) int {
	return func(op Op) int {
		whole := max(len(op.Data), 1)
		switch rnd.IntN(3) {
		case 0:
			return 0
		case 1:
			return whole
		}
		return rnd.IntN(whole + 1)
	}
}
