package imapd

import (
	"slices"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// selectFolder answers SELECT and EXAMINE, from the folder's counters alone.
func (s *session) selectFolder(r *request) error {
	s.p.SP()
	name := s.p.Mailbox()
	params := s.p.SelectParameters()
	if params.QResync != nil && !s.qresync {
		s.p.Fail("QRESYNC must be enabled first")
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	if s.box != nil {
		s.leave()
		s.state = authenticated
		if s.qresync || s.rev2 {
			s.out.WriteString("* OK [CLOSED] The previous mailbox is closed\r\n")
		}
	}
	f, err := s.store.Folder(s.ctx, s.account.ID, name)
	if err != nil {
		return err
	}
	if params.CondStore {
		s.condStore = true
	}
	b := &selected{readOnly: r.name == "EXAMINE"}
	b.view = s.server.views.enter(f.Place(), s)
	s.box = b
	if err := s.openFolder(b); err != nil {
		s.leave()
		return err
	}
	s.tellFolder(b)
	s.state = selectedState
	r.code, r.text = "READ-WRITE", "Selected"
	if b.readOnly {
		r.code = "READ-ONLY"
	}
	if params.QResync != nil {
		return s.resync(params.QResync)
	}
	return nil
}

// openFolder reads the folder as the client is to see it.
func (s *session) openFolder(b *selected) error {
	m, err := b.view.refresh(s.ctx, true)
	if err != nil {
		return err
	}
	b.at, b.count = m.folder, int(m.folder.Messages)
	if m.loaded {
		b.uids, b.loaded, b.removals = m.uids, true, m.removals
		b.count = len(m.uids)
	}
	if s.rev2 {
		return nil
	}
	b.recentFrom = b.at.RecentFrom
	if !b.readOnly && b.recentFrom < b.at.UIDNext {
		b.recentFrom, err = s.store.TakeRecent(s.ctx, b.view.place)
	}
	return err
}

func (s *session) tellFolder(b *selected) {
	f := &b.at
	s.out.WriteString("* ")
	s.out.Int(int64(b.count))
	s.out.WriteString(" EXISTS\r\n")
	if !s.rev2 {
		s.out.WriteString("* ")
		s.out.Int(s.recentAt(b))
		s.out.WriteString(" RECENT\r\n")
	}
	s.out.WriteString("* FLAGS (")
	s.writeFlagNames(f.Keywords)
	s.out.WriteString(")\r\n")
	s.permanentFlags(f.Keywords)
	s.out.WriteString("* OK [UIDVALIDITY ")
	s.out.Int(int64(f.UIDValidity))
	s.out.WriteString("] UIDs are valid\r\n* OK [UIDNEXT ")
	s.out.Int(int64(f.UIDNext))
	s.out.WriteString("] Next UID\r\n* OK [HIGHESTMODSEQ ")
	s.out.Int(int64(f.HighestModSeq))
	s.out.WriteString("] Highest\r\n* OK [MAILBOXID (")
	s.out.Strings(objectID('F', f.ID), ")] Id\r\n")
	if s.rev2 {
		s.out.WriteString("* LIST (")
		s.out.Strings(f.SpecialUse, ") \"/\" ")
		s.out.Mailbox(f.Name)
		s.out.WriteString("\r\n")
	}
}

// recentAt counts the messages that are \Recent when a folder is selected; nothing is read
// when there is none.
func (s *session) recentAt(b *selected) int64 {
	if b.recentFrom == 0 || b.recentFrom >= b.at.UIDNext {
		return 0
	}
	if b.loaded {
		return int64(s.recent())
	}
	// What a client finds that is the first to look: every message is recent, or none of the
	// UIDs is missing.
	if b.recentFrom == 1 || b.at.Messages == int64(b.at.UIDNext)-1 {
		return min(b.at.Messages, int64(b.at.UIDNext-b.recentFrom))
	}
	uids, err := b.view.uidsFrom(s.ctx, b.recentFrom, nil)
	if err != nil {
		return 0
	}
	return int64(len(below(uids, b.at.UIDNext)))
}

// objectID writes an id of ours as RFC 8474, section 4 has it.
func objectID(kind byte, id models.ID) string { return string(kind) + itoa(int64(id)) }

// resync tells a client that knew the folder what changed meanwhile: RFC 7162, section 3.2.5.
func (s *session) resync(q *wire.QResync) error {
	b := s.box
	if q.UIDValidity != b.at.UIDValidity {
		return nil
	}
	uids, err := s.list()
	if err != nil {
		return endSession{err}
	}
	gone, complete, err := s.store.Vanished(s.ctx, b.at.ID, mailstore.ModSeq(q.ModSeq))
	if err != nil {
		return err
	}
	known := uidRange(q.Known)
	if q.Known == nil {
		known = mailstore.Set{{First: 1, Last: max(b.at.UIDNext, 2) - 1}}
	}
	s.tellVanished("(EARLIER) ", s.goneOf(gone, complete, known, q, uids))
	at := 0
	err = s.store.Changed(s.ctx, b.at.ID, mailstore.ModSeq(q.ModSeq), func(m *mailstore.Message) error {
		seq := b.find(m.UID, at)
		if seq == 0 || !known.Contains(m.UID) {
			return nil
		}
		at = seq
		s.writeFlags(seq, flagState{UID: m.UID, ModSeq: m.ModSeq, Flags: m.Flags, Keywords: m.Keywords}, true)
		return s.out.Err()
	})
	return err
}

// maxEarlier bounds a list of single UIDs.
const maxEarlier = 2_000_000

// goneOf returns the UIDs of known that are gone. When not all removals are on record any more,
// these are all that are not there; the client's pairs of numbers and UIDs then tell how far
// back nothing is missing.
func (s *session) goneOf(gone mailstore.Set, complete bool, known mailstore.Set, q *wire.QResync, uids []uint32) []uint32 {
	var out []uint32
	if complete {
		for _, r := range gone {
			for u := r.First; u <= r.Last && u < s.box.at.UIDNext && len(out) < maxEarlier; u++ {
				if known.Contains(u) {
					out = append(out, uint32(u))
				}
			}
		}
		return out
	}
	from := mailstore.UID(1)
	if q.SeqMatch {
		from = matched(q, uids)
	}
	for _, r := range known {
		for u := max(r.First, from); u <= r.Last && u < s.box.at.UIDNext && len(out) < maxEarlier; u++ {
			if _, there := slices.BinarySearch(uids, uint32(u)); !there {
				out = append(out, uint32(u))
			}
		}
	}
	return out
}

// matched returns the UID up to which the client's message numbers are still right.
func matched(q *wire.QResync, uids []uint32) mailstore.UID {
	var seqs, pairs []uint32
	for _, r := range q.Seqs {
		for n := r.First; n <= r.Last && len(seqs) <= len(uids); n++ {
			seqs = append(seqs, n)
		}
	}
	for _, r := range q.UIDs {
		for n := r.First; n <= r.Last && len(pairs) <= len(uids); n++ {
			pairs = append(pairs, n)
		}
	}
	last := mailstore.UID(1)
	for i := 0; i < len(seqs) && i < len(pairs); i++ {
		if seqs[i] < 1 || int(seqs[i]) > len(uids) || uids[seqs[i]-1] != pairs[i] {
			break
		}
		last = mailstore.UID(pairs[i])
	}
	return last
}

// closeFolder answers CLOSE: what is marked is expunged without a word.
func (s *session) closeFolder(r *request) error {
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	b := s.box
	if !b.readOnly {
		done, err := s.store.Expunge(s.ctx, b.view.place, s.everything(), true)
		if err != nil && !models.Is(err, models.NotFound) {
			return err
		}
		if s.condStore && done.ModSeq > 0 {
			r.code = "HIGHESTMODSEQ " + itoa(int64(done.ModSeq))
		}
	}
	s.leave()
	s.state = authenticated
	return nil
}

// everything is the messages that the client can know of.
func (s *session) everything() mailstore.Set {
	if s.box.at.UIDNext <= 1 {
		return nil
	}
	return mailstore.Set{{First: 1, Last: s.box.at.UIDNext - 1}}
}

// unselect answers UNSELECT (RFC 3691).
func (s *session) unselect(*request) error {
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	s.leave()
	s.state = authenticated
	return nil
}
