package mailstore

import (
	"context"
	"io"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// Reader reads a message: its prefix and then its blob. ReadAt may be called from several
// goroutines at once; Read and WriteTo share a position and belong to one. What was damaged on
// disk is an error, never other bytes.
type Reader interface {
	io.Reader
	io.ReaderAt
	io.WriterTo
	io.Closer
	Size() int64 // bytes, prefix included
}

// Open returns a reader of a message. It costs the same small memory for every size and keeps
// no query open. An error is Unavailable: what a row names is there, or the store is damaged
// or away; NotFound when the message was expunged and collected meanwhile.
func (s *Store) Open(ctx context.Context, m *Message) (Reader, error) {
	body, err := s.blobs.Open(ctx, m.BlobID)
	if err != nil {
		return nil, err
	}
	return &reader{prefix: m.Prefix, body: body, blobs: s.blobs, blob: m.BlobID}, nil
}

type reader struct {
	prefix []byte
	at     int // bytes of prefix that Read gave out
	body   blob.Reader

	blobs *blob.Blobs // is told of damage
	blob  models.ID
}

// noticed passes on what body returned.
func (r *reader) noticed(n int, err error) (int, error) {
	if err != nil {
		r.blobs.Notice(r.blob, err)
	}
	return n, err
}

func (r *reader) Size() int64 { return int64(len(r.prefix)) + r.body.Size() }

func (r *reader) Close() error { return r.body.Close() }

func (r *reader) Read(p []byte) (int, error) {
	if r.at < len(r.prefix) {
		n := copy(p, r.prefix[r.at:])
		r.at += n
		return n, nil
	}
	return r.noticed(r.body.Read(p))
}

func (r *reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	if r.at < len(r.prefix) {
		n, err := w.Write(r.prefix[r.at:])
		r.at += n
		total = int64(n)
		if err != nil {
			return total, err
		}
	}
	n, err := r.body.WriteTo(w)
	if err != nil {
		r.blobs.Notice(r.blob, err)
	}
	return total + n, err
}

func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	head := int64(len(r.prefix))
	if off >= head {
		return r.noticed(r.body.ReadAt(p, off-head))
	}
	n := copy(p, r.prefix[off:])
	if n == len(p) {
		return n, nil
	}
	m, err := r.noticed(r.body.ReadAt(p[n:], 0))
	return n + m, err
}
