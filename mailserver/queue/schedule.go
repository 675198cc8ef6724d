package queue

import (
	"container/heap"
	"net/netip"
	"sync"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
)

const (
	// maxFlows bounds what is known to be due at once, some 300 bytes each; more are found again
	// by the next look at the whole queue.
	maxFlows = 50_000

	// The pause after a destination could not be reached; it is shorter than the first step of
	// the plan, so that each planned attempt is a real one.
	firstPause = 30 * time.Second
	lastPause  = 4 * time.Minute

	// busyPause is the pause when as many connections to a destination's hosts are open as may be.
	busyPause = 250 * time.Millisecond
)

// schedule decides whose turn it is. Senders take turns; each offers its destinations in turn; a
// destination takes as many workers as it has answered well so far, from one up to a limit. A
// flow (sender and destination) whose destination has no room waits there, and comes back as
// soon as there is some.
//
// A sender may have as many workers as would be left free: alone half of all, beside another
// that has as many as it may a quarter, and one whose mail goes to hosts that hang never all.
// Who has none gets the next that is free.
type schedule struct {
	slots          int // workers in all
	perDestination int
	now            func() time.Time

	mu           sync.Mutex
	active       int // workers
	destinations map[string]*destination
	flows        map[flowKey]*flow
	senders      map[models.ID]*sender
	turn         []*sender // those with something ready, first comes next
	pausing      pauses
}

type flowKey struct {
	domain string
	sender models.ID
}

// flow is what one sender has due for one destination.
type flow struct {
	flowKey
	to     *destination
	from   *sender
	queued bool // in the sender's ready list, or parked
	looked bool // a worker is looking for what is due: no other does meanwhile
	dry    bool // nothing due was left when it was last looked at
	active int  // workers
	offers int  // calls of offer
}

type sender struct {
	ready  []*flow
	there  bool // in turn
	flows  int
	active int // workers
}

type destination struct {
	domain   string
	flows    int
	active   int // workers
	room     int // workers it may have
	failures int // in a row
	down     time.Time
	why      outbound.Result // of the failure, while down
	good     time.Time       // last success
	pause    time.Time       // no worker before
	pausing  bool
	full     []netip.Addr // its hosts that had no room for a connection when last asked
	parked   []*flow
}

func newSchedule(slots, perDestination int, now func() time.Time) *schedule {
	return &schedule{slots: slots, perDestination: perDestination, now: now, destinations: map[string]*destination{}, flows: map[flowKey]*flow{}, senders: map[models.ID]*sender{}}
}

// offer says that a sender may have something due for a destination.
func (s *schedule) offer(domain string, from models.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := flowKey{domain, from}
	f := s.flows[key]
	if f == nil {
		if len(s.flows) >= maxFlows {
			return
		}
		f = &flow{flowKey: key, to: s.destinations[domain], from: s.senders[from]}
		if f.to == nil {
			f.to = &destination{domain: domain, room: 1}
			s.destinations[domain] = f.to
		}
		if f.from == nil {
			f.from = &sender{}
			s.senders[from] = f.from
		}
		s.flows[key] = f
		f.from.flows++
		f.to.flows++
	}
	f.dry = false
	f.offers++
	s.ready(f)
}

// ready puts a flow at the end of its sender's list; s.mu is held.
func (s *schedule) ready(f *flow) {
	if f.queued || f.looked {
		return
	}
	f.queued = true
	f.from.ready = append(f.from.ready, f)
	if !f.from.there {
		f.from.there = true
		s.turn = append(s.turn, f.from)
	}
}

// turn is a flow in the hands of a worker.
type turn struct {
	*flow
	offers  int  // when the turn began
	looking bool // until it has told what is left
}

// next returns the flow whose turn it is and counts a worker for it; nil if there is none now,
// with the time until a destination's pause ends (0 = none pauses). The worker calls looked as soon as it
// knows what the flow has, and done in the end.
func (s *schedule) next() (*turn, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resume()
	for passed := 0; passed < len(s.turn); {
		from := s.turn[0]
		s.turn = s.turn[1:]
		if from.active > 0 && from.active >= s.slots-s.active {
			s.turn = append(s.turn, from)
			passed++
			continue
		}
		passed = 0
		if f := s.first(from); f != nil {
			return f, 0
		}
	}
	if len(s.pausing) > 0 {
		return nil, max(s.pausing[0].pause.Sub(s.now()), time.Millisecond)
	}
	return nil, 0
}

