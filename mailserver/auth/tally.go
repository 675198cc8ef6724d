package auth

import (
	"slices"
	"time"
)

// maxSeen is how many different wrong passwords a tally tells apart; more than Limits.Wrong
// only matters for networks, where what is forgotten is counted twice.
const maxSeen = 16

// familiarFor is how long an account that has logged in from a network is known there.
const familiarFor = 7 * 24 * time.Hour

// tally counts the failures of a network, or of an account from a network. The zero value has
// none.
type tally struct {
	points   int       // pointsEach for a wrong password, 1 for what is only malformed
	since    time.Time // forgiving was reckoned up to here
	blocks   int       // in a row
	seen     []stamp
	inflight map[uint64]int // passwords being checked, with how many attempts
	delayed  int
	good     time.Time // a password was proved last
}

// pointsEach is the weight of a wrong password. A name without @ or a password that is too
// long is no guess; it weighs 1, so that only masses of it block a network.
const pointsEach = 4

// stamp is a wrong password, and when it was last tried.
type stamp struct {
	sum  uint64
	nano int64
}

func (t *tally) failures() int { return t.points / pointsEach }

// forgive takes off one failure for each interval since the last.
func (t *tally) forgive(now time.Time, interval time.Duration) {
	if t.points == 0 {
		t.since = now
		return
	}
	n := int(now.Sub(t.since) / interval)
	if n <= 0 {
		return
	}
	t.since = t.since.Add(time.Duration(n) * interval)
	if t.points = max(0, t.points-n*pointsEach); t.points == 0 {
		t.blocks, t.since = 0, now
	}
}

// again reports whether the password was tried within the time, and if so renews it.
func (t *tally) again(sum uint64, now time.Time, within time.Duration) bool {
	i := slices.IndexFunc(t.seen, func(s stamp) bool { return s.sum == sum })
	if i < 0 {
		return false
	}
	fresh := now.UnixNano()-t.seen[i].nano <= int64(within)
	if fresh {
		t.seen[i].nano = now.UnixNano()
	}
	return fresh
}

// remember puts a wrong password in place of the one tried longest ago.
func (t *tally) remember(sum uint64, now time.Time) {
	s := stamp{sum, now.UnixNano()}
	if i := slices.IndexFunc(t.seen, func(s stamp) bool { return s.sum == sum }); i >= 0 {
		t.seen[i] = s
		return
	}
	if len(t.seen) < maxSeen {
		t.seen = append(t.seen, s)
		return
	}
	oldest := 0
	for i := range t.seen {
		if t.seen[i].nano < t.seen[oldest].nano {
			oldest = i
		}
	}
	t.seen[oldest] = s
}

// others returns how many different passwords beside this one are being checked.
func (t *tally) others(sum uint64) int {
	n := len(t.inflight)
	if t.inflight[sum] > 0 {
		n--
	}
	return n
}

func (t *tally) enter(sum uint64) {
	if t.inflight == nil {
		t.inflight = map[uint64]int{}
	}
	t.inflight[sum]++
}

func (t *tally) leave(sum uint64) {
	if t.inflight[sum]--; t.inflight[sum] <= 0 {
		delete(t.inflight, sum)
	}
}

// familiar reports whether the account has logged in from the network lately.
func (t *tally) familiar(now time.Time) bool {
	return !t.good.IsZero() && now.Sub(t.good) < familiarFor
}
