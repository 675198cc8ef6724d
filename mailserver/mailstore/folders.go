package mailstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

func errExists() error {
	return models.Errorf(models.Conflict, "folder.exists", "There is a folder with this name already.")
}

func errInbox() error {
	return models.Errorf(models.Denied, "folder.inbox", "The inbox cannot be removed.")
}

// NewFolder says what CreateFolder makes.
type NewFolder struct {
	Name       string
	SpecialUse string // attribute of RFC 6154 with its backslash; "" = none
}

// specialUses are those of RFC 6154, section 2, that a folder of ours can have.
var specialUses = map[string]bool{`\Archive`: true, `\Drafts`: true, `\Junk`: true, `\Sent`: true, `\Trash`: true}

// CreateFolder makes a folder and those above it that are missing, all subscribed. Conflict
// (key folder.exists) if it is there, (key folder.use) if another folder has its special use
// ([USEATTR]); Invalid for a bad name or special use; NotFound if the mailbox is gone.
func (s *Store) CreateFolder(ctx context.Context, mailbox models.ID, n NewFolder) (*Folder, error) {
	name, err := FolderName(n.Name)
	if err != nil {
		return nil, err
	}
	if n.SpecialUse != "" && !specialUses[n.SpecialUse] {
		return nil, models.Errorf(models.Invalid, "folder.use", "There is no such special use.")
	}
	var made *Folder
	err = s.change(ctx, mailbox, func(ctx context.Context, h *holding, b *box) error {
		if err := h.freeUse(ctx, b, n.SpecialUse); err != nil {
			return err
		}
		if err := s.makeParents(ctx, h, b, name); err != nil {
			return err
		}
		var err error
		made, err = s.insertFolder(ctx, h, b, name, n.SpecialUse)
		return err
	})
	return made, err
}

func (h *holding) freeUse(ctx context.Context, b *box, use string) error {
	if use == "" {
		return nil
	}
	var n int
	err := h.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM folders WHERE mailbox_id = ? AND special_use = ?", int64(b.id), use).Scan(&n)
	if err == nil && n > 0 {
		err = models.Errorf(models.Conflict, "folder.use", "Another folder has this use already.")
	}
	return err
}

// makeParents makes the missing folders above name (RFC 9051, section 6.3.4).
func (s *Store) makeParents(ctx context.Context, h *holding, b *box, name string) error {
	for _, parent := range parents(name) {
		if _, err := s.insertFolder(ctx, h, b, parent, ""); err != nil && !models.Is(err, models.Conflict) {
			return err
		}
	}
	return nil
}

const insertFolder = "INSERT INTO folders (id, mailbox_id, name, special_use, uidvalidity, uidnext, highestmodseq, subscribed, keywords, created_at) VALUES (?, ?, ?, ?, ?, 1, ?, 1, '', ?)"

func (s *Store) insertFolder(ctx context.Context, h *holding, b *box, name, use string) (*Folder, error) {
	if _, err := h.named(ctx, b.id, name); err == nil {
		return nil, errExists()
	} else if !models.Is(err, models.NotFound) {
		return nil, err
	}
	f := &Folder{
		ID: s.db.IDs().New(), Mailbox: b.id, Name: name, SpecialUse: use, UIDValidity: b.nextUIDValidity(h.now), UIDNext: 1,
		HighestModSeq: b.step(), Subscribed: true, RecentFrom: 1, CreatedAt: h.now,
	}
	_, err := h.tx.ExecContext(ctx, insertFolder, int64(f.ID), int64(f.Mailbox), name, use, int64(f.UIDValidity), int64(f.HighestModSeq), int64(f.CreatedAt))
	if err != nil {
		return nil, fmt.Errorf("insert folder: %w", err)
	}
	h.tx.Changed(db.ChangedFolders, b.id)
	return f, nil
}

// RenameFolder gives a folder and all below it another name; their UIDs and ids stay. Renaming
// the inbox moves its messages into a new folder of that name and leaves what lies below it
// alone (RFC 9051, section 6.3.6). Kinds as CreateFolder; Denied to put a folder below itself.
func (s *Store) RenameFolder(ctx context.Context, mailbox models.ID, from, to string) error {
	from, err := FolderName(from)
	if err != nil {
		return errFolder()
	}
	if to, err = FolderName(to); err != nil {
		return err
	}
	if from == Inbox {
		return s.renameInbox(ctx, mailbox, to)
	}
	if strings.HasPrefix(to, from+separator) {
		return models.Errorf(models.Denied, "folder.below", "A folder cannot be put below itself.")
	}
	return s.change(ctx, mailbox, func(ctx context.Context, h *holding, b *box) error { return s.rename(ctx, h, b, from, to) })
}

