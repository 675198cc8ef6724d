package seg_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/models"
)

// TestSlowLargeMessages puts small messages while every place for a large one waits for its source.
func TestSlowLargeMessages(t *testing.T) {
	d := open(t, t.TempDir(), nil)
	defer d.Close()
	const size = 2 << 20
	var sources []*io.PipeWriter
	var large sync.WaitGroup
	for i := range 4 {
		r, w := io.Pipe()
		sources = append(sources, w)
		large.Go(func() {
			id := models.ID(i + 1)
			ref, err := d.Put(t.Context(), id, r, size)
			if err == nil {
				err = d.Verify(t.Context(), id, ref)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 20 {
		if _, err := d.Put(t.Context(), models.ID(i+100), blobtest.Message(1, 5000), 5000); err != nil {
			t.Fatal(err)
		}
	}
	for i, w := range sources {
		go func() {
			io.Copy(w, blobtest.Message(models.ID(i+1), size))
			w.Close()
		}()
	}
	large.Wait()
}

// TestAbandonedPut ends a caller's context while the disk hangs: the caller gets its answer at
// once, and what is written for nobody protects no segment.
func TestAbandonedPut(t *testing.T) {
	hang, hanging := make(chan struct{}), make(chan struct{}, 100)
	shim := &blobtest.Shim{FS: blob.OS{}, Fail: func(_ int, op blobtest.Op) error {
		if op.Kind == blobtest.OpSync {
			hanging <- struct{}{}
			<-hang
		}
		return nil
	}}
	d := open(t, t.TempDir(), shim)
	defer d.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-hanging
		cancel()
	}()
	if _, err := d.Put(ctx, 1, blobtest.Message(1, 100), 100); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	close(hang)
	ref, err := d.Put(t.Context(), 2, blobtest.Message(2, 100), 100)
	if err != nil {
		t.Fatal(err)
	}
	d.Release(2, ref)
	d.Seal(ref.Segment)
	hold, err := d.Lock(ref.Segment)
	if err != nil {
		t.Fatalf("the abandoned message protects its segment: %v", err)
	}
	hold.Close()
}

func TestMinFree(t *testing.T) {
	d, err := seg.Open(seg.Config{Dir: t.TempDir(), MinFree: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, size := range []int64{100, 2 << 20} {
		_, err := d.Put(t.Context(), 1, bytes.NewReader(make([]byte, size)), size)
		var e *models.Error
		if !errors.As(err, &e) || e.Kind != models.Unavailable || e.Key != "store.full" {
			t.Errorf("put of %d bytes: %v", size, err)
		}
	}
	if all, err := d.Segments(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("segments %v, %v", all, err)
	}
}

// TestOpenFiles reads from more segments than descriptors are kept.
func TestOpenFiles(t *testing.T) {
	d, err := seg.Open(seg.Config{Dir: t.TempDir(), SegmentSize: 64 << 10, OpenFiles: 2, MinFree: -1, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	refs := map[models.ID]blob.Ref{}
	for id := range models.ID(12) {
		if refs[id], err = d.Put(t.Context(), id, blobtest.Message(id, 60_000), 60_000); err != nil {
			t.Fatal(err)
		}
	}
	var readers sync.WaitGroup
	for range 6 {
		readers.Go(func() {
			for range 20 {
				for id, ref := range refs {
					r, err := d.Open(t.Context(), id, ref)
					if err == nil {
						err = blobtest.Check(r, id, 60_000)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	readers.Wait()
}

// takenFS lets another process lock the first new files.
type takenFS struct {
	blob.FS
	taken int
}

func (f *takenFS) Create(name string) (blob.File, error) {
	if f.taken--; f.taken >= 0 {
		return nil, blob.ErrLocked
	}
	return f.FS.Create(name)
}

func TestNewSegmentTaken(t *testing.T) {
	for taken, ok := range map[int]bool{3: true, 100: false} {
		d := open(t, t.TempDir(), &takenFS{blob.OS{}, taken})
		_, err := d.Put(t.Context(), 1, blobtest.Message(1, 10), 10)
		if (err == nil) != ok || err != nil && !models.Is(err, models.Unavailable) {
			t.Errorf("%d files taken: %v", taken, err)
		}
		d.Close()
	}
}
