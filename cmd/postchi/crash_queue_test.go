package main

import (
	"fmt"
	"math/rand/v2"
	"regexp"
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
// accepted arrives there, or its sender is told once that it was refused; one arrives twice only if
// the kill fell between that server's 250 and our commit: its recipient was in the queue still.
func TestCrashQueue(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		away := mxtest.New(t, mxtest.Config{Name: "mx.away.test", Script: func(stage, line string) string {
			if stage == mxtest.Rcpt && strings.Contains(line, "<refused@") {
				return "554 5.7.1 not here"
			}
			return ""
		}})
		dns := resolvertest.New(t)
		dns.Set("away.test. 60 IN MX 10 mx.away.test.", "mx.away.test. 60 IN A 127.0.0.1")
		in := newInstance(t, url, "POSTCHI_OUTBOUND_ENABLED=true", "POSTCHI_OUTBOUND_PRIVATE=true", fmt.Sprintf("POSTCHI_OUTBOUND_PORT=%d", away.Port()),
			"POSTCHI_DNS_RESOLVER="+dns.Addr(), "POSTCHI_LIMITS_MAILBOX_HOUR=0", "POSTCHI_LIMITS_MAILBOX_DAY=0", "POSTCHI_LIMITS_DOMAIN_HOUR=0", "POSTCHI_LIMITS_DOMAIN_DAY=0")
		in.start()
		in.populate("crash.example", "one", "two")
		q := &outgoing{in: in, accepted: map[string]bool{}, refused: map[string]bool{}}
		stop := q.start(t)
		kills := 2
		if *crashKills > kills*2 {
			kills = *crashKills
		}
		var at []kill
		for range kills {
			target := away.Count() + sentPerKill
			within(t, 60*time.Second, "messages sent", func() bool { return away.Count() >= target })
			time.Sleep(rand.N(50 * time.Millisecond))
			in.kill()
			at = append(at, kill{time.Now(), q.queued(t, url)})
			in.start()
		}
		stop()
		within(t, 90*time.Second, "the queue is empty", func() bool { return q.waiting(t, url) == 0 })
		doubles := q.check(t, away.Messages(), at)
		q.checkReports(t)
		t.Logf("%d messages accepted, %d of them refused there, %d kills, %d arrived twice", len(q.accepted)+len(q.refused), len(q.refused), kills, doubles)
		checkReferences(t, in, url)
	})
}

// outgoing is what was submitted for elsewhere.
type outgoing struct {
	in *instance
	n  atomic.Int64

	mu       sync.Mutex
	accepted map[string]bool // by subject
	refused  map[string]bool // those that the other server refuses
}

// kill is when the program was killed, and the subjects that were in the queue then.
type kill struct {
	at     time.Time
	queued map[string]bool
}

// refusedEvery keeps what is refused well below the part at which the sending of a mailbox is held.
const refusedEvery = 16

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
					for n := 1; !over.Load() && q.one(c, from, n%refusedEvery == 0); n++ {
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
func (q *outgoing) one(c *talk, from string, refused bool) bool {
	subject := fmt.Sprintf("outgoing-%d", q.n.Add(1))
	to, all := fmt.Sprintf("x%d@away.test", rand.IntN(5)), q.accepted
	if refused {
		to, all = "refused@away.test", q.refused
	}
	a := c.submit(from, message(from, subject, 2000), to)
	if a.code == 250 {
		q.mu.Lock()
		defer q.mu.Unlock()
		all[subject] = true
	}
	return a.code == 250
}

// queued returns the subjects of what has a recipient in the queue.
func (q *outgoing) queued(t *testing.T, url string) map[string]bool {
	t.Helper()
	d := q.in.openDatabase(url)
	defer d.Close()
	rows, err := d.SQL().Query("SELECT q.subject FROM queue q JOIN queue_recipients r ON r.queue_id = q.id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]bool{}
	for rows.Next() {
		var subject string
		if err := rows.Scan(&subject); err != nil {
			t.Fatal(err)
		}
		all[subject] = true
	}
	return all
}

// checkReports wants one report for each message that was refused.
func (q *outgoing) checkReports(t *testing.T) {
	t.Helper()
	told := map[string]int{}
	for _, from := range []string{"one@crash.example", "two@crash.example"} {
		for _, m := range q.in.inbox(t, from) {
			if subject := reported.FindSubmatch(m); subject != nil {
				told[string(subject[1])]++
			}
		}
	}
	for subject := range q.refused {
		if told[subject] == 0 {
			t.Errorf("%s was refused, and its sender not told", subject)
		}
	}
	for subject, n := range told {
		if n > 1 {
			t.Errorf("the sender of %s was told %d times", subject, n)
		}
	}
}

// reported finds the subject of the message that a report speaks of.
var reported = regexp.MustCompile(`(?m)^Subject: (outgoing-\d+)\r?$`)

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
func (q *outgoing) check(t *testing.T, got []mxtest.Message, kills []kill) (doubles int) {
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
			if !inWindow(subject, times[i], times[i+1], kills) {
				t.Errorf("%s arrived at %v and again at %v, and no kill fell between the 250 and the commit: %s", subject, times[i].Format(clockForm), times[i+1].Format(clockForm), listed(subject, kills))
			}
		}
	}
	return doubles
}

const clockForm = "15:04:05.000000"

// listed says when the kills were, and whether a subject was in the queue then.
func listed(subject string, kills []kill) string {
	var all []string
	for _, k := range kills {
		all = append(all, fmt.Sprintf("%s queued %v", k.at.Format(clockForm), k.queued[subject]))
	}
	return strings.Join(all, ", ")
}

// inWindow reports whether a kill fell directly behind the first of two arrivals, and before its
// result was committed.
func inWindow(subject string, first, second time.Time, kills []kill) bool {
	for _, k := range kills {
		if !first.After(k.at) && k.at.Sub(first) <= window && second.After(k.at) && k.queued[subject] {
			return true
		}
	}
	return false
}
