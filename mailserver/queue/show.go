package queue

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// maxGroups is how many groups Groups returns at most, those with most recipients first.
const maxGroups = 1000

// Groups says what waits in the scope, by destination and reason, the largest group first.
func (q *Queue) Groups(ctx context.Context, scope models.Scope) ([]models.QueueGroup, error) {
	where := chosen(scope, models.QueueFilter{})
	rows, err := q.config.DB.SQL().QueryContext(ctx, `SELECT r.domain, r.reason, COUNT(*), SUM(r.held), MIN(q.created_at),
		COALESCE(MIN(CASE WHEN r.held = 0 THEN r.next_at END), 0) FROM `+tables+" WHERE "+where.String()+
		" GROUP BY r.domain, r.reason ORDER BY COUNT(*) DESC, r.domain, r.reason LIMIT ?", append(where.args, maxGroups)...)
	return all(rows, err, func(rows *sql.Rows, g *models.QueueGroup) error {
		return rows.Scan(&g.Domain, &g.Reason, &g.Count, &g.Held, &g.Oldest, &g.Next)
	})
}

// orders are the columns that Rows can be sorted by.
var orders = map[string]string{
	"": "r.next_at", "next": "r.next_at", "created": "q.created_at", "address": "r.address", "domain": "r.domain",
	"attempts": "r.attempts", "sender": "q.sender", "size": "q.size",
}

// Rows returns a page of what a filter chooses in the scope, what comes next first.
func (q *Queue) Rows(ctx context.Context, scope models.Scope, filter models.QueueFilter, query models.Query) (models.Page[models.QueueRow], error) {
	where := chosen(scope, filter)
	if query.CustomerID != 0 {
		where.and("q.customer_id = ?", query.CustomerID)
	}
	if query.DomainID != 0 {
		where.and("q.domain_id = ?", query.DomainID)
	}
	where.search(query.Search)
	var total int64
	if err := q.config.DB.SQL().QueryRowContext(ctx, "SELECT COUNT(*) FROM "+tables+" WHERE "+where.String(), where.args...).Scan(&total); err != nil {
		return models.Page[models.QueueRow]{}, db.Failure(fmt.Errorf("count queue: %w", err))
	}
	column, known := orders[query.Sort]
	if !known {
		column = orders[""]
	}
	direction := ""
	if query.Desc {
		direction = " DESC"
	}
	size, offset := query.Window()
	items, err := q.rows(ctx, q.config.DB.SQL(), where, " ORDER BY "+column+direction+", r.id"+direction+" LIMIT ? OFFSET ?", size, offset)
	return models.NewPage(query, items, total), err
}

// rows reads what a condition chooses.
func (q *Queue) rows(ctx context.Context, from db.Querier, where *condition, end string, args ...any) ([]models.QueueRow, error) {
	rows, err := from.QueryContext(ctx, `SELECT r.id, r.queue_id, r.address, r.domain, r.notify, r.flow, r.state, r.held, r.next_at, r.attempts, r.last_at, r.host, r.code, r.enhanced, r.detail, r.reason,
		q.kind, q.sender, q.mailbox_id, q.customer_id, q.envelope_id, q.message_id, q.subject, q.size, q.created_at, q.expires_at,
		CASE WHEN r.owner <> 0 AND r.until_time > `+q.config.DB.Dialect().Clock()+" THEN 1 ELSE 0 END FROM "+tables+" WHERE "+where.String()+end, append(where.args, args...)...)
	return all(rows, err, func(rows *sql.Rows, r *models.QueueRow) error {
		return rows.Scan(&r.ID, &r.QueueID, &r.Address, &r.Domain, &r.Notify, &r.Flow, &r.State, &r.Held, &r.NextAt, &r.Attempts, &r.LastAt, &r.Host, &r.Code, &r.Enhanced, &r.Detail, &r.Reason,
			&r.Kind, &r.Sender, &r.MailboxID, &r.CustomerID, &r.EnvelopeID, &r.MessageID, &r.Subject, &r.Size, &r.CreatedAt, &r.ExpiresAt, &r.Trying)
	})
}

// all reads rows to their end.
func all[T any](rows *sql.Rows, err error, scan func(*sql.Rows, *T) error) ([]T, error) {
	if err != nil {
		return nil, db.Failure(fmt.Errorf("read queue: %w", err))
	}
	defer rows.Close()
	var got []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, db.Failure(fmt.Errorf("read queue: %w", err))
		}
		got = append(got, v)
	}
	return got, db.Failure(rows.Err())
}
