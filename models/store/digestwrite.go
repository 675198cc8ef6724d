package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	// digestSize is how many events one digest has, if there are so many.
	digestSize = 4096
	// digestAfter is how old an event's id must be before a digest may end behind it: by then
	// every transaction has ended that got an id before. One that comes later nevertheless, from
	// a node whose clock is slow, brings a digest of its own.
	digestAfter = 2 * time.Minute
)

// digestRows reads what a digest has of an event.
const digestRows = "SELECT id, at, customer_id, mailbox_id, direction, sender_key, recipient_key, message_key, subject_folded, sender, recipient FROM events "

// DigestEvents makes the next digest, and returns of how many events; 0 while there are not
// enough. Until then searches read the rows themselves. Any process may call it, at any time.
func (s *Store) DigestEvents(ctx context.Context) (int64, error) {
	after, err := digestedTo(ctx, s.d.Reader(ctx))
	if err != nil {
		return 0, failed("digest events", err)
	}
	settled := models.FirstID(s.d.Now().Add(-s.digestAfter))
	events, err := readDigested(ctx, s.d.Reader(ctx), digestRows+"WHERE id > ? AND id < ? ORDER BY id LIMIT ?", after, settled, s.digestSize)
	if err != nil || len(events) < s.digestSize {
		return 0, failed("digest events", err)
	}
	n, upto := int64(len(events)), events[len(events)-1].id
	d := newDigest(events)
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return failed("write digest", s.insertDigest(ctx, tx, d, after, upto))
	})
	if models.Is(err, models.Conflict) {
		return 0, nil // another process was faster
	}
	return n, err
}

// digestedTo returns the last event that the digests have in order; 0 without any. All events up
// to it are in digests.
func digestedTo(ctx context.Context, q db.Querier) (models.ID, error) {
	var upto sql.NullInt64
	err := q.QueryRowContext(ctx, "SELECT MAX(upto) FROM event_digests").Scan(&upto)
	return models.ID(upto.Int64), err
}

func readDigested(ctx context.Context, q db.Querier, query string, args ...any) ([]digested, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []digested
	for rows.Next() {
		var e digested
		var direction, sender, recipient string
		if err := rows.Scan(&e.id, &e.at, &e.owner.customer, &e.owner.mailbox, &direction, &e.sender, &e.recipient, &e.message, &e.subject, &sender, &recipient); err != nil {
			return nil, err
		}
		e.owner.out, e.tagged = direction == "out", [2]int64{taggedKey(sender), taggedKey(recipient)}
		all = append(all, e)
	}
	return all, rows.Err()
}

// insertDigest writes a digest of the events after one, up to another. after is unique, so of two
// processes that make the same digest one fails.
func (s *Store) insertDigest(ctx context.Context, tx *db.Tx, d *digest, after, upto models.ID) error {
	var parts [3]models.ID
	for i, data := range [][]byte{d.records, d.keys, d.subjects} {
		parts[i] = s.NewID()
		if _, err := tx.ExecContext(ctx, "INSERT INTO event_digest_parts (id, data) VALUES (?, ?)", parts[i], data); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO event_digests (id, after_id, upto, first_at, last_at, size, records, keys_part, subjects, marks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		s.NewID(), after, upto, d.firstAt, d.lastAt, d.size, parts[0], parts[1], parts[2], d.marks)
	return err
}

// digestLate makes a digest of those of the rows, which were just inserted, that the next one in
// order would leave out.
func (s *Store) digestLate(ctx context.Context, tx *db.Tx, rows []models.Event, keys []eventKeys) error {
	upto, err := digestedTo(ctx, tx)
	if err != nil || upto == 0 {
		return err
	}
	var late []digested
	for i := range rows {
		if e := &rows[i]; e.ID <= upto {
			late = append(late, digested{
				id: e.ID, at: e.At, owner: owner{e.CustomerID, e.MailboxID, e.Direction == "out"}, subject: foldedSubject(e.Subject),
				sender: keys[i].sender, recipient: keys[i].recipient, message: keys[i].message, tagged: [2]int64{taggedKey(e.Sender), taggedKey(e.Recipient)},
			})
		}
	}
	if len(late) == 0 {
		return nil
	}
	return s.insertDigest(ctx, tx, newDigest(late), -late[0].id, 0)
}

// pruneDigests removes up to 50 digests all of whose events are of before a moment.
func (s *Store) pruneDigests(ctx context.Context, before models.Micros) (n int64, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		gone, err := readIDs(ctx, tx, "SELECT id, records, keys_part, subjects FROM event_digests WHERE last_at < ? ORDER BY last_at LIMIT 50", before)
		if n = int64(len(gone)); err != nil || n == 0 {
			return failed("prune digests", err)
		}
		for _, ids := range gone {
			if _, err := tx.ExecContext(ctx, "DELETE FROM event_digest_parts WHERE id IN (?, ?, ?)", ids[1], ids[2], ids[3]); err != nil {
				return failed("prune digests", err)
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM event_digests WHERE id = ?", ids[0]); err != nil {
				return failed("prune digests", err)
			}
		}
		return nil
	})
	return n, err
}

func readIDs(ctx context.Context, q db.Querier, query string, args ...any) (all [][4]models.ID, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var ids [4]models.ID
		if err := rows.Scan(&ids[0], &ids[1], &ids[2], &ids[3]); err != nil {
			return nil, err
		}
		all = append(all, ids)
	}
	return all, rows.Err()
}
