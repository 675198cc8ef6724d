package seg

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/postchi/postchi/mailserver/blob"
)

// Scan implements blob.Segmented.
func (d *Driver) Scan(ctx context.Context, name string, fn func(blob.Record) error) error {
	h, err := d.open(name)
	if err != nil {
		return err
	}
	defer d.files.release(h)
	size, err := h.file.Size()
	if err != nil {
		return blob.Failed("scan segment", err)
	}
	salt, _ := saltOf(name)
	return scan(ctx, h.file, size, salt, fn)
}

// scanner walks over a segment. After a header that is none it looks for the next that is: magic
// and salt, and then the header's own checksum.
type scanner struct {
	r    io.ReaderAt
	size int64
	salt uint64
	buf  []byte
}

func scan(ctx context.Context, r io.ReaderAt, size int64, salt uint64, fn func(blob.Record) error) error {
	buf := getBuffer(chunk)
	defer buf.free()
	s := &scanner{r: r, size: size, salt: salt, buf: buf.b}
	for off := int64(0); off < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec := s.at(off)
		if err := fn(rec); err != nil {
			return err
		}
		off += rec.Size
	}
	return nil
}

// at returns what is at off: a record, or the stretch up to the next one.
func (s *scanner) at(off int64) blob.Record {
	rec := blob.Record{Offset: off}
	h, ok := s.header(off)
	if !ok {
		rec.Size = s.find(off+1) - off
		rec.Err = blob.Damaged("%d bytes at %d are no record", rec.Size, off)
		return rec
	}
	rec.ID, rec.Length, rec.Made, rec.SHA256 = h.id, h.length, h.made, h.sum
	rec.Size = recordSize(h.length)
	if rec.Size > s.size-off {
		rec.Size = s.find(off+headerSize) - off
		rec.Err = blob.Damaged("blob %d at %d is torn", h.id, off)
		return rec
	}
	if reason := s.verify(off+headerSize, &h); reason != "" {
		rec.Err = blob.Damaged("blob %d at %d: %s", h.id, off, reason)
	}
	return rec
}

func (s *scanner) header(off int64) (header, bool) {
	var b [headerSize]byte
	if s.size-off < headerSize || !s.fill(b[:], off) {
		return header{}, false
	}
	return parseHeader(b[:], s.salt)
}

// fill reads all of b; a part of the disk that cannot be read is damage like any other.
func (s *scanner) fill(b []byte, off int64) bool {
	n, _ := s.r.ReadAt(b, off)
	return n == len(b)
}

// find returns the offset of the next header at or behind off, or the size.
func (s *scanner) find(off int64) int64 {
	var want [16]byte
	copy(want[:], magic[:])
	binary.LittleEndian.PutUint64(want[8:], s.salt)
	for off < s.size {
		b := s.buf[:min(int64(len(s.buf)), s.size-off)]
		n, err := s.r.ReadAt(b, off)
		if n == 0 && !errors.Is(err, io.EOF) {
			n = int(min(4096, int64(len(b)))) // unreadable: step over a page of it
			clear(b[:n])
		}
		if n < len(want) {
			return s.size
		}
		if at := s.match(b[:n], want[:], off); at >= 0 {
			return at
		}
		off += int64(n - len(want) + 1)
	}
	return s.size
}

// match returns the offset of the first header in b, which was read at off, or -1.
func (s *scanner) match(b, want []byte, off int64) int64 {
	for start := 0; ; start++ {
		i := bytes.Index(b[start:], want)
		if i < 0 {
			return -1
		}
		start += i
		if _, ok := s.header(off + int64(start)); ok {
			return off + int64(start)
		}
	}
}

// verify says what is wrong with the body at off, nothing if it is sound.
func (s *scanner) verify(off int64, h *header) string {
	sum, crc, table := sha256.New(), uint32(0), uint32(0)
	for done := int64(0); done < h.length; {
		b := s.buf[:min(blockSize, h.length-done)]
		if !s.fill(b, off+done) {
			return "unreadable"
		}
		sum.Write(b)
		crc = crc32.Checksum(b, castagnoli)
		table = crc32.Update(table, castagnoli, binary.LittleEndian.AppendUint32(nil, crc))
		done += int64(len(b))
	}
	if h.length > blockSize {
		crc = table
	}
	if crc != h.crc {
		return "bad CRC"
	}
	if h.flags&flagSHA != 0 && !bytes.Equal(sum.Sum(nil), h.sum[:]) {
		return "bad SHA-256"
	}
	return s.verifyTable(off+h.length, h)
}

// verifyTable reads the stored table: readers rely on it, so damage to it is damage to the blob.
func (s *scanner) verifyTable(off int64, h *header) string {
	var crc uint32
	for left := tableSize(h.length); left > 0; {
		b := s.buf[:min(int64(len(s.buf)), left)]
		if !s.fill(b, off) {
			return "unreadable table"
		}
		crc = crc32.Update(crc, castagnoli, b)
		off, left = off+int64(len(b)), left-int64(len(b))
	}
	if h.length > blockSize && crc != h.crc {
		return "bad table"
	}
	return ""
}
