package smtpd

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Incoming is a message from another server, before it is accepted.
type Incoming struct {
	ID         models.ID // in the Received line and the logs
	Remote     netip.Addr
	HELO       string // as the client has called itself; anybody can say anything there
	TLS        bool
	Sender     address.Address // zero = <>
	Recipients []delivery.Recipient
	Header     *mime.Header
	Body       delivery.Body // as received, without anything of ours
}

// Judgement is what the checks say of a message.
type Judgement struct {
	Refuse *models.Error // it is not accepted; nil = it is

	Fields []byte       // put in front: whole header fields, each ended with CRLF
	Cut    []mime.Field // of the header as received, left out: forged results of ours

	Junk     []bool // for each recipient, whether it goes to the Junk folder and not on to other servers; nil = none
	Verified bool   // the sender's domain stands behind it
	Forged   bool   // the sender's domain says that it is not from there
	Summary  string // in one line, for the trace
}

// Checks judges mail from other servers.
type Checks interface {
	// Check returns a judgement, or an error that is temporary: then the sender tries again.
	Check(ctx context.Context, m Incoming) (*Judgement, error)
}

// check has a message of another server judged. It returns what goes in front and what is cut.
func (s *session) check(e *delivery.Envelope, h *mime.Header, sp *spool) ([]byte, []mime.Field, error) {
	if s.server.config.Checks == nil {
		return nil, nil, nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, checkTime)
	defer cancel()
	body := &message{}
	body.addFrom(sp, 0, sp.size())
	j, err := s.server.config.Checks.Check(ctx, Incoming{
		ID: e.ID, Remote: s.wire.remote, HELO: s.conn.Hostname(), TLS: s.wire.tls != nil, Sender: e.Sender, Recipients: e.Recipients, Header: h, Body: body,
	})
	if err != nil {
		return nil, nil, err
	}
	e.Verdict = j.Summary
	if j.Refuse != nil {
		s.server.recordVerdict(s, e)
		return nil, nil, j.Refuse
	}
	// The routes are shared, the list is ours.
	e.Recipients = slices.Clone(e.Recipients)
	for i := range e.Recipients {
		e.Recipients[i].Junk = i < len(j.Junk) && j.Junk[i]
	}
	e.Verified, e.Forged = j.Verified, j.Forged
	return j.Fields, j.Cut, nil
}

// recordVerdict leaves the verdict on a message that is refused; that on an accepted one is left
// by delivery.
func (s *Server) recordVerdict(n *session, e *delivery.Envelope) {
	for i := range e.Recipients {
		if i == maxRecorded {
			return
		}
		r := &e.Recipients[i]
		s.recordEvent(models.Event{
			Kind: models.EventVerdict, CustomerID: r.CustomerID, MailboxID: r.MailboxID(), Direction: s.config.Mode.direction(), Sender: e.Sender.String(),
			Recipient: r.Address, Remote: n.wire.remote.String(), Words: "verdict", Detail: e.Verdict,
			EnvelopeID: e.ID, MessageID: n.mail.messageID, Subject: n.mail.subject,
		})
	}
}

// maxRecorded is for how many recipients of a message that is refused as a whole the trace says
// so.
const maxRecorded = 20

var errReturned = models.Errorf(models.Invalid, "smtp.loop", "The message has been forwarded by this address already; it runs in a loop.")

// comesBack refuses a message that an alias or mailbox of ours has led to another server, and
// that would be led there again: its Delivered-To says so.
func comesBack(h *mime.Header, t *transaction) error {
	fields := h.All("Delivered-To")
	if len(fields) == 0 {
		return nil
	}
	seen := make([]string, len(fields))
	for i := range fields {
		seen[i] = strings.ToLower(strings.TrimSpace(fields[i].Value()))
	}
	for i := range t.recipients {
		for j := range t.recipients[i].Remote {
			if via := t.recipients[i].Remote[j].Via; via != "" && slices.Contains(seen, via) {
				return errReturned
			}
		}
	}
	return nil
}
