package service

import (
	"context"
	"errors"
	"time"

	"github.com/postchi/postchi/models"
)

// DeleteMailbox puts a mailbox into the bin: log-in, sending and receiving stop, address and
// quota stay taken. One that is there already stays as it is.
func (s *Service) DeleteMailbox(ctx context.Context, v Viewer, addr string) error {
	return s.changeBin(ctx, v, "mailbox deleted", addr, func(m *models.Mailbox) bool {
		if m.InBin() {
			return false
		}
		m.DeletedAt, m.DeletedBy = s.now(), models.Clip(v.Name, models.MaxName)
		return true
	})
}

// RestoreMailbox takes a mailbox out of the bin, as it was. One that is not there stays as it
// is. NotFound once it is being purged.
func (s *Service) RestoreMailbox(ctx context.Context, v Viewer, addr string) error {
	return s.changeBin(ctx, v, "mailbox restored", addr, func(m *models.Mailbox) bool {
		if !m.InBin() {
			return false
		}
		m.DeletedAt, m.DeletedBy = 0, ""
		return true
	})
}

func (s *Service) changeBin(ctx context.Context, v Viewer, what, addr string, fn func(*models.Mailbox) (changed bool)) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	changed := false
	err = s.store.Write(ctx, func(ctx context.Context) error {
		m, err := s.lockMailbox(ctx, row.ID, row.CustomerID)
		if err != nil {
			return err
		}
		if changed = fn(m); !changed {
			return nil
		}
		m.UpdatedAt = s.now()
		return s.store.UpdateMailboxBin(ctx, m)
	})
	if err == nil && changed {
		s.done(v, what, "mailbox", row.Address)
	}
	return err
}

// PurgeMailbox removes a mailbox for good, from the bin or not: its messages, then its
// address, quota and row. Can be repeated after it was cut short; PurgeExpired does so too.
func (s *Service) PurgeMailbox(ctx context.Context, v Viewer, addr string) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	if err := s.purge(ctx, row.ID); err != nil {
		return err
	}
	s.done(v, "mailbox purged", "mailbox", row.Address)
	return nil
}

// purge goes in three steps, each of which finds what the last run left. First the mailbox is
// marked: from there on nobody can restore it, log in, or deliver to it. Then its messages go,
// in pieces. Last the address, the row and what the customer was charged go together; until
// then the address is taken, so that no new mailbox could meet the old one's messages.
func (s *Service) purge(ctx context.Context, id models.ID) error {
	_, err := s.purgeIf(ctx, id, func(*models.Mailbox) bool { return true })
	return err
}

// purgeIf is purge for a mailbox that is still what due asks for when it is marked; somebody
// may have restored it since it was found.
func (s *Service) purgeIf(ctx context.Context, id models.ID, due func(*models.Mailbox) bool) (purged bool, err error) {
	marked := false
	err = s.store.Write(ctx, func(ctx context.Context) error {
		var err error
		marked, err = s.markPurging(ctx, id, due)
		return err
	})
	if models.Is(err, models.NotFound) {
		return false, nil // somebody else finished
	}
	if err != nil || !marked {
		return false, err
	}
	if err := s.mail.RemoveMailbox(ctx, id); err != nil && !models.Is(err, models.NotFound) {
		return false, err
	}
	if err := s.forget(ctx, id); err != nil {
		return false, err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error { return s.dropMailbox(ctx, id) })
	return err == nil, err
}

// forget removes what belongs to a mailbox besides its messages, or leads to it, as far as
// there may be much of it.
func (s *Service) forget(ctx context.Context, id models.ID) error {
	row, err := s.store.MailboxByID(ctx, models.Everything(), id)
	if models.Is(err, models.NotFound) {
		return nil // somebody else finished
	}
	if err == nil {
		err = s.detach(ctx, row.CustomerID, row.Address)
	}
	if err == nil {
		err = pieces(ctx, func() (int64, error) { return s.store.ForgetAnswered(ctx, id) })
	}
	if err == nil {
		err = pieces(ctx, func() (int64, error) { return s.store.ForgetSuppressions(ctx, id) })
	}
	return err
}

func (s *Service) markPurging(ctx context.Context, id models.ID, due func(*models.Mailbox) bool) (bool, error) {
	m, err := s.lockAny(ctx, id)
	if err != nil || m.Purging {
		return err == nil, err
	}
	if !due(m) {
		return false, nil
	}
	if !m.InBin() {
		m.DeletedAt = s.now()
	}
	m.Purging, m.UpdatedAt = true, s.now()
	return true, s.store.UpdateMailboxBin(ctx, m)
}

// lockAny locks the customer of a mailbox and reads the mailbox as it is then.
func (s *Service) lockAny(ctx context.Context, id models.ID) (*models.Mailbox, error) {
	row, err := s.store.MailboxByID(ctx, models.Everything(), id)
	if err != nil {
		return nil, err
	}
	if err := s.store.LockCustomer(ctx, row.CustomerID); err != nil {
		return nil, err
	}
	if row, err = s.store.MailboxByID(ctx, models.Everything(), id); err != nil {
		return nil, err
	}
	return &row.Mailbox, nil
}

// dropMailbox gives back what the mailbox was charged and removes it. Of two at once the
// second finds nothing, and gives nothing back twice. The quota cannot change any more, since
// the mailbox is marked.
func (s *Service) dropMailbox(ctx context.Context, id models.ID) error {
	m, err := s.lockAny(ctx, id)
	if models.Is(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.charge(ctx, m.CustomerID, 0, -1, -m.QuotaBytes); err != nil {
		return err
	}
	return s.store.DeleteMailbox(ctx, id)
}

// PurgeExpired removes for good what has been in the bin longer than the setting says, and
// finishes purges that were cut short. It returns how many went. A mailbox that fails does not
// keep the others; all errors are in the tree.
func (s *Service) PurgeExpired(ctx context.Context) (n int, err error) {
	before := models.At(s.config.Now().Add(-time.Duration(s.config.Defaults.BinDays) * 24 * time.Hour))
	var errs []error
	for after := models.ID(0); ctx.Err() == nil; {
		ids, err := s.store.MailboxesToPurge(ctx, before, after, 20)
		if err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			purged, err := s.purgeIf(ctx, id, func(m *models.Mailbox) bool { return m.InBin() && m.DeletedAt < before })
			if err != nil {
				errs = append(errs, err)
			}
			if purged {
				n++
			}
		}
		after = ids[len(ids)-1]
	}
	if n > 0 {
		s.log.Info("bin emptied", "mailboxes", n)
	}
	return n, errors.Join(errs...)
}
