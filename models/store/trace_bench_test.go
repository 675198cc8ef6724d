package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

// mailDay is when the events of benchmarks end.
const mailDay = models.Micros(20_700 * dayLength)

// traffic makes the events of a hosting server: n over 30 days, two for a message, between 2,000
// mailboxes of 300 customers (the first has a third of them) and people outside, four in ten of
// them at one provider.
func traffic(n int, from int) []models.Event {
	r := rand.New(rand.NewPCG(uint64(from), 7))
	outside := func() string {
		domain := "gmail.com"
		if r.IntN(10) >= 4 {
			domain = fmt.Sprintf("d%d.example", r.IntN(3000))
		}
		return fmt.Sprintf("person%d@%s", r.IntN(20_000), domain)
	}
	words := []string{"invoice", "گزارش", "meeting", "order", "صورت\u200cحساب", "offer", "news", "تمدید", "ticket", "hello"}
	events := make([]models.Event, 0, n)
	step := 30 * dayLength / int64(max(n, 1_000_000))
	for i := from; len(events) < n; i += 2 {
		box := r.IntN(2000)
		customer := 1 + box%300
		if box%3 == 0 {
			customer = 1
		}
		e := models.Event{
			At: mailDay - models.Micros(int64(1_000_000-i)*step), Kind: models.EventAccepted, EnvelopeID: models.ID(i + 1), Direction: "in",
			MessageID: fmt.Sprintf("%x.%d@mx.example", r.Uint64(), i), Sender: outside(), Remote: "192.0.2.1", Code: 250, Enhanced: "2.0.0", Words: "accepted",
			Subject: fmt.Sprintf("%s %s %d", words[r.IntN(10)], words[r.IntN(10)], i), Detail: fmt.Sprintf("accepted as %d", i), Size: 4096,
		}
		events = append(events, e)
		e.At, e.Kind, e.Words, e.CustomerID, e.MailboxID = e.At+1, models.EventDelivered, "delivered", models.ID(customer), models.ID(1000+box)
		e.Recipient = fmt.Sprintf("box%d@domain%d.example", box, customer)
		events = append(events, e)
	}
	return events
}

// eachDB runs a benchmark on each database there is.
func eachDB(b *testing.B, fn func(b *testing.B, s *Store)) {
	for _, name := range []string{"sqlite", "mysql"} {
		b.Run(name, func(b *testing.B) {
			config := dbtest.SQLite
			if name == "mysql" {
				config = dbtest.MySQL
			}
			d := dbtest.Open(b, config(b))
			s, err := New(d, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			fn(b, s)
		})
	}
}

func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	for from := 0; from < n; from += 10_000 {
		if err := s.InsertEvents(b.Context(), traffic(min(10_000, n-from), from)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInsertEvents writes events in batches of 100, as the recorder does when it is busy.
func BenchmarkInsertEvents(b *testing.B) {
	eachDB(b, func(b *testing.B, s *Store) {
		n := 20_000
		if dbtest.Long() {
			n = 500_000
		}
		fill(b, s, n)
		events := traffic(100_000, n)
		for i := 0; b.Loop(); i++ {
			at := i * 100 % 100_000
			if err := s.InsertEvents(b.Context(), events[at:at+100]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkTraces searches 1,000,000 events with POSTCHI_LONG=1, 50,000 without; the worst of a
// hundred is told beside the mean.

// BenchmarkTraces searches 1,000,000 events with POSTCHI_LONG=1, 50,000 without; the worst time
// is told beside the mean.
func BenchmarkTraces(b *testing.B) {
	n := 50_000
	if dbtest.Long() {
		n = 1_000_000
	}
	eachDB(b, func(b *testing.B, s *Store) {
		fill(b, s, n)
		day := mailDay - models.Micros(dayLength)
		big, small, owner, all := models.OfCustomer(1), models.OfCustomer(77), models.OfMailbox(1076), models.Everything()
		message := traffic(2, 10_000)[0].MessageID
		for _, search := range []struct {
			name  string
			scope models.Scope
			q     models.TraceQuery
		}{
			{"latest/admin", all, models.TraceQuery{}},
			{"address/admin", all, models.TraceQuery{Address: "box76@domain77.example"}},
			{"address/customer", small, models.TraceQuery{Address: "person4@gmail.com"}},
			{"address/nobody", all, models.TraceQuery{Address: "nobody@nowhere.example"}},
			{"domain/admin", all, models.TraceQuery{Domain: "gmail.com"}},
			{"domain/large", big, models.TraceQuery{Domain: "gmail.com"}},
			{"domain/small", small, models.TraceQuery{Domain: "gmail.com"}},
			{"domain/wrong-way", all, models.TraceQuery{Domain: "gmail.com", Direction: "out"}},
			{"message-id", all, models.TraceQuery{MessageID: message}},
			{"subject/admin-day", all, models.TraceQuery{Subject: "no such words", From: day, To: mailDay}},
			{"subject/large", big, models.TraceQuery{Subject: "no such words"}},
			{"subject/small", small, models.TraceQuery{Subject: "no such words"}},
			{"subject/owner", owner, models.TraceQuery{Subject: "no such words"}},
			{"id", all, models.TraceQuery{ID: s.NewID()}},
		} {
			b.Run(search.name, func(b *testing.B) {
				var worst time.Duration
				for b.Loop() {
					started := time.Now()
					if _, err := s.Traces(b.Context(), search.scope, search.q); err != nil {
						b.Fatal(err)
					}
					worst = max(worst, time.Since(started))
				}
				b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
			})
		}
	})
}
