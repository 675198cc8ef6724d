package queue

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// adminPiece is how many recipients one transaction of an administrator's order changes.
const adminPiece = 250

// Retry makes what a filter chooses due now, and returns how many recipients that are. What is
// held or being tried is left as it is.
func (q *Queue) Retry(ctx context.Context, scope models.Scope, filter models.QueueFilter) (int64, error) {
	return q.each(ctx, scope, filter, order{only: "r.held = 0", change: func(ctx context.Context, tx *db.Tx, rows []models.QueueRow) (int64, error) {
		tx.Changed(db.ChangedQueue)
		in, args := among(rowIDs(rows), models.At(q.now()))
		return affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET next_at = ? WHERE held = 0 AND (owner = 0 OR until_time <= "+tx.Dialect().Clock()+") AND id"+in, args...))
	}})
}

// Hold keeps what a filter chooses from being tried until Release. An attempt that is under way
// is finished. Mail of a mailbox whose sending is held is kept in any case: each claim looks at
// the mailbox.
func (q *Queue) Hold(ctx context.Context, scope models.Scope, filter models.QueueFilter) (int64, error) {
	return q.each(ctx, scope, filter, order{only: "r.held = 0 AND r.state = ''", kind: models.EventHeld, change: func(ctx context.Context, tx *db.Tx, rows []models.QueueRow) (int64, error) {
		return setHeld(ctx, tx, rows, true, false)
	}})
}

// Release ends Hold; what it chooses is due at once if its time has come, also while its mailbox
// is held still. What an administrator keeps by holding a mailbox is released by administrators.
func (q *Queue) Release(ctx context.Context, scope models.Scope, filter models.QueueFilter) (int64, error) {
	only := "r.held = 1"
	if !scope.All() {
		only += " AND NOT EXISTS (SELECT 1 FROM mailboxes m WHERE m.id = q.mailbox_id AND m.held_at <> 0 AND m.held_by = 'admin')"
	}
	return q.each(ctx, scope, filter, order{only: only, kind: models.EventReleased, change: func(ctx context.Context, tx *db.Tx, rows []models.QueueRow) (int64, error) {
		return setHeld(ctx, tx, rows, false, true)
	}})
}

// setHeld marks messages and their recipients. What only waits for its sender to be told is not
// kept from that.
func setHeld(ctx context.Context, tx *db.Tx, rows []models.QueueRow, held, released bool) (int64, error) {
	in, args := among(rowItems(rows), held)
	if _, err := affected(tx.ExecContext(ctx, "UPDATE queue SET held = ? WHERE id"+in, args...)); err != nil {
		return 0, err
	}
	tx.Changed(db.ChangedQueue)
	in, args = among(rowIDs(rows), held, released)
	return affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET held = ?, released = ? WHERE state = '' AND id"+in, args...))
}

// Drop takes what a filter chooses out of the queue. With notice the senders who want to know of
// failures are told, by the server that runs or the next that does; those recipients stay in the
// queue until then. What is being tried is left as it is: the other server may take it.
func (q *Queue) Drop(ctx context.Context, scope models.Scope, filter models.QueueFilter, notice bool) (int64, error) {
	free := "(r.owner = 0 OR r.until_time <= " + q.config.DB.Dialect().Clock() + ")"
	if notice {
		free += " AND r.state = ''"
	}
	return q.each(ctx, scope, filter, order{only: free, kind: models.EventDropped, change: func(ctx context.Context, tx *db.Tx, rows []models.QueueRow) (int64, error) {
		if !notice {
			return int64(len(rows)), q.remove(ctx, tx, rows)
		}
		var told, quiet []models.QueueRow
		for _, r := range rows {
			if reportable(&models.QueueItem{Kind: r.Kind, Sender: r.Sender}) && wantsFailure(r.Notify) {
				told = append(told, r)
			} else {
				quiet = append(quiet, r)
			}
		}
		if err := q.fail(ctx, tx, told); err != nil {
			return 0, err
		}
		return int64(len(rows)), q.remove(ctx, tx, quiet)
	}})
}

// fail marks recipients as given up by an administrator; their senders are still to be told.
func (q *Queue) fail(ctx context.Context, tx *db.Tx, rows []models.QueueRow) error {
	if len(rows) == 0 {
		return nil
	}
	tx.Changed(db.ChangedQueue)
	now := models.At(q.now())
	// A token more: the result of an attempt whose claim has run out finds the row taken.
	in, args := among(rowIDs(rows), models.RecipientFailed, now, now, reasonDropped)
	_, err := affected(tx.ExecContext(ctx, `UPDATE queue_recipients SET state = ?, held = 0, next_at = ?, last_at = ?, owner = 0, token = token + 1,
		code = 0, enhanced = '5.7.1', detail = '', host = '', reason = ? WHERE id`+in, args...))
	return err
}

