package imapd

import (
	"github.com/postchi/postchi/mailserver/imapd/wire"
	"github.com/postchi/postchi/mailserver/mailstore"
)

// status answers STATUS, from the folder's counters.
func (s *session) status(*request) error {
	s.p.SP()
	name := s.p.Mailbox()
	s.p.SP()
	items := s.p.StatusItems()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	f, err := s.store.Folder(s.ctx, s.account.ID, name)
	if err != nil {
		return err
	}
	return s.writeStatus(f, items)
}

// writeStatus writes a STATUS response.
func (s *session) writeStatus(f *mailstore.Folder, items wire.StatusItem) error {
	var recent int64
	if items&wire.StatusRecent != 0 && f.RecentFrom < f.UIDNext {
		uids, err := s.store.UIDs(s.ctx, f.ID, f.RecentFrom, int(f.Messages)+1)
		if err != nil {
			return err
		}
		recent = int64(len(uids))
	}
	var marked int64
	if items&wire.StatusDeletedStorage != 0 && f.Deleted > 0 {
		err := s.store.InSet(s.ctx, f.ID, mailstore.Everything(), func(m *mailstore.Message) error {
			if m.Flags&mailstore.FlagDeleted != 0 {
				marked += m.Size
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if items&wire.StatusHighestModSeq != 0 {
		s.condStore = true // RFC 7162, section 3.1
	}
	s.out.WriteString("* STATUS ")
	s.out.Mailbox(f.Name)
	space := " ("
	for _, n := range wire.StatusNames {
		if items&n.Item == 0 {
			continue
		}
		s.out.Strings(space, n.Name, " ")
		space = " "
		switch n.Item {
		case wire.StatusMessages:
			s.out.Int(f.Messages)
		case wire.StatusRecent:
			s.out.Int(recent)
		case wire.StatusUIDNext:
			s.out.Int(int64(f.UIDNext))
		case wire.StatusUIDValidity:
			s.out.Int(int64(f.UIDValidity))
		case wire.StatusUnseen:
			s.out.Int(f.Unseen)
		case wire.StatusDeleted:
			s.out.Int(f.Deleted)
		case wire.StatusSize:
			s.out.Int(f.Bytes)
		case wire.StatusHighestModSeq:
			s.out.Int(int64(f.HighestModSeq))
		case wire.StatusMailboxID:
			s.out.Strings("(", objectID('F', f.ID), ")")
		case wire.StatusDeletedStorage:
			s.out.Int(marked)
		case wire.StatusAppendLimit:
			s.out.Int(s.config.MaxMessage)
		}
	}
	s.out.WriteString(")\r\n")
	return s.out.Err()
}
