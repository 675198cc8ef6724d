package imapd

import (
	"context"
	"slices"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// selected is the folder a session has selected, as its client knows it.
type selected struct {
	view     *view
	readOnly bool

	at       mailstore.Folder // its row when the client was last told of changes; not its counters
	count    int              // messages; len(uids) once loaded
	uids     []uint32         // of message numbers 1, 2, ...; shared, never written to
	loaded   bool
	removals int64 // of the moment that uids was last brought in line with
	behind   bool  // uids has messages that are gone, but could not be announced yet

	recentFrom mailstore.UID // the first UID that is \Recent; 0 = none
	told       bool          // the client was told of arrivals that are still \Recent to others
}

// list returns the UIDs by message number. It is read when it is first needed.
func (s *session) list() ([]uint32, error) {
	b := s.box
	if b.loaded {
		return b.uids, nil
	}
	m, err := b.view.load(s.ctx)
	if err != nil {
		return nil, err
	}
	if m.folder.HighestModSeq == b.at.HighestModSeq {
		b.uids, b.removals = m.uids, m.removals
	} else {
		if b.uids, err = b.view.listAt(s.ctx, &b.at); err != nil {
			return nil, err
		}
		b.removals = -1 // comparing finds out
	}
	b.loaded = true
	return b.uids, nil
}

// find returns the message number of a UID, 0 if the session does not know it. from is where
// to begin: the number found before, when UIDs rise.
func (b *selected) find(uid mailstore.UID, from int) int {
	u := uint32(uid)
	if from < len(b.uids) && b.uids[from] == u {
		return from + 1
	}
	if from >= len(b.uids) || b.uids[from] > u {
		from = 0 // they do not rise: a SORT
	}
	i, found := slices.BinarySearch(b.uids[from:], u)
	if !found {
		return 0
	}
	return from + i + 1
}

// set returns the UIDs that a client's set means. All messages between two neighbours of a
// range are in it, so a range of message numbers is one of UIDs. Numbers that are no message's
// break the grammar; UIDs that are no message's mean nothing.
func (s *session) set(set wire.Set, uid bool) (mailstore.Set, error) {
	uids, err := s.list()
	if err != nil {
		return nil, err
	}
	if set.Saved {
		return s.saved, nil
	}
	n := uint32(len(uids))
	if n == 0 && !uid {
		return nil, s.emptySet(set)
	}
	if n == 0 {
		return nil, nil
	}
	out := make(mailstore.Set, 0, len(set.Ranges))
	for _, r := range set.Ranges {
		if !uid {
			first, last := seqOf(r.First, n), seqOf(r.Last, n)
			if first > n || last > n {
				return nil, bad("", "There is no message with that number")
			}
			if first > last {
				first, last = last, first
			}
			out = append(out, mailstore.Range{First: mailstore.UID(uids[first-1]), Last: mailstore.UID(uids[last-1])})
			continue
		}
		first, last := seqOf(r.First, uids[n-1]), seqOf(r.Last, uids[n-1])
		if first > last {
			first, last = last, first
		}
		// What came after the client was last told is not its to change.
		if last = min(last, uids[n-1]); first <= last {
			out = append(out, mailstore.Range{First: mailstore.UID(first), Last: mailstore.UID(last)})
		}
	}
	return out.Normal(), nil
}

// emptySet is the answer to message numbers in an empty folder: those that end in "*" are what
// clients send for "all".
func (s *session) emptySet(set wire.Set) error {
	for _, r := range set.Ranges {
		if r.First != 0 && r.Last != 0 {
			return bad("", "There is no message with that number")
		}
	}
	return nil
}

func seqOf(n, last uint32) uint32 {
	if n == 0 {
		return last
	}
	return n
}

// known counts the messages of a set that the session knows.
func (b *selected) known(set mailstore.Set) (n int) {
	for _, r := range set {
		i, _ := slices.BinarySearch(b.uids, uint32(r.First))
		j, found := slices.BinarySearch(b.uids, uint32(r.Last))
		if found {
			j++
		}
		n += j - i
	}
	return n
}

// leave gives the selected folder up, if there is one. Arrivals the client was told of are
// \Recent to no later session.
func (s *session) leave() {
	b := s.box
	if b == nil {
		return
	}
	s.box, s.saved = nil, nil
	s.server.views.leave(b.view, s)
	if b.told && !b.readOnly && !s.rev2 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), leaveTime)
		defer cancel()
		if _, err := s.store.TakeRecent(ctx, b.view.place); err != nil && !models.Is(err, models.NotFound) {
			s.log.Debug("recent messages not marked", "err", err)
		}
	}
}

// writable refuses a change of a folder that was opened by EXAMINE.
func (b *selected) writable() error {
	if b.readOnly {
		return models.Errorf(models.Denied, "imap.read_only", "The mailbox was opened read-only.")
	}
	return nil
}
