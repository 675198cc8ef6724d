package models

import (
	"encoding/json"
	"sync"
	"testing"
	"time"
)

func TestIDsAreUniqueAndRiseWhenTheClockStepsBack(t *testing.T) {
	now := time.UnixMilli(idEpoch + 1000)
	g := NewIDs(7, func() time.Time { now = now.Add(-time.Millisecond); return now })
	last := ID(0)
	for range 10000 {
		id := g.New()
		if id <= last {
			t.Fatalf("%d after %d", id, last)
		}
		if node := int64(id) >> 12 & MaxNode; node != 7 {
			t.Fatalf("node %d, want 7", node)
		}
		last = id
	}
}

func TestIDsAreUniqueUnderConcurrency(t *testing.T) {
	g := NewIDs(1, nil)
	var mu sync.Mutex
	seen := map[ID]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			mine := make([]ID, 2000)
			for i := range mine {
				mine[i] = g.New()
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range mine {
				if seen[id] {
					t.Errorf("%d twice", id)
				}
				seen[id] = true
			}
		})
	}
	wg.Wait()
}

func TestIDIsAStringInJSON(t *testing.T) {
	b, err := json.Marshal(struct{ ID ID }{1 << 60})
	if err != nil || string(b) != `{"ID":"1152921504606846976"}` {
		t.Fatalf("%s %v", b, err)
	}
	var back struct{ ID ID }
	if err := json.Unmarshal(b, &back); err != nil || back.ID != 1<<60 {
		t.Fatalf("%v %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"ID":"-4"}`), &back); !Is(err, Invalid) {
		t.Fatalf("negative id: %v", err)
	}
}
