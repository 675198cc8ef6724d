package seg

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/postchi/postchi/mailserver/blob"
)

// lane is a place to write: one writer at a time, one segment at a time.
type lane struct {
	d       *Driver
	minFree int64 // bytes to leave free, negative does not look

	mu     sync.Mutex // held while writing
	cur    *segment   // nil until there is something to write
	buf    []byte     // the records of a batch, joined
	closed bool
}

// write appends a batch, makes it durable and answers all requests in it.
func (l *lane) write(batch []*request) {
	l.mu.Lock()
	refs, err := l.append(batch)
	l.mu.Unlock()
	for i, q := range batch {
		var ref blob.Ref
		if err == nil {
			ref = refs[i]
		}
		q.answer(ref, err)
		q.free()
	}
}

func (l *lane) append(batch []*request) ([]blob.Ref, error) {
	var total int64
	for _, q := range batch {
		total += int64(len(q.buf.b))
	}
	s, err := l.room(total)
	if err != nil {
		return nil, err
	}
	refs := make([]blob.Ref, len(batch))
	off := s.size
	for i, q := range batch {
		q.head.salt = s.salt
		q.head.put(q.buf.b)
		refs[i] = l.d.ref(s, off, q.head.length)
		off += int64(len(q.buf.b))
	}
	if _, err = s.file.WriteAt(l.join(batch), s.size); err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return nil, l.fail("append to segment", err)
	}
	s.size = off
	for _, q := range batch {
		l.d.pin(s, q.head.id)
	}
	return refs, nil
}

// join makes one piece of the batch; a single record needs no copy.
func (l *lane) join(batch []*request) []byte {
	if len(batch) == 1 {
		return batch[0].buf.b
	}
	l.buf = l.buf[:0]
	for _, q := range batch {
		l.buf = append(l.buf, q.buf.b...)
	}
	return l.buf
}

// room returns the segment for the next n bytes and begins one if need be.
func (l *lane) room(n int64) (*segment, error) {
	if l.closed {
		return nil, errClosed
	}
	if err := l.d.checkFree(n, l.minFree); err != nil {
		return nil, err
	}
	if l.cur != nil && l.cur.size > 0 && l.cur.size+n > l.d.cfg.SegmentSize {
		l.d.seal(l.cur)
		l.cur = nil
	}
	if l.cur == nil {
		s, err := l.d.begin()
		if err != nil {
			return nil, err
		}
		l.cur = s
	}
	return l.cur, nil
}

// fail seals the segment after a failed write or sync. One without any message that was
// answered for goes at once: a full disk must not fill with empty files.
func (l *lane) fail(doing string, cause error) error {
	s := l.cur
	l.cur = nil
	l.d.cfg.Log.Error("segment sealed after a failed write", "segment", s.name, "size", s.size, "err", cause)
	l.d.seal(s)
	if s.size == 0 {
		if err := l.d.cfg.FS.Remove(l.d.path(s.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.d.cfg.Log.Warn("empty segment not removed", "segment", s.name, "err", err)
		}
	}
	return blob.Failed(doing, cause)
}

func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.cur != nil {
		l.d.seal(l.cur)
		l.cur = nil
	}
}
