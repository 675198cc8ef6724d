package smtpd

import (
	"context"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/srs"
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

	senders      []string // what the account may send as beside its own address
	sendersKnown bool     // within this transaction
}

// transaction is what MAIL and RCPT have said.
type transaction struct {
	sender     address.Address // zero = <>
	declared   int64           // SIZE; 0 = none
	ret, envID string          // RFC 3461
	accepted   int             // RCPT commands
	recipients []delivery.Recipient
	ends       int             // mailboxes and addresses elsewhere that they lead to
	outside    int64           // of these elsewhere
	account    *models.Account // who sends, as MAIL has read it; nil = another server

	// Once the body is there, for the trace: the id under which it would be accepted, and of its
	// header what people look for.
	id                 models.ID
	messageID, subject string
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
	s.senders, s.sendersKnown = nil, false
	sender, account, err := s.sender(from)
	if err != nil {
		return s.refuse(stepMail, err, from, "")
	}
	s.mail = &transaction{sender: sender, declared: o.Size, ret: string(o.Return), envID: o.EnvelopeID, account: account}
	s.wire.setBusy(true)
	return nil
}

// sender checks who may send and as whom.
func (s *session) sender(from string) (address.Address, *models.Account, error) {
	switch {
	case s.mail != nil: // RFC 5321, section 4.1.4; go-smtp lets it pass
		return address.Address{}, nil, errSequence
	case s.server.config.Mode.submits() && s.wire.tls == nil:
		return address.Address{}, nil, errTLSFirst
	case s.server.config.Mode.submits() && s.account == nil:
		return address.Address{}, nil, errLogin
	}
	sender, err := reversePath(from)
	if err != nil || s.account == nil {
		return sender, nil, err
	}
	account, err := s.maySend()
	if err != nil {
		return address.Address{}, nil, err
	}
	return sender, account, s.mayBe(sender)
}

// reversePath reads the address of MAIL; the empty one is <>.
func reversePath(from string) (address.Address, error) {
	switch {
	case from == "":
		return address.Address{}, nil
	case !isASCII(from):
		return address.Address{}, errNotASCII
	}
	return parsePath(from)
}

// parsePath reads an address and keeps the case of its local part. Those that stand for a sender
// elsewhere (SRS) may be longer than RFC 5321, section 4.5.3.1.1, lets a local part be.
func parsePath(s string) (address.Address, error) {
	a, err := address.ParseReversePath(s)
	at := strings.LastIndexByte(s, '@')
	if err == nil || at < 0 || len(s) > srs.MaxLength || !srs.Is(s[:at]) {
		return a, err
	}
	domain, bad := address.NormalizeDomain(s[at+1:])
	printable := strings.IndexFunc(s[:at], func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if bad != nil || !printable {
		return a, err
	}
	return address.Address{Local: s[:at], Domain: domain}, nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// maySend reads the account again: sending may have been switched off since the log-in.
func (s *session) maySend() (*models.Account, error) {
	ctx, cancel := context.WithTimeout(s.ctx, lookupTime)
	defer cancel()
	now, err := s.server.config.Accounts.Sender(ctx, s.account.ID)
	switch {
	case models.Is(err, models.NotFound):
		return nil, errSendOff
	case err != nil:
		return nil, err
	case now.SendOff || now.LoginOff || now.Deleted:
		return nil, withReason(errSendOff, now.Reason)
	}
	return now, nil
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
func (s *session) Rcpt(to string, o *smtp.RcptOptions) (err error) {
	defer s.recovered(stepRcpt, &err)
	if err := s.recipient(to, o); err != nil {
		return s.refuse(stepRcpt, err, s.mail.sender.String(), to)
	}
	s.mail.accepted++
	return nil
}

func (s *session) recipient(to string, o *smtp.RcptOptions) error {
	t := s.mail
	if t.accepted >= s.server.config.MaxRecipients {
		return errTooMany
	}
	if !isASCII(to) {
		return errNotASCII
	}
	addr, err := parsePath(to)
	if err != nil {
		return err
	}
	if t.knows(addr) {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, lookupTime)
	defer cancel()
	route, err := s.server.config.Delivery.Route(ctx, addr, delivery.Asked{Sender: t.sender, Declared: t.declared, Account: t.account, Outside: t.outside})
	if err != nil {
		return err
	}
	if t.ends+len(route.Local)+len(route.Remote) > maxRecipients && t.accepted > 0 {
		return errTooMany // an alias may lead to very many: the rest comes with the next message
	}
	t.add(route, o)
	return nil
}

// knows tells whether an address is a recipient already. Elsewhere somebody may tell Bob from bob
// (RFC 5321, section 2.4); here nobody does.
func (t *transaction) knows(addr address.Address) bool {
	text, lower := addr.String(), addr.Lower().String()
	for i := range t.recipients {
		r := &t.recipients[i]
		if r.Address == text || r.Address == lower && r.DomainID != 0 {
			return true
		}
	}
	return false
}

// add takes a recipient in, with what RFC 3461 says of it.
func (t *transaction) add(route *models.Route, o *smtp.RcptOptions) {
	r := delivery.Recipient{Route: route}
	if o != nil {
		words := make([]string, len(o.Notify))
		for i, n := range o.Notify {
			words[i] = string(n)
		}
		r.Notify = strings.Join(words, ",")
		if o.OriginalRecipientType == smtp.DSNAddressTypeRFC822 {
			r.Original = "rfc822;" + o.OriginalRecipient
		}
	}
	t.recipients = append(t.recipients, r)
	t.ends += len(route.Local) + len(route.Remote)
	t.outside += int64(len(route.Remote))
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
