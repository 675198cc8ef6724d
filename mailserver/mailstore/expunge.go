package mailstore

import (
	"context"
	"fmt"

	"github.com/postchi/postchi/models"
)

// Expunged is what Expunge did.
type Expunged struct {
	UIDs   Set
	ModSeq ModSeq // of the last removal; 0 = nothing was there to remove
}

// Expunge removes the messages of a set: all of them, or with deletedOnly those that have
// \Deleted (EXPUNGE and UID EXPUNGE; POP3 removes whatever its client marked). Many are removed
// in pieces; an error leaves the pieces before it done. NotFound when the folder is gone.
func (s *Store) Expunge(ctx context.Context, p Place, set Set, deletedOnly bool) (*Expunged, error) {
	result := &Expunged{}
	set = set.Normal()
	if deletedOnly {
		var err error
		if set, err = s.marked(ctx, p, set); err != nil {
			return result, err
		}
	}
	for c := newCursor(set); !c.done(); {
		if err := ctx.Err(); err != nil {
			return result, unavailable(err)
		}
		var gone []UID
		var modseq ModSeq
		var after cursor
		err := s.changeFolder(ctx, p, func(ctx context.Context, h *holding, f *held) error {
			gone, modseq, after = nil, 0, *newCursor(c.rest)
			rows, whole, err := after.next(ctx, h.tx, h.tx.Dialect(), p.Folder, changeRows)
			if err != nil {
				return err
			}
			all := len(rows)
			if deletedOnly {
				rows = withDeleted(rows) // the mark may have been taken off since
			}
			if len(rows) == 0 {
				return nil
			}
			gone, modseq = uidsOf(rows), h.touch(f)
			if err := h.remove(ctx, f, rows, whole && len(rows) == all); err != nil {
				return err
			}
			return s.blobs.Unref(ctx, h.tx, blobsOf(rows))
		})
		if err != nil {
			return result, err
		}
		c.rest = after.rest
		result.UIDs = append(result.UIDs, SetOf(gone...)...)
		result.ModSeq = max(result.ModSeq, modseq)
	}
	result.UIDs = result.UIDs.Normal()
	return result, nil
}

// marked finds the messages of a set with \Deleted before anything is locked: in a large
// folder this takes longer than a transaction may. The folder's counter spares it when there
// are none.
func (s *Store) marked(ctx context.Context, p Place, set Set) (Set, error) {
	f, err := s.FolderByID(ctx, p)
	if err != nil || f.Deleted == 0 {
		return nil, err
	}
	var found Set
	for from := UID(1); ; {
		page, err := queryMessages(ctx, s.db.Reader(ctx), "folder_id = ? AND uid >= ? AND (flags & ?) <> 0 ORDER BY uid LIMIT ?",
			int64(p.Folder), int64(from), int64(FlagDeleted), readRows)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			if set.Contains(m.UID) {
				found = found.add(m.UID)
			}
		}
		if len(page) < readRows {
			return found, nil
		}
		from = page[len(page)-1].UID + 1
	}
}

func withDeleted(rows []Message) []Message {
	var out []Message
	for _, m := range rows {
		if m.Flags&FlagDeleted != 0 {
			out = append(out, m)
		}
	}
	return out
}

func uidsOf(rows []Message) []UID {
	out := make([]UID, len(rows))
	for i, m := range rows {
		out[i] = m.UID
	}
	return out
}

// blobsOf returns how many references rows hold on each blob.
func blobsOf(rows []Message) map[models.ID]int64 {
	refs := make(map[models.ID]int64, len(rows))
	for _, m := range rows {
		refs[m.BlobID]++
	}
	return refs
}

const deleteMessages = "DELETE FROM messages WHERE folder_id = ? AND uid "

var (
	deleteList     = listOf(deleteMessages + "IN (%s)")
	insertExpunged = insertOf("expunged", "folder_id", "modseq", "uid_first", "uid_last", "at")
)

// remove deletes rows of a folder, notes their UIDs as expunged, and counts them off. Their
// references are the caller's to give back or to hand on.
func (h *holding) remove(ctx context.Context, f *held, rows []Message, whole bool) error {
	uids := uidsOf(rows)
	n, err := execUIDs(ctx, h.tx, deleteMessages+"BETWEEN ? AND ?", deleteList, []any{int64(f.ID)}, uids, whole)
	if err != nil {
		return fmt.Errorf("delete messages: %w", err)
	}
	if n != int64(len(uids)) {
		return fmt.Errorf("%d of %d messages were deleted", n, len(uids))
	}
	for _, m := range rows {
		h.count(f, m.Flags, m.Size, -1)
	}
	var args []any
	for _, r := range SetOf(uids...) {
		args = append(args, int64(f.ID), int64(f.HighestModSeq), int64(r.First), int64(r.Last), int64(h.now))
	}
	return insertRows(ctx, h.tx, insertExpunged, 5, args)
}
