package service

import (
	"context"
	"errors"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// NewMailbox is a mailbox to be added.
type NewMailbox struct {
	Local         string // the part before @; the whole address does as well
	Domain        string
	Password      string
	Name          string // shown to people; may be empty
	QuotaBytes    *int64 // nil = the installation's default; 0 = no limit
	QuotaMessages int64  // 0 = no limit
}

// Mailboxes returns a page of mailboxes, of the bin with q.Bin.
func (s *Service) Mailboxes(ctx context.Context, v Viewer, q Query) (Page[MailboxRow], error) {
	scope, err := permit(v, see)
	if err != nil {
		return Page[MailboxRow]{}, err
	}
	return s.store.Mailboxes(ctx, scope, q)
}

// Mailbox returns one mailbox by address, also out of the bin.
func (s *Service) Mailbox(ctx context.Context, v Viewer, addr string) (*MailboxRow, error) {
	row, err := s.findMailbox(ctx, v, seeMailbox, addr)
	if err == nil && row.Purging {
		return nil, notFound()
	}
	return row, err
}

func (s *Service) findMailbox(ctx context.Context, v Viewer, a action, addr string) (*MailboxRow, error) {
	scope, err := permit(v, a)
	if err != nil {
		return nil, err
	}
	parsed, err := address.Parse(addr)
	if err != nil {
		return nil, notFound()
	}
	row, err := s.store.Mailbox(ctx, scope, parsed.String())
	if err != nil {
		return nil, err
	}
	return row, nil
}

// AddMailbox adds a mailbox with its folders. Errors, all bad fields in one tree: Invalid
// address.*, mailbox.local, mailbox.tag, password.*, number.range, limit.quota_needed;
// Conflict mailbox.reserved, mailbox.taken (arguments a and b: free addresses), mailbox.in_bin
// (argument address); Full limit.mailboxes, limit.storage; NotFound if there is no such domain.
func (s *Service) AddMailbox(ctx context.Context, v Viewer, n NewMailbox) (*models.Mailbox, error) {
	_, d, err := s.findDomain(ctx, v, manageMailboxes, n.Domain)
	if err != nil {
		return nil, err
	}
	m, a, err := s.prepareMailbox(ctx, d, n)
	if err != nil {
		return nil, err
	}
	if m.PasswordHash, err = s.config.Hash(ctx, n.Password); err != nil {
		return nil, on(err, "password")
	}
	err = s.store.Write(ctx, func(ctx context.Context) error { return s.placeMailbox(ctx, m, a) })
	if models.Is(err, models.Conflict) {
		if taken := s.available(ctx, d, a.Local); taken != nil {
			err = taken
		}
	}
	if err != nil {
		return nil, err
	}
	s.done(v, "mailbox added", "mailbox", m.Address, "quota", m.QuotaBytes)
	return m, nil
}

// prepareMailbox checks what can be checked before the transaction.
func (s *Service) prepareMailbox(ctx context.Context, d *models.Domain, n NewMailbox) (*models.Mailbox, *models.Address, error) {
	now := s.now()
	m := &models.Mailbox{ID: s.store.NewID(), CustomerID: d.CustomerID, DomainID: d.ID, Name: strings.TrimSpace(n.Name),
		QuotaBytes: s.config.Defaults.Quota, QuotaMessages: n.QuotaMessages, CreatedAt: now, UpdatedAt: now, PasswordAt: now}
	if n.QuotaBytes != nil {
		m.QuotaBytes = *n.QuotaBytes
	}
	addr, err := localPart(n.Local, d.Name)
	if err == nil {
		err = s.available(ctx, d, addr.Local)
	}
	if err := errors.Join(err, m.Validate(), s.checkPassword(n.Password, addr)); err != nil {
		return nil, nil, err
	}
	m.Address = addr.String()
	return m, &models.Address{ID: s.store.NewID(), DomainID: d.ID, Local: addr.Local, Kind: models.AddressMailbox, MailboxID: &m.ID, CreatedAt: now}, nil
}

// localPart reads what a person typed before @. Errors are on field "local".
func localPart(typed, domain string) (address.Address, error) {
	typed = strings.TrimSpace(typed)
	if typed == "" {
		return address.Address{}, models.Errorf(models.Invalid, "address.nolocal", "The part before @ is missing.").On("local")
	}
	if !strings.Contains(typed, "@") {
		typed += "@" + domain
	}
	a, err := address.Parse(typed)
	if err != nil {
		return address.Address{}, on(err, "local")
	}
	if a.Domain != domain {
		return address.Address{}, models.Errorf(models.Invalid, "mailbox.other_domain", "The address is of another domain.").On("local")
	}
	return a, models.ValidateLocal(a.Local)
}

// CheckAddress reports whether a mailbox of this name could be added to a domain, with the
// errors of AddMailbox; for a form that answers while one types.
func (s *Service) CheckAddress(ctx context.Context, v Viewer, local, domain string) error {
	_, d, err := s.findDomain(ctx, v, manageMailboxes, domain)
	if err != nil {
		return err
	}
	a, err := localPart(local, d.Name)
	if err != nil {
		return err
	}
	return s.available(ctx, d, a.Local)
}

// placeMailbox is the transaction of AddMailbox. The charge locks the customer, so that the
// domain cannot go nor a limit change before the end.
func (s *Service) placeMailbox(ctx context.Context, m *models.Mailbox, a *models.Address) error {
	if err := s.charge(ctx, m.CustomerID, 0, 1, m.QuotaBytes); err != nil {
		return err
	}
	if err := s.bounded(ctx, m.CustomerID, m.QuotaBytes); err != nil {
		return err
	}
	d, err := s.store.DomainByID(ctx, models.OfCustomer(m.CustomerID), m.DomainID)
	if err != nil {
		return err
	}
	if d.AliasOf != nil { // has become one meanwhile
		return isAlias(d)
	}
	if err := s.store.InsertAddress(ctx, a); err != nil {
		return err
	}
	if err := s.store.InsertMailbox(ctx, m); err != nil {
		return err
	}
	return s.mail.CreateMailbox(ctx, m.ID)
}

// available explains why an address cannot be had, nil if it can.
func (s *Service) available(ctx context.Context, d *models.Domain, local string) error {
	if d.AliasOf != nil {
		return isAlias(d)
	}
	held, err := s.store.AliasHolding(ctx, d.ID, local)
	if err != nil {
		return err
	}
	if held {
		addr := local + "@" + d.Name
		return models.Errorf(models.Conflict, "alias.taken", "There is an alias %s already.", addr).With("address", addr).On("local")
	}
	m, err := s.store.HolderOf(ctx, d.ID, local)
	switch {
	case models.Is(err, models.NotFound):
		return nil
	case err != nil:
		return err
	case m.InBin() && !m.Purging:
		return models.Errorf(models.Conflict, "mailbox.in_bin", "%s is in the bin and can be restored.", m.Address).With("address", m.Address).On("local")
	}
	a, b, err := s.suggest(ctx, d, local)
	if err != nil {
		return err
	}
	return models.Errorf(models.Conflict, "mailbox.taken", "This address is taken. Try %s or %s.", a, b).With("a", a).With("b", b).On("local")
}

// suggest returns two free addresses like a taken one.
func (s *Service) suggest(ctx context.Context, d *models.Domain, local string) (a, b string, err error) {
	endings := []string{"1", "2", ".mail", "3", "4", "5", "6", "7", "8", "9", ".2", ".3", "10", "11", "12", "100", "200", "300", "1000"}
	stem := strings.TrimRight(local[:min(len(local), address.MaxLocal-len(".mail"))], ".-_")
	if stem == "" {
		stem = "mail"
	}
	locals := make([]string, len(endings))
	for i, end := range endings {
		locals[i] = stem + end
	}
	taken, err := s.store.TakenLocals(ctx, d.ID, locals)
	if err != nil {
		return "", "", err
	}
	var free []string
	for _, l := range locals {
		if !taken[l] {
			free = append(free, l+"@"+d.Name)
		}
	}
	for len(free) < 2 {
		free = append(free, "mail."+s.store.NewID().String()+"@"+d.Name)
	}
	return free[0], free[1], nil
}

// changeMailbox lets fn change a mailbox that is not in the bin, while nobody else changes
// what its customer owns; save writes what fn changed.
func (s *Service) changeMailbox(ctx context.Context, v Viewer, what, addr string, fn func(context.Context, *models.Mailbox) error, save func(context.Context, *models.Mailbox) error) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	return s.changeRow(ctx, v, what, row, fn, save)
}

