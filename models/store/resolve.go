package store

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// Resolve returns where mail to a normalized address goes now: the mailbox of exactly this
// local part, else the one without +tag; postmaster and abuse go to the mailbox the domain
// names for them, else to its oldest.
//
// Errors: Denied recipient.elsewhere if no active domain of ours has the name, NotFound
// recipient.unknown (bin included), Unavailable recipient.nobody_yet for postmaster and abuse
// of a domain that has no mailbox, Unavailable when the database is away. Whether the mailbox
// takes mail at all is in the Recipient. The answer may be as old as that of db.Recent.
func (s *Store) Resolve(ctx context.Context, addr address.Address) (*models.Recipient, error) {
	addr = addr.Lower()
	if db.TxOf(ctx) != nil {
		return s.resolve(ctx, addr)
	}
	r, err := s.recipients.Get(addr, func() (models.Recipient, error) {
		r, err := s.resolve(ctx, addr)
		if err != nil {
			return models.Recipient{}, err
		}
		return *r, nil
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func (s *Store) resolve(ctx context.Context, addr address.Address) (*models.Recipient, error) {
	var domain models.ID
	var postmaster, abuse *models.ID
	err := s.row(ctx, "SELECT id, postmaster_id, abuse_id FROM domains WHERE active_name = ?", []any{addr.Domain}, &domain, &postmaster, &abuse)
	switch err := failed("resolve domain", err); {
	case models.Is(err, models.NotFound):
		return nil, models.Errorf(models.Denied, "recipient.elsewhere", "This server does not serve mail for %s.", addr.Domain).With("domain", addr.Domain)
	case err != nil:
		return nil, err
	}
	bare := addr.WithoutTag()
	r, err := s.mailboxOf(ctx, domain, addr.Local, bare.Local)
	if models.Is(err, models.NotFound) {
		switch bare.Local {
		case models.RolePostmaster:
			r, err = s.roleMailbox(ctx, domain, postmaster)
		case models.RoleAbuse:
			r, err = s.roleMailbox(ctx, domain, abuse)
		}
	}
	switch {
	case models.Is(err, models.NotFound):
		return nil, models.Errorf(models.NotFound, "recipient.unknown", "There is no mailbox %s here.", addr).With("address", addr.String())
	case err != nil:
		return nil, err
	}
	r.Address = addr.String()
	return r, nil
}

const recipient = `SELECT mailboxes.id, mailboxes.address, mailboxes.customer_id, mailboxes.domain_id, mailboxes.receive_off, mailboxes.reason,
		mailboxes.quota_bytes, mailboxes.quota_messages, customers.suspended, customers.suspend_receive, customers.reason
	FROM mailboxes JOIN customers ON customers.id = mailboxes.customer_id `

// mailboxOf finds a mailbox by local part, or by the one without its tag.
func (s *Store) mailboxOf(ctx context.Context, domain models.ID, local, bare string) (*models.Recipient, error) {
	return s.recipient(ctx, recipient+`JOIN addresses ON addresses.mailbox_id = mailboxes.id
		WHERE addresses.domain_id = ? AND addresses.local_part IN (?, ?) AND mailboxes.deleted_at = 0
		ORDER BY CASE WHEN addresses.local_part = ? THEN 0 ELSE 1 END LIMIT 1`, domain, local, bare, local)
}

// roleMailbox finds who reads the role address of a domain: the chosen mailbox while it lives
// and receives, else the oldest that receives, else the oldest. RFC 5321, section 4.5.1: such
// mail must be accepted; as long as nobody could read it, it is asked to wait.
func (s *Store) roleMailbox(ctx context.Context, domain models.ID, chosen *models.ID) (*models.Recipient, error) {
	id := models.ID(0)
	if chosen != nil {
		id = *chosen
	}
	r, err := s.recipient(ctx, recipient+`WHERE mailboxes.domain_id = ? AND mailboxes.deleted_at = 0
		ORDER BY mailboxes.receive_off, CASE WHEN mailboxes.id = ? THEN 0 ELSE 1 END, mailboxes.id LIMIT 1`, domain, id)
	if models.Is(err, models.NotFound) {
		return nil, models.Errorf(models.Unavailable, "recipient.nobody_yet", "The domain has no mailbox yet that could take this.")
	}
	return r, err
}

func (s *Store) recipient(ctx context.Context, query string, args ...any) (*models.Recipient, error) {
	var r models.Recipient
	var suspended, receiveOff bool
	var reason string
	err := s.row(ctx, query, args, &r.MailboxID, &r.Mailbox, &r.CustomerID, &r.DomainID, &r.ReceiveOff, &r.Reason,
		&r.QuotaBytes, &r.QuotaMessages, &suspended, &receiveOff, &reason)
	if err != nil {
		return nil, failed("resolve recipient", err)
	}
	switch {
	case suspended && receiveOff:
		r.ReceiveOff, r.Reason = true, reason
	case !r.ReceiveOff:
		r.Reason = "" // the reason of another switch is none of a sender's business
	}
	return &r, nil
}
