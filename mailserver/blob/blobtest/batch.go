package blobtest

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
)

// batches holds a driver to the contract of blob.Batcher, if it is one.
func batches(t *testing.T, open Opener) {
	dir := t.TempDir()
	d, ok := open(t, dir).(blob.Batcher)
	if !ok {
		t.Skip("the driver makes no batches")
	}
	var all []blob.Located
	var batch []blob.Pending
	for round := range 12 { // more bytes together than one batch of any driver
		for i, size := range sizes {
			l := blob.Located{ID: models.ID(round*100 + i + 1)}
			p, err := d.Prepare(t.Context(), l.ID, Message(l.ID, size), size)
			switch {
			case err != nil:
				t.Fatal(err)
			case p == nil:
			case i%3 == 2:
				p.Drop() // its memory is free again, or Prepare would wait for ever
			case size > 100_000 && round > 3:
				p.Drop()
			default:
				all, batch = append(all, l), append(batch, p)
			}
		}
	}
	for i, w := range d.PutAll(batch) {
		if w.Err != nil {
			t.Fatal(w.Err)
		}
		all[i].Ref = w.Ref
	}
	if got := d.PutAll(nil); len(got) != 0 {
		t.Error("answers to nothing")
	}
	readAll(t, d, all)
	badBatch(t, d)
	p, err := d.Prepare(t.Context(), 9000, Message(9000, 10), 10)
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	d.Close()
	unavailable(t, d.PutAll([]blob.Pending{p})[0].Err, "store.unavailable")
	again := open(t, dir)
	defer again.Close()
	readAll(t, again, all)
}

func badBatch(t *testing.T, d blob.Batcher) {
	bad := errors.New("bad source")
	if _, err := d.Prepare(t.Context(), 8000, iotest.ErrReader(bad), 10); !errors.Is(err, bad) {
		t.Errorf("source fails: %v", err)
	}
	for _, length := range []int{9, 11} {
		if p, err := d.Prepare(t.Context(), 8001, bytes.NewReader(make([]byte, length)), 10); err == nil || p != nil {
			t.Errorf("%d bytes for 10: %v", length, err)
		}
	}
	if p, err := d.Prepare(t.Context(), 8002, bytes.NewReader(nil), -1); err != nil || p != nil {
		t.Errorf("a size that is Put's to refuse: %v %v", p, err)
	}
}