// remove removes recipients, and messages of which none is left.
func (q *Queue) remove(ctx context.Context, tx *db.Tx, rows []models.QueueRow) error {
	if err := removeRecipients(ctx, tx, rowIDs(rows)); err != nil {
		return err
	}
	return q.removeEmpty(ctx, tx, rowItems(rows))
}

// removeEmpty removes those of these messages that have no recipient left, with their
// references to blobs. Their rows are locked first: of two transactions that settle the last
// two recipients the second one sees that none is left.
func (q *Queue) removeEmpty(ctx context.Context, tx *db.Tx, items []models.ID) error {
	items = slices.Compact(slices.Sorted(slices.Values(items)))
	if len(items) == 0 {
		return nil
	}
	type item struct{ id, blob models.ID }
	in, args := among(items)
	locked, err := tx.QueryContext(ctx, "SELECT id, blob_id FROM queue WHERE id"+in+" ORDER BY id"+tx.Dialect().ForUpdate(), args...)
	there, err := all(locked, err, func(rows *sql.Rows, i *item) error { return rows.Scan(&i.id, &i.blob) })
	if err != nil {
		return err
	}
	left, err := tx.QueryContext(ctx, "SELECT DISTINCT queue_id FROM queue_recipients WHERE queue_id"+in, args...)
	still, err := all(left, err, func(rows *sql.Rows, id *models.ID) error { return rows.Scan(id) })
	if err != nil {
		return err
	}
	blobs := map[models.ID]int64{}
	var gone []models.ID
	for _, i := range there {
		if !slices.Contains(still, i.id) {
			gone = append(gone, i.id)
			blobs[i.blob]++
		}
	}
	if len(gone) == 0 {
		return nil
	}
	in, args = among(gone)
	if _, err := tx.ExecContext(ctx, "DELETE FROM queue WHERE id"+in, args...); err != nil {
		return fmt.Errorf("remove from queue: %w", err)
	}
	return q.config.Blobs.Unref(ctx, tx, blobs)
}

// order is what an administrator wants done.
type order struct {
	only   string           // condition on recipients; "" = all
	kind   models.EventKind // recorded for each; "" = none
	change func(ctx context.Context, tx *db.Tx, rows []models.QueueRow) (int64, error)
}

// each changes what a filter chooses, in pieces.
func (q *Queue) each(ctx context.Context, scope models.Scope, filter models.QueueFilter, do order) (total int64, err error) {
	for last := models.ID(0); ; {
		var rows []models.QueueRow
		var n int64
		err := q.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			where := chosen(scope, filter)
			where.and("r.id > ?", last)
			if do.only != "" {
				where.and(do.only)
			}
			if rows, err = q.rows(ctx, tx, where, " ORDER BY r.id LIMIT ?", adminPiece); err != nil || len(rows) == 0 {
				return err
			}
			n, err = do.change(ctx, tx, rows)
			return err
		})
		if err != nil || len(rows) == 0 {
			return total, err
		}
		total += n
		last = rows[len(rows)-1].ID
		q.recordAll(do.kind, rows)
		if len(rows) < adminPiece {
			return total, nil
		}
		select { // others write too
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (q *Queue) recordAll(kind models.EventKind, rows []models.QueueRow) {
	if kind == "" || q.config.Events == nil {
		return
	}
	for i := range rows {
		r := &rows[i]
		q.config.Events.Record(models.Event{
			At: models.At(q.now()), Kind: kind, CustomerID: r.CustomerID, MailboxID: r.MailboxID, EnvelopeID: r.EnvelopeID, Direction: "out",
			MessageID: r.MessageID, Sender: r.Sender, Recipient: r.Address, Subject: r.Subject, Words: string(kind), Size: r.Size, QueueID: r.QueueID,
		})
	}
}

func rowIDs(rows []models.QueueRow) []models.ID {
	ids := make([]models.ID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	return ids
}

func rowItems(rows []models.QueueRow) []models.ID {
	ids := make([]models.ID, len(rows))
	for i := range rows {
		ids[i] = rows[i].QueueID
	}
	return ids
}

func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, fmt.Errorf("change queue: %w", err)
	}
	return res.RowsAffected()
}
