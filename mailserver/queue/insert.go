package queue

import (
	"context"
	"fmt"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// maxRows is how many recipients one INSERT has at most.
const maxRows = 50

// Insert writes a message and its recipients within the caller's transaction, which also counts
// one reference to the item's blob; call Committed after its commit. Missing ids and times are filled
// in; of each recipient only Address, Original and Notify need be set. A recipient without a
// domain, or an item that is too large for its columns, is of kind Invalid: a fault of the caller.
func (q *Queue) Insert(ctx context.Context, tx *db.Tx, item *models.QueueItem, recipients []models.QueueRecipient) error {
	if err := q.complete(item, recipients); err != nil {
		return err
	}
	if item.Prefix == nil {
		item.Prefix = []byte{}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO queue (id, blob_id, envelope_id, kind, sender, mailbox_id, domain_id, customer_id, prefix, size,
		message_id, subject, ret, envid, language, sending, held, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		item.ID, item.BlobID, item.EnvelopeID, string(item.Kind), item.Sender, item.MailboxID, item.DomainID, item.CustomerID, item.Prefix, item.Size,
		models.Clip(item.MessageID, 255), models.Clip(item.Subject, 255), item.Ret, models.Clip(item.EnvID, 255), item.Language, item.Sending, item.Held, item.CreatedAt, item.ExpiresAt)
	if err != nil {
		return fmt.Errorf("insert into queue: %w", err)
	}
	for start := 0; start < len(recipients); start += maxRows {
		if err := insertRecipients(ctx, tx, recipients[start:min(start+maxRows, len(recipients))]); err != nil {
			return err
		}
	}
	return nil
}

// Committed says that the recipients of an Insert are in the database for good: they are tried at
// once. Without it they are found within a second. It never blocks.
func (q *Queue) Committed(recipients []models.QueueRecipient) {
	last := flowKey{sender: -1}
	for i := range recipients {
		r := &recipients[i]
		if key := (flowKey{r.Domain, r.Flow}); key != last && !r.Held {
			q.schedule.offer(r.Domain, r.Flow)
			last = key
		}
	}
	q.poke()
}

// complete fills in what follows from the rest.
func (q *Queue) complete(item *models.QueueItem, recipients []models.QueueRecipient) error {
	if len(recipients) == 0 || len(item.Prefix) > models.MaxQueuePrefix || len(item.Sender) > 320 {
		return models.Errorf(models.Invalid, "queue.invalid", "The message cannot be queued.")
	}
	if item.ID == 0 {
		item.ID = q.config.DB.IDs().New()
	}
	if item.CreatedAt == 0 {
		item.CreatedAt = models.At(q.now())
	}
	if item.ExpiresAt == 0 {
		item.ExpiresAt = item.CreatedAt + models.Micros(q.config.Plan.lifetime(item.Kind).Microseconds())
	}
	for i := range recipients {
		r := &recipients[i]
		if r.ID == 0 {
			r.ID = q.config.DB.IDs().New()
		}
		if r.Domain == "" {
			r.Domain = r.Address[strings.LastIndexByte(r.Address, '@')+1:]
		}
		if r.NextAt == 0 {
			r.NextAt = item.CreatedAt
		}
		r.QueueID, r.Held, r.Flow = item.ID, item.Held, flowOf(item)
		if len(r.Address) > 320 || r.Domain == "" || len(r.Domain) > 255 || r.Domain == r.Address {
			return models.Errorf(models.Invalid, "queue.invalid", "The message cannot be queued.")
		}
	}
	return nil
}

// flowOf says with whom a message takes turns: 0 = the server's own.
func flowOf(item *models.QueueItem) models.ID {
	switch {
	case item.MailboxID != 0:
		return item.MailboxID
	case item.DomainID != 0:
		return item.DomainID
	}
	return item.CustomerID
}

func insertRecipients(ctx context.Context, tx *db.Tx, recipients []models.QueueRecipient) error {
	args := make([]any, 0, 11*len(recipients))
	for i := range recipients {
		r := &recipients[i]
		args = append(args, r.ID, r.QueueID, r.Address, r.Domain, models.Clip(r.Original, 768), r.Notify, r.Flow, r.Held, r.NextAt, "", r.State)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO queue_recipients (id, queue_id, address, domain, original, notify, flow, held, next_at, detail, state) VALUES "+
		list("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", len(recipients)), args...)
	if err != nil {
		return fmt.Errorf("insert queue recipients: %w", err)
	}
	return nil
}

// list is one repeated n times with commas between.
func list(one string, n int) string { return strings.Repeat(one+", ", n-1) + one }
