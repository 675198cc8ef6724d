package smtpd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/postchi/postchi/models"
)

// spoolMemory is how much of a message is held in memory, in bytes.
const spoolMemory = 256 << 10

// spoolPattern names the files.
const spoolPattern = "message-*.spool"

// spool holds a message while it is received: the beginning in memory, the rest in a file. The
// zero value with a dir is ready.
type spool struct {
	dir  string
	mem  []byte
	file *os.File // nil = all is in mem
	rest int64    // bytes in file
}

var spools = sync.Pool{New: func() any { return new(spool) }}

func newSpool(dir string) *spool {
	s := spools.Get().(*spool)
	s.dir = dir
	return s
}

// release removes the file and lets another message use the memory.
func (s *spool) release() {
	if s.file != nil {
		s.file.Close()
	}
	*s = spool{mem: s.mem[:0]}
	spools.Put(s)
}

func (s *spool) size() int64 { return int64(len(s.mem)) + s.rest }

// Write appends. Its errors are those of the file: temporary, with store.full among them.
func (s *spool) Write(p []byte) (int, error) {
	n := 0
	if s.file == nil {
		n = min(len(p), spoolMemory-len(s.mem))
		s.mem = append(s.mem, p[:n]...)
		if n == len(p) {
			return n, nil
		}
		if err := s.open(); err != nil {
			return n, err
		}
	}
	m, err := s.file.Write(p[n:])
	s.rest += int64(m)
	if err != nil {
		return n + m, spoolFailed("write", err)
	}
	return len(p), nil
}

// open makes the file. It is removed from its folder at once: what has no name needs no tidying
// up, whatever happens to this process. Where that is not possible, sweep does it.
func (s *spool) open() error {
	f, err := os.CreateTemp(s.dir, spoolPattern) // 0600
	if err != nil {
		return spoolFailed("create", err)
	}
	os.Remove(f.Name())
	s.file = f
	return nil
}

// spoolFailed makes an error of a spool file temporary, with words of its own for a full disk.
func spoolFailed(doing string, err error) error {
	cause := fmt.Errorf("%s spool file: %w", doing, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &models.Error{Kind: models.Unavailable, Key: "store.full", Msg: "There is no space for the message at the moment.", Err: cause}
	}
	return models.Unavailablef(cause, "The message could not be received, please try again later.")
}

// sweep makes the folder and removes what an earlier process has left in it.
func sweep(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("spool folder: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, spoolPattern))
	if err != nil {
		return fmt.Errorf("spool folder: %w", err)
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("spool folder: %w", err)
		}
	}
	return nil
}

// piece is a stretch of a message: bytes, or a part of a file.
type piece struct {
	mem  []byte
	file io.ReaderAt // if mem is nil
	off  int64       // in file
	n    int64
}

func (p *piece) readAt(b []byte, off int64) (int, error) {
	b = b[:min(int64(len(b)), p.n-off)]
	if p.file == nil {
		return copy(b, p.mem[off:]), nil
	}
	n, err := p.file.ReadAt(b, p.off+off)
	if n == len(b) {
		err = nil
	}
	return n, err
}

// message is a message put together from pieces. It is a delivery.Body.
type message struct {
	pieces []piece
	total  int64
}

func (m *message) add(b []byte) {
	if len(b) > 0 {
		m.pieces = append(m.pieces, piece{mem: b, n: int64(len(b))})
		m.total += int64(len(b))
	}
}

// addFrom appends the bytes of a spool from one offset to another.
func (m *message) addFrom(s *spool, from, to int64) {
	inMem := int64(len(s.mem))
	if from < min(to, inMem) {
		m.add(s.mem[from:min(to, inMem)])
	}
	if from = max(from, inMem); from < to {
		m.pieces = append(m.pieces, piece{file: s.file, off: from - inMem, n: to - from})
		m.total += to - from
	}
}

// Size returns the length in bytes.
func (m *message) Size() int64 { return m.total }

// ReadAt implements io.ReaderAt.
func (m *message) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("smtpd: negative offset")
	}
	for i := range m.pieces {
		p := &m.pieces[i]
		if off >= p.n {
			off -= p.n
			continue
		}
		for off < p.n && n < len(b) {
			k, err := p.readAt(b[n:], off)
			n += k
			off += int64(k)
			if err != nil {
				return n, err
			}
		}
		if n == len(b) {
			return n, nil
		}
		off = 0
	}
	return n, io.EOF
}
