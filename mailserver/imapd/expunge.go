package imapd

import "github.com/postchi/postchi/mailserver/imapd/wire"

// expunge answers EXPUNGE and UID EXPUNGE (RFC 4315). What is gone is announced like what
// others remove.
func (s *session) expunge(r *request) error {
	set := s.everything()
	if r.uid {
		s.p.SP()
		wanted := s.p.Set()
		if s.p.End(); s.p.Err() != nil {
			return nil
		}
		var err error
		if set, err = s.set(wanted, true); err != nil {
			return err
		}
	} else if s.p.End(); s.p.Err() != nil {
		return nil
	}
	b := s.box
	if err := b.writable(); err != nil {
		return err
	}
	done, err := s.store.Expunge(s.ctx, b.view.place, set, true)
	b.view.dirty.Store(true)
	if err != nil {
		return err
	}
	if s.qresync && done.ModSeq > 0 {
		r.code = "HIGHESTMODSEQ " + itoa(int64(done.ModSeq)) // RFC 7162, section 3.2.7
	}
	return nil
}

// setArgument takes a set and says which messages it means.
func (s *session) setArgument() wire.Set {
	s.p.SP()
	return s.p.Set()
}
