package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// mailDay is when the events of benchmarks end.
const mailDay = models.Micros(20_700 * dayLength)

// traffic makes the events of a hosting server: n over 30 days, two for a message, between 2,000
// mailboxes of 300 customers and people outside, four in ten of them at one provider. The first
// customer has a share of them in percent, the others have as much as each other.
func traffic(n, from, share int) []models.Event {
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
		customer := 2 + box%299
		if r.IntN(100) < share {
			customer = 1
			box %= 50
		}
		e := models.Event{
			At: mailDay - models.Micros(int64(1_000_000-i)*step), Kind: models.EventAccepted, EnvelopeID: models.ID(i + 1), Direction: "in",
			MessageID: fmt.Sprintf("%x.%d@mx.example", r.Uint64(), i), Sender: outside(), Remote: "192.0.2.1", Code: 250, Enhanced: "2.0.0", Words: "accepted",
			Subject: fmt.Sprintf("%s %s %d", words[r.IntN(10)], words[r.IntN(10)], i), Detail: fmt.Sprintf("accepted as %d", i), Size: 4096,
		}
		if i < 100 {
			e.Subject = "the very first قرارداد"
		}
		events = append(events, e)
		e.At, e.Kind, e.Words, e.CustomerID, e.MailboxID = e.At+1, models.EventDelivered, "delivered", models.ID(customer), models.ID(1000*customer+box)
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
			fn(b, s)
		})
	}
}

