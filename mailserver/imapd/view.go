package imapd

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// moment is a folder as it was at one modseq. It never changes, and its list may be shared by
// any number of sessions.
type moment struct {
	folder   mailstore.Folder
	uids     []uint32 // rising; nil = not read yet
	loaded   bool
	removals int64 // rises whenever a UID left the list
}

// view is a folder that at least one session of this process has selected.
type view struct {
	place mailstore.Place
	store Store
	dirty atomic.Bool // the folder changed since now was made

	mu  sync.Mutex // held while the database is read, never while a client is written to
	now *moment

	sessions map[*session]struct{} // guarded by views.mu
}

// views are the views of a process. One watcher serves them all.
type views struct {
	store Store
	stop  func()

	mu      sync.Mutex
	folders map[models.ID]*view
}

func newViews(store Store, watch Watcher) *views {
	v := &views{store: store, folders: map[models.ID]*view{}}
	v.stop = watch.Watch(v.changed)
	return v
}

func (v *views) close() { v.stop() }

// enter adds a session to the view of a folder.
func (v *views) enter(p mailstore.Place, s *session) *view {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.folders[p.Folder]
	if w == nil {
		w = &view{place: p, store: v.store, sessions: map[*session]struct{}{}}
		v.folders[p.Folder] = w
	}
	w.sessions[s] = struct{}{}
	return w
}

// leave takes a session out; the view ends with its last one.
func (v *views) leave(w *view, s *session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(w.sessions, s)
	if len(w.sessions) == 0 && v.folders[w.place.Folder] == w {
		delete(v.folders, w.place.Folder)
	}
}

// changed is told of every change; most concern folders nobody has selected.
func (v *views) changed(changes []db.Change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range changes {
		switch c.Kind {
		case db.ChangedFolder:
			v.touch(v.folders[c.ID])
		case db.ChangedAll:
			for _, w := range v.folders {
				v.touch(w)
			}
		}
	}
}

// touch marks a view and wakes its sessions. v.mu is held.
func (v *views) touch(w *view) {
	if w == nil {
		return
	}
	w.dirty.Store(true)
	for s := range w.sessions {
		s.wake()
	}
}

// refresh returns the folder as it is now, or as it was when nothing had been told of a change
// since; force looks in any case. NotFound when the folder is gone.
func (w *view) refresh(ctx context.Context, force bool) (*moment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dirty.Swap(false) && !force && w.now != nil {
		return w.now, nil
	}
	if err := w.advance(ctx); err != nil {
		w.dirty.Store(true)
		return nil, err
	}
	return w.now, nil
}

// advance makes a new moment. w.mu is held.
func (w *view) advance(ctx context.Context) error {
	f, err := w.store.FolderByID(ctx, w.place)
	if err != nil {
		return err
	}
	old := w.now
	next := &moment{folder: *f}
	switch {
	case old == nil || !old.loaded:
	case old.folder.HighestModSeq == f.HighestModSeq:
		next.uids, next.loaded, next.removals = old.uids, true, old.removals
	default:
		if err := w.follow(ctx, old, next); err != nil {
			return err
		}
	}
	w.now = next
	return nil
}

// listRows is how many UIDs are read at once.
const listRows = 20_000

// uidsFrom reads the UIDs of the folder from one on.
func (w *view) uidsFrom(ctx context.Context, from mailstore.UID, list []uint32) ([]uint32, error) {
	for {
		page, err := w.store.UIDs(ctx, w.place.Folder, from, listRows)
		if err != nil {
			return nil, err
		}
		for _, u := range page {
			list = append(list, uint32(u))
		}
		if len(page) < listRows || page[len(page)-1] == mailstore.MaxUID {
			return list, nil
		}
		from = page[len(page)-1] + 1
	}
}

// follow makes next's list from that of old: what arrived is read, what was expunged is told
// by the record of it, so the cost follows the change. The reads see the folder later than
// next's row does; what left between is gone already, and what came belongs to the next moment.
func (w *view) follow(ctx context.Context, old, next *moment) error {
	gone, complete, err := w.store.Vanished(ctx, w.place.Folder, old.folder.HighestModSeq)
	if err != nil {
		return err
	}
	next.loaded, next.removals = true, old.removals
	if !complete {
		next.removals++
		next.uids, err = w.uidsFrom(ctx, 1, make([]uint32, 0, next.folder.Messages))
		next.uids = below(next.uids, next.folder.UIDNext)
		return err
	}
	next.uids = old.uids
	if len(gone) > 0 {
		if kept := without(old.uids, gone); len(kept) < len(old.uids) {
			next.uids, next.removals = kept, old.removals+1
		}
	}
	if next.folder.UIDNext == old.folder.UIDNext {
		return nil
	}
	// Appending leaves what others see of the old list alone: nobody looks past its length,
	// and lists grow only here, from the newest.
	next.uids, err = w.uidsFrom(ctx, old.folder.UIDNext, next.uids)
	next.uids = below(next.uids, next.folder.UIDNext)
	return err
}

// load makes sure that the newest moment has its list, and returns it.
func (w *view) load(ctx context.Context) (*moment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now.loaded {
		return w.now, nil
	}
	uids, err := w.listAt(ctx, &w.now.folder)
	if err != nil {
		return nil, err
	}
	next := *w.now
	next.uids, next.loaded = uids, true
	w.now = &next
	return w.now, nil
}

// listAt returns the list of the folder as it was when a row was read: the UIDs that are there
// now or were expunged since, without those that came later.
func (w *view) listAt(ctx context.Context, f *mailstore.Folder) ([]uint32, error) {
	uids, err := w.uidsFrom(ctx, 1, make([]uint32, 0, f.Messages))
	if err != nil {
		return nil, err
	}
	uids = below(uids, f.UIDNext)
	if int64(len(uids)) == f.Messages {
		return uids, nil
	}
	gone, complete, err := w.store.Vanished(ctx, w.place.Folder, f.HighestModSeq)
	if err != nil {
		return nil, err
	}
	uids = with(uids, gone, f.UIDNext)
	if !complete || int64(len(uids)) != f.Messages {
		return nil, models.Errorf(models.Unavailable, "folder.moved", "The folder has changed too much, please select it again.")
	}
	return uids, nil
}

// below returns the part of a rising list under a UID. What is appended to it later does not
// write over the rest.
func below(uids []uint32, u mailstore.UID) []uint32 {
	i, _ := slices.BinarySearch(uids, uint32(u))
	if i == len(uids) {
		return uids
	}
	return uids[:i:i]
}

// without returns a rising list without a set, in new memory.
func without(uids []uint32, gone mailstore.Set) []uint32 {
	kept := make([]uint32, 0, len(uids))
	for _, r := range gone {
		i, _ := slices.BinarySearch(uids, uint32(r.First))
		kept = append(kept, uids[:i]...)
		uids = uids[i:]
		i, found := slices.BinarySearch(uids, uint32(r.Last))
		if found {
			i++
		}
		uids = uids[i:]
	}
	return append(kept, uids...)
}

// with returns a rising list with the UIDs of a set under a UID put in.
func with(uids []uint32, gone mailstore.Set, under mailstore.UID) []uint32 {
	all := slices.Clone(uids)
	for _, r := range gone {
		for u := r.First; u <= r.Last && u < under; u++ {
			all = append(all, uint32(u))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
