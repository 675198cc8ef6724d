package queue

import (
	"context"
	"database/sql"
	"time"

	"github.com/postchi/postchi/models"
)

const (
	// lookEvery is how often it is asked what has become due.
	lookEvery = time.Second

	// lookBack is how far that question reaches back: a row whose time is that of its message's
	// arrival is committed a little later, perhaps by another process.
	lookBack = 3 * time.Second

	// allEvery is how often the whole queue is looked through, for what the short looks missed.
	allEvery = 5 * time.Minute

	pageFlows = 500
)

// due offers to the schedule what became due between two moments.
func (q *Queue) due(ctx context.Context, from, to models.Micros) error {
	// Not DISTINCT: for it SQLite would go through the whole queue by the index of flows.
	rows, err := q.config.DB.Kept(ctx).QueryContext(ctx, "SELECT domain, flow FROM queue_recipients WHERE held = 0 AND next_at > ? AND next_at <= ? ORDER BY next_at LIMIT ?", from, to, maxFlows)
	found, err := all(rows, err, func(rows *sql.Rows, f *flowKey) error { return rows.Scan(&f.domain, &f.sender) })
	seen := map[flowKey]bool{}
	for _, f := range found {
		if !seen[f] {
			seen[f] = true
			q.schedule.offer(f.domain, f.sender)
		}
	}
	return err
}

// dueAtAll goes through all flows of the queue by the index, in pages.
func (q *Queue) dueAtAll(ctx context.Context) error {
	type head struct {
		flowKey
		first models.Micros
	}
	now := models.At(q.now())
	last := flowKey{sender: -1}
	for {
		rows, err := q.config.DB.Kept(ctx).QueryContext(ctx, `SELECT domain, flow, MIN(next_at) FROM queue_recipients WHERE held = 0 AND domain >= ? AND (domain > ? OR flow > ?)
			GROUP BY domain, flow ORDER BY domain, flow LIMIT ?`, last.domain, last.domain, last.sender, pageFlows)
		page, err := all(rows, err, func(rows *sql.Rows, h *head) error { return rows.Scan(&h.domain, &h.sender, &h.first) })
		if err != nil {
			return err
		}
		for _, h := range page {
			if h.first <= now {
				q.schedule.offer(h.domain, h.sender)
			}
			last = h.flowKey
		}
		if len(page) < pageFlows {
			return nil
		}
	}
}

// candidates returns recipients of a flow that are due, the oldest first, of at most some
// messages. more says that there were more of either.
func (q *Queue) candidates(ctx context.Context, f *flow, messages int) (ids []models.ID, more bool, err error) {
	type candidate struct{ id, item models.ID }
	rows, err := q.config.DB.Kept(ctx).QueryContext(ctx, "SELECT id, queue_id FROM queue_recipients WHERE held = 0 AND domain = ? AND flow = ? AND next_at <= ? ORDER BY next_at, id LIMIT ?",
		f.domain, f.sender, models.At(q.now()), claimRows)
	found, err := all(rows, err, func(rows *sql.Rows, c *candidate) error { return rows.Scan(&c.id, &c.item) })
	items := map[models.ID]bool{}
	for _, c := range found {
		if !items[c.item] && len(items) == messages {
			more = true
			continue
		}
		items[c.item] = true
		ids = append(ids, c.id)
	}
	return ids, more || len(found) == claimRows, err
}
