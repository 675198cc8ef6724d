package mailstore

import (
	"context"
	"database/sql"
	"slices"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	// readRows is how many rows are read at once: no query stays open while a client is
	// written to.
	readRows = 1000
	// changeRows is how many messages one transaction changes.
	changeRows = 250
)

const rowColumns = "folder_id, uid, modseq, flags, keywords, internal_date, save_date, size, email_id, blob_id, prefix"

func scanMessage(rows scanner) (Message, error) {
	var m Message
	err := rows.Scan(&m.Folder, &m.UID, &m.ModSeq, &m.Flags, &m.Keywords, &m.InternalDate, &m.SaveDate, &m.Size, &m.EmailID, &m.BlobID, &m.Prefix)
	return m, err
}

// flagColumns are all that a change of flags looks at; half the time of a large STORE would go
// into reading the others.
const flagColumns = "uid, modseq, flags, keywords"

func scanFlags(rows scanner) (Message, error) {
	var m Message
	err := rows.Scan(&m.UID, &m.ModSeq, &m.Flags, &m.Keywords)
	return m, err
}

func queryMessages(ctx context.Context, q db.Querier, where string, args ...any) ([]Message, error) {
	return query(ctx, q, scanMessage, "SELECT "+rowColumns+" FROM messages WHERE "+where, args...)
}

func query(ctx context.Context, q db.Querier, scan func(scanner) (Message, error), query string, args ...any) ([]Message, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed("read messages", err)
	}
	var all []Message
	err = each(rows, func(rows *sql.Rows) error {
		m, err := scan(rows)
		all = append(all, m)
		return err
	})
	if err != nil {
		return nil, failed("read messages", err)
	}
	return all, nil
}

// Messages returns at most limit messages of a folder with UIDs from from on, rising. Fewer
// than limit means that there are no more.
func (s *Store) Messages(ctx context.Context, folder models.ID, from UID, limit int) ([]Message, error) {
	return queryMessages(ctx, s.db.Reader(ctx), "folder_id = ? AND uid >= ? ORDER BY uid LIMIT ?", int64(folder), int64(from), limit)
}

// UIDs returns at most limit UIDs of a folder from from on, rising.
func (s *Store) UIDs(ctx context.Context, folder models.ID, from UID, limit int) ([]UID, error) {
	rows, err := s.db.Reader(ctx).QueryContext(ctx, "SELECT uid FROM messages WHERE folder_id = ? AND uid >= ? ORDER BY uid LIMIT ?", int64(folder), int64(from), limit)
	if err != nil {
		return nil, failed("read UIDs", err)
	}
	var all []UID
	err = each(rows, func(rows *sql.Rows) error {
		var u UID
		err := rows.Scan(&u)
		all = append(all, u)
		return err
	})
	if err != nil {
		return nil, failed("read UIDs", err)
	}
	return all, nil
}

// InSet calls fn for the messages of a folder that are in a normal set, rising. No query is
// open while fn runs; what changes meanwhile is seen or not.
func (s *Store) InSet(ctx context.Context, folder models.ID, set Set, fn func(*Message) error) error {
	for c := newCursor(set); !c.done(); {
		page, _, err := c.next(ctx, s.db.Reader(ctx), s.db.Dialect(), folder, readRows)
		if err != nil {
			return err
		}
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Changed calls fn for the messages of a folder whose modseq is over since, by rising modseq
// (RFC 7162, CHANGEDSINCE). No query is open while fn runs; a message that changes meanwhile
// may come again.
func (s *Store) Changed(ctx context.Context, folder models.ID, since ModSeq, fn func(*Message) error) error {
	from, after := since+1, UID(0)
	for {
		page, err := queryMessages(ctx, s.db.Reader(ctx), "folder_id = ? AND modseq >= ? AND (modseq > ? OR uid > ?) ORDER BY modseq, uid LIMIT ?",
			int64(folder), int64(from), int64(from), int64(after), readRows)
		if err != nil {
			return err
		}
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
		if len(page) < readRows {
			return nil
		}
		last := page[len(page)-1]
		from, after = last.ModSeq, last.UID
	}
}

// cursor walks through the messages of a set in pieces. Long ranges are read as such; short
// ones are put together into lists, so that a set of thousands of single UIDs does not take a
// query for each.
type cursor struct {
	rest  Set
	flags bool // only flagColumns are read
}

// shortRange is the most UIDs of a range that is put into a list.
const shortRange = 32

func newCursor(set Set) *cursor { return &cursor{rest: slices.Clone(set)} }

func (c *cursor) done() bool { return len(c.rest) == 0 }

func (r Range) span() uint64 { return uint64(r.Last) - uint64(r.First) + 1 }

const pageRange = " FROM messages WHERE folder_id = ? AND uid BETWEEN ? AND ? ORDER BY uid LIMIT ?"

var (
	messageLists = listOf("SELECT " + rowColumns + " FROM messages WHERE folder_id = ? AND uid IN (%s) ORDER BY uid")
	flagLists    = listOf("SELECT " + flagColumns + " FROM messages WHERE folder_id = ? AND uid IN (%s) ORDER BY uid")
)

// next reads the next piece, of at most limit rows; it may be empty before the end. whole says
// that the folder has no other message between the first and the last of them.
func (c *cursor) next(ctx context.Context, q db.Querier, d db.Dialect, folder models.ID, limit int) (page []Message, whole bool, err error) {
	scan, ranged, lists := scanMessage, "SELECT "+rowColumns+pageRange, messageLists
	if c.flags {
		scan, ranged, lists = scanFlags, "SELECT "+flagColumns+pageRange, flagLists
	}
	if r := &c.rest[0]; r.span() > shortRange {
		page, err := query(ctx, q, scan, ranged, int64(folder), int64(r.First), int64(r.Last), limit)
		if err != nil {
			return nil, false, err
		}
		if n := len(page); n < limit || page[n-1].UID == r.Last {
			c.rest = c.rest[1:]
		} else {
			r.First = page[n-1].UID + 1
		}
		return page, true, nil
	}
	var list []any
	for len(c.rest) > 0 {
		r := c.rest[0]
		if r.span() > shortRange || len(list)+int(r.span()) > min(limit, maxList) {
			break
		}
		for u := uint64(r.First); u <= uint64(r.Last); u++ {
			list = append(list, int64(u))
		}
		c.rest = c.rest[1:]
	}
	list = fill(d, list)
	page, err = query(ctx, q, scan, lists.text(len(list)), append([]any{int64(folder)}, list...)...)
	return page, len(page) == 1, err
}