func fill(b *testing.B, s *Store, n, share int) {
	b.Helper()
	s.digestAfter = -time.Hour
	for from := 0; from < n; from += 10_000 {
		if err := s.InsertEvents(b.Context(), traffic(min(10_000, n-from), from, share)); err != nil {
			b.Fatal(err)
		}
	}
	for made := int64(1); made > 0; {
		var err error
		if made, err = s.DigestEvents(b.Context()); err != nil {
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
		fill(b, s, n, 33)
		events := traffic(100_000, n, 33)
		for i := 0; b.Loop(); i++ {
			at := i * 100 % 100_000
			if err := s.InsertEvents(b.Context(), events[at:at+100]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkDigestEvents makes the digests of events that are there.
func BenchmarkDigestEvents(b *testing.B) {
	eachDB(b, func(b *testing.B, s *Store) {
		s.digestAfter = -time.Hour
		events := traffic(20*digestSize, 0, 33)
		if err := s.InsertEvents(b.Context(), events); err != nil {
			b.Fatal(err)
		}
		n := 0
		for ; b.Loop(); n++ {
			if n%20 == 0 {
				err := s.d.Write(b.Context(), func(ctx context.Context, tx *db.Tx) error {
					_, err := tx.ExecContext(ctx, "DELETE FROM event_digests")
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			if made, err := s.DigestEvents(b.Context()); err != nil || made != digestSize {
				b.Fatal(made, err)
			}
		}
		b.ReportMetric(float64(n)*digestSize/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkTraces searches 1,000,000 events with POSTCHI_LONG=1, 50,000 without, of a server as
// there are many, and of one where a customer has nine in ten of them. Each search goes on to the
// end, or for 20 pages. Told are the worst time of one page, and the pages until something was
// found.
func BenchmarkTraces(b *testing.B) {
	n := 50_000
	if dbtest.Long() {
		n = 1_000_000
	}
	for _, share := range []int{33, 90} {
		b.Run(fmt.Sprintf("share%d", share), func(b *testing.B) {
			eachDB(b, func(b *testing.B, s *Store) {
				fill(b, s, n, share)
				for _, search := range searches() {
					b.Run(search.name, func(b *testing.B) { search.run(b, s) })
				}
			})
		})
	}
}

type benchSearch struct {
	name  string
	scope models.Scope
	q     models.TraceQuery
}

func searches() []benchSearch {
	day := mailDay - models.Micros(dayLength)
	big, small, owner, busy, all := models.OfCustomer(1), models.OfCustomer(77), models.OfMailbox(77075), models.OfMailbox(1007), models.Everything()
	first := traffic(2, 0, 33)[0]
	return []benchSearch{
		{"latest/admin", all, models.TraceQuery{}},
		{"latest/large", big, models.TraceQuery{}},
		{"latest/owner", busy, models.TraceQuery{}},
		{"direction/none-large", big, models.TraceQuery{Direction: "out"}},
		{"address/admin", all, models.TraceQuery{Address: "box75@domain77.example"}},
		{"address/large", big, models.TraceQuery{Address: "person4@gmail.com"}},
		{"address/small", small, models.TraceQuery{Address: "person4@gmail.com"}},
		{"address/oldest", all, models.TraceQuery{Address: first.Sender}},
		{"address/tag", all, models.TraceQuery{Address: "box7+never@domain1.example"}},
		{"address/nobody", all, models.TraceQuery{Address: "nobody@nowhere.example"}},
		{"address/owner", busy, models.TraceQuery{Address: "person4@gmail.com"}},
		{"domain/admin", all, models.TraceQuery{Domain: "gmail.com"}},
		{"domain/large", big, models.TraceQuery{Domain: "gmail.com"}},
		{"domain/small", small, models.TraceQuery{Domain: "gmail.com"}},
		{"domain/wrong-way", all, models.TraceQuery{Domain: "gmail.com", Direction: "out"}},
		{"domain/other-customer", big, models.TraceQuery{Domain: "domain77.example"}},
		{"domain/day", all, models.TraceQuery{Domain: "gmail.com", From: day - 9*dayLength, To: day - 8*dayLength}},
		{"message-id/oldest", all, models.TraceQuery{MessageID: first.MessageID}},
		{"message-id/large", big, models.TraceQuery{MessageID: first.MessageID}},
		{"message-id/none", all, models.TraceQuery{MessageID: "none@far.example"}},
		{"subject/admin-day", all, models.TraceQuery{Subject: "no such words", From: day, To: mailDay}},
		{"subject/admin-day-common", all, models.TraceQuery{Subject: "invoice", From: day, To: mailDay}},
		{"subject/admin-day-hard", all, models.TraceQuery{Subject: "order order order", From: day, To: mailDay}},
		{"subject/large", big, models.TraceQuery{Subject: "no such words"}},
		{"subject/large-common", big, models.TraceQuery{Subject: "گزارش"}},
		{"subject/large-oldest", big, models.TraceQuery{Subject: "قرارداد"}},
		{"subject/large-hard", big, models.TraceQuery{Subject: "order order order"}},
		{"subject/large-hard-persian", big, models.TraceQuery{Subject: "گزارش گزارش گزارش"}},
		{"subject/large-letter", big, models.TraceQuery{Subject: "ژ"}},
		{"subject/large-digits", big, models.TraceQuery{Subject: "123454321"}},
		{"subject/small", small, models.TraceQuery{Subject: "no such words"}},
		{"subject/small-hard", small, models.TraceQuery{Subject: "order order order"}},
		{"subject/owner", owner, models.TraceQuery{Subject: "no such words"}},
		{"subject/busy-owner", busy, models.TraceQuery{Subject: "no such words"}},
		{"subject/busy-owner-hard", busy, models.TraceQuery{Subject: "order order order"}},
		{"id", all, models.TraceQuery{ID: 252796823968681984}},
	}
}

func (one benchSearch) run(b *testing.B, s *Store) {
	var worst time.Duration
	pages, foundOn := 0, 0
	for b.Loop() {
		q := one.q
		foundOn = 0
		for pages = 1; pages <= 20; pages++ {
			started := time.Now()
			found, err := s.Traces(b.Context(), one.scope, q)
			if err != nil {
				b.Fatal(err)
			}
			worst = max(worst, time.Since(started))
			if foundOn == 0 && len(found.Items) > 0 {
				foundOn = pages
			}
			if q.Before = found.Until; q.Before == 0 {
				break
			}
		}
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
	b.ReportMetric(float64(min(pages, 20)), "pages")
	b.ReportMetric(float64(foundOn), "found-on")
}
