package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// InsertTarget adds a target; Conflict if its owner has it already.
func (s *Store) InsertTarget(ctx context.Context, t *models.Target) error {
	return s.change(ctx, db.ChangedMailbox, t.OwnerID, func(g *gorm.DB) error {
		return failed("insert target", g.Create(t).Error)
	})
}

// Targets returns what aliases or mailboxes lead to, in the order in which it was added.
func (s *Store) Targets(ctx context.Context, owners ...models.ID) ([]models.Target, error) {
	var targets []models.Target
	return targets, failed("targets", s.on(ctx).Where("owner_id IN ?", owners).Order("owner_id, id").Find(&targets).Error)
}

// UpdateTarget writes whether a target is external, and how far its verification is. NotFound
// if it is gone.
func (s *Store) UpdateTarget(ctx context.Context, t *models.Target) error {
	return s.change(ctx, db.ChangedMailbox, t.OwnerID, func(g *gorm.DB) error {
		return one("update target", g.Model(&models.Target{}).Where("id = ?", t.ID).Select("external", "verified_at", "token_hash", "asked_at", "ask_at", "ask_tries").Updates(t))
	})
}

// DeleteTarget removes one target.
func (s *Store) DeleteTarget(ctx context.Context, t *models.Target) error {
	return s.change(ctx, db.ChangedMailbox, t.OwnerID, func(g *gorm.DB) error {
		return one("delete target", g.Where("id = ?", t.ID).Delete(&models.Target{}))
	})
}

// TargetByToken returns the target that a mailed link was made for; NotFound otherwise.
func (s *Store) TargetByToken(ctx context.Context, hash string) (*models.Target, error) {
	var t models.Target
	err := s.on(ctx).Where("token_hash = ? AND token_hash <> ''", hash).Take(&t).Error
	return found("target", &t, err)
}

// TargetsTo returns up to limit targets of a customer that lead to one address inside of it.
func (s *Store) TargetsTo(ctx context.Context, customer models.ID, address string, limit int) ([]models.Target, error) {
	var targets []models.Target
	err := s.on(ctx).Where("address = ? AND customer_id = ? AND external = 0", address, customer).Order("id").Limit(limit).Find(&targets).Error
	return targets, failed("targets", err)
}

// TargetsInto is TargetsTo for all addresses of a domain.
func (s *Store) TargetsInto(ctx context.Context, customer models.ID, domain string, limit int) ([]models.Target, error) {
	var targets []models.Target
	err := s.on(ctx).Where("customer_id = ? AND external = 0 AND address LIKE ? ESCAPE '!'", customer, "%@"+escapeLike(domain)).Order("id").Limit(limit).Find(&targets).Error
	return targets, failed("targets", err)
}

// TargetsToAsk returns up to limit targets elsewhere whose owners have not been asked yet and whose
// time has come, those that have waited longest first.
func (s *Store) TargetsToAsk(ctx context.Context, now models.Micros, limit int) ([]models.Target, error) {
	var targets []models.Target
	err := s.on(ctx).Where("external = 1 AND verified_at = 0 AND asked_at = 0 AND ask_at <= ?", now).Order("ask_at, id").Limit(limit).Find(&targets).Error
	return targets, failed("targets", err)
}

// CountWaiting counts the targets elsewhere of a customer whose owners have not agreed.
func (s *Store) CountWaiting(ctx context.Context, customer models.ID) (n int64, err error) {
	return n, failed("count targets", s.on(ctx).Model(&models.Target{}).Where("customer_id = ? AND external = 1 AND verified_at = 0", customer).Count(&n).Error)
}

// AddressStates says what addresses of one customer are: "mailbox", "bin" (a mailbox in it),
// "alias" or "off" (an alias that is). What is not there is missing.
func (s *Store) AddressStates(ctx context.Context, customer models.ID, addresses []string) (map[string]string, error) {
	states := map[string]string{}
	if len(addresses) == 0 {
		return states, nil
	}
	var rows []struct {
		Address string
		State   string
	}
	err := s.on(ctx).Raw(`SELECT address, CASE WHEN deleted_at = 0 THEN 'mailbox' ELSE 'bin' END AS state FROM mailboxes WHERE customer_id = ? AND address IN ?
		UNION ALL SELECT address, CASE WHEN off = 0 THEN 'alias' ELSE 'off' END AS state FROM aliases WHERE customer_id = ? AND address IN ?`,
		customer, addresses, customer, addresses).Scan(&rows).Error
	for _, r := range rows {
		if states[r.Address] == "" || states[r.Address] == "bin" { // of two claims of a domain
			states[r.Address] = r.State
		}
	}
	return states, failed("states of addresses", err)
}

// movePiece is how many targets change in one transaction when a domain has moved.
const movePiece = 200

// unasked makes a target one whose owner has not agreed.
const unasked = "verified_at = 0, token_hash = '', asked_at = 0, ask_at = 0, ask_tries = 0"

// TargetsCameHome makes the targets of a customer that lead into a domain ones inside of it.
func (s *Store) TargetsCameHome(ctx context.Context, customer models.ID, domain string) error {
	return s.moveTargets(ctx, "external = 0, "+unasked, "customer_id = ? AND external = 1 AND address LIKE ? ESCAPE '!'", customer, into(domain))
}

// TargetsLeft makes the targets of a customer that lead into a domain ones elsewhere, whose owners
// are to be asked, except those of aliases and mailboxes in the domain itself.
func (s *Store) TargetsLeft(ctx context.Context, customer, domain models.ID, name string) error {
	return s.moveTargets(ctx, "external = 1, "+unasked, `customer_id = ? AND external = 0 AND address LIKE ? ESCAPE '!'
		AND NOT EXISTS (SELECT 1 FROM aliases WHERE aliases.id = targets.owner_id AND aliases.domain_id = ?)
		AND NOT EXISTS (SELECT 1 FROM mailboxes WHERE mailboxes.id = targets.owner_id AND mailboxes.domain_id = ?)`, customer, into(name), domain, domain)
}

// ForgetConsents makes all targets elsewhere that lead into a domain, but those of its customer,
// ones whose owners are to be asked again.
func (s *Store) ForgetConsents(ctx context.Context, customer models.ID, domain string) error {
	return s.moveTargets(ctx, unasked, "customer_id <> ? AND external = 1 AND (verified_at <> 0 OR asked_at <> 0) AND address LIKE ? ESCAPE '!'", customer, into(domain))
}

func into(domain string) string { return "%@" + escapeLike(domain) }

// moveTargets changes the targets that a condition holds for until it holds for none, in pieces.
func (s *Store) moveTargets(ctx context.Context, set, where string, args ...any) error {
	for {
		var ids []models.ID
		if err := s.on(ctx).Model(&models.Target{}).Where(where, args...).Order("id").Limit(movePiece).Pluck("id", &ids).Error; err != nil || len(ids) == 0 {
			return failed("targets of a domain", err)
		}
		err := s.change(ctx, db.ChangedAll, 0, func(g *gorm.DB) error {
			return g.Exec("UPDATE targets SET "+set+" WHERE id IN ?", ids).Error
		})
		if err != nil {
			return failed("move targets", err)
		}
	}
}
