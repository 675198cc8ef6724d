package imapd

import (
	"cmp"
	"slices"

	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// update tells the client what changed in its folder since it was last told. Without expunges
// no message number changes; the rest is told, and what is gone stays in the session's list
// until it may be announced. force looks at the folder even if nobody told of a change. The
// error ends the session.
func (s *session) update(expunges, force bool) error {
	b := s.box
	if b == nil {
		return nil
	}
	m, err := b.view.refresh(s.ctx, force)
	if models.Is(err, models.NotFound) {
		return errRemoved
	}
	if err != nil {
		s.log.Warn("folder not read", "err", err)
		return nil // the next command tries again
	}
	if m.folder.HighestModSeq == b.at.HighestModSeq && !(b.behind && expunges) {
		return nil
	}
	if _, err := s.list(); err != nil {
		return endSession{err}
	}
	if m, err = b.view.load(s.ctx); err != nil {
		return endSession{err}
	}
	return s.advance(m, expunges)
}

// advance brings the session from the moment its client knows to m.
func (s *session) advance(m *moment, expunges bool) error {
	b := s.box
	before, known := b.at, len(b.uids)
	s.tellKeywords(m.folder.Keywords)
	fresh := m.uids[len(below(m.uids, before.UIDNext)):]
	switch {
	case m.removals == b.removals && !b.behind:
		b.uids = m.uids
	case expunges:
		known -= s.tellGone(below(m.uids, before.UIDNext))
		b.uids, b.behind = m.uids, false
	default:
		b.uids = append(slices.Clip(b.uids), fresh...)
		b.behind = true
	}
	b.removals, b.at = m.removals, m.folder
	if b.count = len(b.uids); b.count > known {
		s.tellArrived()
	}
	if before.HighestModSeq == m.folder.HighestModSeq {
		return nil
	}
	return s.tellFlags(before)
}

// tellGone announces the messages of the session's list that are not in now.
func (s *session) tellGone(now []uint32) (gone int) {
	b := s.box
	var vanished []uint32
	for i, j := 0, 0; i < len(b.uids); i++ {
		if j < len(now) && now[j] == b.uids[i] {
			j++
			continue
		}
		if s.qresync {
			vanished = append(vanished, b.uids[i])
		} else {
			// RFC 9051, section 7.5.1: each message that is gone lowers the numbers after it.
			s.out.WriteString("* ")
			s.out.Int(int64(i + 1 - gone))
			s.out.WriteString(" EXPUNGE\r\n")
		}
		gone++
	}
	s.tellVanished("", vanished)
	return gone
}

func (s *session) tellVanished(earlier string, uids []uint32) {
	if len(uids) > 0 {
		s.out.Strings("* VANISHED ", earlier)
		s.out.Ranges(uids)
		s.out.WriteString("\r\n")
	}
}

// tellArrived announces how many messages there are.
func (s *session) tellArrived() {
	b := s.box
	s.out.WriteString("* ")
	s.out.Int(int64(b.count))
	s.out.WriteString(" EXISTS\r\n")
	if s.rev2 {
		return
	}
	b.told = true
	s.out.WriteString("* ")
	s.out.Int(int64(s.recent()))
	s.out.WriteString(" RECENT\r\n")
}

// recent counts the messages that are \Recent in this session.
func (s *session) recent() int {
	b := s.box
	if b.recentFrom == 0 {
		return 0
	}
	i, _ := slices.BinarySearch(b.uids, uint32(b.recentFrom))
	return len(b.uids) - i
}

// tellKeywords announces keywords that the folder has got meanwhile, before they appear.
func (s *session) tellKeywords(words []string) {
	b := s.box
	if len(words) == len(b.at.Keywords) {
		return
	}
	s.out.WriteString("* FLAGS (")
	s.writeFlagNames(words)
	s.out.WriteString(")\r\n")
	s.permanentFlags(words)
	b.at.Keywords = words
}

// tellFlags writes the flags that changed since the row before, of messages the client knew
// then. What this session just wrote itself is left out.
func (s *session) tellFlags(before mailstore.Folder) error {
	b, at := s.box, 0
	own := s.own
	s.own = nil
	err := s.store.Changed(s.ctx, b.at.ID, before.HighestModSeq, func(m *mailstore.Message) error {
		if m.UID >= before.UIDNext || wrote(own, m) {
			return nil
		}
		seq := b.find(m.UID, at)
		if seq == 0 {
			return nil
		}
		at = seq
		s.writeFlags(seq, flagState{UID: m.UID, ModSeq: m.ModSeq, Flags: m.Flags, Keywords: m.Keywords}, false)
		return s.out.Err()
	})
	if err != nil && s.out.Err() == nil {
		s.log.Warn("changes not read", "err", err)
		b.at.HighestModSeq = before.HighestModSeq // told at the next command
		return nil
	}
	return err
}

// wrote reports whether what a message is now was written by this session, and told.
func wrote(own []flagState, m *mailstore.Message) bool {
	i, found := slices.BinarySearchFunc(own, m.UID, func(f flagState, u mailstore.UID) int { return cmp.Compare(f.UID, u) })
	return found && own[i].ModSeq == m.ModSeq
}

// flagState is what a FETCH response with flags tells of a message.
type flagState = mailstore.FlagState

// writeFlags writes a FETCH response with the flags of a message.
func (s *session) writeFlags(seq int, f flagState, uid bool) {
	s.out.WriteString("* ")
	s.out.Int(int64(seq))
	s.out.WriteString(" FETCH (")
	// RFC 7162, section 3.2.4: with QRESYNC the UID is in every one.
	if uid || s.qresync || s.rev2 {
		s.out.WriteString("UID ")
		s.out.Int(int64(f.UID))
		s.out.WriteString(" ")
	}
	if s.condStore {
		s.out.WriteString("MODSEQ (")
		s.out.Int(int64(f.ModSeq))
		s.out.WriteString(") ")
	}
	s.flagsItem(f.UID, f.Flags, f.Keywords)
	s.out.WriteString(")\r\n")
}

var systemFlags = [...]struct {
	bit  mailstore.Flags
	name string
}{
	{mailstore.FlagAnswered, `\Answered`}, {mailstore.FlagFlagged, `\Flagged`}, {mailstore.FlagDeleted, `\Deleted`},
	{mailstore.FlagSeen, `\Seen`}, {mailstore.FlagDraft, `\Draft`},
}

// flagsItem writes FLAGS with its list.
func (s *session) flagsItem(uid mailstore.UID, flags mailstore.Flags, keywords int64) {
	s.out.WriteString("FLAGS (")
	space := ""
	for _, f := range systemFlags {
		if flags&f.bit != 0 {
			s.out.Strings(space, f.name)
			space = " "
		}
	}
	for i, w := range s.box.at.Keywords {
		if keywords&(1<<i) != 0 {
			s.out.Strings(space, w)
			space = " "
		}
	}
	if r := s.box.recentFrom; r != 0 && uid >= r && !s.rev2 {
		s.out.Strings(space, `\Recent`)
	}
	s.out.WriteString(")")
}

// writeFlagNames writes the flags of a folder.
func (s *session) writeFlagNames(words []string) {
	for i, f := range systemFlags {
		if i > 0 {
			s.out.WriteString(" ")
		}
		s.out.WriteString(f.name)
	}
	for _, w := range words {
		s.out.Strings(" ", w)
	}
}

// permanentFlags writes which flags can be changed; new keywords can be made.
func (s *session) permanentFlags(words []string) {
	s.out.WriteString("* OK [PERMANENTFLAGS (")
	if !s.box.readOnly {
		s.writeFlagNames(words)
		if len(words) < mailstore.MaxKeywords {
			s.out.WriteString(` \*`)
		}
	}
	s.out.WriteString(")] Flags that are kept\r\n")
}

// uidRange turns the ranges of a client into a set.
func uidRange(ranges []wire.Range) mailstore.Set {
	out := make(mailstore.Set, 0, len(ranges))
	for _, r := range ranges {
		out = append(out, mailstore.Range{First: mailstore.UID(r.First), Last: mailstore.UID(r.Last)})
	}
	return out.Normal()
}
