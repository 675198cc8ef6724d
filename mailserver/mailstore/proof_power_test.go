package mailstore_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// smallSegments makes every step of a segment's life happen in a short run.
var smallSegments = seg.Config{SegmentSize: 128 << 10, LargeSize: 32 << 10}

const (
	powerChild = "POSTCHI_POWER_CHILD" // data folder and rounds of the process that is watched
	powerCuts  = 50                    // in make test
)

// TestPowerCut watches a process that delivers, appends, expunges, checkpoints, compacts and
// collects, and opens what its disk may hold after a power cut at many moments: what was
// acknowledged before is there and whole.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	cuts, rounds := powerCuts, 12
	if dbtest.Long() {
		cuts, rounds = 1000, 40
	}
	config, base := powerBase(t)
	tr := watched(t, config, rounds)
	var acks []int // the moments that matter most
	for _, s := range tr.said {
		if strings.HasPrefix(s.text, "ack ") {
			acks = append(acks, s.line)
		}
	}
	counts := map[string]int{}
	for _, e := range tr.events {
		if replayed(e.file) {
			counts[e.call+" "+filepath.Ext(e.file)]++
		}
	}
	t.Logf("%d acknowledged; %v", len(acks), counts)
	if len(acks) < 6*rounds || counts["pwrite64 .db"] == 0 || counts["unlink .seg"] == 0 {
		t.Fatal("the run was not what it should be")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 4))
	promised := 0
	for n := range cuts {
		line := rnd.IntN(tr.lines + 1)
		if n%2 == 0 {
			line = acks[rnd.IntN(len(acks))] + 1
		}
		ok := t.Run(strconv.Itoa(line), func(t *testing.T) { promised += afterCut(t, tr, config, base, line, rnd) })
		if !ok {
			break
		}
	}
	t.Logf("%d cuts; %d messages had to be there, in sum", cuts, promised)
}

// powerBase makes a store with a mailbox for each writer and returns what is on its disk.
func powerBase(t *testing.T) (db.Config, disk) {
	t.Helper()
	config := dbtest.SQLite(t)
	t.Run("before", func(t *testing.T) {
		in := mailstoretest.SegWith(t, config, smallSegments)
		for id := range models.ID(powerWriters) {
			if err := in.Store.CreateMailbox(t.Context(), id+1); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				in.Deliver(t, mailstoretest.Message(i, 500), id+1)
			}
		}
	})
	base, err := readDisk(config.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	return config, base
}

