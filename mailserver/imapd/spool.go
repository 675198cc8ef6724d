package imapd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/postchi/postchi/models"
)

// spoolMemory is the size in bytes up to which a message is held in memory while it is
// received; a larger one goes to a file.
const spoolMemory = 256 << 10

// letter is a message that a client has sent.
type letter interface {
	io.ReaderAt
	io.Closer
}

// inMemory is a small one.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// receive reads size bytes of a literal. An error that is a *models.Error came after all of
// them were read, others are of the connection.
func receive(r io.Reader, size int64, dir string) (letter, error) {
	if size <= spoolMemory {
		b := make([]byte, size)
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, endSession{err}
		}
		return inMemory{bytes.NewReader(b)}, nil
	}
	f, err := os.CreateTemp(dir, "append-*.spool") // 0600
	if err != nil {
		return nil, discard(r, size, spoolFailed("create", err))
	}
	os.Remove(f.Name()) // what has no name needs no tidying up
	var piece [32 << 10]byte
	for left := size; left > 0; {
		n, err := r.Read(piece[:min(left, int64(len(piece)))])
		if n > 0 {
			left -= int64(n)
			if _, failed := f.Write(piece[:n]); failed != nil {
				f.Close()
				return nil, discard(r, left, spoolFailed("write", failed))
			}
		}
		if err != nil && left > 0 {
			f.Close()
			return nil, endSession{err}
		}
	}
	return f, nil
}

// discard reads the rest of a literal that cannot be kept, so that the connection goes on.
func discard(r io.Reader, left int64, err error) error {
	if _, gone := io.CopyN(io.Discard, r, left); gone != nil {
		return endSession{gone}
	}
	return err
}

// spoolFailed makes an error of a spool file temporary, with words of its own for a full disk.
func spoolFailed(doing string, err error) error {
	cause := fmt.Errorf("%s spool file: %w", doing, err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &models.Error{Kind: models.Unavailable, Key: "store.full", Msg: "There is no space for the message at the moment.", Err: cause}
	}
	return models.Unavailablef(cause, "The message could not be received, please try again later.")
}

// hasNUL reports whether a message has a byte that no literal but literal8 may hold.
func hasNUL(l io.ReaderAt, size int64) (bool, error) {
	var piece [32 << 10]byte
	r := io.NewSectionReader(l, 0, size)
	for {
		n, err := r.Read(piece[:])
		if bytes.IndexByte(piece[:n], 0) >= 0 {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
