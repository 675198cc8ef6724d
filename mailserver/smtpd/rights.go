package smtpd

import (
	"errors"
	"strings"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// mayBe checks an envelope sender against the mailbox that has logged in. <> is allowed: read
// receipts and vacation notices are sent so (RFC 8098, section 3; RFC 5230, section 5.1).
func (s *session) mayBe(sender address.Address) error {
	if sender.IsZero() || s.owns(sender) {
		return nil
	}
	return s.notYours("smtp.sender_address", "The sender address "+sender.String()+" is not yours")
}

// owns reports whether an address is that of the mailbox that has logged in, as it is or with
// a +tag.
func (s *session) owns(a address.Address) bool {
	a = a.Lower()
	return a.String() == s.account.Name || a.WithoutTag().String() == s.account.Name
}

// notYours says what is wrong and which address is permitted.
func (s *session) notYours(key, what string) *models.Error {
	return models.Errorf(models.Denied, key, "%s; this account may send as %s only.", what, s.account.Name).With("address", s.account.Name)
}

// checkHeader refuses a submitted header that does not say clearly that it is from the mailbox
// that has logged in. RFC 6409, section 6.1.
func (s *session) checkHeader(h *mime.Header) error {
	if err := s.checkField(h, "From"); err != nil {
		return err
	}
	if err := s.checkField(h, "Sender"); err != nil && !isMissing(err) {
		return err
	}
	blocks, err := mime.ResentBlocks(h, false)
	if err != nil {
		return s.badHeader(err)
	}
	for _, b := range blocks {
		if err := errors.Join(s.checkMailbox("Resent-From", b.From), s.checkMailbox("Resent-Sender", b.Sender)); err != nil {
			return err
		}
	}
	// Last, so that a forged From is called that, whatever else is odd: what programs read
	// differently must not leave here.
	if err := h.Check(); err != nil {
		return malformedHeader(err)
	}
	return nil
}

// checkField checks a field that may be there once.
func (s *session) checkField(h *mime.Header, name string) error {
	m, err := mime.OneMailbox(h, name, false)
	if err != nil {
		return s.badHeader(err)
	}
	return s.checkMailbox(name, &m)
}

// checkMailbox checks one address of a header; nil is none.
func (s *session) checkMailbox(name string, m *mime.Mailbox) error {
	if m == nil {
		return nil
	}
	a, err := address.Parse(m.String())
	if err != nil || !s.owns(a) {
		return s.notYours("smtp.header_address", "The "+name+" field of the message says "+m.String())
	}
	return nil
}

// badHeader is a field of the sender's that cannot be read as exactly one address.
func (s *session) badHeader(err error) *models.Error {
	e := s.notYours("smtp.header_field", "The message cannot be sent: "+describe(err)).Because(err)
	return e
}

func describe(err error) string {
	var h *mime.Error
	if !errors.As(err, &h) {
		return "its header cannot be read"
	}
	if h.Field == "" {
		return h.Reason.String()
	}
	return h.Field + ": " + h.Reason.String()
}

func malformedHeader(err error) *models.Error {
	return models.Errorf(models.Invalid, "smtp.header", "The header of the message is malformed: %s.", strings.TrimSuffix(describe(err), ".")).Because(err)
}

// isMissing tells that a field is not there.
func isMissing(err error) bool {
	var h *mime.Error
	return errors.As(err, &h) && h.Reason == mime.ReasonMissing
}
