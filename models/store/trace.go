package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	// traceLimit and maxTraces are how many messages an answer has.
	traceLimit, maxTraces = 20, 100
	// searchBudget bounds what one search reads, in bytes of digests; a row counts as rowCost, one
	// that an index has in order as a quarter of it. What is older is looked at by the next search, which starts where this
	// one ended: none costs more, whatever it asks for.
	searchBudget = 8 << 20
	rowCost      = 4 << 10
	// rowLimit is up to how many events of a viewer are read as rows rather than in digests.
	rowLimit = 2000
	// listSteps and allSteps are how many steps of one message are read for a list and for its
	// own page.
	listSteps, allSteps = 100, 2000
)

// hit is an event that a search has found.
type hit struct {
	id, envelope models.ID
	at           models.Micros
}

// hits collects messages, the latest event of each.
type hits struct {
	limit int
	all   []hit
	seen  map[models.ID]bool
	left  int           // of the budget
	until models.Micros // how far back was looked; 0 = to the end
	first models.Micros // the first event of all; 0 = not known
}

func (s *Store) newHits(limit int) *hits {
	if limit <= 0 {
		limit = traceLimit
	}
	return &hits{limit: min(limit, maxTraces), seen: map[models.ID]bool{}, left: s.budget}
}

// take adds the latest event of each message, unless it is there already. What comes when there
// are enough is left out, and the answer says so.
func (h *hits) take(found []hit) {
	for _, one := range found {
		key := one.envelope
		if key == 0 {
			key = one.id
		}
		switch {
		case h.seen[key]:
		case len(h.all) >= h.limit:
			h.until = max(h.until, one.at+1)
		default:
			h.seen[key] = true
			h.all = append(h.all, one)
		}
	}
}

// Traces returns messages and refused attempts of which an event in the scope fits, the latest
// first, each with its steps in the scope. How much is looked at is bounded: the answer says how
// far back that was.
func (s *Store) Traces(ctx context.Context, scope models.Scope, q models.TraceQuery) (models.Traces, error) {
	h := s.newHits(q.Limit)
	var err error
	switch {
	case !sees(scope):
	case q.ID != 0:
		err = s.tracesByID(ctx, q.ID, h)
	default:
		err = s.search(ctx, scope, q, h)
	}
	if err != nil {
		return models.Traces{}, failed("traces", err)
	}
	found := models.Traces{Until: h.until, Oldest: h.first}
	for _, one := range h.all {
		t, err := s.steps(ctx, scope, one, listSteps)
		if err != nil {
			return models.Traces{}, err
		}
		if len(t.Events) > 0 {
			found.Items = append(found.Items, t)
		}
	}
	return found, nil
}

// sees reports whether a scope has any event: those of nobody have no customer, as a scope
// without one.
func sees(scope models.Scope) bool {
	return scope.All() || scope.Customer() != 0 || scope.Mailbox() != 0
}

// Trace returns all steps of a message in the scope, by the id of its envelope, or one refused
// attempt by its own; NotFound if the scope has none of them.
func (s *Store) Trace(ctx context.Context, scope models.Scope, id models.ID) (*models.Trace, error) {
	for _, one := range []hit{{envelope: id}, {id: id}} {
		t, err := s.steps(ctx, scope, one, allSteps)
		if err != nil {
			return nil, err
		}
		if len(t.Events) > 0 {
			return &t, nil
		}
	}
	return nil, failed("trace", gorm.ErrRecordNotFound)
}

// steps reads what the scope has of a message. Its acceptance from outside is nobody's: whoever
// sees another step sees that one too. It names no recipient.
func (s *Store) steps(ctx context.Context, scope models.Scope, one hit, limit int) (models.Trace, error) {
	t := models.Trace{EnvelopeID: one.envelope}
	g := s.on(ctx).Where("id = ?", one.id)
	if one.envelope != 0 {
		g = s.on(ctx).Where("envelope_id = ?", one.envelope)
	}
	if !scope.All() {
		mine := scopedMailbox(s.on(ctx), scope, "customer_id", "mailbox_id")
		g = g.Where(mine.Or("customer_id = 0 AND mailbox_id = 0 AND direction = 'in' AND recipient = ''"))
	}
	if err := g.Order("at, id").Limit(limit + 1).Find(&t.Events).Error; err != nil {
		return t, failed("steps", err)
	}
	if len(t.Events) > limit {
		t.Events, t.More = t.Events[:limit], true
	}
	own := func(e models.Event) bool {
		return scope.All() || scope.Sees(e.CustomerID) || e.MailboxID != 0 && e.MailboxID == scope.Mailbox()
	}
	if !slices.ContainsFunc(t.Events, own) {
		t.Events = nil
	}
	t.Events = withoutRepeats(t.Events)
	return t, nil
}

