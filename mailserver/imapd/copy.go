package imapd

import (
	"strings"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// errTryCreate says that the folder a message was to go to is not there.
func errTryCreate() error {
	return models.Errorf(models.NotFound, "append.trycreate", "There is no mailbox with that name.")
}

// target finds the folder that messages are to go to.
func (s *session) target(name string) (*mailstore.Folder, error) {
	f, err := s.store.Folder(s.ctx, s.account.ID, name)
	if models.Is(err, models.NotFound) {
		return nil, errTryCreate()
	}
	return f, err
}

// copyArguments takes the arguments of COPY and MOVE.
func (s *session) copyArguments(r *request) (mailstore.Set, *mailstore.Folder, error) {
	wanted := s.setArgument()
	s.p.SP()
	name := s.p.Mailbox()
	if s.p.End(); s.p.Err() != nil {
		return nil, nil, s.p.Err()
	}
	set, err := s.set(wanted, r.uid)
	if err != nil {
		return nil, nil, err
	}
	f, err := s.target(name)
	return set, f, err
}

// copy answers COPY and UID COPY: all of it or nothing.
func (s *session) copy(r *request) error {
	set, to, err := s.copyArguments(r)
	if err != nil {
		return err
	}
	quota, err := s.config.Accounts.Quota(s.ctx, s.account.ID)
	if err != nil {
		return err
	}
	known := s.box.known(set)
	done, err := s.store.Copy(s.ctx, s.box.view.place, set, to.Place(), quota)
	if err != nil {
		return gone(err)
	}
	if to.ID == s.box.at.ID {
		s.box.view.dirty.Store(true)
	}
	if len(done.To) > 0 {
		r.code = copyUID(done)
	}
	if !r.uid && known > len(done.From) && len(done.From) == 0 {
		return errExpunged()
	}
	return nil
}

// gone turns the loss of a folder in the middle of a copy into what the client can act on.
func gone(err error) error {
	if models.Is(err, models.NotFound) {
		return errTryCreate()
	}
	return err
}

// copyUID writes the response code of RFC 4315.
func copyUID(c *mailstore.Copied) string {
	return "COPYUID " + itoa(int64(c.UIDValidity)) + " " + listOf(c.From) + " " + listOf(c.To)
}

// listOf writes UIDs in their order as a set.
func listOf(uids []mailstore.UID) string {
	var b strings.Builder
	for i := 0; i < len(uids); {
		j := i
		for j+1 < len(uids) && uids[j+1] == uids[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(itoa(int64(uids[i])))
		if j > i {
			b.WriteByte(':')
			b.WriteString(itoa(int64(uids[j])))
		}
		i = j + 1
	}
	return b.String()
}

// move answers MOVE and UID MOVE (RFC 6851). COPYUID comes before the messages are announced as
// gone, in a response of its own.
func (s *session) move(r *request) error {
	set, to, err := s.copyArguments(r)
	if err != nil {
		return err
	}
	if err := s.box.writable(); err != nil {
		return err
	}
	known := s.box.known(set)
	done, err := s.store.Move(s.ctx, s.box.view.place, set, to.Place())
	s.box.view.dirty.Store(true)
	if done != nil && len(done.To) > 0 {
		s.out.Strings("* OK [", copyUID(done), "] Moved\r\n")
	}
	if err != nil {
		return gone(err)
	}
	if !r.uid && known > 0 && len(done.From) == 0 {
		return errExpunged()
	}
	if s.qresync {
		if m, err := s.box.view.refresh(s.ctx, true); err == nil {
			r.code = "HIGHESTMODSEQ " + itoa(int64(m.folder.HighestModSeq))
		}
	}
	return nil
}
