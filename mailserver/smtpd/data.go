package smtpd

import (
	"errors"
	"io"
	"log/slog"

	"github.com/emersion/go-smtp"

	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/models"
)

// Data implements smtp.Session. The body is read from the wire; r, which go-smtp reads to its
// end afterwards, is empty then.
func (s *session) Data(io.Reader) (err error) {
	defer s.recovered(stepData, &err)
	t := s.mail
	sp := newSpool(s.server.spool)
	defer sp.release()
	err = s.wire.receive(sp, s.server.config.MaxMessage)
	switch {
	case errors.Is(err, errGone), errors.Is(err, errAborted):
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "Nothing was accepted."} // nobody sees it
	case err != nil:
		return s.refuse(stepData, err, t.sender.String(), "")
	}
	id, err := s.accept(t, sp)
	if err != nil {
		return s.refuse(stepData, err, t.sender.String(), "")
	}
	// An SMTPError is the way to choose the words; 250 is no failure to go-smtp.
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "OK, accepted as " + id.String()}
}

// accept puts the message into its final form and hands it to delivery. The id is the one in its
// Received line.
func (s *session) accept(t *transaction, sp *spool) (models.ID, error) {
	id := s.server.config.IDs.New()
	t.id = id
	e := delivery.Envelope{
		ID: id, Sender: t.sender, Recipients: t.recipients, Declared: t.declared, Account: t.account, Ret: t.ret, EnvID: t.envID,
		Direction: s.server.config.Mode.direction(), Remote: s.wire.remote.String(),
	}
	m, err := s.compose(&e, t, sp)
	if err != nil {
		return 0, err
	}
	ctx, cancel := acceptContext()
	defer cancel()
	started := s.server.config.Now()
	if err := s.server.config.Delivery.Accept(ctx, e, m); err != nil {
		return 0, err
	}
	s.log.Info("accepted", slog.String("id", id.String()), slog.String("from", t.sender.String()),
		slog.Int("recipients", len(t.recipients)), slog.Int64("size", m.Size()), slog.Duration("took", s.server.config.Now().Sub(started)))
	return id, nil
}
