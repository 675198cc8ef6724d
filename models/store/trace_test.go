package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db/dbtest"
)

// dayLength is a day in microseconds.
const dayLength = 24 * hour

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
	case q.Address == "@", !strings.Contains(models.Fold(e.Subject), models.Fold(q.Subject)):
		return false
	case q.Address != "" && strings.Contains(q.Address, "+"):
		return e.Sender == q.Address || e.Recipient == q.Address
	case q.Address != "":
		return plain(e.Sender) == plain(q.Address) || plain(e.Recipient) == plain(q.Address)
	case q.Domain != "":
		return domain(e.Sender) == q.Domain || domain(e.Recipient) == q.Domain
	case q.MessageID != "":
		return e.MessageID == strings.Trim(q.MessageID, "<>")
	}
	return true
}

// TestTracesFindWhatAScanFinds asks in every combination of what can be asked, for every kind of
// viewer, while events lie in digests, wait for one, and came too late for theirs.
func TestTracesFindWhatAScanFinds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.digestAfter, f.digestSize, f.rowLimit = -time.Hour, 64, 30
		events := someEvents(400, 20)
		for i := range events {
			if i%50 == 49 { // of a node whose clock is slow
				events[i].ID = models.ID(i)
			}
		}
		for part := range slices.Chunk(events, 150) {
			f.ok(f.InsertEvents(f.ctx, part))
			for n := int64(1); n > 0; {
				var err error
				n, err = f.DigestEvents(f.ctx)
				f.ok(err)
			}
		}
		day := models.Micros(dayLength)
		addresses := []string{"", "", "Omid@one.example", "omid+shop@one.example", "omid+x@one.example", "sara@one.example", "ali@two.example", "@"}
		domains := []string{"", "", "far.example", "nowhere.example", "two.example"}
		subjects := []string{"", "", "مرداد", "صورتحساب", "ت\u200cح", "50%", "o_t", "INVOICE", "o", "ii", "\u200cنیست"}
		r := rand.New(rand.NewPCG(3, 4))
		pick := func(all []string) string { return all[r.IntN(len(all))] }
		n := 60
		if dbtest.Long() {
			n = 2000
		}
		for i := range n {
			q := models.TraceQuery{Subject: pick(subjects), Direction: pick([]string{"", "", "in", "out"})}
			switch i % 4 {
			case 0:
				q.Address = pick(addresses)
			case 1:
				q.Domain = pick(domains)
			case 2:
				q.MessageID = pick([]string{"", "7@far.example", "<8@far.example>", "none@far.example"})
			}
			if r.IntN(4) == 0 {
				q.MailboxID = models.ID(10 + r.IntN(6))
			}
			if r.IntN(3) == 0 {
				q.From = models.Micros(r.Int64N(int64(20 * day)))
				q.To = q.From + models.Micros(r.Int64N(int64(10*day)))
			}
			f.budget = []int{searchBudget, 100_000, 20_000}[r.IntN(3)]
			scope := []models.Scope{models.Everything(), models.OfCustomer(2), models.OfMailbox(11), {}}[r.IntN(4)]
			want := map[string]bool{}
			for i := range events {
				if e := &events[i]; fitsQuery(e, scope, q) {
					want[traceName(e)] = true
				}
			}
			f.compare(t, scope, q, want)
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
	f.digestAfter, f.digestSize, f.rowLimit = -time.Hour, 100, 10
	const n = 1500
	events := make([]models.Event, n)
	for i := range events {
		events[i] = models.Event{At: models.Micros(i + 1), Kind: models.EventAccepted, CustomerID: 1, Direction: "out", Sender: "sara@one.example", Subject: "needle"}
		if i >= 100 { // letters of both words are everywhere, the words are not
			events[i].Subject = "need edle"
		}
	}
	f.ok(f.InsertEvents(f.ctx, events))
	for n := int64(1); n > 0; {
		var err error
		n, err = f.DigestEvents(f.ctx)
		f.ok(err)
	}
	// What the budget allows for is a few digests, so there must be several searches, each of
	// which goes on where the one before it ended.
	f.budget = 1000
	q, searches := models.TraceQuery{Subject: "needle"}, 0
	for {
		found, err := f.Traces(f.ctx, models.OfCustomer(1), q)
		f.ok(err)
		if searches++; len(found.Items) > 0 {
			break
		}
		if found.Until == 0 || q.Before != 0 && found.Until >= q.Before {
			t.Fatalf("search %d ended at %d after %d", searches, found.Until, q.Before)
		}
		q.Before = found.Until
	}
	if searches < 3 || searches > 14 {
		t.Errorf("%d searches", searches)
	}
	// Most letters of other words are in no digest at all: one search is enough.
	if found, err := f.Traces(f.ctx, models.OfCustomer(1), models.TraceQuery{Subject: "other words"}); err != nil || found.Until != 0 {
		t.Errorf("%+v %v", found, err)
	}
}