// withoutRepeats leaves out what was told to a sender where the step itself is there: for who sees
// both.
func withoutRepeats(events []models.Event) []models.Event {
	key := func(e *models.Event) string { return string(e.Kind) + " " + strings.ToLower(e.Recipient) }
	known := map[string]bool{}
	for i := range events {
		if e := &events[i]; !e.Repeats() {
			known[key(e)] = true
		}
	}
	return slices.DeleteFunc(events, func(e models.Event) bool { return e.Repeats() && known[key(&e)] })
}

// tracesByID finds what an id may mean: a message, an attempt, an item of the queue, also of one
// that is not in it any more, or the id in our 250 and in the Received line. The last two were made
// shortly before the message was accepted, and have no index: the events after that moment are
// looked through, up to 10,000.
func (s *Store) tracesByID(ctx context.Context, id models.ID, h *hits) error {
	made := models.At(id.Time())
	for _, query := range []struct {
		sql  string
		args []any
	}{
		{"SELECT id, envelope_id, at FROM events WHERE envelope_id = ? ORDER BY at DESC LIMIT 1", []any{id}},
		{"SELECT id, envelope_id, at FROM events WHERE id = ?", []any{id}},
		{"SELECT e.id, e.envelope_id, e.at FROM events e WHERE e.envelope_id = (SELECT q.envelope_id FROM queue q WHERE q.id = ?) ORDER BY e.at DESC LIMIT 1", []any{id}},
		{"SELECT id, envelope_id, at FROM (SELECT id, envelope_id, at, detail, queue_id FROM events WHERE at >= ? AND at < ? ORDER BY at LIMIT ?) AS e WHERE detail = ? OR queue_id = ? LIMIT 1",
			[]any{made - 5e6, made + 3600e6, 10_000, "accepted as " + id.String(), id}},
	} {
		found, err := s.hits(ctx, query.sql, query.args)
		if err != nil {
			return err
		}
		if h.take(found); len(found) > 0 {
			return nil
		}
	}
	return nil
}

func (s *Store) hits(ctx context.Context, query string, args []any) ([]hit, error) {
	rows, err := s.d.Reader(ctx).QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []hit
	for rows.Next() {
		var one hit
		if err := rows.Scan(&one.id, &one.envelope, &one.at); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// span returns the moments that a query asks for, cut to those of which there are events; ok is
// false if that is none.
func (s *Store) span(ctx context.Context, q models.TraceQuery, h *hits) (from, to models.Micros, ok bool, err error) {
	var first, last sql.NullInt64
	r := s.d.Reader(ctx)
	if err := r.QueryRowContext(ctx, "SELECT MIN(at) FROM events").Scan(&first); err != nil {
		return 0, 0, false, err
	}
	if err := r.QueryRowContext(ctx, "SELECT MAX(at) FROM events").Scan(&last); err != nil {
		return 0, 0, false, err
	}
	h.first = models.Micros(first.Int64)
	from, to = max(q.From, h.first), models.Micros(last.Int64)+1
	for _, end := range []models.Micros{q.To, q.Before} {
		if end != 0 {
			to = min(to, end)
		}
	}
	return from, to, last.Valid && from < to, nil
}

// conditions are the parts of a WHERE.
type conditions struct {
	sql  []string
	args []any
}

func (c *conditions) and(sql string, args ...any) {
	c.sql = append(c.sql, sql)
	c.args = append(c.args, args...)
}

func (c *conditions) String() string { return strings.Join(c.sql, " AND ") }

// placeholders returns "?,?,?".
func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// eventsBy names the table with the one index to be used: without statistics neither database can
// know which is the narrow one.
func (s *Store) eventsBy(index string) string {
	switch {
	case s.d.Dialect() == db.MySQL:
		return "events FORCE INDEX (" + index + ")"
	case index == "PRIMARY":
		return "events NOT INDEXED" // but by its rows' ids
	}
	return "events INDEXED BY " + index
}
