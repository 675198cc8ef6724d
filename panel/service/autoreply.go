package service

import (
	"context"
	"strings"

	"github.com/postchi/postchi/models"
)

// AutoReplyView is what a mailbox answers by itself, and what that does now.
type AutoReplyView struct {
	models.AutoReply
	State models.AutoReplyState `json:"state"`
}

// AutoReply returns what a mailbox answers by itself; one that never did answers nothing.
func (s *Service) AutoReply(ctx context.Context, v Viewer, addr string) (*AutoReplyView, error) {
	row, err := s.findMailbox(ctx, v, seeMailbox, addr)
	if err != nil {
		return nil, err
	}
	a, err := s.store.AutoReply(ctx, row.ID)
	switch {
	case models.Is(err, models.NotFound):
		return &AutoReplyView{AutoReply: models.AutoReply{MailboxID: row.ID}, State: models.AutoReplyOff}, nil
	case err != nil:
		return nil, err
	}
	return &AutoReplyView{AutoReply: *a, State: a.State(s.now())}, nil
}

// SendAutoReply puts each text that a mailbox has to answer with into the mailbox, as a sender gets
// it, and returns how many; whether it is switched on does not matter. Invalid autoreply.empty if
// there is none, else as SendTest.
func (s *Service) SendAutoReply(ctx context.Context, v Viewer, addr, language string) (int64, error) {
	row, err := s.findMailbox(ctx, v, manageOwn, addr)
	if err != nil {
		return 0, err
	}
	if err := s.mayTest(ctx, row); err != nil {
		return 0, err
	}
	a, err := s.store.AutoReply(ctx, row.ID)
	switch {
	case models.Is(err, models.NotFound) || err == nil && a.Body == "":
		return 0, models.Errorf(models.Invalid, "autoreply.empty", "The text of the reply is missing.").On("body")
	case err != nil:
		return 0, err
	}
	if err := s.config.Sender.SendAutoReply(ctx, &row.Mailbox, a, true, language); err != nil || a.Outside == "" {
		return 1, err
	}
	return 2, s.config.Sender.SendAutoReply(ctx, &row.Mailbox, a, false, language)
}

// replyText is a typed text as it is kept.
func replyText(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"))
}

// SetAutoReply sets what a mailbox answers by itself. When it is switched on, the people it has
// answered before are answered again and counted anew. Invalid as AutoReply.Validate;
// Conflict mailbox.in_bin.
func (s *Service) SetAutoReply(ctx context.Context, v Viewer, addr string, a models.AutoReply) error {
	row, err := s.findMailbox(ctx, v, manageOwn, addr)
	if err != nil {
		return err
	}
	a.MailboxID, a.UpdatedAt = row.ID, s.now()
	a.Subject = strings.TrimSpace(a.Subject)
	a.Body, a.Outside = replyText(a.Body), replyText(a.Outside)
	if err := a.Validate(); err != nil {
		return err
	}
	starts := false
	err = s.store.Write(ctx, func(ctx context.Context) error {
		m, err := s.lockMailbox(ctx, row.ID, row.CustomerID)
		if err != nil {
			return err
		}
		if m.InBin() {
			return models.Errorf(models.Conflict, "mailbox.in_bin", "%s is in the bin and can be restored.", m.Address).With("address", m.Address)
		}
		old, err := s.store.AutoReply(ctx, row.ID)
		if err != nil && !models.Is(err, models.NotFound) {
			return err
		}
		was := old.State(s.now())
		starts = a.Enabled && was != models.AutoReplyOn && was != models.AutoReplyPlanned
		return s.store.SaveAutoReply(ctx, &a, starts)
	})
	if err != nil {
		return err
	}
	s.done(v, "auto-reply changed", "mailbox", row.Address, "on", a.Enabled)
	if !starts {
		return nil
	}
	return pieces(ctx, func() (int64, error) { return s.store.ForgetAnswered(ctx, row.ID) })
}

// pieces repeats what works in pieces until nothing is left.
func pieces(ctx context.Context, run func() (int64, error)) error {
	for ctx.Err() == nil {
		if n, err := run(); err != nil || n == 0 {
			return err
		}
	}
	return models.Unavailablef(ctx.Err(), "The request was given up.")
}
