package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// maxSenders is how many addresses of a mailbox are looked for.
const maxSenders = 500

// SenderAddresses returns the addresses that a mailbox may send as beside its own, in order:
// those of the plain aliases of its customer that lead to it, over other aliases too, and the
// same local parts in the alias domains of these domains. Only domains count that are this
// customer's now: a claim that is not proven gives nobody a name, whatever it holds. Aliases that
// are off do not count, nor do groups: a member is not the group; nor an alias of another customer
// that leads here: who agreed to get its mail was not given its name. At most 500.
func (s *Store) SenderAddresses(ctx context.Context, a *models.Account) ([]string, error) {
	known := []string{a.Name}
	for depth, fresh := 0, known; len(fresh) > 0 && depth < models.MaxRouteDepth && len(known) < maxSenders; depth++ {
		twins, err := s.twins(ctx, a.CustomerID, fresh)
		if err != nil {
			return nil, err
		}
		fresh = add(&known, twins, fresh)
		leading, err := s.leadingTo(ctx, a.CustomerID, fresh)
		if err != nil {
			return nil, err
		}
		fresh = add(&known, leading, nil)
	}
	return known[1:min(len(known), maxSenders)], nil
}

// add appends what is new to known, and returns it behind fresh.
func add(known *[]string, found, fresh []string) []string {
	for _, addr := range found {
		if !slices.Contains(*known, addr) {
			*known, fresh = append(*known, addr), append(fresh, addr)
		}
	}
	return fresh
}

// twins returns the same local parts in the domains that are other names of theirs.
func (s *Store) twins(ctx context.Context, customer models.ID, of []string) (all []string, err error) {
	err = s.each(ctx, `SELECT twin.name, real_one.name FROM domains twin JOIN domains real_one ON real_one.id = twin.alias_of
		WHERE twin.customer_id = ? AND twin.active_name IS NOT NULL AND real_one.customer_id = ? AND real_one.active_name IS NOT NULL LIMIT 200`, []any{customer, customer}, func(rows *sql.Rows) error {
		var twin, name string
		if err := rows.Scan(&twin, &name); err != nil {
			return err
		}
		for _, text := range of {
			if a, err := address.Parse(text); err == nil && a.Domain == name {
				all = append(all, address.Address{Local: a.Local, Domain: twin}.String())
			}
		}
		return nil
	})
	return all, failed("alias domains", err)
}

// leadingTo returns the plain aliases, in active domains of a customer, that have one of these
// targets.
func (s *Store) leadingTo(ctx context.Context, customer models.ID, targets []string) (all []string, err error) {
	if len(targets) == 0 {
		return nil, nil
	}
	args := []any{customer, customer, customer, string(models.AliasPlain)}
	for _, t := range targets {
		args = append(args, t)
	}
	query := `SELECT DISTINCT aliases.address FROM targets JOIN aliases ON aliases.id = targets.owner_id
		JOIN domains ON domains.id = aliases.domain_id AND domains.active_name IS NOT NULL
		WHERE domains.customer_id = ? AND targets.customer_id = ? AND aliases.customer_id = ? AND aliases.kind = ? AND aliases.off = 0
		AND targets.address IN (?` + strings.Repeat(", ?", len(targets)-1) + ") ORDER BY aliases.address LIMIT 500"
	rows, err := s.on(ctx).Raw(query, args...).Rows() // of many lengths: not worth a prepared statement each
	if err != nil {
		return nil, failed("sender addresses", err)
	}
	defer rows.Close()
	for rows.Next() {
		var addr string
		if err := rows.Scan(&addr); err != nil {
			return nil, failed("sender addresses", err)
		}
		all = append(all, addr)
	}
	return all, failed("sender addresses", rows.Err())
}
