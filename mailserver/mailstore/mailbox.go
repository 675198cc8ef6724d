package mailstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// firstFolders are what a new mailbox has besides the inbox; clients find them by their
// special use (RFC 6154).
var firstFolders = []NewFolder{{"Sent", `\Sent`}, {"Drafts", `\Drafts`}, {"Junk", `\Junk`}, {"Trash", `\Trash`}, {"Archive", `\Archive`}}

// CreateMailbox makes a mailbox's state and its first folders; it joins a transaction that ctx
// carries. Conflict if it is there already.
func (s *Store) CreateMailbox(ctx context.Context, mailbox models.ID) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO mailbox_state (mailbox_id, modseq) VALUES (?, 1)", int64(mailbox))
		if db.IsDuplicate(err) {
			return models.Errorf(models.Conflict, "mailbox.exists", "The mailbox has its folders already.")
		}
		if err != nil {
			return fmt.Errorf("insert mailbox state: %w", err)
		}
		h, err := s.hold(ctx, tx, []models.ID{mailbox})
		if err != nil {
			return err
		}
		for _, f := range append([]NewFolder{{Name: Inbox}}, firstFolders...) {
			if _, err := s.insertFolder(ctx, h, h.boxes[mailbox], f.Name, f.SpecialUse); err != nil {
				return err
			}
		}
		return h.save(ctx)
	})
}

// RemoveMailbox removes a mailbox with all its messages. Deliveries fail from the first step
// on; the rows go in pieces, so it must not be called inside db.Write. After an error or a crash it is to be called
// again (or Maintain finishes it). A mailbox that does not exist is no error.
func (s *Store) RemoveMailbox(ctx context.Context, mailbox models.ID) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.hold(ctx, tx, []models.ID{mailbox}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM mailbox_state WHERE mailbox_id = ?", int64(mailbox)); err != nil {
			return fmt.Errorf("delete mailbox state: %w", err)
		}
		if _, err := tx.ExecContext(ctx, detachFolder+" WHERE mailbox_id = ?", int64(mailbox)); err != nil {
			return fmt.Errorf("detach folders: %w", err)
		}
		tx.Changed(db.ChangedFolders, mailbox)
		return nil
	})
	if err != nil {
		return err
	}
	return s.clearDetached(ctx, "mailbox_id = ?", -int64(mailbox))
}

// Usage returns what mailboxes hold; one that does not exist is not in the map.
func (s *Store) Usage(ctx context.Context, mailboxes ...models.ID) (map[models.ID]models.MailboxUsage, error) {
	all := make(map[models.ID]models.MailboxUsage, len(mailboxes))
	err := queryList(ctx, s.db.Dialect(), s.db.Reader(ctx), usageLists, nil, anys(mailboxes), func(rows *sql.Rows) error {
		var id models.ID
		var u models.MailboxUsage
		err := rows.Scan(&id, &u.Bytes, &u.Messages)
		all[id] = u
		return err
	})
	if err != nil {
		return nil, failed("read usage", err)
	}
	return all, nil
}

var usageLists = listOf("SELECT mailbox_id, bytes, messages FROM mailbox_state WHERE mailbox_id IN (%s)")

// Maintain does what needs no hurry: it forgets old expunged ranges and removes what is left
// of removed folders and mailboxes. One process of an installation calls it, about hourly;
// more do no harm.
func (s *Store) Maintain(ctx context.Context) error {
	if err := s.clearDetached(ctx, "mailbox_id < ?", 0); err != nil {
		return err
	}
	return s.pruneExpunged(ctx)
}

func (s *Store) clearDetached(ctx context.Context, where string, arg int64) error {
	rows, err := s.db.SQL().QueryContext(ctx, "SELECT id FROM folders WHERE "+where, arg)
	if err != nil {
		return failed("find removed folders", err)
	}
	var ids []models.ID
	err = each(rows, func(rows *sql.Rows) error {
		var id models.ID
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return failed("find removed folders", err)
	}
	for _, id := range ids {
		if err := s.clear(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// clear removes a detached folder in pieces.
func (s *Store) clear(ctx context.Context, folder models.ID) error {
	for {
		if err := ctx.Err(); err != nil {
			return unavailable(err)
		}
		more := false
		err := s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			var err error
			more, err = s.clearSome(ctx, tx, folder)
			return err
		})
		if err != nil || !more {
			return err
		}
	}
}

// clearSome removes some messages, or the rest when there are none. The folder's row is locked
// so that two processes never give back the same reference.
func (s *Store) clearSome(ctx context.Context, tx *db.Tx, folder models.ID) (more bool, err error) {
	var id models.ID
	err = tx.QueryRowContext(ctx, "SELECT id FROM folders WHERE id = ? AND mailbox_id < 0"+tx.Dialect().ForUpdate(), int64(folder)).Scan(&id)
	if err == sql.ErrNoRows {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock removed folder: %w", err)
	}
	rows, err := queryMessages(ctx, tx, "folder_id = ? ORDER BY uid LIMIT ?", int64(folder), changeRows)
	if err != nil {
		return false, err
	}
	if len(rows) > 0 {
		if _, err := execUIDs(ctx, tx, deleteMessages+"BETWEEN ? AND ?", deleteList, []any{int64(folder)}, uidsOf(rows), true); err != nil {
			return false, fmt.Errorf("delete messages: %w", err)
		}
		return true, s.blobs.Unref(ctx, tx, blobsOf(rows))
	}
	for _, query := range []string{"DELETE FROM expunged WHERE folder_id = ?", "DELETE FROM folders WHERE id = ?"} {
		if _, err := tx.ExecContext(ctx, query, int64(folder)); err != nil {
			return false, fmt.Errorf("delete removed folder: %w", err)
		}
	}
	return false, nil
}
