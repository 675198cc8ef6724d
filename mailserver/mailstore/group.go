package mailstore

import (
	"context"
	"fmt"
	"slices"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// group is one transaction of arrivals.
type group struct {
	*holding
	inboxes map[models.ID]*held
	uses    map[mailboxUse]*held
	names   map[mailboxUse]*held

	blobs    []blob.Row
	contents []any // rows, one after the other
	messages []any
}

type mailboxUse struct {
	mailbox models.ID
	name    string
}

var (
	messageColumns = []string{"folder_id", "uid", "modseq", "flags", "keywords", "internal_date", "save_date", "size", "email_id", "blob_id", "prefix"}
	insertMessages = insertOf("messages", messageColumns...)
)

// place writes all items that may be written and gives the others their verdict; its error is
// that of the transaction as a whole.
func (s *Store) place(ctx context.Context, tx *db.Tx, items []*item) error {
	h, err := s.hold(ctx, tx, mailboxesOf(items))
	if err != nil {
		return err
	}
	g := &group{holding: h}
	if err := g.loadFolders(ctx, items); err != nil {
		return err
	}
	for _, it := range items {
		g.admit(it)
	}
	if len(g.blobs) == 0 {
		return nil
	}
	if err := s.blobs.InsertRows(ctx, tx, g.blobs); err != nil {
		return err
	}
	if err := insertRows(ctx, tx, insertContents, len(contentsColumns), g.contents); err != nil {
		return fmt.Errorf("insert contents: %w", err)
	}
	if err := insertRows(ctx, tx, insertMessages, len(messageColumns), g.messages); err != nil {
		return fmt.Errorf("insert messages: %w", err)
	}
	if err := g.save(ctx); err != nil {
		return err
	}
	return also(ctx, tx, items)
}

// also lets the items that were placed write rows of their own. An error is that of the whole
// transaction: the group is then written again in halves, until the guilty one is alone.
func also(ctx context.Context, tx *db.Tx, items []*item) error {
	for _, it := range items {
		if it.err != nil {
			continue
		}
		for i := range it.letters {
			l := &it.letters[i]
			if l.also == nil {
				continue
			}
			if err := l.also(ctx, tx, l.staged.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

func mailboxesOf(items []*item) []models.ID {
	var ids []models.ID
	for _, it := range items {
		for _, l := range it.letters {
			for _, t := range l.targets {
				ids = append(ids, t.mailbox)
			}
		}
	}
	return ids
}

// loadFolders reads the folders the items go to: only the inbox of mailboxes that need no
// other.
func (g *group) loadFolders(ctx context.Context, items []*item) error {
	var inboxes, all []models.ID
	for _, it := range items {
		for _, l := range it.letters {
			for _, t := range l.targets {
				if t.folder == 0 && (t.name == "" || t.name == Inbox) {
					inboxes = append(inboxes, t.mailbox)
				} else {
					all = append(all, t.mailbox)
				}
			}
		}
	}
	all = unique(all)
	inboxes = slices.DeleteFunc(unique(inboxes), func(id models.ID) bool {
		_, found := slices.BinarySearch(all, id)
		return found
	})
	if err := g.load(ctx, inboxLists, inboxes); err != nil {
		return fmt.Errorf("read folders: %w", err)
	}
	if err := g.load(ctx, folderLists, all); err != nil {
		return fmt.Errorf("read folders: %w", err)
	}
	g.index()
	return nil
}

func unique(ids []models.ID) []models.ID {
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (g *group) index() {
	g.inboxes = make(map[models.ID]*held, len(g.boxes))
	g.uses, g.names = map[mailboxUse]*held{}, map[mailboxUse]*held{}
	for _, f := range g.folders {
		if f.Name == Inbox {
			g.inboxes[f.Mailbox] = f
			continue
		}
		g.names[mailboxUse{f.Mailbox, f.Name}] = f
		if f.SpecialUse != "" {
			g.uses[mailboxUse{f.Mailbox, f.SpecialUse}] = f
		}
	}
}

// resolve finds the folder of a target.
func (g *group) resolve(t *target) (*held, error) {
	if g.boxes[t.mailbox] == nil {
		return nil, errMailbox(t.mailbox)
	}
	if t.folder != 0 {
		if f := g.folders[t.folder]; f != nil && f.Mailbox == t.mailbox {
			return f, nil
		}
		return nil, errFolder()
	}
	key := mailboxUse{t.mailbox, t.name}
	for _, f := range []*held{g.uses[key], g.names[key], g.inboxes[t.mailbox]} {
		if f != nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("mailbox %d has no inbox", t.mailbox)
}

// admit decides on an item and adds its rows; a refused item leaves nothing behind.
func (g *group) admit(it *item) {
	it.err, it.uids = nil, it.uids[:0]
	blobs, contents, messages := len(g.blobs), len(g.contents), len(g.messages)
	var done []placed
	for i := range it.letters {
		l := &it.letters[i]
		for j := range l.targets {
			p, err := g.one(l, &l.targets[j])
			if err != nil {
				g.undo(done)
				g.blobs, g.contents, g.messages = g.blobs[:blobs], g.contents[:contents], g.messages[:messages]
				it.err = err
				return
			}
			done = append(done, p)
			it.uids, it.uidvalidity = append(it.uids, p.uid), p.folder.UIDValidity
		}
		g.blobs = append(g.blobs, blob.Row{Staged: l.staged, Refs: int64(len(l.targets)) + l.refs})
		g.contents = append(g.contents, l.contents...)
	}
}

// placed is one message that was counted.
type placed struct {
	folder *held
	uid    UID
	flags  Flags
	size   int64
}

func (g *group) one(l *letter, t *target) (placed, error) {
	f, err := g.resolve(t)
	if err != nil {
		return placed{}, err
	}
	if !g.boxes[t.mailbox].room(t.quota, t.declared) {
		return placed{}, errFull(t.mailbox)
	}
	words, err := f.bits(t.keywords, true)
	if err != nil {
		return placed{}, err
	}
	p := placed{folder: f, flags: t.flags, size: l.size + int64(len(t.prefix))}
	if p.uid = f.nextUID(); p.uid == 0 {
		return placed{}, errFull(t.mailbox)
	}
	g.count(f, p.flags, p.size, 1)
	date := l.date
	if date == 0 {
		date = g.now
	}
	g.messages = append(g.messages, int64(f.ID), int64(p.uid), int64(f.HighestModSeq), int64(p.flags), words, int64(date), int64(g.now),
		p.size, int64(l.staged.ID), int64(l.staged.ID), bytes(t.prefix))
	return p, nil
}

// undo takes back what was counted. The UIDs go back too, as they are the last ones; the modseq
// stays, since others may share it.
func (g *group) undo(done []placed) {
	for _, p := range slices.Backward(done) {
		g.count(p.folder, p.flags, p.size, -1)
		p.folder.UIDNext--
	}
}
