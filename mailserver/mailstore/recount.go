package mailstore

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Count is a number as a counter has it and as the rows say.
type Count struct{ Stored, True int64 }

// Wrong reports whether the two differ.
func (c Count) Wrong() bool { return c.Stored != c.True }

// Drift is what Recount found of a mailbox.
type Drift struct {
	Mailbox  models.ID
	Bytes    Count
	Messages Count
	Folders  []FolderDrift // those with something wrong
	Fixed    bool
}

// FolderDrift is a folder whose counters are wrong. Of UIDNext and ModSeq, True is the lowest
// value that would do.
type FolderDrift struct {
	Folder   models.ID
	Name     string
	Bytes    Count
	Messages Count
	Unseen   Count
	Deleted  Count
	UIDNext  Count
	ModSeq   Count
}

// Any reports whether anything is wrong.
func (d Drift) Any() bool { return d.Bytes.Wrong() || d.Messages.Wrong() || len(d.Folders) > 0 }

func (f FolderDrift) wrong() bool {
	return f.Bytes.Wrong() || f.Messages.Wrong() || f.Unseen.Wrong() || f.Deleted.Wrong() || f.UIDNext.Wrong() || f.ModSeq.Wrong()
}

// Recount compares the counters of a mailbox with its messages and with fix mends them. It
// reads a snapshot, so it is exact while mail arrives, and locks the mailbox only to mend.
// NotFound if there is no such mailbox.
func (s *Store) Recount(ctx context.Context, mailbox models.ID, fix bool) (Drift, error) {
	var d Drift
	err := s.snapshot(ctx, func(q db.Querier) error {
		h := &holding{boxes: map[models.ID]*box{}}
		b := &box{id: mailbox}
		err := q.QueryRowContext(ctx, "SELECT bytes, messages, modseq FROM mailbox_state WHERE mailbox_id = ?", int64(mailbox)).Scan(&b.bytes, &b.messages, &b.modseq)
		if err == sql.ErrNoRows {
			return errMailbox(mailbox)
		}
		if err != nil {
			return err
		}
		h.boxes[mailbox] = b
		d, err = drift(ctx, q, b, nil)
		return err
	})
	if err != nil || !fix || !d.Any() {
		return d, err
	}
	err = s.change(ctx, mailbox, func(ctx context.Context, h *holding, b *box) error {
		if err := h.load(ctx, folderLists, []models.ID{mailbox}); err != nil {
			return err
		}
		d, err = drift(ctx, h.tx, b, h)
		d.Fixed = err == nil
		return err
	})
	return d, err
}

const truth = `SELECT f.id, f.name, f.bytes, f.messages, f.unseen, f.deleted, f.uidnext, f.highestmodseq,
	COUNT(m.uid), COALESCE(SUM(m.size), 0), COALESCE(SUM(CASE WHEN (m.flags & 1) = 0 THEN 1 ELSE 0 END), 0),
	COALESCE(SUM(CASE WHEN (m.flags & 8) <> 0 THEN 1 ELSE 0 END), 0), COALESCE(MAX(m.uid), 0), COALESCE(MAX(m.modseq), 0)
	FROM folders f LEFT JOIN messages m ON m.folder_id = f.id WHERE f.mailbox_id = ?
	GROUP BY f.id, f.name, f.bytes, f.messages, f.unseen, f.deleted, f.uidnext, f.highestmodseq`

