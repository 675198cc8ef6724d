package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// Route returns where mail to a normalized address goes now: the mailbox, alias or group of
// exactly this local part, else the one without +tag; postmaster and abuse go to the mailbox
// the domain names for them, else to its oldest; else to the domain's catch-all. Aliases, groups
// and forwards are followed to their ends, each once.
//
// Errors: Denied recipient.elsewhere if no active domain of ours has the name, NotFound
// recipient.unknown (bin included), Suspended recipient.off for an alias that is off, NotFound
// recipient.nowhere and Invalid recipient.loop for one that leads to nobody, Invalid
// recipient.too_much for one over MaxRouteDepth or MaxRouteTargets, Unavailable
// recipient.nobody_yet for postmaster and abuse of a domain that has no mailbox, Unavailable
// when the database is away. Whether a mailbox takes mail at all is in its Recipient. The answer
// may be as old as that of db.Recent and is shared.
func (s *Store) Route(ctx context.Context, addr address.Address) (*models.Route, error) {
	addr = addr.Lower()
	if db.TxOf(ctx) != nil {
		return s.route(ctx, addr, false)
	}
	return s.routes.Get(addr, func() (*models.Route, error) { return s.route(ctx, addr, false) })
}

// Explain is Route with its steps, which are there beside an error too.
func (s *Store) Explain(ctx context.Context, addr address.Address) (*models.Route, error) {
	return s.route(ctx, addr.Lower(), true)
}

// served is a domain that receives mail.
type served struct {
	id, customer      models.ID
	name              string
	postmaster, abuse *models.ID
	aliasOf           *models.ID
	catchAll          string
	obey              models.DMARCObey
}

const servedColumns = "SELECT id, customer_id, name, postmaster_id, abuse_id, alias_of, catch_all, dmarc_obey FROM domains WHERE "

func (s *Store) served(ctx context.Context, where string, arg any) (*served, error) {
	var d served
	err := s.row(ctx, servedColumns+where, []any{arg}, &d.id, &d.customer, &d.name, &d.postmaster, &d.abuse, &d.aliasOf, &d.catchAll, &d.obey)
	return found("resolve domain", &d, err)
}

// recipient are the columns of a mailbox that receives; tables m (mailboxes) and c (customers),
// which may be missing in the row.
const recipient = `COALESCE(m.id, 0), COALESCE(m.address, ''), COALESCE(m.customer_id, 0), COALESCE(m.domain_id, 0),
		COALESCE(m.receive_off, 0), COALESCE(m.reason, ''), COALESCE(m.quota_bytes, 0), COALESCE(m.quota_messages, 0),
		COALESCE(m.full_since, 0), COALESCE(m.forward_only, 0), COALESCE(m.language, ''),
		COALESCE(c.suspended, 0), COALESCE(c.suspend_receive, 0), COALESCE(c.reason, ''),
		EXISTS (SELECT 1 FROM targets WHERE targets.owner_id = m.id),
		EXISTS (SELECT 1 FROM auto_replies WHERE auto_replies.mailbox_id = m.id AND auto_replies.enabled = 1)`

// entry is what an address leads to: an alias, or a mailbox.
type entry struct {
	alias    models.ID
	box      models.Recipient
	forwards bool // the mailbox has targets
}

const entryQuery = "SELECT COALESCE(a.alias_id, 0), " + recipient + ` FROM addresses a
	LEFT JOIN mailboxes m ON m.id = a.mailbox_id AND m.deleted_at = 0 LEFT JOIN customers c ON c.id = m.customer_id
	WHERE a.domain_id = ? AND a.local_part IN (?, ?) AND (m.id IS NOT NULL OR a.alias_id IS NOT NULL)
	ORDER BY CASE WHEN a.local_part = ? THEN 0 ELSE 1 END LIMIT 1`

// entryOf finds what a local part leads to, or the one without its tag.
func (s *Store) entryOf(ctx context.Context, domain models.ID, local, bare string) (*entry, error) {
	return s.entry(ctx, entryQuery, domain, local, bare, local)
}

