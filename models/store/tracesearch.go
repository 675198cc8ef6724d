package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/postchi/postchi/models"
)

// keyRange is what an index is asked for.
type keyRange struct {
	index, column string
	low, high     int64
}

// keyRanges returns where the events that a query names are found.
func keyRanges(q models.TraceQuery) []keyRange {
	if q.MessageID != "" {
		k := messageKey(messageID(q.MessageID))
		return []keyRange{{"events_message", "message_key", k, k}}
	}
	low := addressKey(q.Address)
	high := low
	if q.Address == "" {
		low = domainKey(q.Domain)
		high = low | (1<<domainShift - 1)
	}
	return []keyRange{{"events_sender", "sender_key", low, high}, {"events_recipient", "recipient_key", low, high}}
}

// tracesByKey goes back day by day, then by more days at once, until it has enough. In each step
// the events come from the indexes alone, and rows are read only until enough of them fit.
func (s *Store) tracesByKey(ctx context.Context, scope models.Scope, q models.TraceQuery, h *hits) error {
	from, to, ok, err := s.span(ctx, q)
	if err != nil || !ok {
		return err
	}
	ranges, fits := keyRanges(q), filter(q, from, to)
	first, last := dayOf(from), dayOf(to-1)
	for days := int64(1); last >= first; days *= 2 {
		from := max(first, last-days+1)
		if err := s.searchDays(ctx, scope, ranges, [2]int64{from, last}, fits, h); err != nil || h.until != 0 {
			return err
		}
		last = from - 1
	}
	return nil
}

// searchDays looks at the events of some days that one of the ranges names, the latest first.
func (s *Store) searchDays(ctx context.Context, scope models.Scope, ranges []keyRange, days [2]int64, fits *conditions, h *hits) error {
	last := hit{at: fits.to}
	for size := 256; ; size *= 4 {
		found, err := s.keyed(ctx, scope, ranges, days, last, size)
		if err != nil || len(found) == 0 {
			return err
		}
		for part := range slices.Chunk(found, 256) {
			if err := s.fitting(ctx, part, fits, h); err != nil || h.until != 0 {
				return err
			}
			if h.left -= len(part) * keyCost; h.left <= 0 {
				h.until = part[len(part)-1].at
				return nil
			}
		}
		if len(found) < size {
			return nil
		}
		last = found[len(found)-1]
	}
}

// keyed returns up to size events before one, the latest first, as the indexes alone have them.
func (s *Store) keyed(ctx context.Context, scope models.Scope, ranges []keyRange, days [2]int64, last hit, size int) ([]hit, error) {
	var all []hit
	for _, r := range ranges {
		c := &conditions{}
		list := make([]any, 0, days[1]-days[0]+1)
		for day := days[0]; day <= days[1]; day++ {
			list = append(list, day)
		}
		c.and("day IN ("+placeholders(len(list))+")", list...)
		c.and(r.column + " <> 0") // of which SQLite's index has none
		if r.low == r.high {
			c.and(r.column+" = ?", r.low)
		} else {
			c.and(r.column+" BETWEEN ? AND ?", r.low, r.high)
		}
		if !scope.All() {
			c.and("customer_id = ?", scope.Customer())
		}
		c.and("(at < ? OR at = ? AND id < ?)", last.at, last.at, last.id)
		found, err := s.hits(ctx, "SELECT id, 0, at FROM "+s.eventsBy(r.index)+" WHERE "+c.String()+" ORDER BY at DESC, id DESC LIMIT ?", append(c.args, size))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b hit) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.id, a.id)) })
	all = slices.Compact(all)
	return all[:min(len(all), size)], nil // what is cut off comes with the next step
}

// fitting reads these events and keeps those that fit.
func (s *Store) fitting(ctx context.Context, events []hit, fits *conditions, h *hits) error {
	args := make([]any, 0, len(events)+len(fits.args))
	for _, one := range events {
		args = append(args, one.id)
	}
	found, err := s.hits(ctx, "SELECT id, envelope_id, at FROM events WHERE id IN ("+placeholders(len(events))+") AND "+fits.String()+" ORDER BY at DESC, id DESC", append(args, fits.args...))
	h.take(found)
	return err
}

// tracesByTime goes back in the events of a mailbox, of a customer or of all, and reads each.
func (s *Store) tracesByTime(ctx context.Context, scope models.Scope, q models.TraceQuery, h *hits) error {
	from, to, ok, err := s.span(ctx, q)
	if err != nil || !ok {
		return err
	}
	own, index := &conditions{}, "events_at"
	if !scope.All() && scope.Mailbox() == 0 {
		own.and("customer_id = ?", scope.Customer())
		index = "events_customer"
	}
	for _, mailbox := range []models.ID{scope.Mailbox(), q.MailboxID} {
		if mailbox != 0 {
			own.and("mailbox_id = ?", mailbox)
			index = "events_mailbox"
		}
	}
	for size := 500; ; size *= 4 {
		size = min(size, h.left)
		edge, more, err := s.edge(ctx, index, own, from, to, size)
		if err != nil {
			return err
		}
		fits := filter(q, edge, to)
		addKeys(fits, q)
		if len(own.sql) > 0 {
			fits.and(own.String(), own.args...)
		}
		found, err := s.hits(ctx, "SELECT id, envelope_id, at FROM "+s.eventsBy(index)+" WHERE "+fits.String()+" ORDER BY at DESC, id DESC LIMIT ?", append(fits.args, traceBudget))
		if h.take(found); err != nil || h.until != 0 || !more {
			return err
		}
		if h.left -= size; h.left <= 0 {
			h.until = edge
			return nil
		}
		to = edge
	}
}

// edge returns the moment so many events back, which the index alone knows; more is false if
// there are not so many.
func (s *Store) edge(ctx context.Context, index string, own *conditions, from, to models.Micros, size int) (edge models.Micros, more bool, err error) {
	c := &conditions{}
	if len(own.sql) > 0 {
		c.and(own.String(), own.args...)
	}
	c.and("at >= ? AND at < ?", from, to)
	rows, err := s.d.Reader(ctx).QueryContext(ctx, "SELECT at FROM "+s.eventsBy(index)+" WHERE "+c.String()+" ORDER BY at DESC LIMIT 1 OFFSET ?", append(c.args, size-1)...)
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return from, false, rows.Err()
	}
	err = rows.Scan(&edge)
	return edge, edge > from, err
}

// addKeys adds what tracesByKey asks its indexes for.
func addKeys(c *conditions, q models.TraceQuery) {
	switch ranges := keyRanges(q); {
	case q.MessageID != "":
		c.and("message_key = ?", ranges[0].low)
	case q.Address != "", q.Domain != "":
		c.and("(sender_key BETWEEN ? AND ? OR recipient_key BETWEEN ? AND ?)", ranges[0].low, ranges[0].high, ranges[1].low, ranges[1].high)
	}
}
