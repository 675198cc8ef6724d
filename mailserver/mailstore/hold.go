package mailstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// holding is what one transaction has locked: the state of mailboxes, with the folders it has
// read since. Their counters are changed in memory and written once, by save.
type holding struct {
	tx      *db.Tx
	now     models.Micros
	boxes   map[models.ID]*box
	folders map[models.ID]*held
}

// box is a locked row of mailbox_state.
type box struct {
	id          models.ID
	bytes       int64
	messages    int64
	modseq      ModSeq
	uidvalidity int64
	changed     bool
}

// held is a row of folders of a locked mailbox.
type held struct {
	Folder
	changed bool // its counters
	named   bool // its keywords
}

var stateLists = [...]*shape{
	db.SQLite: listOf("SELECT mailbox_id, bytes, messages, modseq, uidvalidity FROM mailbox_state WHERE mailbox_id IN (%s) ORDER BY mailbox_id" + db.SQLite.ForUpdate()),
	db.MySQL:  listOf("SELECT mailbox_id, bytes, messages, modseq, uidvalidity FROM mailbox_state WHERE mailbox_id IN (%s) ORDER BY mailbox_id" + db.MySQL.ForUpdate()),
}

// hold locks mailboxes in order of their ids. Those that do not exist are not in boxes.
func (s *Store) hold(ctx context.Context, tx *db.Tx, mailboxes []models.ID) (*holding, error) {
	h := &holding{tx: tx, now: s.now(), boxes: make(map[models.ID]*box, len(mailboxes)), folders: map[models.ID]*held{}}
	slices.Sort(mailboxes)
	mailboxes = slices.Compact(mailboxes)
	d := tx.Dialect()
	err := queryList(ctx, d, tx, stateLists[d], nil, anys(mailboxes), func(rows *sql.Rows) error {
		var b box
		if err := rows.Scan(&b.id, &b.bytes, &b.messages, &b.modseq, &b.uidvalidity); err != nil {
			return err
		}
		h.boxes[b.id] = &b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lock mailboxes: %w", err)
	}
	return h, nil
}

// step gives the mailbox its next modseq, once in a transaction: what changes together may
// share it, since nobody sees the one without the other.
func (b *box) step() ModSeq {
	if !b.changed {
		b.changed = true
		b.modseq++
	}
	return b.modseq
}

// nextUIDValidity returns a number no folder of the mailbox had before. It starts from the
// time so that it also rises over a mailbox made again at the same address (RFC 9051, section
// 2.3.1.1); 32 bits of seconds last until 2106.
func (b *box) nextUIDValidity(now models.Micros) uint32 {
	b.step()
	b.uidvalidity = max(b.uidvalidity+1, int64(now)/1e6, 1)
	return uint32(b.uidvalidity)
}

// room reports whether one more message may come: while used < quota, and if its size was
// declared only if that fits as well.
func (b *box) room(q Quota, declared int64) bool {
	if q.Messages != 0 && b.messages >= q.Messages {
		return false
	}
	return q.Bytes == 0 || b.bytes < q.Bytes && b.bytes+declared <= q.Bytes
}

// count adds (by = 1) or takes away (by = -1) one message from all counters.
func (h *holding) count(f *held, flags Flags, size, by int64) {
	b := h.boxes[f.Mailbox]
	f.HighestModSeq = b.step()
	f.changed = true
	b.bytes += by * size
	b.messages += by
	f.Bytes += by * size
	f.Messages += by
	f.flagged(flags, by)
}

// flagged counts a message with these flags.
func (f *held) flagged(flags Flags, by int64) {
	if flags&FlagSeen == 0 {
		f.Unseen += by
	}
	if flags&FlagDeleted != 0 {
		f.Deleted += by
	}
}

// touch marks a change of a folder that no counter shows.
func (h *holding) touch(f *held) ModSeq {
	f.HighestModSeq = h.boxes[f.Mailbox].step()
	f.changed = true
	return f.HighestModSeq
}

// nextUID takes a UID; 0 when the folder has none left.
func (f *held) nextUID() UID {
	if f.UIDNext == MaxUID {
		return 0
	}
	f.UIDNext++
	return f.UIDNext - 1
}

var (
	updateStates  = updateOf("mailbox_state", "mailbox_id", "bytes", "messages", "modseq", "uidvalidity")
	updateFolders = updateOf("folders", "id", "uidnext", "highestmodseq", "messages", "unseen", "deleted", "bytes")
)

// save writes what changed, mailboxes first, and announces the folders.
func (h *holding) save(ctx context.Context) error {
	var boxes, folders []keyed
	for _, b := range h.boxes {
		if b.changed {
			boxes = append(boxes, keyed{int64(b.id), []any{b.bytes, b.messages, int64(b.modseq), b.uidvalidity}})
		}
	}
	for _, f := range h.folders {
		if f.changed {
			folders = append(folders, keyed{int64(f.ID), []any{int64(f.UIDNext), int64(f.HighestModSeq), f.Messages, f.Unseen, f.Deleted, f.Bytes}})
		}
	}
	sortKeyed(boxes)
	sortKeyed(folders)
	if err := updateRows(ctx, h.tx, updateStates, boxes); err != nil {
		return fmt.Errorf("update mailboxes: %w", err)
	}
	if err := updateRows(ctx, h.tx, updateFolders, folders); err != nil {
		return fmt.Errorf("update folders: %w", err)
	}
	for _, f := range h.folders {
		if f.named {
			if _, err := h.tx.ExecContext(ctx, "UPDATE folders SET keywords = ? WHERE id = ?", joinKeywords(f.Keywords), int64(f.ID)); err != nil {
				return fmt.Errorf("update keywords: %w", err)
			}
		}
		if f.changed {
			h.tx.Changed(db.ChangedFolder, f.ID)
		}
	}
	return nil
}

func sortKeyed(rows []keyed) {
	slices.SortFunc(rows, func(a, b keyed) int {
		if a.key.(int64) < b.key.(int64) {
			return -1
		}
		return 1
	})
}

// change runs fn with one mailbox locked and saves what it changed. NotFound if there is no
// such mailbox. fn may run again.
func (s *Store) change(ctx context.Context, mailbox models.ID, fn func(ctx context.Context, h *holding, b *box) error) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		h, err := s.hold(ctx, tx, []models.ID{mailbox})
		if err != nil {
			return err
		}
		b := h.boxes[mailbox]
		if b == nil {
			return errMailbox(mailbox)
		}
		if err := fn(ctx, h, b); err != nil {
			return err
		}
		return h.save(ctx)
	})
}

// changeFolder is change for one folder; NotFound if it is not there.
func (s *Store) changeFolder(ctx context.Context, p Place, fn func(ctx context.Context, h *holding, f *held) error) error {
	return s.change(ctx, p.Mailbox, func(ctx context.Context, h *holding, b *box) error {
		f, err := h.folder(ctx, p)
		if err != nil {
			return err
		}
		return fn(ctx, h, f)
	})
}
