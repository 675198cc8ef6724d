package queue

import (
	"strings"
	"testing"

	"github.com/postchi/postchi/models/db/dbtest"
)

// TestQueriesUseTheirIndexes holds SQLite to the indexes that keep the cost of a claim constant: what
// it chooses by itself may be the whole queue.
func TestQueriesUseTheirIndexes(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	for query, index := range map[string]string{
		"SELECT id, queue_id FROM queue_recipients WHERE held = 0 AND domain = ? AND flow = ? AND next_at <= ? ORDER BY next_at, id LIMIT 100":                                                       "queue_recipients_flow (held=? AND domain=? AND flow=? AND next_at<?)",
		"SELECT " + recipientColumns + " FROM queue_recipients WHERE id IN (" + list("?", 512) + ") AND (owner = 0 OR owner = ? OR until_time <= " + d.Dialect().Clock() + ") ORDER BY queue_id, id": "PRIMARY KEY (rowid=?)",
		"SELECT domain, flow FROM queue_recipients WHERE held = 0 AND next_at > ? AND next_at <= ? ORDER BY next_at LIMIT ?":                                                                         "queue_recipients_due (held=? AND next_at>? AND next_at<?)",
		"SELECT DISTINCT queue_id FROM queue_recipients WHERE queue_id IN (" + list("?", 256) + ")":                                                                                                  "queue_recipients_item (queue_id=?)",
	} {
		args := make([]any, strings.Count(query, "?"))
		rows, err := d.SQL().Query("EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(detail + "\n")
		}
		rows.Close()
		if !strings.Contains(plan.String(), index) {
			t.Errorf("%s\nwants %s, has\n%s", query, index, &plan)
		}
	}
}
