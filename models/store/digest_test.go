package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

func someDigested(n int) []digested {
	var all []digested
	for i := range n {
		e := models.Event{Sender: fmt.Sprintf("p%d@far.example", i%7), Recipient: "sara@one.example", MessageID: fmt.Sprint(i / 2)}
		k := keysOf(&e)
		all = append(all, digested{
			id: models.ID(1000 + i*3), at: models.Micros(50_000 - i*i%977), owner: owner{models.ID(1 + i%3), models.ID(10 + i%5), i%4 == 0},
			sender: k.sender, recipient: k.recipient, message: k.message, subject: []string{"", "صورتحساب مرداد", "invoice 50%", fmt.Sprint("ticket ", i)}[i%4],
		})
	}
	return all
}

// TestDigests asks a digest for each of its events by each thing the event has.
func TestDigests(t *testing.T) {
	events := someDigested(300)
	d := newDigest(slices.Clone(events))
	if d.firstAt > d.lastAt || d.size != 300 {
		t.Fatalf("%+v", d)
	}
	for _, e := range events {
		a := &asked{customer: e.owner.customer, mailboxes: []models.ID{e.owner.mailbox}, low: e.sender, high: e.sender, subject: e.subject}
		for _, a.Direction = range []string{"", map[bool]string{true: "out", false: "in"}[e.owner.out]} {
			if !slices.ContainsFunc(a.marks(), func(all []uint64) bool { return hasMarks(d.marks, all) }) {
				t.Fatalf("passed over for %+v", a)
			}
		}
		chosen := slices.Repeat([]bool{true}, d.size)
		if !chooseKeys(d.keys, e.sender, e.sender, 0, chosen) || !chooseKeys(d.keys, 0, 0, e.message, chosen) || !chooseSubjects(d.subjects, []byte(e.subject), chosen) {
			t.Fatalf("not chosen: %+v", e)
		}
		found := records(d.records, chosen, a.mayOwn)
		if !slices.Contains(found, hit{id: e.id, at: e.at}) {
			t.Fatalf("%+v not in %v", e, found)
		}
		if len(found) > 2 { // two have a Message-ID together
			t.Fatalf("%d found for %+v", len(found), e)
		}
	}
	passed := 0
	for i := range 1000 {
		a := &asked{subject: fmt.Sprintf("q%dzx", i)}
		if !slices.ContainsFunc(a.marks(), func(all []uint64) bool { return hasMarks(d.marks, all) }) {
			passed++
		}
	}
	if passed < 950 {
		t.Errorf("only %d of 1000 strange words are passed over", passed)
	}
}

func FuzzDigest(f *testing.F) {
	d := newDigest(someDigested(20))
	for _, part := range [][]byte{d.records, d.keys, d.subjects, d.marks, nil, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}} {
		f.Add(part, "voice")
	}
	f.Fuzz(func(t *testing.T, part []byte, words string) {
		chosen := slices.Repeat([]bool{true}, 50)
		records(part, chosen, func(owner) bool { return true })
		chooseKeys(part, 1, 5, 0, chosen)
		words = foldedSubject(words)
		chooseSubjects(part, []byte(words), slices.Clone(chosen))
		marks := (&asked{subject: words}).marks()
		hasMarks(part, marks[0])
		// What was written is found again, whatever it is.
		if subject := foldedSubject(string(part)); strings.Contains(subject, words) {
			d := newDigest([]digested{{id: 7, at: 8, subject: subject}})
			if one := []bool{true}; !hasMarks(d.marks, marks[0]) || words != "" && !chooseSubjects(d.subjects, []byte(words), one) {
				t.Errorf("%q is not found in %q", words, subject)
			}
		}
	})
}

// TestDigestsAreMade once for each event, by whoever comes first, when the events are old enough;
// and removed with their events.
func TestDigestsAreMade(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.digestSize = 10
		events := make([]models.Event, 35)
		for i := range events {
			events[i] = models.Event{At: models.Micros(100 + i), Kind: models.EventAccepted, Direction: "in", CustomerID: 1, Subject: "x"}
		}
		f.ok(f.InsertEvents(f.ctx, events))
		if n, err := f.DigestEvents(f.ctx); err != nil || n != 0 {
			t.Fatalf("made of %d events that may not be the last: %v", n, err)
		}
		f.digestAfter = -time.Hour
		done := make(chan int64)
		for range 4 {
			go func() {
				var sum int64
				for misses := 0; misses < 5; {
					n, err := f.DigestEvents(f.ctx)
					if sum += n; err != nil {
						t.Error(err)
					}
					if n == 0 {
						misses++
					}
				}
				done <- sum
			}()
		}
		var sum int64
		for range 4 {
			sum += <-done
		}
		if n := f.countDigests(t); sum != 30 || n != 3 {
			t.Fatalf("%d events in %d digests", sum, n)
		}
		// What comes too late for the digests in order brings its own.
		f.ok(f.InsertEvents(f.ctx, []models.Event{{ID: 3, At: 90, Kind: models.EventAccepted, Direction: "in", CustomerID: 1, Subject: "late"}}))
		if n := f.countDigests(t); n != 4 {
			t.Fatalf("%d digests", n)
		}
		var gone int64
		for n := int64(1); n > 0; gone += n {
			var err error
			n, err = f.PruneEvents(f.ctx, 125)
			f.ok(err)
		}
		if n := f.countDigests(t); n != 1 || gone != 26+3 {
			t.Errorf("%d digests left, %d rows gone", n, gone)
		}
	})
}

// countDigests counts them, and that each has its parts.
func (f *fixture) countDigests(t *testing.T) (n int) {
	t.Helper()
	var parts int
	f.ok(f.d.SQL().QueryRow("SELECT COUNT(*) FROM event_digests").Scan(&n))
	f.ok(f.d.SQL().QueryRow("SELECT COUNT(*) FROM event_digest_parts").Scan(&parts))
	if parts != 3*n {
		t.Errorf("%d parts of %d digests", parts, n)
	}
	return n
}
