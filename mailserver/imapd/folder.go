package imapd

import (
	"strconv"
	"strings"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// specialUses are the attributes CREATE takes, in the form the store has them.
var specialUses = [...]string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`}

// create answers CREATE, with a special use (RFC 6154) or without.
func (s *session) create(r *request) error {
	s.p.SP()
	name := s.p.Mailbox()
	var uses []string
	if s.p.Accept(' ') {
		s.p.List(func() {
			if s.p.Word() != "USE" {
				s.p.Fail("CREATE has no such parameter")
			}
			s.p.SP()
			s.p.List(func() { uses = append(uses, s.p.Attribute()) })
		})
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	use, err := useOf(uses)
	if err != nil {
		return err
	}
	// RFC 9051, section 6.3.4: a name may end in the separator to say that others will lie below.
	f, err := s.store.CreateFolder(s.ctx, s.account.ID, mailstore.NewFolder{Name: strings.TrimSuffix(name, "/"), SpecialUse: use})
	if err != nil {
		return err
	}
	r.code = "MAILBOXID (" + objectID('F', f.ID) + ")"
	return nil
}

func useOf(uses []string) (string, error) {
	if len(uses) == 0 {
		return "", nil
	}
	for _, known := range specialUses {
		if len(uses) == 1 && strings.EqualFold(known, uses[0]) {
			return known, nil
		}
	}
	return "", models.Errorf(models.Invalid, "folder.use", "A folder cannot have that special use.")
}

// remove answers DELETE. The folder a session has selected is closed for it.
func (s *session) remove(*request) error {
	s.p.SP()
	name := s.p.Mailbox()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	var own bool
	if s.box != nil {
		f, err := s.store.Folder(s.ctx, s.account.ID, name)
		own = err == nil && f.ID == s.box.at.ID
	}
	if err := s.store.DeleteFolder(s.ctx, s.account.ID, name); err != nil {
		return err
	}
	if own {
		s.box.told = false // there is nothing to note down any more
		s.leave()
		s.state = authenticated
		if s.qresync || s.rev2 {
			s.out.WriteString("* OK [CLOSED] The mailbox is removed\r\n")
		}
	}
	return nil
}

// rename answers RENAME.
func (s *session) rename(*request) error {
	s.p.SP()
	from := s.p.Mailbox()
	s.p.SP()
	to := s.p.Mailbox()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	return s.store.RenameFolder(s.ctx, s.account.ID, from, strings.TrimSuffix(to, "/"))
}

// subscribe answers SUBSCRIBE and UNSUBSCRIBE.
func (s *session) subscribe(r *request) error {
	s.p.SP()
	name := s.p.Mailbox()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	err := s.store.Subscribe(s.ctx, s.account.ID, name, r.name == "SUBSCRIBE")
	if r.name == "UNSUBSCRIBE" && models.Is(err, models.NotFound) {
		return nil // what is not there is not subscribed
	}
	return err
}
