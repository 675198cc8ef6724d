package service

import (
	"context"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
)

// HoldSending keeps what a mailbox sends in the queue, with what waits there already; it goes
// on receiving. Invalid reason.empty, text.*.
func (s *Service) HoldSending(ctx context.Context, v Viewer, addr, reason string) error {
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return models.Errorf(models.Invalid, "reason.empty", "The reason is missing.").On("reason")
	}
	if err := models.Line("reason", reason, models.MaxReason); err != nil {
		return err
	}
	var id models.ID
	err := s.changeMailbox(ctx, v, "sending held", addr, func(_ context.Context, m *models.Mailbox) error {
		if m.HeldAt == 0 {
			m.HeldAt = s.now()
		}
		if m.HeldBy != models.RoleAdmin {
			m.HeldBy = v.Role
		}
		id, m.HeldReason = m.ID, reason
		return nil
	}, s.store.UpdateMailboxHold)
	if err != nil || s.config.Queue == nil {
		return err
	}
	_, err = s.config.Queue.Hold(ctx, models.Everything(), models.QueueFilter{MailboxID: id, Sending: true})
	return err
}

// ReleaseSending ends HoldSending: what has waited is sent, and what an administrator held by
// hand in the queue of this mailbox too. What an administrator held a customer's user cannot
// release: Denied mailbox.held.
func (s *Service) ReleaseSending(ctx context.Context, v Viewer, addr string) error {
	var id models.ID
	err := s.changeMailbox(ctx, v, "sending released", addr, func(_ context.Context, m *models.Mailbox) error {
		if m.HeldBy == models.RoleAdmin && !v.IsAdmin() {
			return models.Errorf(models.Denied, "mailbox.held", "An administrator switched this off.")
		}
		id, m.HeldAt, m.HeldReason, m.HeldBy = m.ID, 0, "", ""
		return nil
	}, s.store.UpdateMailboxHold)
	if err != nil || s.config.Queue == nil {
		return err
	}
	_, err = s.config.Queue.Release(ctx, models.Everything(), models.QueueFilter{MailboxID: id})
	return err
}

// Suppressions returns a page of the addresses that refused a mailbox's mail for good.
func (s *Service) Suppressions(ctx context.Context, v Viewer, addr string, q Query) (Page[models.Suppression], error) {
	scope, err := permit(v, see)
	if err != nil {
		return Page[models.Suppression]{}, err
	}
	row, err := s.findMailbox(ctx, v, see, addr)
	if err != nil {
		return Page[models.Suppression]{}, err
	}
	return s.store.Suppressions(ctx, scope, row.ID, q)
}

// LiftSuppression lets a mailbox send to an address again.
func (s *Service) LiftSuppression(ctx context.Context, v Viewer, addr, suppressed string) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	if err := s.store.DeleteSuppression(ctx, row.ID, strings.TrimSpace(suppressed)); err != nil {
		return err
	}
	s.done(v, "suppression lifted", "mailbox", row.Address, "address", suppressed)
	return nil
}

// SendingUse returns the sending limits that hold for a mailbox with what of each is used, its
// own first. A customer's user sees those of the domain too, since it is theirs; what others
// send is none of the business of a mailbox's owner.
func (s *Service) SendingUse(ctx context.Context, v Viewer, addr string) ([]models.LimitUse, error) {
	row, err := s.findMailbox(ctx, v, seeMailbox, addr)
	if err != nil {
		return nil, err
	}
	uses, err := s.store.SendingUse(ctx, s.config.Sending, row.ID, row.DomainID)
	if v.IsOwner() {
		uses = slices.DeleteFunc(uses, func(u models.LimitUse) bool { return u.ID != row.ID })
	}
	return uses, err
}
