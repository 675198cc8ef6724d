package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

// someEvents makes messages between few addresses over some days: accepted from outside or from
// a mailbox, delivered, refused.
func someEvents(n int, days int64) []models.Event {
	r := rand.New(rand.NewPCG(1, 2))
	people := []string{"sara@one.example", "omid+shop@one.example", "ali@two.example", "x@far.example", "news@far.example", "y@else.example"}
	subjects := []string{"صورت\u200cحساب مرداد", "Invoice 50%", "Hello_there", ""}
	var all []models.Event
	for i := range n {
		e := models.Event{
			At: models.Micros(r.Int64N(days*dayLength) + 1), Kind: models.EventAccepted, EnvelopeID: models.ID(i + 1), Direction: []string{"in", "out"}[i%2],
			Sender: people[r.IntN(len(people))], Subject: subjects[r.IntN(len(subjects))], MessageID: fmt.Sprintf("%d@far.example", i/2), Words: "accepted",
		}
		if e.Direction == "out" {
			e.CustomerID, e.MailboxID = models.ID(1+i%3), models.ID(10+i%5)
		}
		if i%7 == 0 {
			e.EnvelopeID, e.Kind = 0, models.EventRefused
		}
		all = append(all, e)
		for range r.IntN(3) {
			if e.EnvelopeID == 0 {
				break
			}
			e.At += 10
			e.Kind, e.CustomerID, e.MailboxID, e.Recipient = models.EventDelivered, models.ID(1+r.IntN(3)), models.ID(10+r.IntN(5)), people[r.IntN(len(people))]
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b models.Event) int { return cmp.Compare(a.At, b.At) })
	return all
}

// fitsQuery is the search, said plainly.
func fitsQuery(e *models.Event, scope models.Scope, q models.TraceQuery) bool {
	plain := func(s string) string { local, domain := plainAddress(s); return local + "@" + domain }
	domain := func(s string) string { _, d := plainAddress(s); return d }
	switch {
	case !scope.All() && !scope.Sees(e.CustomerID) && (scope.Mailbox() == 0 || e.MailboxID != scope.Mailbox()):
		return false
	case q.MailboxID != 0 && e.MailboxID != q.MailboxID, q.Direction != "" && e.Direction != q.Direction, e.At < q.From, q.To != 0 && e.At >= q.To:
		return false
	case q.Address != "" && strings.Contains(q.Address, "+"):
		return e.Sender == q.Address || e.Recipient == q.Address
	case q.Address != "":
		return plain(e.Sender) == plain(q.Address) || plain(e.Recipient) == plain(q.Address)
	case q.Domain != "":
		return domain(e.Sender) == q.Domain || domain(e.Recipient) == q.Domain
	case q.MessageID != "":
		return e.MessageID == q.MessageID
	}
	return strings.Contains(models.Fold(e.Subject), models.Fold(q.Subject))
}

func TestTracesFindWhatAScanFinds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		events := someEvents(400, 20)
		f.ok(f.InsertEvents(f.ctx, events))
		day := models.Micros(dayLength)
		queries := []models.TraceQuery{
			{}, {Direction: "in"}, {Address: "Omid@one.example"}, {Address: "omid+shop@one.example"}, {Address: "omid+x@one.example"},
			{Address: "sara@one.example", Direction: "out"}, {Domain: "far.example"}, {Domain: "nowhere.example"}, {MessageID: "7@far.example"},
			{Subject: "مرداد"}, {Subject: "صورتحساب"}, {Subject: "50%"}, {Subject: "o_t"}, {Subject: "INVOICE", From: 3 * day, To: 5 * day},
			{MailboxID: 12}, {MailboxID: 12, Domain: "two.example"}, {Domain: "one.example", From: 2*day + 7, To: 9 * day}, {Address: "ali@two.example", Subject: "hello"},
		}
		for _, scope := range []models.Scope{models.Everything(), models.OfCustomer(2), models.OfMailbox(11), {}} {
			for _, q := range queries {
				want := map[string]bool{}
				for i := range events {
					if e := &events[i]; fitsQuery(e, scope, q) && (q.Subject == "" || strings.Contains(models.Fold(e.Subject), models.Fold(q.Subject))) {
						want[traceName(e)] = true
					}
				}
				f.compare(t, scope, q, want)
			}
		}
	})
}

// traceName names a message or an attempt.
func traceName(e *models.Event) string {
	if e.EnvelopeID != 0 {
		return e.EnvelopeID.String()
	}
	return fmt.Sprint("attempt ", e.At)
}

// compare reads all pages of a search.
func (f *fixture) compare(t *testing.T, scope models.Scope, q models.TraceQuery, want map[string]bool) {
	t.Helper()
	got := map[string]bool{}
	q.Limit = 7
	for pages := 0; ; pages++ {
		found, err := f.Traces(f.ctx, scope, q)
		if err != nil || len(found.Items) > 7 || pages > 400 {
			t.Fatal(len(found.Items), pages, err)
		}
		for _, one := range found.Items {
			for i := range one.Events {
				e := &one.Events[i]
				if !scope.All() && !scope.Sees(e.CustomerID) && e.MailboxID != scope.Mailbox() && (e.CustomerID != 0 || e.MailboxID != 0 || e.Recipient != "") {
					t.Fatalf("a step of somebody else: %+v", e)
				}
			}
			got[traceName(&one.Events[0])] = true
		}
		if q.Before = found.Until; q.Before == 0 {
			break
		}
	}
	if len(got) != len(want) {
		t.Errorf("%+v in %+v: %d found, want %d", q, scope, len(got), len(want))
	}
	for name := range got {
		if !want[name] {
			t.Errorf("%+v in %+v: %s does not fit", q, scope, name)
		}
	}
}

