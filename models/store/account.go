package store

import (
	"context"
	"database/sql"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const mailboxAccount = `SELECT mailboxes.id, mailboxes.customer_id, mailboxes.domain_id, mailboxes.address, mailboxes.password_hash,
		mailboxes.login_off, mailboxes.send_off, mailboxes.reason, mailboxes.deleted_at, customers.suspended, customers.reason,
		CASE WHEN domains.active_name IS NULL THEN 1 ELSE 0 END, mailboxes.held_at, mailboxes.language, mailboxes.logouts, mailboxes.quota_bytes, mailboxes.quota_messages
	FROM mailboxes JOIN customers ON customers.id = mailboxes.customer_id JOIN domains ON domains.id = mailboxes.domain_id
	WHERE `

const userAccount = `SELECT users.id, users.customer_id, users.email, users.role, users.password_hash, customers.suspended, customers.reason
	FROM users LEFT JOIN customers ON customers.id = users.customer_id WHERE `

// MailboxAccount returns what a log-in needs of the mailbox with a normalized address; one in
// the bin comes with Deleted. NotFound if there is none. Of several, which only unproven
// claims of one domain can have, it is the one that Mailbox returns too.
func (s *Store) MailboxAccount(ctx context.Context, address string) (*models.Account, error) {
	return s.mailboxAccount(ctx, mailboxAccount+"mailboxes.address = ?", address)
}

// UserAccount returns what a log-in needs of the panel's user with a normalized e-mail
// address; NotFound if there is none.
func (s *Store) UserAccount(ctx context.Context, email string) (*models.Account, error) {
	return s.userAccount(ctx, userAccount+"users.email = ?", email)
}

// AccountByID is MailboxAccount or UserAccount by id.
func (s *Store) AccountByID(ctx context.Context, kind models.AccountKind, id models.ID) (*models.Account, error) {
	if kind == models.AccountUser {
		return s.userAccount(ctx, userAccount+"users.id = ?", id)
	}
	return s.mailboxAccount(ctx, mailboxAccount+"mailboxes.id = ?", id)
}

// RecentAccount is AccountByID with an answer as old as that of db.Recent: enough to see whether
// somebody who has logged in may still send, too old for a log-in.
func (s *Store) RecentAccount(ctx context.Context, kind models.AccountKind, id models.ID) (*models.Account, error) {
	if kind != models.AccountMailbox || db.TxOf(ctx) != nil {
		return s.AccountByID(ctx, kind, id)
	}
	a, err := s.accounts.Get(id, func() (models.Account, error) {
		a, err := s.AccountByID(ctx, kind, id)
		if err != nil {
			return models.Account{}, err
		}
		return *a, nil
	})
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// mailboxAccount leaves choosing among several to Go: sorting costs MariaDB as much again as
// the look-up.
func (s *Store) mailboxAccount(ctx context.Context, query string, arg any) (*models.Account, error) {
	var best *models.Account
	var bestRank rank
	err := s.each(ctx, query, []any{arg}, func(rows *sql.Rows) error {
		a := &models.Account{Kind: models.AccountMailbox}
		var deleted, held models.Micros
		var suspended bool
		var reason string
		var unproven int
		err := rows.Scan(&a.ID, &a.CustomerID, &a.DomainID, &a.Name, &a.Hash,
			&a.LoginOff, &a.SendOff, &a.Reason, &deleted, &suspended, &reason, &unproven, &held, &a.Language, &a.Logouts, &a.QuotaBytes, &a.QuotaMessages)
		a.Deleted, a.Held, a.Unproven = deleted != 0, held != 0, unproven != 0
		suspend(a, suspended, reason)
		if r := (rank{unproven, deleted != 0, a.ID}); err == nil && (best == nil || r.before(bestRank)) {
			best, bestRank = a, r
		}
		return err
	})
	if err == nil && best == nil {
		err = sql.ErrNoRows
	}
	return best, failed("account", err)
}

// rank is what the order preferred looks at.
type rank struct {
	unproven int
	deleted  bool
	id       models.ID
}

func (r rank) before(o rank) bool {
	if r.unproven != o.unproven {
		return r.unproven < o.unproven
	}
	if r.deleted != o.deleted {
		return !r.deleted
	}
	return r.id < o.id
}

// suspend takes in the suspension of the customer; the mailbox's own switches stay as they
// are in its row, so that they count again afterwards.
func suspend(a *models.Account, suspended bool, reason string) {
	if suspended {
		a.LoginOff, a.SendOff, a.Reason = true, true, reason
	}
}

func (s *Store) userAccount(ctx context.Context, query string, arg any) (*models.Account, error) {
	a := &models.Account{Kind: models.AccountUser}
	var customer *models.ID
	var suspended *bool
	var reason *string
	err := s.row(ctx, query, []any{arg}, &a.ID, &customer, &a.Name, &a.Role, &a.Hash, &suspended, &reason)
	if err != nil {
		return nil, failed("account", err)
	}
	if customer != nil {
		a.CustomerID = *customer
		// A user whose customer is gone can do nothing.
		suspend(a, suspended == nil || *suspended, deref(reason))
	}
	return a, nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Rehash replaces oldHash by newHash, the same password at another cost; nothing happens if
// the password was changed meanwhile. It is no change that others are told of.
func (s *Store) Rehash(ctx context.Context, kind models.AccountKind, id models.ID, oldHash, newHash string) error {
	table := "mailboxes"
	if kind == models.AccountUser {
		table = "users"
	}
	return s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		return failed("rehash", s.on(ctx).Exec("UPDATE "+table+" SET password_hash = ? WHERE id = ? AND password_hash = ?", newHash, id, oldHash).Error)
	})
}