// changeRow is changeMailbox for one that was found in the viewer's scope.
func (s *Service) changeRow(ctx context.Context, v Viewer, what string, row *MailboxRow, fn func(context.Context, *models.Mailbox) error, save func(context.Context, *models.Mailbox) error) error {
	err := s.store.Write(ctx, func(ctx context.Context) error {
		m, err := s.lockMailbox(ctx, row.ID, row.CustomerID)
		if err != nil {
			return err
		}
		if m.InBin() {
			return models.Errorf(models.Conflict, "mailbox.in_bin", "%s is in the bin and can be restored.", m.Address).With("address", m.Address)
		}
		if err := fn(ctx, m); err != nil {
			return err
		}
		m.UpdatedAt = s.now()
		return save(ctx, m)
	})
	if err == nil {
		s.done(v, what, "mailbox", row.Address)
	}
	return err
}

// lockMailbox locks the customer and reads the mailbox as it is then; one that is being
// purged is NotFound.
func (s *Service) lockMailbox(ctx context.Context, id, customer models.ID) (*models.Mailbox, error) {
	if err := s.store.LockCustomer(ctx, customer); err != nil {
		return nil, err
	}
	row, err := s.store.MailboxByID(ctx, models.OfCustomer(customer), id)
	if err != nil {
		return nil, err
	}
	if row.Purging {
		return nil, notFound()
	}
	return &row.Mailbox, nil
}

