// Package seg is the default driver of package blob: messages are appended to segment files.
//
// A segment belongs to the process that made it: its name holds 64 random bits, it is created
// with O_EXCL and locked for as long as it is written to or holds a blob that Put has returned
// and nobody has released. Two processes, a server and a command, thus share a folder. Segments
// of earlier processes are read, never appended to or truncated.
//
// One goroutine writes the small messages: what waits, up to 256 records or 4 MiB, becomes one
// write and one fdatasync, and then all are answered. Messages above Config.LargeSize are
// streamed in constant memory by their callers into segments apart, so that nobody waits for
// them. The header of a streamed record is written last.
//
// After a failed write or sync nothing is tried again on the same file, since the kernel may
// have dropped the dirty pages and would report success: whoever waited gets an error, the
// segment is sealed and the next message begins another.
//
// Nothing is read at start: a torn tail is space that no row refers to.
package seg

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
	"golang.org/x/sync/semaphore"
)

// Name is the name of this driver in table blobs.
const Name = "seg"

const (
	maxBatch = 256     // records in one write
	maxBytes = 4 << 20 // bytes in one write, unless one record has more

	// budget bounds the bytes of small messages in memory that wait for the disk.
	budget = 32 << 20

	// largeLanes bounds the messages that are streamed at once; each lane keeps one segment.
	largeLanes = 2

	defaultSegmentSize = 256 << 20
	defaultLargeSize   = 1 << 20
	defaultMinFree     = 64 << 20
	defaultOpenFiles   = 64
)

// Config says where and how. Only Dir is required.
type Config struct {
	Dir  string // made if missing; nothing else should be kept in it
	Node int64  // written into refs and names

	SegmentSize int64 // bytes after which another segment begins; 0 is 256 MiB
	LargeSize   int64 // bytes above which a message is streamed; 0 is 1 MiB; 32 KiB to 4 MiB
	MinFree     int64 // bytes left free for the database; 0 is 64 MiB, negative does not look
	OpenFiles   int   // descriptors kept open for reading; 0 is 64

	FS  blob.FS          // nil is blob.OS
	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil says nothing
}

