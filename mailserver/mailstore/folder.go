package mailstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const folderColumns = "id, mailbox_id, name, special_use, uidvalidity, uidnext, highestmodseq, messages, unseen, deleted, bytes, subscribed, keywords, vanished_floor, recent_from, created_at"

type scanner interface{ Scan(...any) error }

func scanFolder(row scanner) (*Folder, error) {
	var f Folder
	var keywords string
	err := row.Scan(&f.ID, &f.Mailbox, &f.Name, &f.SpecialUse, &f.UIDValidity, &f.UIDNext, &f.HighestModSeq, &f.Messages,
		&f.Unseen, &f.Deleted, &f.Bytes, &f.Subscribed, &keywords, &f.VanishedFloor, &f.RecentFrom, &f.CreatedAt)
	f.Keywords = splitKeywords(keywords)
	return &f, err
}

// joinKeywords is how a folder's keywords stand in its row: no keyword has a space in it.
func joinKeywords(words []string) string { return strings.Join(words, " ") }

func splitKeywords(s string) []string { return strings.Fields(s) }

// Folders returns the folders of a mailbox, the inbox first, then by name. A mailbox that does
// not exist has none.
func (s *Store) Folders(ctx context.Context, mailbox models.ID) ([]Folder, error) {
	rows, err := s.db.Reader(ctx).QueryContext(ctx, "SELECT "+folderColumns+" FROM folders WHERE mailbox_id = ?", int64(mailbox))
	if err != nil {
		return nil, failed("read folders", err)
	}
	var all []Folder
	err = each(rows, func(rows *sql.Rows) error {
		f, err := scanFolder(rows)
		all = append(all, *f)
		return err
	})
	if err != nil {
		return nil, failed("read folders", err)
	}
	slices.SortFunc(all, func(a, b Folder) int {
		if (a.Name == Inbox) != (b.Name == Inbox) {
			if a.Name == Inbox {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}

// Folder returns the folder with this name; NotFound if there is none.
func (s *Store) Folder(ctx context.Context, mailbox models.ID, name string) (*Folder, error) {
	name, err := FolderName(name)
	if err != nil {
		return nil, errFolder() // a name that cannot be is not there
	}
	return s.oneFolder(ctx, "mailbox_id = ? AND name = ?", int64(mailbox), name)
}

// FolderByID returns a folder as it is now; NotFound if it is gone or of another mailbox.
func (s *Store) FolderByID(ctx context.Context, p Place) (*Folder, error) {
	return s.oneFolder(ctx, "mailbox_id = ? AND id = ?", int64(p.Mailbox), int64(p.Folder))
}

func (s *Store) oneFolder(ctx context.Context, where string, args ...any) (*Folder, error) {
	f, err := scanFolder(s.db.Reader(ctx).QueryRowContext(ctx, "SELECT "+folderColumns+" FROM folders WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errFolder()
	}
	if err != nil {
		return nil, failed("read folder", err)
	}
	return f, nil
}

// failed says what was being done when the database failed.
func failed(doing string, err error) error { return db.Failure(fmt.Errorf("%s: %w", doing, err)) }

// folder returns a folder of a locked mailbox.
func (h *holding) folder(ctx context.Context, p Place) (*held, error) {
	if f := h.folders[p.Folder]; f != nil && f.Mailbox == p.Mailbox {
		return f, nil
	}
	return h.find(ctx, "mailbox_id = ? AND id = ?", int64(p.Mailbox), int64(p.Folder))
}

// named returns a folder of a locked mailbox by its normal name.
func (h *holding) named(ctx context.Context, mailbox models.ID, name string) (*held, error) {
	return h.find(ctx, "mailbox_id = ? AND name = ?", int64(mailbox), name)
}

func (h *holding) find(ctx context.Context, where string, args ...any) (*held, error) {
	f, err := scanFolder(h.tx.QueryRowContext(ctx, "SELECT "+folderColumns+" FROM folders WHERE "+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errFolder()
	}
	if err != nil {
		return nil, fmt.Errorf("read folder: %w", err)
	}
	return h.take(f), nil
}

// take keeps a folder that was read; one that was there before stays, with its changes.
func (h *holding) take(f *Folder) *held {
	if old := h.folders[f.ID]; old != nil {
		return old
	}
	held := &held{Folder: *f}
	h.folders[f.ID] = held
	return held
}

var (
	inboxLists  = listOf("SELECT " + folderColumns + " FROM folders WHERE name = 'INBOX' AND mailbox_id IN (%s)")
	folderLists = listOf("SELECT " + folderColumns + " FROM folders WHERE mailbox_id IN (%s)")
)

// load reads folders of many locked mailboxes at once: the inboxes, or all.
func (h *holding) load(ctx context.Context, s *shape, mailboxes []models.ID) error {
	if len(mailboxes) == 0 {
		return nil
	}
	return queryList(ctx, h.tx.Dialect(), h.tx, s, nil, anys(mailboxes), func(rows *sql.Rows) error {
		f, err := scanFolder(rows)
		if err == nil {
			h.take(f)
		}
		return err
	})
}