// SetMailboxPassword changes the password; open sessions end. Invalid password.*.
func (s *Service) SetMailboxPassword(ctx context.Context, v Viewer, addr, pw string) error {
	row, err := s.findMailbox(ctx, v, manageMailboxes, addr)
	if err != nil {
		return err
	}
	return s.changePassword(ctx, v, row, pw)
}

// changePassword checks a password for a mailbox and sets it.
func (s *Service) changePassword(ctx context.Context, v Viewer, row *MailboxRow, pw string) error {
	owner, err := address.Parse(row.Address)
	if err != nil {
		return err
	}
	if err := s.checkPassword(pw, owner); err != nil {
		return err
	}
	hash, err := s.config.Hash(ctx, pw)
	if err != nil {
		return on(err, "password")
	}
	return s.changeRow(ctx, v, "mailbox password changed", row, func(_ context.Context, m *models.Mailbox) error {
		m.PasswordHash, m.PasswordAt = hash, s.now()
		return nil
	}, s.store.UpdateMailboxPassword)
}

// SetMailboxQuota sets the quota in bytes and in messages, 0 = no limit; below what is used
// it is allowed, the mailbox is full then. Errors: Invalid number.range, limit.quota_needed;
// Full limit.storage.
func (s *Service) SetMailboxQuota(ctx context.Context, v Viewer, addr string, bytes, messages int64) error {
	return s.changeMailbox(ctx, v, "mailbox quota changed", addr, func(ctx context.Context, m *models.Mailbox) error {
		old := m.QuotaBytes
		m.QuotaBytes, m.QuotaMessages = bytes, messages
		if err := m.Validate(); err != nil {
			return err
		}
		if err := s.charge(ctx, m.CustomerID, 0, 0, bytes-old); err != nil {
			return err
		}
		if old == 0 && bytes == 0 { // was so before the limit, or there is none
			return nil
		}
		return s.bounded(ctx, m.CustomerID, bytes)
	}, s.store.UpdateMailbox)
}

// RenameMailbox changes the name shown to people.
func (s *Service) RenameMailbox(ctx context.Context, v Viewer, addr, name string) error {
	return s.changeMailbox(ctx, v, "mailbox renamed", addr, func(_ context.Context, m *models.Mailbox) error {
		m.Name = strings.TrimSpace(name)
		return m.Validate()
	}, s.store.UpdateMailbox)
}

// Switches are what is switched off for a mailbox, and why.
type Switches struct {
	LoginOff, SendOff, ReceiveOff bool
	Reason                        string
}

func (sw Switches) any() bool { return sw.LoginOff || sw.SendOff || sw.ReceiveOff }

// SetMailboxSwitches sets all three switches; with none off the reason is dropped. What an
// administrator switched off a customer's user cannot switch on again: Denied mailbox.held.
func (s *Service) SetMailboxSwitches(ctx context.Context, v Viewer, addr string, sw Switches) error {
	return s.changeMailbox(ctx, v, "mailbox switches changed", addr, func(_ context.Context, m *models.Mailbox) error {
		held := m.SwitchedBy == models.RoleAdmin && !v.IsAdmin()
		lifts := m.LoginOff && !sw.LoginOff || m.SendOff && !sw.SendOff || m.ReceiveOff && !sw.ReceiveOff
		if held && lifts {
			return models.Errorf(models.Denied, "mailbox.held", "An administrator switched this off.")
		}
		m.LoginOff, m.SendOff, m.ReceiveOff, m.Reason = sw.LoginOff, sw.SendOff, sw.ReceiveOff, strings.TrimSpace(sw.Reason)
		switch {
		case !sw.any():
			m.Reason, m.SwitchedBy = "", ""
		case !held: // adding to an administrator's switch leaves it the administrator's
			m.SwitchedBy = v.Role
		}
		return m.Validate()
	}, s.store.UpdateMailbox)
}