func (s *Store) rename(ctx context.Context, h *holding, b *box, from, to string) error {
	if _, err := h.named(ctx, b.id, from); err != nil {
		return err
	}
	if _, err := h.named(ctx, b.id, to); err == nil {
		return errExists()
	}
	if err := s.makeParents(ctx, h, b, to); err != nil {
		return err
	}
	if err := h.load(ctx, folderLists, []models.ID{b.id}); err != nil {
		return err
	}
	b.step()
	// From the top, so that a folder that moves up finds the place of its parent free.
	all := slices.SortedFunc(maps.Values(h.folders), func(a, b *held) int { return len(a.Name) - len(b.Name) })
	for _, f := range all {
		rest, below := strings.CutPrefix(f.Name, from+separator)
		name := to
		if below {
			name = to + separator + rest
		} else if f.Name != from {
			continue
		}
		if _, err := FolderName(name); err != nil {
			return err // too long or too deep now
		}
		if _, err := h.tx.ExecContext(ctx, "UPDATE folders SET name = ? WHERE id = ?", name, int64(f.ID)); err != nil {
			if db.IsDuplicate(err) {
				return errExists()
			}
			return fmt.Errorf("rename folder: %w", err)
		}
	}
	h.tx.Changed(db.ChangedFolders, b.id)
	return nil
}

func (s *Store) renameInbox(ctx context.Context, mailbox models.ID, to string) error {
	inbox, err := s.Folder(ctx, mailbox, Inbox)
	if err != nil {
		return err
	}
	made, err := s.CreateFolder(ctx, mailbox, NewFolder{Name: to})
	if err != nil {
		return err
	}
	_, err = s.Move(ctx, inbox.Place(), Everything(), made.Place())
	return err
}

// Subscribe sets whether LSUB and LIST (SUBSCRIBED) name a folder. NotFound if there is none.
func (s *Store) Subscribe(ctx context.Context, mailbox models.ID, name string, on bool) error {
	name, err := FolderName(name)
	if err != nil {
		return errFolder()
	}
	return s.change(ctx, mailbox, func(ctx context.Context, h *holding, b *box) error {
		f, err := h.named(ctx, b.id, name)
		if err != nil || f.Subscribed == on {
			return err
		}
		b.step()
		h.tx.Changed(db.ChangedFolders, b.id)
		_, err = h.tx.ExecContext(ctx, "UPDATE folders SET subscribed = ? WHERE id = ?", boolInt(on), int64(f.ID))
		return err
	})
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// TakeRecent returns the first UID that no session was told of as \Recent, and marks all up to
// now as told (RFC 3501, section 2.3.2). For a SELECT that may write.
func (s *Store) TakeRecent(ctx context.Context, p Place) (UID, error) {
	f, err := s.FolderByID(ctx, p)
	if err != nil || f.RecentFrom == f.UIDNext {
		return f.recent(), err
	}
	var from UID
	err = s.changeFolder(ctx, p, func(ctx context.Context, h *holding, f *held) error {
		from = f.RecentFrom
		_, err := h.tx.ExecContext(ctx, "UPDATE folders SET recent_from = ? WHERE id = ?", int64(f.UIDNext), int64(f.ID))
		return err
	})
	return from, err
}

func (f *Folder) recent() UID {
	if f == nil {
		return 0
	}
	return f.RecentFrom
}

// DeleteFolder removes a folder with its messages; folders below it stay. Its name and its
// part of the quota are free when this returns; the rows follow in pieces. Denied for the
// inbox, NotFound if there is none.
func (s *Store) DeleteFolder(ctx context.Context, mailbox models.ID, name string) error {
	name, err := FolderName(name)
	if err != nil {
		return errFolder()
	}
	if name == Inbox {
		return errInbox()
	}
	var id models.ID
	err = s.change(ctx, mailbox, func(ctx context.Context, h *holding, b *box) error {
		f, err := h.named(ctx, b.id, name)
		if err != nil {
			return err
		}
		id = f.ID
		b.step()
		b.bytes -= f.Bytes
		b.messages -= f.Messages
		h.tx.Changed(db.ChangedFolders, b.id)
		h.tx.Changed(db.ChangedFolder, f.ID)
		_, err = h.tx.ExecContext(ctx, detachFolder+" WHERE id = ?", int64(f.ID))
		return err
	})
	if err != nil {
		return err
	}
	if err := s.clear(ctx, id); err != nil {
		s.log.Warn("removed folder left to the next maintenance", "folder", id, "err", err)
	}
	return nil
}

// detachFolder takes folders out of their mailboxes. Their names become their ids, so that they
// do not meet those removed before.
const detachFolder = "UPDATE folders SET mailbox_id = -mailbox_id, name = CAST(id AS CHAR), special_use = ''"