// drift counts, and mends what is held.
func drift(ctx context.Context, q db.Querier, b *box, h *holding) (Drift, error) {
	d := Drift{Mailbox: b.id, Bytes: Count{Stored: b.bytes}, Messages: Count{Stored: b.messages}}
	rows, err := q.QueryContext(ctx, truth, int64(b.id))
	if err != nil {
		return d, fmt.Errorf("count messages: %w", err)
	}
	top := b.modseq
	err = each(rows, func(rows *sql.Rows) error {
		var f FolderDrift
		var uid, modseq int64
		err := rows.Scan(&f.Folder, &f.Name, &f.Bytes.Stored, &f.Messages.Stored, &f.Unseen.Stored, &f.Deleted.Stored, &f.UIDNext.Stored, &f.ModSeq.Stored,
			&f.Messages.True, &f.Bytes.True, &f.Unseen.True, &f.Deleted.True, &uid, &modseq)
		if err != nil {
			return err
		}
		f.UIDNext.True = max(f.UIDNext.Stored, uid+1)
		f.ModSeq.True = max(f.ModSeq.Stored, modseq)
		top = max(top, ModSeq(f.ModSeq.True))
		d.Bytes.True += f.Bytes.True
		d.Messages.True += f.Messages.True
		if f.wrong() {
			d.Folders = append(d.Folders, f)
		}
		return nil
	})
	if err != nil || h == nil || !d.Any() {
		return d, err
	}
	b.modseq = top
	b.step()
	b.bytes, b.messages = d.Bytes.True, d.Messages.True
	for _, w := range d.Folders {
		f := h.folders[w.Folder]
		f.Bytes, f.Messages, f.Unseen, f.Deleted, f.UIDNext = w.Bytes.True, w.Messages.True, w.Unseen.True, w.Deleted.True, UID(w.UIDNext.True)
		h.touch(f)
	}
	return d, nil
}

// snapshot runs reads that all see the same state of the database.
func (s *Store) snapshot(ctx context.Context, fn func(db.Querier) error) error {
	var o *sql.TxOptions // SQLite: a transaction that only reads keeps to its first read
	if s.db.Dialect() == db.MySQL {
		o = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := s.db.SQL().BeginTx(ctx, o)
	if err != nil {
		return failed("begin snapshot", err)
	}
	defer tx.Rollback()
	return db.Failure(fn(tx))
}

// RecountBlobs compares the references of all blobs with the rows that refer to them, messages
// and queue, and with fix mends them.
// Memory is constant; what changes meanwhile is no drift.
func (s *Store) RecountBlobs(ctx context.Context, fix bool) ([]blob.Miscount, error) {
	var wrong []blob.Miscount
	err := s.blobs.Recount(ctx, s.Marks(), fix, func(m blob.Miscount) error {
		wrong = append(wrong, m)
		return nil
	})
	return wrong, err
}

// Marks are the references on blobs of messages and of the queue.
func (s *Store) Marks() blob.Marks { return marks{s} }

type marks struct{ s *Store }

func (m marks) All(ctx context.Context) iter.Seq2[blob.Mark, error] {
	return func(yield func(blob.Mark, error) bool) {
		for last := models.ID(0); ; {
			page, err := m.page(ctx, last)
			if err != nil {
				yield(blob.Mark{}, failed("mark blobs", err))
				return
			}
			for _, mark := range page {
				if !yield(mark, nil) {
					return
				}
				last = mark.ID
			}
			if len(page) < readRows {
				return
			}
		}
	}
}

// markPage takes the first ids of both tables: whatever is among the first of the two together is
// among the first of its own.
const markPage = `SELECT blob_id, SUM(refs) FROM (
	SELECT blob_id, refs FROM (SELECT blob_id, COUNT(*) AS refs FROM messages WHERE blob_id > ? GROUP BY blob_id ORDER BY blob_id LIMIT ?) AS m
	UNION ALL
	SELECT blob_id, refs FROM (SELECT blob_id, COUNT(*) AS refs FROM queue WHERE blob_id > ? GROUP BY blob_id ORDER BY blob_id LIMIT ?) AS q
	) AS t GROUP BY blob_id ORDER BY blob_id LIMIT ?`

func (m marks) page(ctx context.Context, after models.ID) ([]blob.Mark, error) {
	rows, err := m.s.db.Reader(ctx).QueryContext(ctx, markPage, int64(after), readRows, int64(after), readRows, readRows)
	if err != nil {
		return nil, err
	}
	var page []blob.Mark
	err = each(rows, func(rows *sql.Rows) error {
		var mark blob.Mark
		err := rows.Scan(&mark.ID, &mark.Refs)
		page = append(page, mark)
		return err
	})
	return page, err
}

func (m marks) Count(ctx context.Context, tx *db.Tx, id models.ID) (n int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT (SELECT COUNT(*) FROM messages WHERE blob_id = ?) + (SELECT COUNT(*) FROM queue WHERE blob_id = ?)",
		int64(id), int64(id)).Scan(&n)
	return n, err
}
