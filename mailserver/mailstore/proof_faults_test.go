package mailstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// TestFailingWrites fails the Nth operation on segments of a run, for every N in the long form:
// the arrival it hits is refused for the moment, the next one finds another segment, and nothing
// that was acknowledged is lost.
func TestFailingWrites(t *testing.T) {
	t.Parallel()
	step := 5
	if dbtest.Long() {
		step = 1
	}
	config := dbtest.SQLite(t)
	var mailbox models.ID
	t.Run("before", func(t *testing.T) { mailbox = mailstoretest.Seg(t, config).Mailbox(t) })
	kept := map[models.ID]int{} // number by blob
	runs, hit := 0, map[string]int{}
	for n := 2; ; n += step { // the first makes the folder
		var failed blobtest.Op
		var did bool
		if !t.Run(fmt.Sprint(n), func(t *testing.T) { failed, did = failingRun(t, config, mailbox, n, kept) }) {
			return
		}
		if !did {
			break
		}
		runs++
		hit[failed.Kind.String()]++
	}
	t.Logf("%d runs with a failure, by operation: %v; %d messages acknowledged", runs, hit, len(kept))
	in := mailstoretest.Seg(t, config)
	checkKept(t, in, mailbox, kept)
	exactStore(t, in, mailbox)
}

// failingRun delivers with operation n failing, and says what that was, if it came to it.
func failingRun(t *testing.T, config db.Config, mailbox models.ID, n int, kept map[models.ID]int) (op blobtest.Op, did bool) {
	var failed atomic.Pointer[blobtest.Op]
	c := smallSegments
	c.FS = &blobtest.Shim{FS: blob.OS{}, Fail: func(i int, op blobtest.Op) error {
		if i != n {
			return nil
		}
		op.Data = nil
		failed.Store(&op)
		return &os.PathError{Op: op.Kind.String(), Path: op.Name, Err: []error{syscall.EIO, syscall.ENOSPC}[n%2]}
	}}
	in := mailstoretest.SegWith(t, config, c)
	refused := 0
	for i := range 14 {
		before := failed.Load() != nil
		size := 1000 + i*3000 // small ones, streamed ones, several segments
		a, id, err := arrive(in, i, size, i%3 > 0)
		if err == nil {
			a.Targets = []mailstore.Target{{Mailbox: mailbox}}
			err = in.Store.Deliver(t.Context(), a)
		}
		switch {
		case err == nil:
			kept[id] = i
		case !models.Is(err, models.Unavailable):
			t.Errorf("message %d: %v, want Unavailable", i, err)
		case before:
			t.Errorf("message %d was refused after the failure was over: %v", i, err)
		default:
			refused++
		}
	}
	if refused > 1 {
		t.Errorf("one failure refused %d messages", refused)
	}
	if op := failed.Load(); op != nil {
		return *op, true
	}
	return op, false
}

// checkKept checks that the messages there are those that were acknowledged, whole.
func checkKept(t *testing.T, in *mailstoretest.Instance, mailbox models.ID, kept map[models.ID]int) {
	t.Helper()
	f, err := in.Store.Folder(t.Context(), mailbox, mailstore.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	all, err := in.Store.Messages(t.Context(), f.ID, 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		i, ok := kept[m.BlobID]
		if !ok {
			t.Errorf("blob %d was refused and is there", m.BlobID)
			continue
		}
		delete(kept, m.BlobID)
		if got := readMessage(t, in, &m); !bytes.Equal(got, mailstoretest.Message(i, 1000+i*3000)) {
			t.Errorf("blob %d is not as it was sent", m.BlobID)
		}
	}
	for id := range kept {
		t.Errorf("blob %d was acknowledged and is lost", id)
	}
}

// TestFailingCalls has the kernel refuse system calls of a process that delivers, appends,
// expunges, checkpoints and compacts: those on the database as well as those on segments. What
// the process said of each message must be true of what it leaves.
func TestFailingCalls(t *testing.T) {
	t.Parallel()
	first, most := 9, 9
	if dbtest.Long() {
		first, most = 1, 40
	}
	said := map[string]int{}
	for n := first; n <= most; n++ {
		for i, fault := range []string{
			fmt.Sprintf("fsync:error=EIO:when=%d", n),
			fmt.Sprintf("fdatasync:error=EIO:when=%d", n),
			fmt.Sprintf("pwrite64,fsync,fdatasync:error=ENOSPC:when=%d..%d", 4*n, 4*n+20),
			fmt.Sprintf("pwrite64:error=ENOSPC:when=%d", 10*n),
			fmt.Sprintf("pwrite64:error=EIO:when=%d+%d", 10*n, 37+n),
		} {
			if i > 2 && !dbtest.Long() {
				break
			}
			t.Run(fault, func(t *testing.T) { failingCalls(t, fault, said) })
		}
	}
	t.Logf("%v", said)
	if said["ack"] == 0 || said["refused"] == 0 {
		t.Error("nothing was acknowledged, or nothing failed")
	}
}

func failingCalls(t *testing.T, fault string, said map[string]int) {
	config, _ := powerBase(t)
	out, err := child(t, config, 8, "-f", "-q", "-o", filepath.Join(t.TempDir(), "trace"), "--signal=none", "-s", "0", "-e", "trace=pwrite64,fsync,fdatasync", "-e", "inject="+fault)
	if err != nil && !strings.Contains(string(out), "Unavailable") {
		t.Logf("the process ended: %v\n%.2000s", err, out) // it could not even open the store
	}
	promised, refused := map[models.ID][2]int{}, map[models.ID]bool{}
	for line := range strings.Lines(string(out)) {
		s := statement{text: strings.TrimSpace(line)}
		if f, ok := s.fields("ack"); ok {
			promised[models.ID(f[0])] = [2]int{int(f[1]), int(f[2])}
			said["ack"]++
		}
		if f, ok := s.fields("gone"); ok {
			delete(promised, models.ID(f[0]))
		}
		if f, ok := s.fields("refused"); ok {
			refused[models.ID(f[0])] = true
			said["refused"]++
		}
	}
	in := mailstoretest.SegWith(t, config, smallSegments)
	for mailbox := range models.ID(powerWriters) {
		for _, id := range wholeMailbox(t, in, mailbox+1, promised) {
			if refused[id] {
				t.Errorf("blob %d was refused and is there", id)
			}
		}
	}
	for id, p := range promised {
		t.Errorf("message %d (blob %d) was acknowledged and is lost", p[0], id)
	}
	exactStore(t, in, 1, 2, 3)
	if err := in.Store.Deliver(context.Background(), in.Arrival(t, mailstoretest.Message(1, 500), 1)); err != nil {
		t.Error(err)
	}
}
