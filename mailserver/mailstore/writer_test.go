package mailstore

import (
	"testing"
)

func TestGroupsAreBounded(t *testing.T) {
	type size struct{ rows, weight int }
	for _, c := range []struct {
		name string
		in   []size
		want []int // lengths of the groups
	}{
		{"all that waits", []size{{1, 10}, {1, 10}, {1, 10}}, []int{3}},
		{"rows", []size{{200, 10}, {56, 10}, {1, 10}, {255, 10}, {1, 10}}, []int{2, 2, 1}},
		{"bytes", []size{{1, maxBytes - 5}, {1, 5}, {1, 1}}, []int{2, 1}},
		{"one that is too large goes alone", []size{{1, 1}, {1000, 1}, {1, 1}}, []int{1, 1, 1}},
	} {
		s := &Store{queue: make(chan *item, 10)}
		for _, z := range c.in {
			s.queue <- &item{rows: z.rows, weight: z.weight}
		}
		next := <-s.queue
		for i, want := range c.want {
			if next == nil {
				t.Fatalf("%s: no group %d", c.name, i)
			}
			var group []*item
			if group, next = s.gather(next); len(group) != want {
				t.Errorf("%s: group %d has %d items, want %d", c.name, i, len(group), want)
			}
		}
		if next != nil {
			t.Errorf("%s: one is left", c.name)
		}
	}
}

func TestAnItemGivenUpIsNotWritten(t *testing.T) {
	s := &Store{queue: make(chan *item, 10)}
	gone, stays := &item{rows: 1}, &item{rows: 1}
	gone.take()
	s.queue <- stays
	group, next := s.gather(gone)
	if len(group) != 1 || group[0] != stays || next != nil {
		t.Fatal(group, next)
	}
}
