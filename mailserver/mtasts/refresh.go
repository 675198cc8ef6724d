package mtasts

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Run keeps policies up until ctx ends: an attacker who holds back the DNS must not win by
// waiting for them to run out (RFC 8461, section 10.2).
func (c *Cache) Run(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		if err := c.Refresh(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("mta-sts policies not kept up", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Refresh does one round: policies that are due are fetched again, those that ran out go.
func (c *Cache) Refresh(ctx context.Context) error {
	now := models.At(c.now())
	rows, err := c.config.DB.SQL().QueryContext(ctx, "SELECT domain FROM mtasts_policies WHERE refresh_at <= ? AND expires_at > ? ORDER BY refresh_at LIMIT ?", now, now, maxRefreshed)
	if err != nil {
		return db.Failure(err)
	}
	domains, err := column(rows)
	if err != nil {
		return db.Failure(err)
	}
	for _, domain := range domains {
		if err := c.refreshOne(ctx, domain); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return c.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM mtasts_policies WHERE expires_at <= ?", now)
		return err
	})
}

// refreshOne fetches one policy again; one that cannot be is tried again in the next hour.
func (c *Cache) refreshOne(ctx context.Context, domain string) error {
	records, _ := c.config.Resolver.LookupTXT(ctx, "_mta-sts."+domain)
	if id, ok := ParseRecord(records); ok {
		if p, err := c.get(ctx, domain, id); err == nil {
			c.remember(domain, p)
			return c.store(ctx, domain, p)
		}
	}
	err := c.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE mtasts_policies SET refresh_at = ? WHERE domain = ?", models.At(c.now().Add(time.Hour)), domain)
		return err
	})
	if err != nil {
		return fmt.Errorf("put off refresh of %s: %w", domain, err)
	}
	return nil
}

func column(rows *sql.Rows) (out []string, err error) {
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
