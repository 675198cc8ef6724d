package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
)

// TestTurns has a sender of very much and one of a single message.
func TestTurns(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newSchedule(300, 10, func() time.Time { return now })
	for i := range 1000 {
		s.offer(fmt.Sprintf("d%d.example", i), 1)
	}
	s.offer("other.example", 2)
	for i := range 3 {
		turn, _ := s.next()
		s.looked(turn, false)
		if turn.sender == 2 {
			return
		}
		if i == 2 {
			t.Error("the second sender waits for the first")
		}
	}
}

// TestRoom lets a destination have one worker until it has answered, and more with each answer.
func TestRoom(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newSchedule(300, 3, func() time.Time { return now })
	for sender := range 5 {
		s.offer("d.example", models.ID(sender+1))
	}
	var at []*turn
	all := func() int {
		for {
			turn, _ := s.next()
			if turn == nil {
				return len(at)
			}
			s.looked(turn, true)
			at = append(at, turn)
		}
	}
	for _, want := range []int{1, 2, 3, 3} {
		if got := all(); got != want {
			t.Fatalf("%d workers, want %d", got, want)
		}
		s.succeeded(at[0].to)
	}
	// Each of the five comes to its turn.
	seen := map[models.ID]bool{}
	for range 20 {
		seen[at[0].sender] = true
		s.done(at[0])
		at = at[1:]
		all()
	}
	if len(seen) != 5 {
		t.Errorf("%v", seen)
	}
	// Fewer connections than were open are taken: less room, and the destination is not down.
	if s.unreached(at[0].to, outbound.Result{}) || at[0].to.room != 2 {
		t.Errorf("room %d", at[0].to.room)
	}
	now = now.Add(time.Minute)
	if !s.unreached(at[0].to, outbound.Result{Reason: "connect"}) {
		t.Error("not down")
	}
	if why, down := s.isDown(at[0].to); !down || why.Reason != "connect" {
		t.Error(why, down)
	}
	s.busy(at[0].to)
	for _, turn := range at {
		s.looked(turn, false)
		s.done(turn)
	}
	if turn, pause := s.next(); turn != nil || pause != busyPause {
		t.Error(turn, pause)
	}
	now = now.Add(lastPause)
	for turn, _ := s.next(); turn != nil; turn, _ = s.next() {
		s.looked(turn, false)
		s.done(turn)
	}
	now = now.Add(time.Hour)
	s.prune()
	if len(s.flows)+len(s.senders)+len(s.destinations) != 0 {
		t.Errorf("%d flows, %d senders, %d destinations remembered", len(s.flows), len(s.senders), len(s.destinations))
	}
}

// TestOfferMeanwhile keeps what was offered while a worker saw nothing.
func TestOfferMeanwhile(t *testing.T) {
	s := newSchedule(300, 3, time.Now)
	s.offer("d.example", 1)
	turn, _ := s.next()
	s.offer("d.example", 1)
	if second, _ := s.next(); second != nil {
		t.Error("two look at the same time")
	}
	s.looked(turn, false)
	s.done(turn)
	if again, _ := s.next(); again == nil {
		t.Error("forgotten")
	}
}

// TestSendersLeaveRoom has senders whose mail goes to hosts that hang: none gets all workers, and
// one that has nothing under way gets the next.
func TestSendersLeaveRoom(t *testing.T) {
	s := newSchedule(300, 10, time.Now)
	fill := func(sender models.ID) (n int) {
		for i := range 1000 {
			s.offer(fmt.Sprintf("d%d-%d.example", sender, i), sender)
		}
		for turn, _ := s.next(); turn != nil; turn, _ = s.next() {
			s.looked(turn, false)
			n++
		}
		return n
	}
	for sender, want := range []int{150, 75, 38, 19, 9, 5, 2, 1, 1} {
		if got := fill(models.ID(sender + 1)); got != want {
			t.Errorf("sender %d has %d workers, want %d", sender+1, got, want)
		}
	}
	if s.active != 300 {
		t.Errorf("%d workers", s.active)
	}
}
