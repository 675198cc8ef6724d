package smtpd

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// session is one EHLO's worth of dialogue, in clear or under TLS. Only its wire's goroutine uses
// it.
type session struct {
	server *Server
	wire   *wire
	conn   *smtp.Conn
	log    *slog.Logger
	ctx    context.Context // ends with the session
	cancel context.CancelFunc

	account *models.Account // who has logged in; nil = nobody
	release func()          // ends the account's session

	mail *transaction // nil outside of one
}

// transaction is what MAIL and RCPT have said.
type transaction struct {
	sender     address.Address // zero = <>
	declared   int64           // SIZE; 0 = none
	accepted   int             // RCPT commands
	recipients []models.Recipient
}

// newSession is called by go-smtp at the first EHLO or HELO.
func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	w := c.Conn().(*wire)
	n := &session{server: s, wire: w, conn: c, log: w.log}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	w.session = n
	return n, nil
}

// Logout implements smtp.Session: the connection is over.
func (s *session) Logout() error {
	s.Reset()
	s.cancel()
	if s.release != nil {
		s.release()
		s.release = nil
	}
	s.account = nil
	if s.wire.session == s {
		s.wire.session = nil
	}
	return nil
}

// Reset implements smtp.Session.
func (s *session) Reset() {
	s.mail = nil
	s.wire.setBusy(false)
}

// ready tells whether a body may come now.
func (s *session) ready() bool { return s.mail != nil && len(s.mail.recipients) > 0 }

var (
	errSequence = models.Errorf(models.Invalid, "smtp.sequence", "A transaction is open already; RSET ends it.")
	errTLSFirst = models.Errorf(models.Denied, "smtp.tls_first", "Use STARTTLS first, then log in.")
	errLogin    = models.Errorf(models.Denied, "smtp.login_first", "Log in first: your mail program must send your address and password for outgoing mail.")
	errNotASCII = models.Errorf(models.Invalid, "address.eai", "Addresses with letters outside ASCII are not handled by this server (SMTPUTF8).")
	errTooMany  = models.Errorf(models.Limited, "recipient.too_many", "The message has as many recipients as are accepted at once; send it again to the others.")
	errSendOff  = models.Errorf(models.Suspended, "sender.off", "This mailbox may not send mail at the moment.")
	errPanic    = models.Errorf(models.Internal, "smtp.panic", "A fault of this server, please try again later.")
)

// Mail implements smtp.Session.
func (s *session) Mail(from string, o *smtp.MailOptions) (err error) {
	defer s.recovered(stepMail, &err)
	sender, err := s.sender(from)
	if err != nil {
		return s.refuse(stepMail, err, from, "")
	}
	s.mail = &transaction{sender: sender, declared: o.Size}
	s.wire.setBusy(true)
	return nil
}

// sender checks who may send and as whom.
func (s *session) sender(from string) (address.Address, error) {
	switch {
	case s.mail != nil: // RFC 5321, section 4.1.4; go-smtp lets it pass
		return address.Address{}, errSequence
	case s.server.config.Mode.submits() && s.wire.tls == nil:
		return address.Address{}, errTLSFirst
	case s.server.config.Mode.submits() && s.account == nil:
		return address.Address{}, errLogin
	}
	sender, err := reversePath(from)
	if err != nil || s.account == nil {
		return sender, err
	}
	if err := s.maySend(); err != nil {
		return address.Address{}, err
	}
	return sender, s.mayBe(sender)
}

// reversePath reads the address of MAIL; the empty one is <>.
func reversePath(from string) (address.Address, error) {
	switch {
	case from == "":
		return address.Address{}, nil
	case !isASCII(from):
		return address.Address{}, errNotASCII
	}
	return address.ParseReversePath(from)
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// maySend reads the account again: sending may have been switched off since the log-in.
func (s *session) maySend() error {
	ctx, cancel := context.WithTimeout(s.ctx, lookupTime)
	defer cancel()
	now, err := s.server.config.Accounts.Sender(ctx, s.account.ID)
	switch {
	case models.Is(err, models.NotFound):
		return errSendOff
	case err != nil:
		return err
	case now.SendOff || now.LoginOff || now.Deleted:
		return withReason(errSendOff, now.Reason)
	}
	return nil
}

// withReason adds the words of who switched something off.
func withReason(e *models.Error, reason string) *models.Error {
	if reason == "" {
		return e
	}
	e = e.With("reason", reason)
	e.Msg += " Reason: " + reason
	return e
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) (err error) {
	defer s.recovered(stepRcpt, &err)
	if err := s.recipient(to); err != nil {
		return s.refuse(stepRcpt, err, s.mail.sender.String(), to)
	}
	s.mail.accepted++
	return nil
}

func (s *session) recipient(to string) error {
	if s.mail.accepted >= s.server.config.MaxRecipients {
		return errTooMany
	}
	if !isASCII(to) {
		return errNotASCII
	}
	addr, err := address.ParsePath(to)
	if err != nil {
		return err
	}
	if s.knows(addr.String()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, lookupTime)
	defer cancel()
	r, err := s.server.config.Delivery.Recipient(ctx, addr, s.mail.declared)
	if err != nil {
		return s.elsewhere(err)
	}
	s.mail.add(*r)
	return nil
}

// knows tells whether an address is a recipient already.
func (s *session) knows(addr string) bool {
	for i := range s.mail.recipients {
		if s.mail.recipients[i].Address == addr {
			return true
		}
	}
	return false
}

// add takes a recipient in, once for each mailbox.
func (t *transaction) add(r models.Recipient) {
	for i := range t.recipients {
		if t.recipients[i].MailboxID == r.MailboxID {
			return
		}
	}
	t.recipients = append(t.recipients, r)
}

// elsewhere puts the refusal of a recipient that is not ours into words that fit the sender.
func (s *session) elsewhere(err error) error {
	e := modelOf(err)
	if e.Key != "recipient.elsewhere" {
		return err
	}
	if s.server.config.Mode.submits() {
		out := *e
		out.Key, out.Msg = "recipient.outbound", "Mail to other servers cannot be sent yet: this server delivers to its own mailboxes only."
		return &out
	}
	out := *e
	out.Key, out.Msg = "recipient.relay", "This server takes mail for its own mailboxes only; it does not relay."
	return &out
}

// recovered ends the connection of a session that panicked, and no other.
func (s *session) recovered(at step, err *error) {
	fault := recover()
	if fault == nil {
		return
	}
	s.log.Error("session panicked", slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))
	s.server.config.Panicked()
	s.wire.hangup = true
	*err = s.refuse(at, errPanic, "", "")
}

// end is told by the accounts that the session must stop.
func (s *session) end(reason *models.Error) {
	text := "Your session was ended."
	if reason != nil && reason.Msg != "" {
		text = reason.Msg
	}
	s.wire.end("421 4.7.0 "+oneLine(text), true)
}

// acceptContext bounds the storing of a message. It does not end with the connection: what has
// come whole is stored or not, whether the client still listens or not.
func acceptContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), acceptTime)
}

var _ interface {
	smtp.Session
	smtp.AuthSession
} = (*session)(nil)

// at is the moment for header and rows.
func (s *Server) at() time.Time { return s.config.Now().UTC() }