const roleQuery = "SELECT 0, " + recipient + ` FROM mailboxes m JOIN customers c ON c.id = m.customer_id
	WHERE m.domain_id = ? AND m.deleted_at = 0
	ORDER BY m.receive_off, CASE WHEN m.id = ? THEN 0 ELSE 1 END, m.id LIMIT 1`

// roleEntry finds who reads the role address of a domain: the chosen mailbox while it lives and
// receives, else the oldest that receives, else the oldest. RFC 5321, section 4.5.1: such mail
// must be accepted; as long as nobody could read it, it is asked to wait.
func (s *Store) roleEntry(ctx context.Context, domain models.ID, chosen *models.ID) (*entry, error) {
	id := models.ID(0)
	if chosen != nil {
		id = *chosen
	}
	e, err := s.entry(ctx, roleQuery, domain, id)
	if models.Is(err, models.NotFound) {
		return nil, models.Errorf(models.Unavailable, "recipient.nobody_yet", "The domain has no mailbox yet that could take this.")
	}
	return e, err
}

func (s *Store) entry(ctx context.Context, query string, args ...any) (*entry, error) {
	var e entry
	r := &e.box
	var suspended, receiveOff bool
	var reason string
	err := s.row(ctx, query, args, &e.alias, &r.MailboxID, &r.Mailbox, &r.CustomerID, &r.DomainID, &r.ReceiveOff, &r.Reason,
		&r.QuotaBytes, &r.QuotaMessages, &r.FullSince, &r.Spare, &r.Language, &suspended, &receiveOff, &reason, &e.forwards, &r.Replies)
	if err != nil {
		return nil, failed("resolve recipient", err)
	}
	switch {
	case suspended && receiveOff:
		r.ReceiveOff, r.Reason = true, reason
	case !r.ReceiveOff:
		r.Reason = "" // the reason of another switch is none of a sender's business
	}
	return &e, nil
}

// group is an alias or group with the state of its customer.
type group struct {
	models.Alias
	off    bool
	reason string
}

func (s *Store) group(ctx context.Context, id models.ID) (*group, error) {
	var g group
	var suspended, receiveOff bool
	var reason string
	err := s.row(ctx, `SELECT a.id, a.customer_id, a.domain_id, a.address, a.kind, a.off, c.suspended, c.suspend_receive, c.reason
		FROM aliases a JOIN customers c ON c.id = a.customer_id WHERE a.id = ?`, []any{id},
		&g.ID, &g.CustomerID, &g.DomainID, &g.Address, &g.Kind, &g.off, &suspended, &receiveOff, &reason)
	if err != nil {
		return nil, failed("resolve alias", err)
	}
	if suspended && receiveOff {
		g.off, g.reason = true, reason
	}
	return &g, nil
}

// targetsOf reads what an alias or a mailbox leads to, oldest first.
func (s *Store) targetsOf(ctx context.Context, owner models.ID) (all []models.Target, err error) {
	err = s.each(ctx, "SELECT address, external, verified_at FROM targets WHERE owner_id = ? ORDER BY id LIMIT ?",
		[]any{owner, models.MaxRouteTargets + 1}, func(rows *sql.Rows) error {
			var t models.Target
			err := rows.Scan(&t.Address, &t.External, &t.VerifiedAt)
			all = append(all, t)
			return err
		})
	return all, failed("resolve targets", err)
}

func errElsewhere(domain string) *models.Error {
	return models.Errorf(models.Denied, "recipient.elsewhere", "This server does not serve mail for %s.", domain).With("domain", domain)
}

// errUnknown is for an address that a domain of ours does not have; the customer is for the trace.
func errUnknown(addr address.Address, customer models.ID) *models.Error {
	return models.Errorf(models.NotFound, "recipient.unknown", "There is no mailbox %s here.", addr).With("address", addr.String()).With("customer", customer)
}

// isOutcome reports whether an error is what became of one address, and not a failure.
func isOutcome(err error) bool {
	var e *models.Error
	return errors.As(err, &e) && (e.Kind == models.NotFound || e.Kind == models.Suspended || e.Key == "recipient.nobody_yet")
}
