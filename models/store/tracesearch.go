package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/postchi/postchi/models"
)

// asked is a search: a query with what it comes to for the viewer.
type asked struct {
	models.TraceQuery
	customer  models.ID     // whose events; 0 = not asked
	mailboxes []models.ID   // of which the events must all be
	from, to  models.Micros // of which moments
	low, high int64         // keys of the sender or a recipient; high = 0: not asked
	message   int64         // key; 0 = not asked
	tagged    int64         // key of the address with its +tag; 0 = not asked
	subject   string        // folded
}

// newAsked says what a query comes to; ok is false if nothing can fit.
func newAsked(scope models.Scope, q models.TraceQuery) (a *asked, ok bool) {
	a = &asked{TraceQuery: q, subject: foldedSubject(q.Subject)}
	if !scope.All() && scope.Mailbox() == 0 {
		a.customer = scope.Customer()
	}
	for _, mailbox := range []models.ID{scope.Mailbox(), q.MailboxID} {
		if mailbox != 0 {
			a.mailboxes = append(a.mailboxes, mailbox)
		}
	}
	switch {
	case q.MessageID != "":
		a.message = messageKey(messageID(q.MessageID))
		return a, a.message != 0
	case q.Address != "":
		a.low = addressKey(q.Address)
		a.high, a.tagged = a.low, taggedKey(q.Address)
		return a, a.low != 0
	case q.Domain != "":
		a.low = domainKey(q.Domain)
		a.high = a.low | (1<<domainShift - 1)
	}
	return a, true
}

// named reports whether the search is for something that few events have.
func (a *asked) named() bool { return a.high != 0 || a.message != 0 || a.subject != "" }

// own returns the conditions of whose events, and the index that has them in order of time.
func (a *asked) own() (c *conditions, index string) {
	c, index = &conditions{}, "events_at"
	if a.customer != 0 {
		c.and("customer_id = ?", a.customer)
		index = "events_customer"
	}
	for _, mailbox := range a.mailboxes {
		c.and("mailbox_id = ?", mailbox)
		index = "events_mailbox"
	}
	return c, index
}

// filter returns all conditions on a row.
func (a *asked) filter() *conditions {
	c, _ := a.own()
	c.and("at >= ? AND at < ?", a.from, a.to)
	if a.Direction != "" {
		c.and("direction = ?", a.Direction)
	}
	if a.subject != "" {
		c.and("INSTR(subject_folded, ?) > 0", a.subject)
	}
	switch {
	case a.message != 0:
		c.and("message_key = ?", a.message)
	case a.high != 0:
		c.and("(sender_key BETWEEN ? AND ? OR recipient_key BETWEEN ? AND ?)", a.low, a.high, a.low, a.high)
	}
	if tagged := taggedAddress(a.Address); tagged != "" {
		c.and("(LOWER(sender) = ? OR LOWER(recipient) = ?)", tagged, tagged)
	}
	return c
}

// search goes back in the viewer's events until it has found enough. It reads the rows if they
// are few or most of them fit, else digests, and the rows that no digest has yet.
func (s *Store) search(ctx context.Context, scope models.Scope, q models.TraceQuery, h *hits) error {
	a, ok := newAsked(scope, q)
	if !ok {
		return nil
	}
	var err error
	if a.from, a.to, ok, err = s.span(ctx, q, h); err != nil || !ok {
		return err
	}
	edge, more, err := s.edge(ctx, a, s.rowLimit)
	if err != nil {
		return err
	}
	if !more || !a.named() {
		if more, err = s.searchRows(ctx, a, edge, more, h); err != nil || !more {
			return err
		}
	}
	return s.searchDigests(ctx, a, h)
}

// searchRows reads the rows of the viewer since a moment, and moves the end of the search there;
// more is false if the search is over.
func (s *Store) searchRows(ctx context.Context, a *asked, edge models.Micros, more bool, h *hits) (bool, error) {
	part := *a
	part.from = edge
	_, index := a.own()
	fits := part.filter()
	found, err := s.hits(ctx, "SELECT id, envelope_id, at FROM "+s.eventsBy(index)+" WHERE "+fits.String()+" ORDER BY at DESC, id DESC LIMIT ?", append(fits.args, 10*s.rowLimit))
	if h.take(found); err != nil || h.until != 0 || !more {
		return false, err
	}
	h.left -= s.rowLimit * rowCost / 4
	a.to = edge
	return a.from < a.to, nil
}

// edge returns the moment so many events of the viewer back, which the index alone knows; more is
// false if there are not so many.
func (s *Store) edge(ctx context.Context, a *asked, size int) (edge models.Micros, more bool, err error) {
	c, index := a.own()
	c.and("at >= ? AND at < ?", a.from, a.to)
	rows, err := s.d.Reader(ctx).QueryContext(ctx, "SELECT at FROM "+s.eventsBy(index)+" WHERE "+c.String()+" ORDER BY at DESC LIMIT 1 OFFSET ?", append(c.args, size-1)...)
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return a.from, false, rows.Err()
	}
	err = rows.Scan(&edge)
	return edge, edge > a.from, err
}

// fitting reads the rows of these events, which come in order, and keeps those that fit.
func (s *Store) fitting(ctx context.Context, a *asked, events []hit, h *hits) error {
	fits := a.filter()
	for part := range slices.Chunk(events, 256) {
		args := make([]any, 0, len(part)+len(fits.args))
		for _, one := range part {
			args = append(args, one.id)
		}
		found, err := s.hits(ctx, "SELECT id, envelope_id, at FROM "+s.eventsBy("PRIMARY")+" WHERE id IN ("+placeholders(len(part))+") AND "+fits.String(), append(args, fits.args...))
		if err != nil {
			return err
		}
		slices.SortFunc(found, latestFirst)
		if h.take(found); h.until != 0 {
			return nil
		}
		if h.left -= len(part) * rowCost; h.left <= 0 {
			if last := part[len(part)-1].at; last+1 < a.to {
				h.until = last + 1
				return nil
			}
		}
	}
	return nil
}

func latestFirst(a, b hit) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.id, a.id)) }
