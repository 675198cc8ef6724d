package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/outbound/mxtest"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

const (
	// sentPerKill is how many messages another server has got at least before each kill.
	sentPerKill = 60

	queueSenders = 4

	// window is the time between the other server's 250 and our commit at most: what it took
	// longer before a kill was settled.
	window = 5 * time.Second
)

// TestCrashQueue kills the program while it sends to another server. Every message that was
// accepted arrives there; one arrives twice only if the kill fell between that server's 250 and
// our commit.
func TestCrashQueue(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		away := mxtest.New(t, mxtest.Config{Name: "mx.away.test"})
		dns := resolvertest.New(t)
		dns.Set("away.test. 60 IN MX 10 mx.away.test.", "mx.away.test. 60 IN A 127.0.0.1")
		in := newInstance(t, url, "POSTCHI_OUTBOUND_ENABLED=true", "POSTCHI_OUTBOUND_PRIVATE=true", fmt.Sprintf("POSTCHI_OUTBOUND_PORT=%d", away.Port()),
			"POSTCHI_DNS_RESOLVER="+dns.Addr(), "POSTCHI_LIMITS_MAILBOX_HOUR=0", "POSTCHI_LIMITS_MAILBOX_DAY=0", "POSTCHI_LIMITS_DOMAIN_HOUR=0", "POSTCHI_LIMITS_DOMAIN_DAY=0")
		in.start()
		in.populate("crash.example", "one", "two")
		q := &outgoing{in: in, accepted: map[string]bool{}}
		stop := q.start(t)
		kills := 2
		if *crashKills > kills*2 {
			kills = *crashKills
		}
		var at []time.Time
		for range kills {
			target := away.Count() + sentPerKill
			within(t, 60*time.Second, "messages sent", func() bool { return away.Count() >= target })
			time.Sleep(rand.N(50 * time.Millisecond))
			in.kill()
			at = append(at, time.Now())
			in.start()
		}
		stop()
		within(t, 90*time.Second, "the queue is empty", func() bool { return q.waiting(t, url) == 0 })
		doubles := q.check(t, away.Messages(), at)
		t.Logf("%d messages accepted, %d kills, %d arrived twice", len(q.accepted), kills, doubles)
		checkReferences(t, in, url)
	})
}

// outgoing is what was submitted for elsewhere.
type outgoing struct {
	in *instance
	n  atomic.Int64

	mu       sync.Mutex
	accepted map[string]bool // by subject
}

// start begins to submit; the function it returns ends that.
func (q *outgoing) start(t *testing.T) (stop func()) {
	var senders sync.WaitGroup
	var over atomic.Bool
	config := q.in.tls()
	for i := range queueSenders {
		from := []string{"one@crash.example", "two@crash.example"}[i%2]
		senders.Go(func() {
			for !over.Load() {
				c, err := dial(q.in.addr("submissions"), "", config)
				if err != nil {
					time.Sleep(20 * time.Millisecond)
					continue
				}
				if c.login(from, testPassword).code == 235 {
					for !over.Load() && q.one(c, from) {
					}
				}
				c.Close()
			}
		})
	}
	stop = func() { over.Store(true); senders.Wait() }
	t.Cleanup(stop)
	return stop
}

// one submits one message; false if the connection is of no more use.
func (q *outgoing) one(c *talk, from string) bool {
	subject := fmt.Sprintf("outgoing-%d", q.n.Add(1))
	a := c.submit(from, message(from, subject, 2000), fmt.Sprintf("x%d@away.test", rand.IntN(5)))
	if a.code == 250 {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.accepted[subject] = true
	}
	return a.code == 250
}

// waiting is how many recipients are in the queue.
func (q *outgoing) waiting(t *testing.T, url string) (n int) {
	t.Helper()
	time.Sleep(100 * time.Millisecond)
	d := q.in.openDatabase(url)
	defer d.Close()
	if err := d.SQL().QueryRow("SELECT COUNT(*) FROM queue_recipients").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// check compares what arrived with what was accepted.
func (q *outgoing) check(t *testing.T, got []mxtest.Message, kills []time.Time) (doubles int) {
	t.Helper()
	arrived := map[string][]time.Time{}
	for _, m := range got {
		for line := range strings.SplitSeq(string(m.Data), "\r\n") {
			if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
				arrived[subject] = append(arrived[subject], m.At)
				break
			}
		}
	}
	for subject := range q.accepted {
		if len(arrived[subject]) == 0 {
			t.Errorf("%s was accepted and never arrived", subject)
		}
	}
	for subject, times := range arrived {
		for i := range times[:len(times)-1] {
			doubles++
			if !inWindow(times[i], times[i+1], kills) {
				t.Errorf("%s arrived at %v and again at %v, and no kill fell between the 250 and the commit (kills at %v)", subject, times[i], times[i+1], kills)
			}
		}
	}
	return doubles
}

// inWindow reports whether a kill fell directly behind the first of two arrivals.
func inWindow(first, second time.Time, kills []time.Time) bool {
	for _, k := range kills {
		if !first.After(k) && k.Sub(first) <= window && second.After(k) {
			return true
		}
	}
	return false
}
