package blob_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/blobtest"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// killChild names the variable that makes TestKillChild the process that is killed: database,
// folder of the data, of the segments, and where it kills itself.
const killChild = "POSTCHI_KILL_CHILD"

// The steps in whose middle a process is killed. It says on standard output when it begins and
// ends one.
var killSteps = []string{"rotation", "collection", "compaction"}

// TestKills kills processes that put, enter, refer to, drop, collect and compact blobs, in the
// middle of a rotation, a collection and a compaction, and looks each time at what is left.
func TestKills(t *testing.T) {
	rounds := 1
	if dbtest.Long() {
		rounds = 20
	}
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		k := &kills{config: config, dir: t.TempDir(), blobs: map[models.ID]entry{}, hits: map[string]int{}}
		missed := 0
		for round := 0; round < rounds; {
			for _, step := range killSteps {
				within := k.kill(t, step)
				k.check(t)
				if t.Failed() {
					return
				}
				for _, s := range within {
					k.hits[s]++
				}
			}
			if round++; round == rounds && missed < 10*rounds && min(k.hits[killSteps[0]], k.hits[killSteps[1]], k.hits[killSteps[2]]) == 0 {
				round--
				missed++
			}
		}
		t.Logf("%d kills, in the middle of %v; %d blobs acknowledged, %d of them alive at the end", k.kills, k.hits, k.acked, len(k.blobs))
		for _, step := range killSteps {
			if k.hits[step] == 0 {
				t.Errorf("no kill was in the middle of a %s", step)
			}
		}
	})
}

// kills is what the killed processes have said, over all of them.
type kills struct {
	config db.Config
	dir    string
	blobs  map[models.ID]entry // that must be there; refs 0: may be there, as it was being entered or dropped
	acked  int
	kills  int
	hits   map[string]int
}

// kill runs a process until it is killed at a random moment within a step, and returns the steps
// that it had begun and not ended.
func (k *kills) kill(t *testing.T, step string) (within []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s\n%s\n%s\n%s", killChild, k.config.URL, k.config.DataDir, k.dir, step))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k.kills++
	open := map[string]bool{}
	wait := 3 + rand.IntN(10) // steps to let pass
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line that was torn by the kill was not said
			break
		}
		k.hear(t, strings.TrimSpace(line), open)
		if line == "begin "+step+"\n" && step != "rotation" {
			if wait--; wait == 0 {
				time.Sleep(rand.N(4 * time.Millisecond))
				cmd.Process.Kill()
			}
		}
	}
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process ended by itself: %v", err)
	}
	for s := range open {
		within = append(within, s)
	}
	return within
}

// hear takes down what a process said.
func (k *kills) hear(t *testing.T, line string, open map[string]bool) {
	t.Helper()
	word, rest, _ := strings.Cut(line, " ")
	var id models.ID
	var e entry
	switch word {
	case "begin":
		open[rest] = true
	case "end":
		delete(open, rest)
	case "try", "put":
		fmt.Sscan(rest, &id, &e.number, &e.size, &e.refs)
		if word == "try" {
			e.refs = 0
		} else {
			k.acked++
		}
		k.blobs[id] = e
	case "drop": // may or may not be gone from here on
		fmt.Sscan(rest, &id)
		e = k.blobs[id]
		e.refs = 0
		k.blobs[id] = e
	case "dropped":
		fmt.Sscan(rest, &id)
		delete(k.blobs, id)
	case "wrong":
		t.Errorf("the process: %s", rest)
	}
}

// check opens the store after a kill: all that was acknowledged is whole and counted, nothing is
// there that was never tried, and what is dead can be compacted away.
func (k *kills) check(t *testing.T) {
	t.Helper()
	d, err := db.Open(context.Background(), k.config)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := store(t, d, k.dir, nil)
	defer b.Close()
	refs := k.rows(t, d)
	for id, e := range k.blobs {
		n, there := refs[id]
		switch {
		case e.refs > 0 && n != e.refs:
			t.Errorf("blob %d has %d references, want %d (row: %v)", id, n, e.refs, there)
			continue
		case n == 0:
			delete(k.blobs, id) // it was never entered, or it is dead
			continue
		}
		e.refs = n
		k.blobs[id] = e
		if err := readable(b, id, e.number, e.size); err != nil {
			t.Errorf("blob %d: %v", id, err)
		}
	}
	for id, n := range refs {
		if _, known := k.blobs[id]; !known && n > 0 {
			t.Errorf("blob %d is there and was never tried", id)
		}
	}
	compact(t, b)
	c, err := b.Check(t.Context(), func(p blob.Problem) error { t.Errorf("problem %+v", p); return nil })
	if err != nil || c.Blobs != int64(len(k.blobs)) {
		t.Errorf("checked %+v, %v; want %d blobs", c, err, len(k.blobs))
	}
}