func (c Config) withDefaults() Config {
	c.SegmentSize = orElse(c.SegmentSize, defaultSegmentSize)
	c.LargeSize = max(blockSize, min(orElse(c.LargeSize, defaultLargeSize), maxBytes))
	c.MinFree = orElse(c.MinFree, defaultMinFree)
	c.OpenFiles = orElse(c.OpenFiles, defaultOpenFiles)
	if c.FS == nil {
		c.FS = blob.OS{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// Driver is a blob.Segmented.
type Driver struct {
	cfg     Config
	files   *files
	memory  *semaphore.Weighted
	queue   queue
	small   *lane
	moved   *lane // what Copy writes: old messages stay apart from new ones
	large   []*lane
	streams chan *lane // the large lanes that are idle
	stopped chan struct{}
	copying sync.Mutex // held by Copy, whose batch holds memory while it waits for more

	mu  sync.Mutex
	own map[string]*segment // made by this driver and still locked
}

var (
	_ blob.Segmented = (*Driver)(nil)
	_ blob.Batcher   = (*Driver)(nil)
)

// Open makes the folder if need be and starts the writer; Close stops it. It writes no file.
func Open(cfg Config) (*Driver, error) {
	cfg = cfg.withDefaults()
	if err := cfg.FS.MkdirAll(cfg.Dir); err != nil {
		return nil, blob.Failed("make segment folder", err)
	}
	d := &Driver{
		cfg: cfg, files: newFiles(cfg.OpenFiles), memory: semaphore.NewWeighted(budget),
		queue: queue{wake: make(chan struct{}, 1)}, streams: make(chan *lane, largeLanes),
		stopped: make(chan struct{}), own: map[string]*segment{},
	}
	// Compaction makes space, so it may use some of what Put must leave.
	d.small, d.moved = &lane{d: d, minFree: cfg.MinFree}, &lane{d: d, minFree: cfg.MinFree / 2}
	for range largeLanes {
		l := &lane{d: d, minFree: cfg.MinFree}
		d.large = append(d.large, l)
		d.streams <- l
	}
	go d.run()
	return d, nil
}

// Name is "seg".
func (d *Driver) Name() string { return Name }

// Close refuses further Puts, waits for those under way and gives up files and locks.
func (d *Driver) Close() error {
	if !d.queue.close() {
		return nil
	}
	<-d.stopped
	for _, l := range d.lanes() {
		l.close()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, s := range d.own {
		s.file.Close()
		delete(d.own, name)
	}
	d.files.close()
	return nil
}

func (d *Driver) lanes() []*lane { return append([]*lane{d.small, d.moved}, d.large...) }

// Put implements blob.Driver. A message of up to LargeSize bytes is read into memory, of which
// all Puts together use at most 32 MiB.
func (d *Driver) Put(ctx context.Context, id models.ID, r io.Reader, size int64) (blob.Ref, error) {
	if size < 0 || size > maxLength {
		return blob.Ref{}, fmt.Errorf("put blob %d: bad size %d", id, size)
	}
	if size > d.cfg.LargeSize {
		return d.putLarge(ctx, id, r, size)
	}
	return d.putSmall(ctx, id, r, size)
}

func (d *Driver) putLarge(ctx context.Context, id models.ID, r io.Reader, size int64) (blob.Ref, error) {
	select {
	case l := <-d.streams:
		defer func() { d.streams <- l }()
		return l.stream(ctx, id, r, size)
	case <-ctx.Done():
		return blob.Ref{}, ctx.Err()
	}
}

func (d *Driver) putSmall(ctx context.Context, id models.ID, r io.Reader, size int64) (blob.Ref, error) {
	q, err := d.newRequest(ctx, id, r, size)
	if err != nil {
		return blob.Ref{}, err
	}
	if !d.queue.add(q) {
		q.free()
		return blob.Ref{}, errClosed
	}
	return q.wait(ctx)
}

// Prepare implements blob.Batcher for messages of up to LargeSize bytes.
func (d *Driver) Prepare(ctx context.Context, id models.ID, r io.Reader, size int64) (blob.Pending, error) {
	if size < 0 || size > d.cfg.LargeSize {
		return nil, nil // Put says what is wrong
	}
	q, err := d.newRequest(ctx, id, r, size)
	if err != nil {
		return nil, err
	}
	return q, nil
}

// PutAll implements blob.Batcher. It writes in the caller's goroutine, between two batches of Put.
func (d *Driver) PutAll(all []blob.Pending) []blob.Written {
	out := make([]blob.Written, len(all))
	var batch []*request
	var size int64
	for i, p := range all {
		q := p.(*request)
		if n := int64(len(q.buf.b)); len(batch) == maxBatch || len(batch) > 0 && size+n > d.batchLimit() {
			d.small.write(batch)
			batch, size = batch[:0], 0
		}
		batch, size = append(batch, q), size+int64(len(q.buf.b))
		if i == len(all)-1 {
			d.small.write(batch)
		}
	}
	for i, p := range all {
		a := <-p.(*request).done
		out[i] = blob.Written{Ref: a.ref, Err: a.err}
	}
	return out
}

// batchLimit is the most bytes of one batch, but for a single record.
func (d *Driver) batchLimit() int64 { return min(maxBytes, d.cfg.SegmentSize) }

var errClosed = blob.Failed("put blob", fmt.Errorf("store is closed"))

// readFull fills b from r, which must end there.
func readFull(r io.Reader, b []byte) error {
	if n, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("read message: %d of %d bytes: %w", n, len(b), unexpected(err))
	}
	return readEnd(r)
}

func readEnd(r io.Reader) error {
	var one [1]byte
	switch n, err := io.ReadFull(r, one[:]); {
	case n > 0:
		return fmt.Errorf("read message: longer than announced")
	case err != io.EOF:
		return fmt.Errorf("read message: %w", err)
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
