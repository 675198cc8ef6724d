package mailstore

import (
	"context"
	"fmt"

	"github.com/postchi/postchi/models/db"
)

// FlagMode says what a FlagChange does with the flags it names.
type FlagMode int

// The modes of STORE (RFC 9051, section 6.4.6).
const (
	AddFlags FlagMode = iota
	RemoveFlags
	ReplaceFlags
)

// String returns the item's name in STORE.
func (m FlagMode) String() string {
	return [...]string{"+FLAGS", "-FLAGS", "FLAGS"}[m]
}

// FlagChange is what SetFlags does.
type FlagChange struct {
	Mode     FlagMode
	Flags    Flags
	Keywords []string

	// Conditional leaves messages alone whose modseq is over UnchangedSince (RFC 7162, section
	// 3.1.3).
	Conditional    bool
	UnchangedSince ModSeq
}

// FlagState is a message's flags after SetFlags.
type FlagState struct {
	UID      UID
	ModSeq   ModSeq
	Flags    Flags
	Keywords int64
}

// Flagged is what SetFlags did.
type Flagged struct {
	Messages []FlagState // all that were not left alone, changed or not, rising
	Modified Set         // left alone by the condition
	Words    []string    // the folder's keywords: they name the bits
}

// SetFlags changes flags of the messages of a set that exist. A message whose flags are so
// already keeps its modseq. Many messages are changed in pieces, each a transaction with a
// modseq of its own, so that nobody waits long; an error leaves the pieces before it done.
// NotFound when the folder is gone; Invalid or Full for keywords.
func (s *Store) SetFlags(ctx context.Context, p Place, set Set, change FlagChange) (*Flagged, error) {
	result := &Flagged{}
	for c := newCursor(set.Normal()); !c.done(); {
		if err := ctx.Err(); err != nil {
			return result, unavailable(err)
		}
		var part Flagged
		var after cursor
		err := s.changeFolder(ctx, p, func(ctx context.Context, h *holding, f *held) error {
			part, after = Flagged{}, *newCursor(c.rest)
			after.flags = true
			rows, whole, err := after.next(ctx, h.tx, h.tx.Dialect(), p.Folder, 2*changeRows)
			if err != nil {
				return err
			}
			return h.flag(ctx, f, rows, whole, change, &part)
		})
		if err != nil {
			return result, err
		}
		c.rest = after.rest
		result.Messages = append(result.Messages, part.Messages...)
		result.Modified = append(result.Modified, part.Modified...)
		result.Words = part.Words
	}
	result.Modified = result.Modified.Normal()
	return result, nil
}

// masks are a change as arithmetic: new = old & keep | set.
type masks struct{ keepFlags, setFlags, keepWords, setWords int64 }

func (f *held) masks(change FlagChange) (masks, error) {
	words, err := f.bits(change.Keywords, change.Mode != RemoveFlags)
	flags := int64(change.Flags & allFlags)
	const all = 1<<MaxKeywords - 1
	switch change.Mode {
	case AddFlags:
		return masks{int64(allFlags), flags, all, words}, err
	case RemoveFlags:
		return masks{int64(allFlags) &^ flags, 0, all &^ words, 0}, err
	}
	return masks{0, flags, 0, words}, err
}

const setFlags = "UPDATE messages SET modseq = ?, flags = (flags & ?) | ?, keywords = (keywords & ?) | ? WHERE folder_id = ? AND uid "

var (
	setFlagsList  = listOf(setFlags + "IN (%s)")
	setFlagsRange = setFlags + "BETWEEN ? AND ?"
)

// flag changes rows that were read in this transaction.
func (h *holding) flag(ctx context.Context, f *held, rows []Message, whole bool, change FlagChange, result *Flagged) error {
	m, err := f.masks(change)
	if err != nil {
		return err
	}
	result.Words = f.Keywords
	var uids []UID
	for _, r := range rows {
		if change.Conditional && r.ModSeq > change.UnchangedSince {
			result.Modified = result.Modified.add(r.UID)
			continue
		}
		flags, words := Flags(int64(r.Flags)&m.keepFlags|m.setFlags), r.Keywords&m.keepWords|m.setWords
		if flags != r.Flags || words != r.Keywords {
			uids = append(uids, r.UID)
			f.flagged(r.Flags, -1)
			f.flagged(flags, 1)
			r.ModSeq = h.touch(f)
		}
		result.Messages = append(result.Messages, FlagState{r.UID, r.ModSeq, flags, words})
	}
	if len(uids) == 0 {
		return nil
	}
	head := []any{int64(f.HighestModSeq), m.keepFlags, m.setFlags, m.keepWords, m.setWords, int64(f.ID)}
	n, err := execUIDs(ctx, h.tx, setFlagsRange, setFlagsList, head, uids, whole && len(uids) == len(rows))
	if err == nil && n != int64(len(uids)) {
		err = fmt.Errorf("%d of %d messages were updated", n, len(uids))
	}
	return err
}

// execUIDs runs a statement for messages: as one range when whole says that no other message
// lies between the first and the last.
func execUIDs(ctx context.Context, tx *db.Tx, ranged string, list *shape, head []any, uids []UID, whole bool) (int64, error) {
	if !whole {
		args := make([]any, len(uids))
		for i, u := range uids {
			args[i] = int64(u)
		}
		return execList(ctx, tx, list, head, args)
	}
	res, err := tx.ExecContext(ctx, ranged, append(head, int64(uids[0]), int64(uids[len(uids)-1]))...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