// watched runs TestPowerChild under strace.
func watched(t *testing.T, config db.Config, rounds int, more ...string) *trace {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	out, err := child(t, config, rounds, append([]string{"-f", "-y", "-xx", "-s", "16777216", "--signal=none", "-e", "trace=" + traceCalls, "-o", file}, more...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr, err := readTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// child runs TestPowerChild under strace with these arguments.
func child(t *testing.T, config db.Config, rounds int, strace ...string) ([]byte, error) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("strace is not installed")
	}
	cmd := exec.CommandContext(t.Context(), "strace", append(strace, os.Args[0], "-test.run=^TestPowerChild$")...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", powerChild, config.DataDir, rounds))
	return cmd.CombinedOutput()
}

// powerWriters is how many mailboxes are written to at once.
const powerWriters = 3

// TestPowerChild is the process that is watched; by itself it does nothing.
func TestPowerChild(t *testing.T) {
	var dir string
	var rounds int
	if _, err := fmt.Sscanf(os.Getenv(powerChild), "%s %d", &dir, &rounds); err != nil {
		t.Skip("the child of TestPowerCut")
	}
	config := db.Config{URL: "sqlite", DataDir: dir}
	c := &powerRun{Instance: mailstoretest.SegWith(t, config, smallSegments), rounds: make(chan struct{})}
	var writers, upkeep sync.WaitGroup
	for w := range powerWriters {
		writers.Go(func() { c.write(t, models.ID(w+1), rounds) })
	}
	upkeep.Go(func() { c.upkeep(t, config) })
	writers.Wait()
	close(c.rounds)
	upkeep.Wait()
}

type powerRun struct {
	*mailstoretest.Instance
	rounds chan struct{} // one for each round of a writer
}

// say writes a line in one system call.
func say(format string, args ...any) { os.Stdout.WriteString(fmt.Sprintf(format+"\n", args...)) }

// write stores messages and says so once they are acknowledged, and before it removes one.
func (c *powerRun) write(t *testing.T, mailbox models.ID, rounds int) {
	rnd := rand.New(rand.NewPCG(4, uint64(mailbox)))
	for i := range rounds {
		c.rounds <- struct{}{}
		f, err := c.Store.Folder(t.Context(), mailbox, mailstore.Inbox)
		if err != nil {
			say("failed %v", err)
			continue
		}
		n := int(mailbox)*1000 + i
		size := 200 + rnd.IntN(9000)
		if i%5 == 4 {
			size = 33_000 + rnd.IntN(40_000)
		}
		c.deliver(n, size/4+150, mailbox)
		uid := c.append(n+500, size, f.Place())
		if i%3 > 0 && uid != 0 {
			all, err := c.Store.Messages(t.Context(), f.ID, uid, 1)
			if err != nil || len(all) == 0 {
				say("failed %v", err)
				continue
			}
			say("gone %d", all[0].BlobID)
			if _, err := c.Store.Expunge(t.Context(), f.Place(), mailstore.SetOf(uid), false); err != nil {
				say("failed %v", err)
			}
		}
	}
}

// deliver says "ack" with blob, number and size, or that it failed.
func (c *powerRun) deliver(n, size int, mailbox models.ID) {
	a, id, err := arrive(c.Instance, n, size, n%3 > 0)
	if err == nil {
		a.Targets = []mailstore.Target{{Mailbox: mailbox}, {Mailbox: mailbox, Folder: "Archive"}}
		err = c.Store.Deliver(context.Background(), a)
	}
	c.answer(err, id, n, size)
}

// arrive reads a message, which is durable now or will be with its rows.
func arrive(in *mailstoretest.Instance, n, size int, together bool) (a mailstore.Arrival, id models.ID, err error) {
	message := bytes.NewReader(mailstoretest.Message(n, size))
	if together {
		if a.Body, err = in.Blobs.Prepare(context.Background(), message, int64(size)); err == nil {
			id = a.Body.ID
		}
		return a, id, err
	}
	a.Blob, err = in.Blobs.Put(context.Background(), message, int64(size))
	return a, a.Blob.ID, err
}

func (c *powerRun) append(n, size int, p mailstore.Place) mailstore.UID {
	ctx := context.Background()
	staged, err := c.Blobs.Put(ctx, bytes.NewReader(mailstoretest.Message(n, size)), int64(size))
	var uids []mailstore.UID
	if err == nil {
		_, uids, err = c.Store.Append(ctx, p, mailstore.Quota{}, mailstore.Appended{Blob: staged})
	}
	c.answer(err, staged.ID, n, size)
	if err != nil {
		return 0
	}
	return uids[0]
}

func (c *powerRun) answer(err error, id models.ID, n, size int) {
	switch {
	case err == nil:
		say("ack %d %d %d", id, n, size)
	case models.Is(err, models.Unavailable):
		say("refused %d %d %d", id, n, size)
	default:
		say("failed %v", err)
	}
}

// upkeep does what a server does beside: SQLite's checkpoints, compaction, collection.
func (c *powerRun) upkeep(t *testing.T, config db.Config) {
	pool, _, err := db.OpenPool(config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	n := 0
	for range c.rounds {
		if n++; n%powerWriters != 0 {
			continue
		}
		mode := []string{"PASSIVE", "RESTART", "TRUNCATE"}[n/powerWriters%3]
		if _, err := pool.Exec("PRAGMA wal_checkpoint(" + mode + ")"); err != nil {
			say("no checkpoint: %v", err)
		}
		if _, err := c.Blobs.Compact(context.Background()); err != nil && !blob.Busy(err) {
			say("no compaction: %v", err)
		}
	}
}

// afterCut opens what is left after a cut and checks all that was promised. It returns how many
// messages had to be there.
func afterCut(t *testing.T, tr *trace, config db.Config, base disk, line int, rnd *rand.Rand) int {
	t.Helper()
	after := db.Config{URL: "sqlite", DataDir: t.TempDir()}
	if err := tr.replay(base, line, rnd).write(config.DataDir, after.DataDir); err != nil {
		t.Fatal(err)
	}
	promised := map[models.ID][2]int{} // number and size by blob
	for _, s := range tr.said {
		if s.line >= line {
			break
		}
		if f, ok := s.fields("ack"); ok {
			promised[models.ID(f[0])] = [2]int{int(f[1]), int(f[2])}
		}
		if f, ok := s.fields("gone"); ok {
			delete(promised, models.ID(f[0]))
		}
		if strings.HasPrefix(s.text, "failed") {
			t.Fatal(s.text)
		}
	}
	in := mailstoretest.SegWith(t, after, smallSegments)
	var said string
	if err := in.DB.SQL().QueryRow("PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		t.Fatalf("integrity: %s, %v", said, err)
	}
	n := len(promised)
	for mailbox := range models.ID(powerWriters) {
		wholeMailbox(t, in, mailbox+1, promised)
	}
	for id, p := range promised {
		t.Errorf("message %d (blob %d) was acknowledged and is lost", p[0], id)
	}
	exactStore(t, in, 1, 2, 3)
	in.Deliver(t, mailstoretest.Message(1, 500), 1)
	return n
}

// wholeMailbox checks the promised messages of a mailbox, takes them off the list and returns
// the blobs of all that are there. Those that were not promised must be whole as well, which
// exactStore checks.
func wholeMailbox(t *testing.T, in *mailstoretest.Instance, mailbox models.ID, promised map[models.ID][2]int) []models.ID {
	t.Helper()
	copies := map[models.ID]int{}
	for _, name := range []string{mailstore.Inbox, "Archive"} {
		f, err := in.Store.Folder(t.Context(), mailbox, name)
		if err != nil {
			t.Fatal(err)
		}
		all, err := in.Store.Messages(t.Context(), f.ID, 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			copies[m.BlobID]++
			p, ok := promised[m.BlobID]
			if !ok {
				continue
			}
			if got := readMessage(t, in, &m); !bytes.Equal(got, mailstoretest.Message(p[0], p[1])) {
				t.Errorf("message %d is not as it was sent", p[0])
			}
		}
	}
	for id, p := range promised {
		want := 2 // folders
		if p[0]%1000 >= 500 {
			want = 1
		}
		if n := copies[id]; n == want {
			delete(promised, id)
		} else if n > 0 {
			t.Errorf("message %d is there %d times, want %d", p[0], n, want)
		}
	}
	return slices.Collect(maps.Keys(copies))
}

func readMessage(t *testing.T, in *mailstoretest.Instance, m *mailstore.Message) []byte {
	t.Helper()
	r, err := in.Store.Open(t.Context(), m)
	if err != nil {
		t.Errorf("open blob %d: %v", m.BlobID, err)
		return nil
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("read blob %d: %v", m.BlobID, err)
	}
	return b
}

// exactStore checks all counters, references and bytes.
func exactStore(t *testing.T, in *mailstoretest.Instance, mailboxes ...models.ID) {
	t.Helper()
	for _, mailbox := range mailboxes {
		d, err := in.Store.Recount(t.Context(), mailbox, false)
		if err != nil || d.Any() {
			t.Errorf("counters: %+v %v", d, err)
		}
	}
	refs, err := in.Store.RecountBlobs(t.Context(), false)
	if err != nil || len(refs) > 0 {
		t.Errorf("references: %+v %v", refs, err)
	}
	_, err = in.Blobs.Check(t.Context(), func(p blob.Problem) error {
		t.Errorf("blob %d at %+v: %v", p.ID, p.Ref, p.Err)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
