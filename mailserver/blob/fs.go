package blob

import (
	"io"
	"time"
)

// FS is every file operation of the segment driver, so that a test can log, fail or drop each.
// Errors are those of package os: fs.ErrNotExist, fs.ErrExist, syscall.ENOSPC.
type FS interface {
	// MkdirAll makes the folder and those above it, 0700, durably.
	MkdirAll(dir string) error

	// Create makes a file that must not exist, 0600, locked by the returned File until it is
	// closed. The name is durable after SyncDir only. It is ErrLocked, and the file is gone, if
	// another process was quicker to lock it.
	Create(name string) (File, error)

	// Open opens a file for reading.
	Open(name string) (File, error)

	// Lock takes the lock of an existing file; it is ErrLocked if any process has it, this one
	// included.
	Lock(name string) (io.Closer, error)

	// Remove removes a file.
	Remove(name string) error

	// List returns the files of a folder in order of their names.
	List(dir string) ([]FileInfo, error)

	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error

	// Free returns the bytes that can still be written below dir by this user.
	Free(dir string) (int64, error)
}

// File is an open file. WriteAt and Sync are of those made by Create alone.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)

	// Sync makes the bytes and the length durable; it is fdatasync where there is one.
	Sync() error
}

// FileInfo is one file of a folder.
type FileInfo struct {
	Name     string // without the folder
	Size     int64  // bytes
	Modified time.Time
}