// first begins a turn of the first flow of a sender, if it may have one; s.mu is held.
func (s *schedule) first(from *sender) *turn {
	f := from.ready[0]
	from.ready[0] = nil
	from.ready = from.ready[1:]
	if from.there = len(from.ready) > 0; from.there {
		s.turn = append(s.turn, from)
	}
	f.queued = false
	if f.dry {
		s.forget(f)
		s.unpark(f.to) // the room it was given
		return nil
	}
	if f.to.active >= f.to.room || f.to.pausing {
		f.queued = true
		f.to.parked = append(f.to.parked, f)
		return nil
	}
	f.looked = true
	f.active++
	f.to.active++
	from.active++
	s.active++
	return &turn{f, f.offers, true}
}

// looked says what a worker has seen: more is due than it has taken, or not. Others may work for
// the flow too then. What was offered since the turn began it may not have seen.
func (s *schedule) looked(t *turn, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.see(t, more)
}

// see is looked; s.mu is held.
func (s *schedule) see(t *turn, more bool) {
	f := t.flow
	if t.looking {
		t.looking, f.looked = false, false
	}
	if more || f.offers != t.offers {
		f.dry = false
		s.ready(f)
	} else {
		f.dry = true
	}
}

// again says that something of the flow is due that was taken before.
func (s *schedule) again(t *turn) { s.looked(t, true) }

// done ends a worker's turn.
func (s *schedule) done(t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := t.flow
	if t.looking {
		s.see(t, true)
	}
	f.active--
	f.to.active--
	f.from.active--
	s.active--
	s.forget(f)
	s.unpark(f.to)
}

// unpark lets one of those that wait for a destination go on; s.mu is held.
func (s *schedule) unpark(d *destination) {
	for room := d.room - d.active; room > 0 && len(d.parked) > 0 && !d.pausing; room-- {
		f := d.parked[0]
		d.parked[0] = nil
		d.parked = d.parked[1:]
		f.queued = false
		s.ready(f)
	}
}

// forget drops a flow that is dry and idle, and what only it needed; s.mu is held.
func (s *schedule) forget(f *flow) {
	if !f.dry || f.active > 0 || f.queued || f.looked || s.flows[f.flowKey] != f {
		return
	}
	delete(s.flows, f.flowKey)
	if f.from.flows--; f.from.flows == 0 {
		delete(s.senders, f.sender)
	}
	f.to.flows--
}

// prune drops destinations that nothing is due for and that nothing is to be remembered of.
func (s *schedule) prune() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for name, d := range s.destinations {
		if d.flows == 0 && d.active == 0 && !d.pausing && !now.Before(d.down) && now.Sub(d.good) > time.Minute {
			delete(s.destinations, name)
		}
	}
}

// succeeded says that a destination took or refused a message: it gets room for one more.
func (s *schedule) succeeded(d *destination) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.failures, d.down, d.good = 0, time.Time{}, s.now()
	if d.room < s.perDestination {
		d.room++
	}
	s.unpark(d)
}

// unreached says that no host of a destination could be reached. It returns true if that holds
// for everything that is due for it: not while others are being served there.
func (s *schedule) unreached(d *destination, why outbound.Result) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(d.good) < 30*time.Second && d.active > 1 {
		d.room = max(1, d.active-1) // it takes fewer connections than we open
		return false
	}
	d.failures++
	d.room, d.why = 1, why
	d.down = now.Add(min(firstPause<<min(d.failures-1, 4), lastPause))
	return true
}

// isDown returns why a destination is not tried at the moment.
func (s *schedule) isDown(d *destination) (outbound.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.why, s.now().Before(d.down)
}

// busy lets a destination rest for a moment.
func (s *schedule) busy(d *destination) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !d.pausing {
		d.pausing, d.pause = true, s.now().Add(busyPause)
		heap.Push(&s.pausing, d)
	}
}

// fullAt notes which hosts of a destination had no room; none ends that.
func (s *schedule) fullAt(d *destination, hosts []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.full = hosts
}

// isFull returns what fullAt noted.
func (s *schedule) isFull(d *destination) []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.full
}

// resume ends the pauses that are over; s.mu is held.
func (s *schedule) resume() {
	now := s.now()
	for len(s.pausing) > 0 && !now.Before(s.pausing[0].pause) {
		d := heap.Pop(&s.pausing).(*destination)
		d.pausing = false
		s.unpark(d)
	}
}

// forgive lets every destination be tried at once.
func (s *schedule) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.destinations {
		d.failures, d.down = 0, time.Time{}
	}
}

// pauses is a heap, the first to end on top.
type pauses []*destination

func (p pauses) Len() int           { return len(p) }
func (p pauses) Less(i, j int) bool { return p[i].pause.Before(p[j].pause) }
func (p pauses) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *pauses) Push(x any)        { *p = append(*p, x.(*destination)) }
func (p *pauses) Pop() any {
	old := *p
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*p = old[:len(old)-1]
	return d
}
