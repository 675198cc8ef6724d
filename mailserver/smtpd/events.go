package smtpd

import (
	"log/slog"
	"strings"

	"github.com/postchi/postchi/models"
)

// refuse is the one way a session says no: it logs, records an event, and returns the reply.
func (s *session) refuse(at step, err error, sender, recipient string) error {
	r := replyOf(err, at)
	s.wire.told = true
	s.logRefusal(at, err, r, sender, recipient)
	s.trace(at, err, r, sender, recipient)
	return r.smtp()
}

// trace records a refusal. Log-ins have a record of their own.
func (s *session) trace(at step, err error, r reply, sender, recipient string) {
	switch {
	case at == stepAuth:
	case at == stepData && s.mail != nil && len(s.mail.recipients) > 0:
		s.recordAll(err, r, sender)
	default:
		s.record(err, r, sender, recipient)
	}
}

// logRefusal writes one line: Info for what concerns the client, Warn for what concerns the
// administrator, Error for a fault of ours.
func (s *session) logRefusal(at step, err error, r reply, sender, recipient string) {
	e := modelOf(err)
	level := slog.LevelInfo
	switch {
	case e.Kind == models.Internal:
		level = slog.LevelError
	case e.Kind == models.Unavailable:
		level = slog.LevelWarn
	case at == stepAuth:
		level = slog.LevelDebug // auth has logged it
	}
	s.log.Log(s.ctx, level, "refused", slog.String("step", at.String()), slog.Int("code", r.basic), slog.String("enhanced", r.enhancedText()),
		slog.String("key", e.Key), slog.String("from", sender), slog.String("to", recipient), slog.Any("err", err))
}

// String names the step as logs have it.
func (at step) String() string { return [...]string{"auth", "mail", "rcpt", "data"}[at] }

// record puts a refusal into the trace.
func (s *session) record(err error, r reply, sender, recipient string) {
	e := models.Event{
		Kind: models.EventRefused, Direction: s.server.config.Mode.direction(), Sender: sender, Recipient: recipient,
		Remote: s.wire.remote.String(), Code: r.basic, Enhanced: r.enhancedText(), Words: modelOf(err).Key, Detail: r.text,
	}
	if e.Words == "" {
		e.Words = "internal"
	}
	args := modelOf(err).Args
	e.MailboxID, _ = args["mailbox"].(models.ID)
	e.CustomerID, _ = args["customer"].(models.ID)
	if s.account != nil {
		e.MailboxID, e.CustomerID = s.account.ID, s.account.CustomerID
	}
	if t := s.mail; t != nil {
		e.Size, e.EnvelopeID, e.MessageID, e.Subject = t.declared, t.id, t.messageID, t.subject
	}
	s.server.recordEvent(e)
}

// recordAll puts the refusal of a whole message into the trace once for each of those it was for:
// of another server's into theirs, of an account's into its own, where it is looked for by them.
func (s *session) recordAll(err error, r reply, sender string) {
	for i := range s.mail.recipients {
		if i == maxRecorded {
			return
		}
		to := &s.mail.recipients[i]
		named := *modelOf(err)
		s.record(named.With("mailbox", to.MailboxID()).With("customer", to.CustomerID), r, sender, to.Address)
	}
}

func (s *Server) recordEvent(e models.Event) {
	if s.config.Events != nil {
		s.config.Events.Record(e)
	}
}

// refusedCommand takes in what go-smtp or the wire have refused on their own. Commands that do
// not belong to a message are noise of the network: they are logged for who looks for them, and
// leave no event.
func (s *Server) refusedCommand(w *wire, code int, line []byte) {
	text := strings.TrimSpace(string(line))
	w.log.Debug("command refused", slog.String("verb", w.verb), slog.Int("code", code), slog.String("reply", text))
	switch w.verb {
	case "MAIL", "RCPT", "DATA", "BDAT":
	default:
		return
	}
	e := models.Event{
		Kind: models.EventRefused, Direction: s.config.Mode.direction(), Remote: w.remote.String(), Code: code,
		Words: commandWords(w.verb, code, text), Detail: text,
	}
	if f := strings.Fields(text); len(f) > 2 && strings.Count(f[1], ".") == 2 {
		e.Enhanced, e.Detail = f[1], strings.Join(f[2:], " ")
	}
	if w.verb == "RCPT" {
		e.Recipient = pathOf(w.arg)
	} else if w.verb == "MAIL" {
		e.Sender = pathOf(w.arg)
	}
	if n := w.session; n != nil {
		if n.account != nil {
			e.MailboxID, e.CustomerID = n.account.ID, n.account.CustomerID
		}
		if n.mail != nil && e.Sender == "" {
			e.Sender = n.mail.sender.String()
		}
	}
	s.recordEvent(e)
}

// commandWords returns the key of the words for a reply of go-smtp's own.
func commandWords(verb string, code int, text string) string {
	switch {
	case code == 552:
		return "smtp.too_large"
	case code == 452:
		return "recipient.too_many"
	case code == 502, code == 503:
		return "smtp.sequence"
	case (verb == "MAIL" || verb == "RCPT") && strings.Contains(text, "arg syntax"):
		return "address.syntax"
	}
	return "smtp.command"
}

// pathOf returns the address in the argument of MAIL or RCPT, by which it can be looked for; what
// has none stays as it is.
func pathOf(arg string) string {
	if _, after, ok := strings.Cut(arg, "<"); ok {
		if path, _, ok := strings.Cut(after, ">"); ok && path != "" {
			return path
		}
	}
	return arg
}

// recordGone records the refusal of a body after which the connection is closed, so that the
// session has no reply to give.
func (s *Server) recordGone(w *wire, err error, r reply) {
	n := w.session
	if n == nil || n.mail == nil {
		return
	}
	n.logRefusal(stepData, err, r, n.mail.sender.String(), "")
	n.trace(stepData, err, r, n.mail.sender.String(), "")
}
