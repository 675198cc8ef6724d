package queue

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/postchi/postchi/models"
)

// TestBatch has many workers whose wishes share runs, of which a guilty one fails alone.
func TestBatch(t *testing.T) {
	guilty := errors.New("refused")
	var mu sync.Mutex
	runs, together, done := 0, 0, map[int]int{}
	b := batch[int]{most: 10, run: func(_ context.Context, all []*int) error {
		mu.Lock()
		defer mu.Unlock()
		runs, together = runs+1, max(together, len(all))
		for _, n := range all {
			switch *n {
			case 13:
				return guilty
			case 17:
				panic("seventeen")
			}
		}
		for _, n := range all {
			done[*n]++
		}
		return nil
	}}
	mu.Lock() // the first run waits until the others have gathered
	var wg sync.WaitGroup
	errs := make([]error, 100)
	for i := range errs {
		wg.Go(func() { errs[i] = b.do(&i, 1) })
	}
	mu.Unlock()
	wg.Wait()
	for i, err := range errs {
		bad := i == 13 || i == 17
		if (err != nil) != bad || i == 13 && err != guilty || !bad && done[i] != 1 || bad && done[i] != 0 {
			t.Errorf("%d: %v, done %d times", i, err, done[i])
		}
	}
	if together > 10 || runs > 100 {
		t.Errorf("%d runs, up to %d wishes in one", runs, together)
	}
	t.Logf("%d runs, up to %d wishes in one", runs, together)
}

// TestBatchAway fails all wishes of a run at once when the database is away.
func TestBatchAway(t *testing.T) {
	runs := 0
	b := batch[int]{most: 10, run: func(context.Context, []*int) error {
		runs++
		return models.Unavailablef(nil, "The database is away.")
	}}
	b.fulfil([]*wish[int]{{what: new(int), done: make(chan struct{})}, {what: new(int), done: make(chan struct{})}})
	if runs != 1 {
		t.Errorf("%d runs", runs)
	}
}
