package seg_test

import (
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
)

func open(t testing.TB, dir string, fs blob.FS) *seg.Driver {
	t.Helper()
	d, err := seg.Open(seg.Config{Dir: dir, Node: 3, FS: fs, SegmentSize: 1 << 20, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDriver(t *testing.T) {
	blobtest.Run(t, func(t testing.TB, dir string) blob.Driver { return open(t, dir, nil) })
}

func TestSegmented(t *testing.T) {
	blobtest.RunSegmented(t, func(t testing.TB, dir string, fs blob.FS) blob.Segmented { return open(t, dir, fs) })
}
