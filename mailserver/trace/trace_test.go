package trace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

// table keeps events; the first calls fail as fails says.
type table struct {
	mu    sync.Mutex
	fails []error
	rows  []models.Event
	calls int
}

func (t *table) InsertEvents(_ context.Context, events []models.Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if len(t.fails) > 0 {
		err := t.fails[0]
		t.fails = t.fails[1:]
		return err
	}
	t.rows = append(t.rows, events...)
	return nil
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rows)
}

func run(r *Recorder) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		r.Run(ctx)
		close(done)
	}()
	return func() {
		cancel()
		<-done
	}
}

func TestEventsAreWrittenInOrderAndWithATime(t *testing.T) {
	var db table
	now := time.UnixMicro(5)
	r := New(Config{Events: &db, Batch: 7, Every: time.Millisecond, Now: func() time.Time { return now }})
	for i := range 100 {
		r.Record(models.Event{Size: int64(i)})
	}
	stop := run(r)
	r.Record(models.Event{Size: 100, At: 9})
	stop()
	if len(db.rows) != 101 || db.rows[0].At != 5 || db.rows[100].At != 9 {
		t.Fatal(len(db.rows))
	}
	for i, e := range db.rows {
		if e.Size != int64(i) {
			t.Fatal(i, e.Size)
		}
	}
}

func TestRecordNeverBlocks(t *testing.T) {
	r := New(Config{Events: &table{}, Buffer: 3})
	for range 10 {
		r.Record(models.Event{})
	}
	if r.Dropped() != 7 {
		t.Error(r.Dropped())
	}
}

func TestATemporaryFailureLosesNothing(t *testing.T) {
	away := models.Unavailablef(nil, "away")
	db := table{fails: []error{away, away, away}}
	r := New(Config{Events: &db, Every: time.Millisecond, Retry: time.Millisecond})
	stop := run(r)
	defer stop()
	for range 10 {
		r.Record(models.Event{})
	}
	for deadline := time.Now().Add(10 * time.Second); db.len() < 10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(db.len())
		}
	}
	if r.Dropped() != 0 {
		t.Error(r.Dropped())
	}
}

func TestWhatCannotBeStoredDoesNotStopTheRest(t *testing.T) {
	db := table{fails: []error{errors.New("bad row")}}
	r := New(Config{Events: &db, Batch: 1, Every: time.Millisecond, Retry: time.Millisecond})
	r.Record(models.Event{Size: 1})
	r.Record(models.Event{Size: 2})
	run(r)()
	if len(db.rows) != 1 || db.rows[0].Size != 2 || r.Dropped() != 1 {
		t.Errorf("%+v, %d dropped", db.rows, r.Dropped())
	}
}

func TestRunEndsWhileTheDatabaseIsAway(t *testing.T) {
	away := make([]error, 100000)
	for i := range away {
		away[i] = models.Unavailablef(nil, "away")
	}
	r := New(Config{Events: &table{fails: away}, Retry: 20 * time.Millisecond, Last: 100 * time.Millisecond, Every: time.Millisecond})
	r.Record(models.Event{})
	started := time.Now()
	run(r)()
	if took := time.Since(started); took > 20*time.Second {
		t.Error(took)
	}
	if r.Dropped() != 1 {
		t.Error(r.Dropped())
	}
}
