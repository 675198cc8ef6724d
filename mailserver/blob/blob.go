// Package blob keeps the bytes of messages and says where they are.
//
// It has two layers. A Driver makes bytes durable in one kind of place and reads them back; it
// knows no SQL. Package seg, the default, writes them into segment files. Blobs is the layer
// above: it owns the table blobs, which alone stores where a blob's bytes are (a Ref), counts
// who refers to them, collects what nobody refers to and rewrites segments that are mostly dead.
//
// Invariants:
//
//   - Bytes are durable before the row that names them is committed, and the row is committed
//     before anybody is told. A row without bytes is damage; bytes without a row are garbage.
//   - What Put returned stays readable until it is in a row or has been discarded, for as long as
//     this process lives: the driver holds the file's lock. After a crash the grace of Config
//     covers a COMMIT that was still on its way.
//   - A blob's bytes never change. Moving it is one compare-and-swap of its row.
//   - Damage is never handed out silently: every byte read was checked, or the reader gets an
//     error that is ErrDamaged.
//
// A backup that copies the database first and the segments afterwards is whole if it holds the
// lease LeaseName meanwhile, since nothing is removed without it.
package blob

import (
	"context"
	"io"

	"github.com/postchi/postchi/models"
)

// Ref says where a blob's bytes are. Table blobs alone stores it.
type Ref struct {
	Driver  string // name of the driver that wrote it, as Driver.Name
	Node    int64  // number of the node that wrote it
	Segment string // the file, without folder and suffix; the meaning is the driver's
	Offset  int64  // of the record in the segment, in bytes
	Length  int64  // bytes of the message
}

// Driver keeps blobs in one kind of place. All methods may be called at once. Errors that will
// pass are *models.Error of kind Unavailable with key store.full or store.unavailable.
type Driver interface {
	// Name is what Ref.Driver says for blobs of this driver: a constant lower-case word.
	Name() string

	// Put reads exactly size bytes from r, makes them durable and returns where they are. Many
	// Puts run at once and share their syncs. A source that is shorter or longer than size is
	// an error, and its own errors are returned wrapped. When Put fails nothing is stored
	// that anybody would find. What Put returned is protected from collection until Release.
	Put(ctx context.Context, id models.ID, r io.Reader, size int64) (Ref, error)

	// Release ends the protection of what Put returned: it is in a committed row, or given up.
	Release(id models.ID, ref Ref)

	// Open returns a reader of the blob at ref. It costs constant memory, whatever the size. It
	// is ErrMissing if there is nothing at ref and ErrDamaged if what is there is another blob
	// or unreadable.
	Open(ctx context.Context, id models.ID, ref Ref) (Reader, error)

	// Verify reads the whole and compares it with everything that was stored to check it. Its
	// errors are those of Open.
	Verify(ctx context.Context, id models.ID, ref Ref) error

	// Close gives up all files. Open readers stay usable.
	Close() error
}

// Batcher is a driver that makes several messages durable at a moment of the caller's choice, so
// that they share a sync with certainty and not by chance.
type Batcher interface {
	Driver

	// Prepare reads exactly size bytes from r, as Put does. nil without an error says that a
	// message of this size is to be Put: memory is not the place for it.
	Prepare(ctx context.Context, id models.ID, r io.Reader, size int64) (Pending, error)

	// PutAll makes prepared messages durable, each as Put would, and answers in their order.
	PutAll(all []Pending) []Written
}

// Pending is a message in memory. It is given to PutAll or dropped, once.
type Pending interface{ Drop() }

// Written is the answer of PutAll for one message.
type Written struct {
	Ref Ref
	Err error
}

// Reader reads one blob. ReadAt may be called from several goroutines at once; Read and WriteTo
// share a position and belong to one. All of them check what they read and return an error that
// is ErrDamaged instead of bytes that are not those written.
type Reader interface {
	io.Reader
	io.ReaderAt
	io.WriterTo
	io.Closer
	Size() int64
}

// Segmented is a driver that keeps many blobs in one file, and whose space comes back only when
// a whole file is removed.
type Segmented interface {
	Driver

	// Segments lists what is in the folder, of every node and process, by name.
	Segments(ctx context.Context) ([]Segment, error)

	// RecordSize is what a message of length bytes takes in a segment, in bytes.
	RecordSize(length int64) int64

	// Seal ends the segment if this driver writes to it at the moment and is idle there; the
	// next Put begins another. Any other segment is left as it is.
	Seal(name string)

	// Lock takes a sealed segment for collection or compaction. It is ErrLocked while any
	// process writes to it or holds a blob in it that Put returned and nobody released.
	Lock(name string) (io.Closer, error)

	// Copy writes records, checked, into a segment of its own that no Put shares and makes them
	// durable. The places it returns are in the order of what; one whose source is damaged or
	// missing says so and does not stop the others. Like those of Put they want a Release.
	Copy(ctx context.Context, what []Located) ([]Copied, error)

	// Remove removes a segment that the caller has locked. Readers opened before stay usable.
	Remove(ctx context.Context, name string) error

	// Scan reads a segment from begin to end, checks everything and calls fn for each record
	// and for each stretch that is none, in order; an error of fn ends it and is returned.
	// The last record of a segment that is being written may look torn.
	Scan(ctx context.Context, name string, fn func(Record) error) error
}

// Segment is one file of a Segmented driver.
type Segment struct {
	Name     string // as Ref.Segment
	Node     int64
	Size     int64 // bytes
	Modified models.Micros
}

// Located is a blob and its place.
type Located struct {
	ID  models.ID
	Ref Ref
}

// Copied is the answer of Copy for one blob: the new place, or why there is none.
type Copied struct {
	Ref Ref
	Err error
}

// Record is what Scan found at one place of a segment.
type Record struct {
	ID     models.ID // 0 if the header is unreadable
	Offset int64
	Size   int64 // bytes in the segment until the next record
	Length int64 // bytes of the message
	Made   models.Micros
	SHA256 [32]byte // of the message
	Err    error    // nil, or an ErrDamaged
}
