package mailstore

import (
	"context"
	"fmt"

	"github.com/postchi/postchi/models"
)

// Copied is what Copy and Move did.
type Copied struct {
	UIDValidity uint32 // of the folder they went to
	From, To    []UID  // pairs, rising (RFC 4315 COPYUID)
}

// Copy copies the messages of a set that exist into another folder of the mailbox, with flags
// and internal dates; the copies share the bytes. Full when they do not fit into the quota:
// then nothing is copied, and if the quota fills up meanwhile what was copied is taken back.
// NotFound when a folder is gone ([TRYCREATE] if it is the second), Invalid for folders of two
// mailboxes.
func (s *Store) Copy(ctx context.Context, from Place, set Set, to Place, q Quota) (*Copied, error) {
	set = set.Normal()
	if err := s.fits(ctx, from, set, q); err != nil {
		return nil, err
	}
	done, err := s.transfer(ctx, from, set, to, func(ctx context.Context, h *holding, src, dst *held, rows []Message, _ bool) ([]UID, error) {
		b := h.boxes[from.Mailbox]
		for _, m := range rows {
			if !b.room(q, m.Size) {
				return nil, errFull(from.Mailbox)
			}
			h.count(dst, m.Flags, m.Size, 1)
		}
		if err := s.blobs.Refs(ctx, h.tx, blobsOf(rows)); err != nil {
			return nil, err
		}
		return h.insert(ctx, src, dst, rows)
	})
	if err == nil {
		return done, nil
	}
	if len(done.To) > 0 {
		if _, undo := s.Expunge(context.WithoutCancel(ctx), to, SetOf(done.To...), false); undo != nil {
			s.log.Error("copies could not be taken back", "folder", to.Folder, "err", undo)
		}
	}
	return nil, err
}

// Move moves the messages of a set that exist into another folder of the mailbox, or to new
// UIDs in the same (RFC 6851). Each message is moved or not; an error leaves those before it
// moved, and says so by the result that comes with it. Kinds as Copy, without Full.
func (s *Store) Move(ctx context.Context, from Place, set Set, to Place) (*Copied, error) {
	return s.transfer(ctx, from, set.Normal(), to, func(ctx context.Context, h *holding, src, dst *held, rows []Message, whole bool) ([]UID, error) {
		h.touch(src)
		if err := h.remove(ctx, src, rows, whole); err != nil {
			return nil, err
		}
		for _, m := range rows {
			h.count(dst, m.Flags, m.Size, 1)
		}
		return h.insert(ctx, src, dst, rows)
	})
}

// below returns the part of the set under a UID.
func (s Set) below(u UID) Set {
	var out Set
	for _, r := range s {
		if r.First < u {
			out = append(out, Range{r.First, min(r.Last, u-1)})
		}
	}
	return out
}

// fits refuses a copy that cannot fit before anything is written. The messages are looked at
// only if not even the whole folder would fit.
func (s *Store) fits(ctx context.Context, from Place, set Set, q Quota) error {
	if q == (Quota{}) {
		return nil
	}
	used, err := s.Usage(ctx, from.Mailbox)
	if err != nil {
		return err
	}
	b := box{bytes: used[from.Mailbox].Bytes, messages: used[from.Mailbox].Messages}
	f, err := s.FolderByID(ctx, from)
	if err != nil {
		return err
	}
	if (q.Bytes == 0 || b.bytes+f.Bytes <= q.Bytes) && (q.Messages == 0 || b.messages+f.Messages <= q.Messages) {
		return nil
	}
	return s.InSet(ctx, from.Folder, set, func(m *Message) error {
		if !b.room(q, m.Size) {
			return errFull(from.Mailbox)
		}
		b.bytes += m.Size
		b.messages++
		return nil
	})
}

// transfer runs do for pieces of a set, each in a transaction, and collects the pairs of UIDs.
func (s *Store) transfer(ctx context.Context, from Place, set Set, to Place, do func(ctx context.Context, h *holding, src, dst *held, rows []Message, whole bool) ([]UID, error)) (*Copied, error) {
	result := &Copied{}
	if from.Mailbox != to.Mailbox {
		return result, models.Errorf(models.Invalid, "copy.mailbox", "Messages are copied within one mailbox.")
	}
	if from == to {
		f, err := s.FolderByID(ctx, from)
		if err != nil {
			return result, err
		}
		set = set.below(f.UIDNext) // do not run after our own copies
	}
	dst, err := s.FolderByID(ctx, to)
	if err != nil {
		return result, err
	}
	result.UIDValidity = dst.UIDValidity
	for c := newCursor(set); !c.done(); {
		if err := ctx.Err(); err != nil {
			return result, unavailable(err)
		}
		var olds, news []UID
		var after cursor
		err := s.changeFolder(ctx, from, func(ctx context.Context, h *holding, src *held) error {
			olds, news, after = nil, nil, *newCursor(c.rest)
			dst, err := h.folder(ctx, to)
			if err != nil {
				return err
			}
			rows, whole, err := after.next(ctx, h.tx, h.tx.Dialect(), from.Folder, changeRows)
			if err != nil || len(rows) == 0 {
				return err
			}
			olds = uidsOf(rows)
			news, err = do(ctx, h, src, dst, rows, whole)
			return err
		})
		if err != nil {
			return result, err
		}
		c.rest = after.rest
		result.From = append(result.From, olds...)
		result.To = append(result.To, news...)
	}
	return result, nil
}

// insert puts rows of src into dst, where they have been counted, and returns their new UIDs.
func (h *holding) insert(ctx context.Context, src, dst *held, rows []Message) ([]UID, error) {
	words := keywordMap{src: src, dst: dst}
	uids := make([]UID, len(rows))
	args := make([]any, 0, len(rows)*len(messageColumns))
	for i, m := range rows {
		bits, err := words.bits(m.Keywords)
		if err != nil {
			return nil, err
		}
		if uids[i] = dst.nextUID(); uids[i] == 0 {
			return nil, errFull(dst.Mailbox)
		}
		args = append(args, int64(dst.ID), int64(uids[i]), int64(dst.HighestModSeq), int64(m.Flags), bits, int64(m.InternalDate), int64(h.now),
			m.Size, int64(m.EmailID), int64(m.BlobID), bytes(m.Prefix))
	}
	if err := insertRows(ctx, h.tx, insertMessages, len(messageColumns), args); err != nil {
		return nil, fmt.Errorf("insert messages: %w", err)
	}
	return uids, nil
}

// keywordMap turns keyword bits of one folder into those of another.
type keywordMap struct {
	src, dst *held
	known    map[int64]int64
}

func (k *keywordMap) bits(bits int64) (int64, error) {
	if bits == 0 || k.src == k.dst {
		return bits, nil
	}
	if there, ok := k.known[bits]; ok {
		return there, nil
	}
	there, err := k.dst.bits(KeywordNames(k.src.Keywords, bits), true)
	if k.known == nil {
		k.known = map[int64]int64{}
	}
	k.known[bits] = there
	return there, err
}
