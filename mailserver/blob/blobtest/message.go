package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// Message reads a message of size bytes that nobody has to keep: the id decides its content.
func Message(id models.ID, size int64) io.Reader { return &message{id: uint64(id), size: uint64(size)} }

type message struct{ id, off, size uint64 }

func (m *message) Read(b []byte) (int, error) {
	if m.off == m.size {
		return 0, io.EOF
	}
	var part [512]byte // which the race detector need not watch
	n := min(uint64(len(b)), m.size-m.off)
	for done := uint64(0); done < n; {
		x := (m.off + m.id<<20) * 0x9e3779b97f4a7c15
		for i := range part {
			part[i] = byte(x >> 56)
			x += 0x9e3779b97f4a7c15
		}
		some := uint64(copy(b[done:n], part[:]))
		done, m.off = done+some, m.off+some
	}
	return int(n), nil
}

// Bytes is all of Message.
func Bytes(id models.ID, size int64) []byte {
	b, _ := io.ReadAll(Message(id, size))
	return b
}

// Check reads all of r, closes it and compares it with Message.
func Check(r blob.Reader, id models.ID, size int64) error {
	err := compare(r, id, size)
	return errors.Join(err, r.Close())
}

func compare(r blob.Reader, id models.ID, size int64) error {
	if r.Size() != size {
		return errors.New("wrong size")
	}
	w := &comparer{want: Message(id, size)}
	if n, err := r.WriteTo(w); err != nil || n != size {
		return errors.Join(err, w.err)
	}
	return w.err
}

// comparer is a writer that compares in constant memory.
type comparer struct {
	want io.Reader
	buf  [4096]byte
	err  error
}

func (c *comparer) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		part := c.buf[:min(len(c.buf), len(b)-done)]
		if _, err := io.ReadFull(c.want, part); err != nil || !bytes.Equal(part, b[done:done+len(part)]) {
			c.err = errors.New("other bytes than were put")
			return done, c.err
		}
		done += len(part)
	}
	return len(b), nil
}

// put stores a Message and fails the test if that fails.
func put(t testing.TB, d blob.Driver, id models.ID, size int64) blob.Located {
	t.Helper()
	ref, err := d.Put(context.Background(), id, Message(id, size), size)
	if err != nil {
		t.Fatalf("put blob %d of %d bytes: %v", id, size, err)
	}
	return blob.Located{ID: id, Ref: ref}
}

// read opens and checks a blob.
func read(d blob.Driver, l blob.Located) error {
	r, err := d.Open(context.Background(), l.ID, l.Ref)
	if err != nil {
		return err
	}
	return Check(r, l.ID, l.Ref.Length)
}

func readAll(t testing.TB, d blob.Driver, all []blob.Located) {
	t.Helper()
	for _, l := range all {
		if err := read(d, l); err != nil {
			t.Errorf("read blob %d of %d bytes: %v", l.ID, l.Ref.Length, err)
		}
	}
}

// unavailable checks that err is what a client may be told to try again after.
func unavailable(t testing.TB, err error, key string) {
	t.Helper()
	var e *models.Error
	if !errors.As(err, &e) || e.Kind != models.Unavailable || key != "" && e.Key != key {
		t.Errorf("error %v, want one of kind unavailable, key %q", err, key)
	}
}
