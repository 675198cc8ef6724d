package mailstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

var contentsLists = listOf("SELECT " + strings.Join(contentsColumns, ", ") + " FROM contents WHERE blob_id IN (%s)")

// Contents returns what is in blobs, prefixes not counted: all offsets begin at the blob.
// Contents that are missing or of an older version are built from the blob and kept. A blob
// that cannot be read is not in the map. Contents.Structure is nil for messages whose tree is
// too large: mime.BuildStructure makes it from the blob.
func (s *Store) Contents(ctx context.Context, blobs ...models.ID) (map[models.ID]*mime.Contents, error) {
	all := make(map[models.ID]*mime.Contents, len(blobs))
	err := queryList(ctx, s.db.Dialect(), s.db.Reader(ctx), contentsLists, nil, anys(blobs), func(rows *sql.Rows) error {
		id, c, err := scanContents(rows)
		if c.Version == mime.Version {
			all[id] = c
		}
		return err
	})
	if err != nil {
		return nil, failed("read contents", err)
	}
	for _, id := range blobs {
		if all[id] != nil {
			continue
		}
		c, err := s.rebuild(ctx, id)
		if err != nil {
			s.log.Warn("contents cannot be built", "blob", id, "err", err)
			continue
		}
		all[id] = c
	}
	return all, nil
}

func scanContents(rows *sql.Rows) (models.ID, *mime.Contents, error) {
	var id models.ID
	var c mime.Contents
	var sent models.Micros
	var zone int
	var references string
	err := rows.Scan(&id, &c.Version, &c.Envelope, &c.Structure, &c.Preview, &c.BaseSubject, &sent, &zone, &c.MessageID, &references, &c.ThreadID)
	if sent != 0 || zone != 0 {
		c.SentDate = time.UnixMicro(int64(sent)).In(time.FixedZone("", zone))
	}
	if references != "" {
		c.References = strings.Split(references, "\n")
	}
	return id, &c, err
}

// rebuild makes contents from the blob and keeps them if the blob is still referred to.
func (s *Store) rebuild(ctx context.Context, id models.ID) (*mime.Contents, error) {
	r, err := s.blobs.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	c, err := mime.Build(r, r.Size())
	if err != nil {
		s.blobs.Notice(id, err)
		return nil, fmt.Errorf("build contents: %w", err)
	}
	row := contentsRow(id, c)
	err = s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var refs int64
		err := tx.QueryRowContext(ctx, "SELECT refs FROM blobs WHERE id = ?"+tx.Dialect().ForUpdate(), int64(id)).Scan(&refs)
		if err != nil || refs == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM contents WHERE blob_id = ?", int64(id)); err != nil {
			return err
		}
		return insertRows(ctx, tx, insertContents, len(contentsColumns), row)
	})
	if err != nil {
		s.log.Warn("contents not kept", "blob", id, "err", err)
	}
	return c, nil
}

var deleteContents = listOf("DELETE FROM contents WHERE blob_id IN (%s)")

// removeContents removes the contents of blobs that are collected.
func removeContents(ctx context.Context, tx *db.Tx, ids []models.ID) error {
	_, err := execList(ctx, tx, deleteContents, nil, anys(ids))
	return err
}
