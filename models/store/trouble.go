package store

import (
	"context"

	"github.com/postchi/postchi/models"
)

// recentBounces is how many of the latest events are looked at for bounces: Home is opened often.
const recentBounces = 2000

// Bounces counts the recipients in the scope that were given up since a moment, as far as the
// latest 2,000 events know.
func (s *Store) Bounces(ctx context.Context, scope models.Scope, since models.Micros) (n int64, err error) {
	if !sees(scope) {
		return 0, nil
	}
	latest := scoped(s.on(ctx).Table("events").Select("kind"), scope, "customer_id").Where("at >= ?", since).Order("at DESC").Limit(recentBounces)
	err = s.on(ctx).Table("(?) AS latest", latest).Where("kind = ?", models.EventBounced).Count(&n).Error
	return n, failed("bounces", err)
}

// HeldSenders returns mailboxes in the scope of which what they send is held, the latest first.
func (s *Store) HeldSenders(ctx context.Context, scope models.Scope, limit int) ([]models.Mailbox, error) {
	var boxes []models.Mailbox
	err := scoped(s.on(ctx), scope, "customer_id").Where("held_at > 0 AND deleted_at = 0").Order("held_at DESC").Limit(limit).Find(&boxes).Error
	return boxes, failed("held senders", err)
}
