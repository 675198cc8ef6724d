package seg

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// Open implements blob.Driver. It reads the header and the first block at once; a message of one
// block, which is nearly all of them, needs no other read and is checked here already.
func (d *Driver) Open(ctx context.Context, id models.ID, ref blob.Ref) (blob.Reader, error) {
	r, err := d.openReader(ctx, id, ref)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (d *Driver) openReader(ctx context.Context, id models.ID, ref blob.Ref) (*reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := d.open(ref.Segment)
	if err != nil {
		return nil, err
	}
	r := &reader{d: d, h: h, id: id, ref: ref, size: ref.Length, block: -1}
	if err := r.begin(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Verify implements blob.Driver.
func (d *Driver) Verify(ctx context.Context, id models.ID, ref blob.Ref) error {
	r, err := d.openReader(ctx, id, ref)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := r.WriteTo(sum); err != nil {
		return err
	}
	if r.head.flags&flagSHA != 0 && !bytes.Equal(sum.Sum(nil), r.head.sum[:]) {
		return r.damaged("bad SHA-256")
	}
	return nil
}

// reader reads one record, a block at a time, and checks each block. It holds one block in
// memory, and four bytes for each block if there is more than one.
type reader struct {
	d    *Driver
	h    *handle
	id   models.ID
	ref  blob.Ref
	size int64
	head header
	pos  int64 // of Read and WriteTo

	mu    sync.Mutex
	buf   *buffer // nil when closed
	table []byte  // CRC32C of each block
	block int64   // which block buf holds; -1 is none
	body  []byte  // that block
}

func (r *reader) begin() error {
	if r.size < 0 || r.size > maxLength || r.ref.Offset < 0 {
		return r.damaged("impossible place")
	}
	r.buf = getBuffer(headerSize + blockSize)
	b := r.buf.b[:headerSize+min(r.size, blockSize)]
	if err := r.read(b, r.ref.Offset); err != nil {
		return err
	}
	salt, _ := saltOf(r.ref.Segment)
	head, ok := parseHeader(b, salt)
	if !ok {
		return r.damaged("bad header")
	}
	if head.id != r.id || head.length != r.size {
		return r.damaged("the record there is blob %d of %d bytes", head.id, head.length)
	}
	r.head = head
	if err := r.loadTable(head.crc); err != nil {
		return err
	}
	return r.keep(0, b[headerSize:])
}

// loadTable reads and checks the table of a record of several blocks and makes one for others.
func (r *reader) loadTable(crc uint32) error {
	if r.size <= blockSize {
		r.table = binary.LittleEndian.AppendUint32(nil, crc)
		return nil
	}
	r.table = make([]byte, tableSize(r.size))
	if err := r.read(r.table, r.ref.Offset+headerSize+r.size); err != nil {
		return err
	}
	if crc32.Checksum(r.table, castagnoli) != crc {
		return r.damaged("bad table")
	}
	return nil
}

// keep makes b, a part of buf, the block at hand if it is sound.
func (r *reader) keep(block int64, b []byte) error {
	r.block = -1
	if crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(r.table[4*block:]) {
		return r.damaged("bad CRC in block %d", block)
	}
	r.block, r.body = block, b
	return nil
}

// load makes block the one at hand.
func (r *reader) load(block int64) error {
	if r.buf == nil {
		return os.ErrClosed
	}
	if r.block == block {
		return nil
	}
	start := block * blockSize
	b := r.buf.b[:min(blockSize, r.size-start)]
	r.block = -1
	if err := r.read(b, r.ref.Offset+headerSize+start); err != nil {
		return err
	}
	return r.keep(block, b)
}

// read fills b from the segment. A segment that ends too early is damage, too.
func (r *reader) read(b []byte, off int64) error {
	n, err := r.h.file.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF):
		return r.damaged("segment ends within it")
	}
	return blob.Failed("read segment "+r.ref.Segment, err)
}

func (r *reader) damaged(format string, args ...any) error {
	return blob.Damaged("blob %d at %s:%d: %s", r.id, r.ref.Segment, r.ref.Offset, fmt.Sprintf(format, args...))
}

// Size returns the length of the message in bytes.
func (r *reader) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read blob %d: negative offset", r.id)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	done := 0
	for done < len(p) && off < r.size {
		if err := r.load(off / blockSize); err != nil {
			return done, err
		}
		n := copy(p[done:], r.body[off%blockSize:])
		done, off = done+n, off+int64(n)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.ReadAt(p, r.pos)
	r.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// WriteTo implements io.WriterTo. No lock is held while w writes.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	buf := getBuffer(blockSize)
	defer buf.free()
	var total int64
	for r.pos < r.size {
		n, err := r.ReadAt(buf.b[:min(blockSize-r.pos%blockSize, r.size-r.pos)], r.pos)
		if err != nil {
			return total, err
		}
		n, err = w.Write(buf.b[:n])
		total, r.pos = total+int64(n), r.pos+int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Close gives the segment back. A second call does nothing.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf != nil {
		r.buf.free()
		r.buf, r.body, r.block = nil, nil, -1
	}
	if r.h != nil {
		r.d.files.release(r.h)
		r.h = nil
	}
	return nil
}
