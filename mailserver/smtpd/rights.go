package smtpd

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// mayBe checks an envelope sender against the mailbox that has logged in. <> is allowed: read
// receipts and vacation notices are sent so (RFC 8098, section 3; RFC 5230, section 5.1).
func (s *session) mayBe(sender address.Address) error {
	if sender.IsZero() {
		return nil
	}
	if yes, err := s.owns(sender); yes || err != nil {
		return err
	}
	return s.notYours("smtp.sender_address", "The sender address "+sender.String()+" is not yours")
}

// owns reports whether an address is that of the mailbox that has logged in or of an alias that
// leads to it, as it is or with a +tag. An error is temporary.
func (s *session) owns(a address.Address) (bool, error) {
	a = a.Lower()
	text, bare := a.String(), a.WithoutTag().String()
	if text == s.account.Name || bare == s.account.Name {
		return true, nil
	}
	all, err := s.others()
	return slices.Contains(all, text) || slices.Contains(all, bare), err
}

// others returns what the account may send as beside its own address, read once in a transaction.
func (s *session) others() ([]string, error) {
	if s.sendersKnown {
		return s.senders, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, lookupTime)
	defer cancel()
	all, err := s.server.config.Accounts.Addresses(ctx, s.account)
	if err != nil {
		return nil, err
	}
	s.senders, s.sendersKnown = all, true
	return all, nil
}

// maxNamed is how many permitted addresses a refusal names.
const maxNamed = 8

// notYours says what is wrong and which addresses are permitted.
func (s *session) notYours(key, what string) *models.Error {
	permitted, more := s.account.Name, ""
	all, _ := s.others() // without them the own address is named
	if n := len(all) - maxNamed; n > 0 {
		all, more = all[:maxNamed], " and "+strconv.Itoa(n)+" more"
	}
	if len(all) > 0 {
		permitted += ", " + strings.Join(all, ", ") + more
	}
	return models.Errorf(models.Denied, key, "%s; this account may send as %s only.", what, permitted).With("address", permitted)
}

// checkHeader refuses a submitted header that does not say clearly that it is from the mailbox
// that has logged in. RFC 6409, section 6.1. It returns the domain of From.
func (s *session) checkHeader(h *mime.Header) (author string, err error) {
	from, err := s.checkField(h, "From", false)
	if err != nil {
		return "", err
	}
	if _, err := s.checkField(h, "Sender", true); err != nil {
		return "", err
	}
	blocks, err := mime.ResentBlocks(h, false)
	if err != nil {
		return "", s.badHeader(err)
	}
	for _, b := range blocks {
		if err := errors.Join(s.checkMailbox("Resent-From", b.From), s.checkMailbox("Resent-Sender", b.Sender)); err != nil {
			return "", err
		}
	}
	// Last, so that a forged From is called that, whatever else is odd: what programs read
	// differently must not leave here.
	if err := h.Check(); err != nil {
		return "", malformedHeader(err)
	}
	return address.NormalizeDomain(from.Domain)
}

// checkField checks a field that may be there once, and must be unless it is optional.
func (s *session) checkField(h *mime.Header, name string, optional bool) (mime.Mailbox, error) {
	m, err := mime.OneMailbox(h, name, false)
	if optional && isMissing(err) {
		return m, nil
	}
	if err != nil {
		return m, s.badHeader(err)
	}
	return m, s.checkMailbox(name, &m)
}

// checkMailbox checks one address of a header; nil is none.
func (s *session) checkMailbox(name string, m *mime.Mailbox) error {
	if m == nil {
		return nil
	}
	a, err := address.Parse(m.String())
	yes := false
	if err == nil {
		if yes, err = s.owns(a); err != nil {
			return err
		}
	}
	if !yes {
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
