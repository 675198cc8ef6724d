package seg

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

const (
	// chunk is what a large message is copied by, a whole number of blocks.
	chunk = 8 * blockSize

	// syncEvery bounds the dirty pages of a large message, in bytes: on ext4 the fdatasync of
	// a small one would wait for them.
	syncEvery = 8 << 20
)

// stream appends a message in constant memory. Its header is written last, so that nothing of it
// is a record until all of it was written. If the source fails its space is used again.
func (l *lane) stream(ctx context.Context, id models.ID, r io.Reader, size int64) (blob.Ref, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.room(recordSize(size))
	if err != nil {
		return blob.Ref{}, err
	}
	h := header{salt: s.salt, id: id, length: size, made: models.At(l.d.cfg.Now()), flags: flagSHA}
	table, err := l.body(ctx, s, r, &h)
	if err != nil {
		return blob.Ref{}, err
	}
	if err := l.finish(s, &h, table); err != nil {
		return blob.Ref{}, l.fail("append to segment", err)
	}
	ref := l.d.ref(s, s.size, size)
	s.size += recordSize(size)
	l.d.pin(s, id)
	return ref, nil
}

// body copies the message behind the place of the header and returns the table of its blocks.
func (l *lane) body(ctx context.Context, s *segment, r io.Reader, h *header) ([]byte, error) {
	buf := getBuffer(chunk)
	defer buf.free()
	sum := sha256.New()
	table := make([]byte, 0, tableSize(h.length))
	var unsynced int64
	for done := int64(0); done < h.length; {
		b := buf.b[:min(chunk, h.length-done)]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if n, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("read message: %d of %d bytes: %w", done+int64(n), h.length, unexpected(err))
		}
		sum.Write(b)
		table = appendSums(table, b)
		if _, err := s.file.WriteAt(b, s.size+headerSize+done); err != nil {
			return nil, l.fail("append to segment", err)
		}
		done += int64(len(b))
		if unsynced += int64(len(b)); unsynced >= syncEvery {
			unsynced = 0
			if err := s.file.Sync(); err != nil {
				return nil, l.fail("append to segment", err)
			}
		}
	}
	sum.Sum(h.sum[:0])
	return table, readEnd(r)
}

// finish writes the table and the header and makes the record durable.
func (l *lane) finish(s *segment, h *header, table []byte) error {
	h.crc = crc32.Checksum(table, castagnoli)
	if _, err := s.file.WriteAt(table, s.size+headerSize+h.length); err != nil {
		return err
	}
	var head [headerSize]byte
	h.put(head[:])
	if _, err := s.file.WriteAt(head[:], s.size); err != nil {
		return err
	}
	return s.file.Sync()
}
