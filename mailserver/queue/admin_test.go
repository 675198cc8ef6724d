package queue

import (
	"context"
	"sync"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// counter counts references that were given back.
type counter struct {
	mu   sync.Mutex
	refs map[models.ID]int64
}

func (c *counter) Unref(_ context.Context, _ *db.Tx, take map[models.ID]int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refs == nil {
		c.refs = map[models.ID]int64{}
	}
	for id, n := range take {
		c.refs[id] += n
	}
	return nil
}

// of is how many were given back of a blob, all of how many blobs some were.
func (c *counter) of(id models.ID) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refs[id]
}

func (c *counter) all() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.refs)
}

// insert queues a message.
func insert(t testing.TB, q *Queue, item models.QueueItem, to ...string) models.QueueItem {
	t.Helper()
	recipients := make([]models.QueueRecipient, len(to))
	for i := range to {
		recipients[i].Address = to[i]
	}
	err := q.config.DB.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error { return q.Insert(ctx, tx, &item, recipients) })
	if err != nil {
		t.Fatal(err)
	}
	q.Committed(recipients)
	return item
}

func testAdmin(t *testing.T, d *db.DB) {
	ctx, gone := t.Context(), &counter{}
	q := New(Config{DB: d, Blobs: gone})
	one := insert(t, q, models.QueueItem{Kind: models.QueueSubmitted, BlobID: 11, CustomerID: 1, MailboxID: 5, Sender: "a@ours.example", Subject: "Offer 50%"}, "x@there.example", "y@there.example", "z@else.example")
	insert(t, q, models.QueueItem{Kind: models.QueueSubmitted, BlobID: 12, CustomerID: 2, MailboxID: 6, Sender: "b@theirs.example"}, "x@there.example")
	mine, all := models.OfCustomer(1), models.Everything()

	groups, err := q.Groups(ctx, all)
	if err != nil || len(groups) != 2 || groups[0].Domain != "there.example" || groups[0].Count != 3 || groups[0].Next == 0 || groups[0].Oldest == 0 {
		t.Fatalf("groups %+v, %v", groups, err)
	}
	if groups, err := q.Groups(ctx, mine); err != nil || len(groups) != 2 || groups[0].Count+groups[1].Count != 3 {
		t.Errorf("groups of one customer %+v, %v", groups, err)
	}
	if groups, err := q.Groups(ctx, models.Scope{}); err != nil || len(groups) != 0 {
		t.Errorf("groups of nobody %+v, %v", groups, err)
	}
	page, err := q.Rows(ctx, mine, models.QueueFilter{}, models.Query{Search: "50% there", Sort: "address", Desc: true})
	if err != nil || page.Total != 2 || page.Items[0].Address != "y@there.example" || page.Items[0].Sender != "a@ours.example" || page.Items[0].Trying {
		t.Errorf("rows %+v, %v", page, err)
	}

	// A viewer changes nothing of others, whatever the filter names.
	if n, err := q.Drop(ctx, models.OfCustomer(2), models.QueueFilter{QueueID: one.ID}, false); n != 0 || err != nil {
		t.Errorf("dropped %d of another customer, %v", n, err)
	}
	if n, err := q.Hold(ctx, mine, models.QueueFilter{MailboxID: 5}); n != 3 || err != nil {
		t.Errorf("held %d, %v", n, err)
	}
	if n, err := q.Retry(ctx, all, models.QueueFilter{}); n != 1 || err != nil {
		t.Errorf("retry of all that is not held: %d, %v", n, err)
	}
	if n, err := q.Release(ctx, mine, models.QueueFilter{Domain: "There.example", Reason: models.QueueUntried}); n != 2 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	if n, err := q.Drop(ctx, mine, models.QueueFilter{Domain: "there.example"}, false); n != 2 || err != nil || gone.all() != 0 {
		t.Errorf("dropped %d, %v, %d blobs", n, err, gone.all())
	}
	if n, err := q.Drop(ctx, mine, models.QueueFilter{Address: "z@else.example"}, true); n != 1 || err != nil || gone.all() != 0 {
		t.Errorf("dropped with notice %d, %v, %d blobs", n, err, gone.all())
	}
	if page, err := q.Rows(ctx, mine, models.QueueFilter{Reason: reasonDropped}, models.Query{}); err != nil || page.Total != 1 || page.Items[0].State != models.RecipientFailed || page.Items[0].Held {
		t.Errorf("rows %+v, %v", page, err)
	}
	if n, err := q.Drop(ctx, all, models.QueueFilter{}, false); n != 2 || err != nil || gone.of(11) != 1 || gone.of(12) != 1 {
		t.Errorf("dropped %d, %v, %d blobs", n, err, gone.all())
	}
	var items int
	if err := d.SQL().QueryRowContext(ctx, "SELECT COUNT(*) FROM queue").Scan(&items); err != nil || items != 0 {
		t.Errorf("%d messages left, %v", items, err)
	}
}
