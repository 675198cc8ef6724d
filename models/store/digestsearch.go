package store

import (
	"context"
	"slices"

	"github.com/postchi/postchi/models"
)

// maxUndigested is how many rows without a digest a search looks at beside the digests. There are
// more only if digests are not made in time.
const maxUndigested = 20_000

// stored is a digest as it lies in the database.
type stored struct {
	id      models.ID
	lastAt  models.Micros
	size    int
	parts   [3]models.ID // records, keys, subjects
	marks   []byte
	through []hit // of its events, those that fit as far as it knows
}

// searchDigests goes back through the digests, and looks at the rows that none has. Digests come
// in the order of their latest events; since they may overlap, what is found is taken once all
// that is later was looked at.
func (s *Store) searchDigests(ctx context.Context, a *asked, h *hits) error {
	found, more, err := s.undigested(ctx, a)
	if err != nil || more {
		if more {
			err = s.searchLatest(ctx, a, h)
		}
		return err
	}
	marks := a.marks()
	var last *stored
	for size := 8; ; size = 64 {
		page, err := s.digestsBefore(ctx, a, last, size)
		if err != nil {
			return err
		}
		for i := range page {
			last = &page[i]
			bound := min(last.lastAt, a.to-1) // nothing later is left
			n := 0
			for n < len(found) && found[n].at > bound {
				n++
			}
			if err := s.fitting(ctx, a, found[:n], h); err != nil || h.until != 0 {
				return err
			}
			if found = found[n:]; h.left <= 0 && bound+1 < a.to {
				h.until = bound + 1
				return nil
			}
			h.left -= len(last.marks)
			if !slices.ContainsFunc(marks, func(all []uint64) bool { return hasMarks(last.marks, all) }) {
				continue
			}
			if err := s.read(ctx, a, last, h); err != nil {
				return err
			}
			found = append(found, last.through...)
			slices.SortFunc(found, latestFirst)
		}
		if len(page) < size {
			return s.fitting(ctx, a, found, h)
		}
	}
}

// searchLatest looks at the rows of the latest moments, since digests are not made in time.
func (s *Store) searchLatest(ctx context.Context, a *asked, h *hits) error {
	edge, more, err := s.edge(ctx, a, h.left/rowCost)
	if err != nil {
		return err
	}
	if _, err = s.searchRows(ctx, a, edge, more, h); more && h.until == 0 {
		h.until = edge
	}
	return err
}

// undigested returns those events that fit and of which no digest has anything, the latest first;
// more is true if there are too many to look at.
func (s *Store) undigested(ctx context.Context, a *asked) (found []hit, more bool, err error) {
	upto, err := digestedTo(ctx, s.d.Reader(ctx))
	if err != nil {
		return nil, false, err
	}
	many, err := s.hits(ctx, "SELECT id, 0, at FROM "+s.eventsBy("events_at")+" ORDER BY at DESC LIMIT 1 OFFSET ?", []any{maxUndigested})
	if err != nil || len(many) > 0 && many[0].id > upto {
		return nil, true, err
	}
	fits := a.filter()
	found, err = s.hits(ctx, "SELECT id, envelope_id, at FROM "+s.eventsBy("PRIMARY")+" WHERE id > ? AND "+fits.String(), append([]any{upto}, fits.args...))
	slices.SortFunc(found, latestFirst)
	return found, false, err
}

// marks returns the marks of which a digest must have all of one list.
func (a *asked) marks() (lists [][]uint64) {
	for _, out := range []bool{false, true} {
		if a.Direction == "in" && out || a.Direction == "out" && !out {
			continue
		}
		var all []uint64
		add := func(kind markKind, value uint64) { all = append(all, mark(kind, out, value)) }
		if a.customer != 0 {
			add(markCustomer, uint64(a.customer))
		}
		for _, mailbox := range a.mailboxes {
			add(markMailbox, uint64(mailbox))
		}
		switch {
		case a.message != 0:
			add(markMessage, uint64(a.message))
		case a.high != 0:
			add(markDomain, uint64(a.low>>domainShift))
			if a.customer != 0 {
				add(markDomainOf, domainOfCustomer(a.customer, a.low))
			}
			if a.low == a.high {
				add(markAddress, uint64(a.low))
			}
			if a.tagged != 0 {
				add(markTagged, uint64(a.tagged))
			}
		}
		lists = append(lists, append(all, lettersAsked(a.subject, out)...))
	}
	return lists
}

// digestsBefore returns the digests that come next, those with the latest events first.
func (s *Store) digestsBefore(ctx context.Context, a *asked, last *stored, size int) ([]stored, error) {
	c := &conditions{}
	c.and("last_at >= ? AND first_at < ?", a.from, a.to)
	if last != nil {
		c.and("(last_at < ? OR last_at = ? AND id < ?)", last.lastAt, last.lastAt, last.id)
	}
	rows, err := s.d.Reader(ctx).QueryContext(ctx, "SELECT id, last_at, size, records, keys_part, subjects, marks FROM event_digests WHERE "+c.String()+" ORDER BY last_at DESC, id DESC LIMIT ?", append(c.args, size)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	page := make([]stored, 0, size)
	for rows.Next() {
		var d stored
		if err := rows.Scan(&d.id, &d.lastAt, &d.size, &d.parts[0], &d.parts[1], &d.parts[2], &d.marks); err != nil {
			return nil, err
		}
		page = append(page, d)
	}
	return page, rows.Err()
}

// read finds the events of a digest that fit.
func (s *Store) read(ctx context.Context, a *asked, d *stored, h *hits) error {
	chosen := slices.Repeat([]bool{true}, d.size)
	for i, choose := range [3]func(part []byte) bool{
		1: func(part []byte) bool { return chooseKeys(part, a.low, a.high, a.message, chosen) },
		2: func(part []byte) bool { return chooseSubjects(part, []byte(a.subject), chosen) },
	} {
		if i == 0 || i == 1 && a.high == 0 && a.message == 0 || i == 2 && a.subject == "" {
			continue
		}
		if part, err := s.digestPart(ctx, d.parts[i], h); err != nil || !choose(part) {
			return err
		}
	}
	part, err := s.digestPart(ctx, d.parts[0], h)
	if err != nil {
		return err
	}
	d.through = records(part, chosen, a.mayOwn)
	d.through = slices.DeleteFunc(d.through, func(one hit) bool { return one.at < a.from || one.at >= a.to })
	return nil
}

// mayOwn reports whether the search asks for events of an owner.
func (a *asked) mayOwn(o owner) bool {
	return (a.customer == 0 || o.customer == a.customer) && !slices.ContainsFunc(a.mailboxes, func(id models.ID) bool { return id != o.mailbox }) &&
		(a.Direction == "" || (a.Direction == "out") == o.out)
}

// digestPart reads a part. One that is gone was pruned meanwhile.
func (s *Store) digestPart(ctx context.Context, id models.ID, h *hits) ([]byte, error) {
	rows, err := s.d.Reader(ctx).QueryContext(ctx, "SELECT data FROM event_digest_parts WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var data []byte
	if rows.Next() {
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
	}
	h.left -= len(data)
	return data, rows.Err()
}
