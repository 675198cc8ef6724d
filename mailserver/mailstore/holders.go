package mailstore

import (
	"context"
	"database/sql"

	"github.com/postchi/postchi/models"
)

// Holder is one place in which a message lies.
type Holder struct {
	Mailbox models.ID
	Folder  string
	UID     UID
	Date    models.Micros // when it was received
}

// Holders returns at most limit places in which the message of a blob lies.
func (s *Store) Holders(ctx context.Context, blobID models.ID, limit int) ([]Holder, error) {
	rows, err := s.db.Reader(ctx).QueryContext(ctx, "SELECT f.mailbox_id, f.name, m.uid, m.internal_date FROM messages m JOIN folders f ON f.id = m.folder_id"+
		" WHERE m.blob_id = ? AND f.mailbox_id > 0 ORDER BY f.mailbox_id, f.name, m.uid LIMIT ?", int64(blobID), limit)
	if err != nil {
		return nil, failed("find holders", err)
	}
	var all []Holder
	err = each(rows, func(rows *sql.Rows) error {
		var h Holder
		err := rows.Scan(&h.Mailbox, &h.Folder, &h.UID, &h.Date)
		all = append(all, h)
		return err
	})
	if err != nil {
		return nil, failed("find holders", err)
	}
	return all, nil
}

// Mailboxes returns at most limit mailboxes with ids above after, rising. Fewer than limit means
// that there are no more.
func (s *Store) Mailboxes(ctx context.Context, after models.ID, limit int) ([]models.ID, error) {
	rows, err := s.db.Reader(ctx).QueryContext(ctx, "SELECT mailbox_id FROM mailbox_state WHERE mailbox_id > ? ORDER BY mailbox_id LIMIT ?", int64(after), limit)
	if err != nil {
		return nil, failed("list mailboxes", err)
	}
	var all []models.ID
	err = each(rows, func(rows *sql.Rows) error {
		var id models.ID
		err := rows.Scan(&id)
		all = append(all, id)
		return err
	})
	if err != nil {
		return nil, failed("list mailboxes", err)
	}
	return all, nil
}
