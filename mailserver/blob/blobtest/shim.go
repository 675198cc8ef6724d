package blobtest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/postchi/postchi/mailserver/blob"
)

// OpKind says what an operation of a Shim did.
type OpKind int

// The kinds of operations. Reading is not among them.
const (
	OpMkdir OpKind = iota
	OpCreate
	OpWrite
	OpSync
	OpSyncDir
	OpRemove
)

var opNames = [...]string{"mkdir", "create", "write", "sync", "syncdir", "remove"}

// String returns the name of the system call, nearly.
func (k OpKind) String() string { return opNames[k] }

// Op is one operation that changes a folder. Changes are logged when they begin and syncs when
// they have succeeded, so that a cut between two entries never believes in a sync under way.
type Op struct {
	Kind OpKind
	Name string // path of the file or folder
	Off  int64  // of a write
	Data []byte // of a write, if the log is kept
}

// Shim is a blob.FS that logs, counts and fails what another one does. The zero value but for FS
// passes everything on. Safe for concurrent use; set the fields before.
type Shim struct {
	FS   blob.FS
	Keep bool // keep the log with all data, for Replay

	// Fail is called before each operation with its number, from 1; an error is returned
	// instead of doing it. Of a write that fails the first half is done: a full disk and a
	// dying one do that.
	Fail func(n int, op Op) error

	mu  sync.Mutex
	n   int
	log []Op
}

// Count returns how many operations there were.
func (s *Shim) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Len returns the length of the log: what was acknowledged now is durable at this cut.
func (s *Shim) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.log)
}

// Log returns the operations so far.
func (s *Shim) Log() []Op {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log[:len(s.log):len(s.log)]
}

func (s *Shim) before(op Op) error {
	s.mu.Lock()
	s.n++
	n := s.n
	s.mu.Unlock()
	if s.Fail != nil {
		if err := s.Fail(n, op); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shim) keep(op Op) {
	if !s.Keep {
		return
	}
	op.Data = append([]byte(nil), op.Data...)
	s.mu.Lock()
	s.log = append(s.log, op)
	s.mu.Unlock()
}

// change logs op and does it; sync does it and then logs it.
func (s *Shim) change(op Op, do func() error) error {
	if err := s.before(op); err != nil {
		return err
	}
	s.keep(op)
	return do()
}

func (s *Shim) sync(op Op, do func() error) error {
	err := s.before(op)
	if err == nil {
		err = do()
	}
	if err == nil {
		s.keep(op)
	}
	return err
}

// MkdirAll implements blob.FS.
func (s *Shim) MkdirAll(dir string) error {
	return s.change(Op{Kind: OpMkdir, Name: dir}, func() error { return s.FS.MkdirAll(dir) })
}

// Create implements blob.FS.
func (s *Shim) Create(name string) (f blob.File, err error) {
	err = s.change(Op{Kind: OpCreate, Name: name}, func() error {
		f, err = s.FS.Create(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &shimFile{File: f, s: s, name: name}, nil
}

// Open implements blob.FS.
func (s *Shim) Open(name string) (blob.File, error) { return s.FS.Open(name) }

// Lock implements blob.FS.
func (s *Shim) Lock(name string) (io.Closer, error) { return s.FS.Lock(name) }

// Remove implements blob.FS.
func (s *Shim) Remove(name string) error {
	return s.change(Op{Kind: OpRemove, Name: name}, func() error { return s.FS.Remove(name) })
}

// List implements blob.FS.
func (s *Shim) List(dir string) ([]blob.FileInfo, error) { return s.FS.List(dir) }

// SyncDir implements blob.FS.
func (s *Shim) SyncDir(dir string) error {
	return s.sync(Op{Kind: OpSyncDir, Name: dir}, func() error { return s.FS.SyncDir(dir) })
}

// Free implements blob.FS.
func (s *Shim) Free(dir string) (int64, error) { return s.FS.Free(dir) }

type shimFile struct {
	blob.File
	s    *Shim
	name string
}

// WriteAt implements blob.File.
func (f *shimFile) WriteAt(b []byte, off int64) (n int, err error) {
	op := Op{Kind: OpWrite, Name: f.name, Off: off, Data: b}
	if err := f.s.before(op); err != nil {
		op.Data = b[:len(b)/2]
		f.s.keep(op)
		n, _ := f.File.WriteAt(op.Data, off)
		return n, err
	}
	f.s.keep(op)
	return f.File.WriteAt(b, off)
}

// Sync implements blob.File.
func (f *shimFile) Sync() error {
	return f.s.sync(Op{Kind: OpSync, Name: f.name}, f.File.Sync)
}

// Replay writes into the folder to what a disk may hold of the folder from if the power fails
// right after the operations ops: everything that was synced, and of each other change what kept
// says: how much of a write (0 to len(op.Data)), and whether (not 0) a name that was made is
// there, or one that was removed is gone. Only files directly in from are written.
func Replay(ops []Op, from, to string, kept func(op Op) int) error {
	files := map[string]*replayed{}
	for i, op := range ops {
		if filepath.Dir(op.Name) != filepath.Clean(from) {
			continue
		}
		rest := ops[i+1:]
		switch op.Kind {
		case OpCreate:
			if synced(rest, OpSyncDir, from) || kept(op) > 0 {
				files[op.Name] = &replayed{}
			}
		case OpWrite:
			f := files[op.Name]
			if f == nil {
				continue
			}
			n := len(op.Data)
			if !synced(rest, OpSync, op.Name) {
				n = kept(op)
			}
			f.write(op.Data[:n], op.Off)
		case OpRemove:
			if synced(rest, OpSyncDir, from) || kept(op) > 0 {
				delete(files, op.Name)
			}
		}
	}
	for name, f := range files {
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), f.b, 0o600); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
	}
	return nil
}

func synced(ops []Op, kind OpKind, name string) bool {
	for _, op := range ops {
		if op.Kind == kind && filepath.Clean(op.Name) == filepath.Clean(name) {
			return true
		}
	}
	return false
}

type replayed struct{ b []byte }

func (f *replayed) write(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	if end := int(off) + len(p); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	copy(f.b[off:], p)
}
