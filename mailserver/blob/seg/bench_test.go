package seg_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/models"
	"golang.org/x/sys/unix"
)

func openBench(b *testing.B) *seg.Driver {
	b.Helper()
	d, err := seg.Open(seg.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	return d
}

// spread runs b.N calls of do on n goroutines.
func spread(b *testing.B, n int, do func(i int64) error) {
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range n {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int64{4 << 10, 8 << 10, 64 << 10} {
		body := blobtest.Bytes(1, size)
		for _, writers := range []int{1, 8, 32} {
			name := fmt.Sprintf("%dKiB/%d", size>>10, writers)
			b.Run("seg/"+name, func(b *testing.B) {
				d := openBench(b)
				b.SetBytes(size)
				b.ReportAllocs()
				spread(b, writers, func(i int64) error {
					ref, err := d.Put(context.Background(), models.ID(i), bytes.NewReader(body), size)
					d.Release(models.ID(i), ref)
					return err
				})
			})
			b.Run("bare/"+name, func(b *testing.B) {
				y := newYardstick(b)
				b.SetBytes(size)
				spread(b, writers, func(int64) error { return y.append(body) })
			})
		}
	}
}

// yardstick appends bytes to one file with a shared fdatasync and does nothing else.
type yardstick struct {
	f    *os.File
	mu   sync.Mutex
	cond *sync.Cond
	busy bool
	buf  []byte
	turn int64 // number of the batch that is gathering
	done int64 // number of the last batch on disk
}

func newYardstick(b *testing.B) *yardstick {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	y := &yardstick{f: f, turn: 1}
	y.cond = sync.NewCond(&y.mu)
	return y
}

func (y *yardstick) append(p []byte) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.buf = append(y.buf, p...)
	mine := y.turn
	for y.done < mine {
		if y.busy {
			y.cond.Wait()
			continue
		}
		batch, number := y.buf, y.turn
		y.buf, y.busy, y.turn = nil, true, y.turn+1
		y.mu.Unlock()
		_, err := y.f.Write(batch)
		if err == nil {
			err = unix.Fdatasync(int(y.f.Fd()))
		}
		y.mu.Lock()
		y.busy, y.done = false, number
		y.cond.Broadcast()
		if err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkRead(b *testing.B) {
	const size, count = 8 << 10, 4096
	d := openBench(b)
	body := blobtest.Bytes(1, size)
	refs := make([]blob.Ref, count)
	var all sync.WaitGroup
	for g := range 32 {
		all.Go(func() {
			for i := g; i < count; i += 32 {
				var err error
				if refs[i], err = d.Put(context.Background(), models.ID(i), bytes.NewReader(body), size); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, readers := range []int{1, 8} {
		b.Run(fmt.Sprintf("8KiB/%d", readers), func(b *testing.B) {
			b.ReportAllocs()
			spread(b, readers, func(i int64) error {
				n := int(i*7919) % count
				r, err := d.Open(context.Background(), models.ID(n), refs[n])
				if err != nil {
					return err
				}
				_, err = r.WriteTo(io.Discard)
				r.Close()
				return err
			})
		})
	}
}

func BenchmarkPutLarge(b *testing.B) {
	const size = 50 << 20
	body := blobtest.Bytes(1, size)
	d := openBench(b)
	b.SetBytes(size)
	b.ReportAllocs()
	spread(b, 1, func(i int64) error {
		ref, err := d.Put(context.Background(), models.ID(i), bytes.NewReader(body), size)
		d.Release(models.ID(i), ref)
		return err
	})
}

// BenchmarkSHA256 is what the SHA-256 of a record costs.
func BenchmarkSHA256(b *testing.B) {
	for _, size := range []int64{4 << 10, 64 << 10} {
		body := blobtest.Bytes(1, size)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				sha256.Sum256(body)
			}
		})
	}
}