func TestStepsOfAMessage(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		accepted := models.Event{At: 1000, Kind: models.EventAccepted, EnvelopeID: 77, Direction: "in", Sender: "x@far.example", Detail: "accepted as 99"}
		one, two := accepted, accepted
		one.Kind, one.At, one.CustomerID, one.MailboxID, one.Recipient = models.EventDelivered, 1001, 1, 11, "sara@one.example"
		two.Kind, two.At, two.CustomerID, two.MailboxID, two.Recipient = models.EventDelivered, 1001, 2, 12, "ali@two.example"
		refused := models.Event{ID: 5, At: 900, Kind: models.EventRefused, Direction: "in", Sender: "x@far.example", Recipient: "nobody@else.example"}
		f.ok(f.InsertEvents(f.ctx, []models.Event{refused, accepted, one, two}))
		steps := func(scope models.Scope, id models.ID) int {
			trace, err := f.Trace(f.ctx, scope, id)
			if models.Is(err, models.NotFound) {
				return 0
			}
			f.ok(err)
			return len(trace.Events)
		}
		for _, test := range []struct {
			scope models.Scope
			id    models.ID
			n     int
		}{
			{models.Everything(), 77, 3}, {models.OfCustomer(1), 77, 2}, {models.OfCustomer(2), 77, 2}, {models.OfCustomer(3), 77, 0}, {models.OfMailbox(12), 77, 2},
			{models.OfMailbox(13), 77, 0}, {models.Scope{}, 77, 0}, {models.Scope{}, 5, 0}, {models.Everything(), 5, 1}, {models.OfCustomer(1), 5, 0}, {models.Everything(), 1, 0},
		} {
			if n := steps(test.scope, test.id); n != test.n {
				t.Errorf("%+v: %d steps", test, n)
			}
		}
		// The id in our 250 was made just before.
		id := f.NewID()
		accepted.ID, accepted.EnvelopeID, accepted.At, accepted.Detail = 0, 78, models.At(id.Time())+5e6, "accepted as "+id.String()
		f.ok(f.InsertEvents(f.ctx, []models.Event{accepted}))
		for want, q := range map[models.ID]models.ID{77: 77, 78: id} {
			if found, err := f.Traces(f.ctx, models.Everything(), models.TraceQuery{ID: q}); err != nil || len(found.Items) != 1 || found.Items[0].EnvelopeID != want {
				t.Errorf("%d: %+v %v", q, found, err)
			}
		}
		if found, err := f.Traces(f.ctx, models.OfCustomer(1), models.TraceQuery{ID: id}); err != nil || len(found.Items) != 0 {
			t.Errorf("%+v %v", found, err)
		}
	})
}

func TestRefusedAttemptsBelongToTheDomain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		box := f.addMailbox(f.domain, "sara", nil)
		refused := models.Event{At: 1, Kind: models.EventRefused, Direction: "in", Sender: "x@far.example", Recipient: "Nobody@" + f.domain.Name}
		known, elsewhere, out := refused, refused, refused
		known.Recipient, elsewhere.Recipient, out.Direction = "<SARA+x@"+f.domain.Name+">", "x@far.example", "out"
		f.ok(f.InsertEvents(f.ctx, []models.Event{refused, known, elsewhere, out}))
		found, err := f.Traces(f.ctx, models.OfCustomer(f.domain.CustomerID), models.TraceQuery{})
		if err != nil || len(found.Items) != 2 {
			t.Fatalf("%+v %v", found, err)
		}
		if found, err = f.Traces(f.ctx, models.OfMailbox(box.ID), models.TraceQuery{}); err != nil || len(found.Items) != 1 {
			t.Errorf("%+v %v", found, err)
		}
		if found, err = f.Traces(f.ctx, models.Everything(), models.TraceQuery{}); err != nil || len(found.Items) != 4 {
			t.Errorf("%+v %v", found, err)
		}
	})
}

func TestASearchIsBounded(t *testing.T) {
	f := newFixture(t, dbtest.Open(t, dbtest.SQLite(t)))
	const n, budget = 1500, 1000
	f.budget = budget
	events := make([]models.Event, n)
	for i := range events {
		events[i] = models.Event{At: models.Micros(i + 1), Kind: models.EventAccepted, CustomerID: 1, Direction: "out", Sender: "sara@one.example", Subject: "x"}
	}
	events[3].Subject = "needle"
	f.ok(f.InsertEvents(f.ctx, events))
	for cost, q := range map[models.Micros]models.TraceQuery{1: {Subject: "needle"}, keyCost: {Subject: "needle", Address: "sara@one.example"}} {
		searches := models.Micros(0)
		for {
			found, err := f.Traces(f.ctx, models.OfCustomer(1), q)
			f.ok(err)
			if searches++; len(found.Items) == 1 {
				break
			}
			// Each search goes on where the one before it ended, and looks at about as many.
			want := models.Micros(n) - searches*budget/cost
			if found.Until < want-260 || found.Until > want+260 {
				t.Fatalf("search %d of %+v went back to %d, want about %d", searches, q, found.Until, want)
			}
			q.Before = found.Until
		}
		if want := (n*cost-1)/budget + 1; searches != want {
			t.Errorf("%+v: found by search %d, want %d", q, searches, want)
		}
	}
}
