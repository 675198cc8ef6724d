package imapd

import (
	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// How many messages are taken together: their contents are read in one query, and they are
// marked as seen in one transaction.
const (
	contentsBatch = 256
	bodiesBatch   = 32
)

// fetching is one FETCH while it runs.
type fetching struct {
	s    *session
	f    *wire.Fetch
	uid  bool // the item is in every response
	mark bool // bodies set \Seen

	contents bool // items that need what mime made
	batch    []mailstore.Message
	most     int
	at       int // message number found last
	sent     int // messages answered
	missing  bool
	unknown  bool // a BINARY part has an encoding nobody knows
}

// fetch answers FETCH and UID FETCH.
func (s *session) fetch(r *request) error {
	wanted := s.setArgument()
	s.p.SP()
	f := s.p.Fetch()
	if f.Vanished && (!r.uid || !f.HasChangedSince || !s.qresync) {
		s.p.Fail("VANISHED needs UID FETCH with CHANGEDSINCE, and QRESYNC enabled")
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	set, err := s.set(wanted, r.uid)
	if err != nil {
		return err
	}
	if f.HasChangedSince || f.Attrs&wire.AttrModSeq != 0 {
		s.condStore = true
	}
	if f.HasChangedSince {
		f.Attrs |= wire.AttrModSeq
	}
	x := newFetching(s, f, r.uid)
	if f.Vanished {
		if err := s.vanishedSince(f, uidRange(wanted.Ranges), wanted); err != nil {
			return err
		}
	}
	if err := x.run(set); err != nil {
		return err
	}
	switch {
	case x.unknown:
		return models.Errorf(models.Invalid, "fetch.cte", "A part has a transfer encoding that is not known.")
	case x.missing, !r.uid && !f.HasChangedSince && x.sent < s.box.known(set):
		return errExpunged()
	}
	return nil
}

func newFetching(s *session, f *wire.Fetch, uid bool) *fetching {
	x := &fetching{s: s, f: f, uid: uid || s.qresync, most: contentsBatch}
	x.contents = f.Attrs&(wire.AttrEnvelope|wire.AttrBody|wire.AttrBodyStructure|wire.AttrThreadID) != 0
	for _, sec := range f.Sections {
		x.most = bodiesBatch
		x.mark = x.mark || !sec.Peek && !s.box.readOnly
		x.contents = x.contents || !wholeMessage(&sec)
	}
	return x
}

// wholeMessage reports whether a section is all bytes of the message, for which nothing need be
// known of its parts.
func wholeMessage(sec *wire.Section) bool {
	return len(sec.Path) == 0 && sec.Part == wire.PartBody && (sec.Form == wire.FormBody || sec.Form == wire.FormRFC822)
}

// run answers for the messages of a set. No query is open while bytes go to the client.
func (x *fetching) run(set mailstore.Set) error {
	s := x.s
	take := func(m *mailstore.Message) error {
		if x.f.HasChangedSince && uint64(m.ModSeq) <= x.f.ChangedSince {
			return nil
		}
		x.batch = append(x.batch, *m)
		if len(x.batch) < x.most {
			return nil
		}
		return x.flush()
	}
	var err error
	if x.f.HasChangedSince {
		// By modseq, so that the cost follows the changes; each message once, in its latest
		// state, though one that changes meanwhile comes again.
		err = s.store.Changed(s.ctx, s.box.at.ID, mailstore.ModSeq(min(x.f.ChangedSince, 1<<63-1)), func(m *mailstore.Message) error {
			if !set.Contains(m.UID) {
				return nil
			}
			return take(m)
		})
	} else {
		err = s.store.InSet(s.ctx, s.box.at.ID, set, take)
	}
	if err == nil {
		err = x.flush()
	}
	return err
}

// flush answers for the messages gathered.
func (x *fetching) flush() error {
	if len(x.batch) == 0 {
		return nil
	}
	s := x.s
	var all map[models.ID]*mime.Contents
	if x.contents {
		ids := make([]models.ID, len(x.batch))
		for i := range x.batch {
			ids[i] = x.batch[i].BlobID
		}
		var err error
		if all, err = s.store.Contents(s.ctx, ids...); err != nil {
			return err
		}
	}
	var seen []mailstore.UID
	for i := range x.batch {
		m := &x.batch[i]
		seq := s.box.find(m.UID, x.at)
		if seq == 0 {
			continue
		}
		x.at = seq
		if m.Keywords>>len(s.box.at.Keywords) != 0 {
			if err := s.newKeywords(); err != nil {
				return err
			}
		}
		if err := x.message(seq, m, all[m.BlobID]); err != nil {
			return err
		}
		if x.mark && m.Flags&mailstore.FlagSeen == 0 {
			seen = append(seen, m.UID)
		}
	}
	x.batch = x.batch[:0]
	return x.markSeen(seen)
}

// newKeywords reads the folder's keywords again: a message has one that was not there before.
func (s *session) newKeywords() error {
	f, err := s.store.FolderByID(s.ctx, s.box.view.place)
	if models.Is(err, models.NotFound) {
		return errRemoved
	}
	if err == nil {
		s.tellKeywords(f.Keywords)
	}
	return err
}

// markSeen marks messages whose bodies have been sent, and tells of it. Doing so after them
// never marks what a client that is cut off did not get.
func (x *fetching) markSeen(uids []mailstore.UID) error {
	if len(uids) == 0 {
		return nil
	}
	s := x.s
	done, err := s.store.SetFlags(s.ctx, s.box.view.place, mailstore.SetOf(uids...), mailstore.FlagChange{Mode: mailstore.AddFlags, Flags: mailstore.FlagSeen})
	s.box.view.dirty.Store(true)
	if done != nil && len(done.Messages) > 0 {
		s.tellKeywords(done.Words)
		at := 0
		for _, f := range done.Messages {
			if seq := s.box.find(f.UID, at); seq != 0 {
				at = seq
				s.writeFlags(seq, f, x.uid)
			}
		}
		s.own = append(s.own, done.Messages...)
	}
	return err
}

// message writes the response for one message.
func (x *fetching) message(seq int, m *mailstore.Message, c *mime.Contents) error {
	s, a := x.s, x.f.Attrs
	if x.contents && c == nil {
		x.missing = true // removed, or its bytes cannot be read
		return nil
	}
	mark := s.out.Mark()
	s.out.WriteString("* ")
	s.out.Int(int64(seq))
	s.out.WriteString(" FETCH (")
	space := ""
	item := func(name string) { s.out.Strings(space, name); space = " " }
	if x.uid || a&wire.AttrUID != 0 {
		item("UID ")
		s.out.Int(int64(m.UID))
	}
	if a&wire.AttrModSeq != 0 || s.condStore && a&wire.AttrFlags != 0 {
		item("MODSEQ (")
		s.out.Int(int64(m.ModSeq))
		s.out.WriteString(")")
	}
	if a&wire.AttrFlags != 0 {
		item("")
		s.flagsItem(m.UID, m.Flags, m.Keywords)
	}
	if a&wire.AttrInternalDate != 0 {
		item("INTERNALDATE ")
		var b [40]byte
		s.out.Write(wire.AppendDateTime(b[:0], m.InternalDate.Time()))
	}
	if a&wire.AttrSize != 0 {
		item("RFC822.SIZE ")
		s.out.Int(m.Size)
	}
	if a&wire.AttrEmailID != 0 {
		item("EMAILID (")
		s.out.Strings(objectID('M', m.EmailID), ")")
	}
	if a&wire.AttrThreadID != 0 {
		item("THREADID ")
		s.threadID(c)
	}
	err := x.structures(m, c, item)
	if err == nil {
		err = x.sections(m, c, item)
	}
	if err != nil {
		// What ends early must not look whole: if some of it was sent, the connection is cut.
		if s.out.Undo(mark) && !isEnd(err) {
			if models.Is(err, models.NotFound) {
				x.missing = true
				return nil
			}
			return err
		}
		return asEnd(err)
	}
	s.out.WriteString(")\r\n")
	x.sent++
	return s.out.Err()
}

func isEnd(err error) bool {
	_, is := err.(endSession)
	return is
}

func (s *session) threadID(c *mime.Contents) {
	if c.ThreadID == 0 {
		s.out.WriteString("NIL") // RFC 8474, section 5.2
		return
	}
	s.out.Strings("(", objectID('T', models.ID(c.ThreadID)), ")")
}

// structures writes ENVELOPE, BODY and BODYSTRUCTURE.
func (x *fetching) structures(m *mailstore.Message, c *mime.Contents, item func(string)) error {
	s, a := x.s, x.f.Attrs
	if a&wire.AttrEnvelope != 0 {
		e, err := mime.DecodeEnvelope(c.Envelope)
		if err != nil {
			return models.Unavailablef(err, "A message cannot be read at the moment.")
		}
		item("ENVELOPE ")
		s.text = e.AppendIMAP(s.text[:0])
		s.out.Write(s.text)
	}
	if a&(wire.AttrBody|wire.AttrBodyStructure) == 0 {
		return nil
	}
	p, err := s.structure(m, c)
	if err != nil {
		return err
	}
	for _, form := range [...]struct {
		attr wire.Attr
		name string
	}{{wire.AttrBody, "BODY "}, {wire.AttrBodyStructure, "BODYSTRUCTURE "}} {
		if a&form.attr == 0 {
			continue
		}
		item(form.name)
		if s.rev2 {
			s.text = p.AppendBodyStructureRev2(s.text[:0], form.attr == wire.AttrBodyStructure)
		} else {
			s.text = p.AppendBodyStructure(s.text[:0], form.attr == wire.AttrBodyStructure)
		}
		s.out.Write(s.text)
	}
	return nil
}

// structure returns the tree of a message's parts, which is built anew only for the few whose
// tree is too large to be kept.
func (s *session) structure(m *mailstore.Message, c *mime.Contents) (*mime.Part, error) {
	if c.Structure != nil {
		p, err := mime.DecodeStructure(c.Structure)
		if err != nil {
			return nil, models.Unavailablef(err, "A message cannot be read at the moment.")
		}
		return p, nil
	}
	r, err := s.store.Open(s.ctx, m)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	skip := int64(len(m.Prefix))
	p, err := mime.BuildStructure(offsetReader{r, skip}, r.Size()-skip)
	if err != nil {
		return nil, models.Unavailablef(err, "A message cannot be read at the moment.")
	}
	return p, nil
}

// vanishedSince tells what was expunged: RFC 7162, section 3.2.6.
func (s *session) vanishedSince(f *wire.Fetch, known mailstore.Set, wanted wire.Set) error {
	gone, complete, err := s.store.Vanished(s.ctx, s.box.at.ID, mailstore.ModSeq(min(f.ChangedSince, 1<<63-1)))
	if err != nil {
		return err
	}
	for _, r := range wanted.Ranges {
		if r.First == 0 || r.Last == 0 {
			known = append(known, mailstore.Range{First: mailstore.UID(max(r.First, r.Last)), Last: max(s.box.at.UIDNext, 2) - 1})
		}
	}
	if wanted.Saved {
		known = s.saved
	}
	s.tellVanished("(EARLIER) ", s.goneOf(gone, complete, known.Normal(), &wire.QResync{}, s.box.uids))
	return nil
}