// rows reads the references of all blobs, and waits for a COMMIT that the killed process had sent.
func (k *kills) rows(t *testing.T, d *db.DB) map[models.ID]int64 {
	t.Helper()
	var refs map[models.ID]int64
	write(t, d, func(ctx context.Context, tx *db.Tx) error {
		refs = map[models.ID]int64{}
		rows, err := tx.QueryContext(ctx, "SELECT id, refs FROM blobs"+tx.Dialect().ForUpdate())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id models.ID
			var n int64
			if err := rows.Scan(&id, &n); err != nil {
				return err
			}
			refs[id] = n
		}
		return rows.Err()
	})
	return refs
}

// TestKillChild is the process that is killed; by itself it does nothing.
func TestKillChild(t *testing.T) {
	args := strings.Split(os.Getenv(killChild), "\n")
	if len(args) != 4 {
		t.Skip("the child of TestKills")
	}
	d := dbtest.Open(t, db.Config{URL: args[0], DataDir: args[1]})
	b := storeOf(t, blob.Config{DB: d, Grace: -1}, seg.Config{Dir: args[2], FS: &tellingFS{OS: blob.OS{}, kill: args[3] == "rotation", left: int64(3 + rand.IntN(8))}})
	deadline := time.Now().Add(time.Minute) // of a parent that is gone
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := 0; time.Now().Before(deadline); i++ {
				putAndDrop(t, d, b, int64(os.Getpid())*100_000+int64(g)*20_000+int64(i))
			}
		})
	}
	all.Go(func() {
		for time.Now().Before(deadline) {
			upkeep(t, "collection", func(ctx context.Context) error { _, err := b.Collect(ctx); return err })
			upkeep(t, "compaction", func(ctx context.Context) error { _, err := b.Compact(ctx); return err })
		}
	})
	all.Wait()
}

func tell(format string, args ...any) { os.Stdout.WriteString(fmt.Sprintf(format+"\n", args...)) }

// putAndDrop enters a blob and drops most of them again.
func putAndDrop(t *testing.T, d *db.DB, b *blob.Blobs, number int64) {
	ctx := t.Context()
	e := entry{number: number, size: number * 31 % 9000, refs: 1 + number%2}
	if number%40 == 7 {
		e.size = 70_000
	}
	s, err := b.Put(ctx, blobtest.Message(models.ID(e.number), e.size), e.size)
	if err != nil {
		tell("wrong %v", err)
		return
	}
	tell("try %d %d %d %d", s.ID, e.number, e.size, e.refs)
	if err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error { return b.Insert(ctx, tx, e.refs, s) }); err != nil {
		tell("wrong %v", err)
		return
	}
	b.Settle(s)
	tell("put %d %d %d %d", s.ID, e.number, e.size, e.refs)
	if number%4 == 0 {
		return
	}
	tell("drop %d", s.ID)
	if err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error { return b.Unref(ctx, tx, map[models.ID]int64{s.ID: e.refs}) }); err != nil {
		tell("wrong %v", err)
		return
	}
	tell("dropped %d", s.ID)
}

func upkeep(t *testing.T, name string, do func(context.Context) error) {
	tell("begin %s", name)
	if err := do(t.Context()); err != nil {
		tell("wrong %v", err)
	}
	tell("end %s", name)
}

// tellingFS tells of rotations, and can end the process in the middle of one.
type tellingFS struct {
	blob.OS
	kill bool
	left int64 // rotations until then
}

func (f *tellingFS) Create(name string) (blob.File, error) {
	tell("begin rotation")
	at := rand.IntN(3)
	last := f.kill && atomic.AddInt64(&f.left, -1) == 0
	if last && at == 0 {
		die()
	}
	file, err := f.OS.Create(name)
	if last && at == 1 {
		die()
	}
	if last {
		go func() { // before, during or after the sync of the folder, and the first write
			time.Sleep(rand.N(2 * time.Millisecond))
			die()
		}()
	}
	return file, err
}

func (f *tellingFS) SyncDir(dir string) error {
	err := f.OS.SyncDir(dir)
	tell("end rotation")
	return err
}

func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
