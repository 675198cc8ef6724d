package service

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// RoutingStore is the part of Store about where mail goes besides to its mailbox.
type RoutingStore interface {
	AliasHolding(ctx context.Context, domain models.ID, local string) (bool, error)
	AddressStates(ctx context.Context, customer models.ID, addresses []string) (map[string]string, error)
	Explain(ctx context.Context, addr address.Address) (*models.Route, error)

	InsertAlias(ctx context.Context, a *models.Alias) error
	Alias(ctx context.Context, scope models.Scope, address string) (*models.AliasRow, error)
	AliasByID(ctx context.Context, scope models.Scope, id models.ID) (*models.AliasRow, error)
	Aliases(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.AliasRow], error)
	CountAliases(ctx context.Context, domain models.ID) (int64, error)
	UpdateAlias(ctx context.Context, a *models.Alias, targets []string) error
	DeleteAlias(ctx context.Context, a *models.Alias) error

	InsertTarget(ctx context.Context, t *models.Target) error
	Targets(ctx context.Context, owners ...models.ID) ([]models.Target, error)
	TargetByToken(ctx context.Context, hash string) (*models.Target, error)
	TargetsTo(ctx context.Context, customer models.ID, address string, limit int) ([]models.Target, error)
	TargetsInto(ctx context.Context, customer models.ID, domain string, limit int) ([]models.Target, error)
	TargetsToAsk(ctx context.Context, now models.Micros, limit int) ([]models.Target, error)
	LinksSent(ctx context.Context, customer models.ID, address string, since models.Micros) (ofCustomer, toAddress int64, err error)
	NoteLink(ctx context.Context, t *models.Target, at, since models.Micros) (models.ID, error)
	ForgetLink(ctx context.Context, id models.ID) error
	CountUnasked(ctx context.Context, customer models.ID) (int64, error)
	CountWaiting(ctx context.Context, customer models.ID) (int64, error)
	TargetsCameHome(ctx context.Context, customer models.ID, domain string) error
	TargetsLeft(ctx context.Context, customer, domain models.ID, name string) error
	ForgetConsents(ctx context.Context, customer models.ID, domain string) error
	UpdateTarget(ctx context.Context, t *models.Target) error
	DeleteTarget(ctx context.Context, t *models.Target) error

	CountAliasDomains(ctx context.Context, domain models.ID) (int64, error)
	ClearCatchAll(ctx context.Context, customer models.ID, address string) error
	UpdateMailboxForward(ctx context.Context, m *models.Mailbox) error
	UpdateMailboxHold(ctx context.Context, m *models.Mailbox) error
	UpdateMailboxLanguage(ctx context.Context, m *models.Mailbox) error

	AutoReply(ctx context.Context, mailbox models.ID) (*models.AutoReply, error)
	SaveAutoReply(ctx context.Context, a *models.AutoReply, forget bool) error
	ForgetAnswered(ctx context.Context, mailbox models.ID) (int64, error)

	Suppressions(ctx context.Context, scope models.Scope, mailbox models.ID, q models.Query) (models.Page[models.Suppression], error)
	DeleteSuppression(ctx context.Context, mailbox models.ID, address string) error
	ForgetSuppressions(ctx context.Context, mailbox models.ID) (int64, error)

	SentToday(ctx context.Context, scope models.Scope) (models.Sent, error)
	SendingUse(ctx context.Context, limits models.SendingLimits, mailbox, domain models.ID) ([]models.LimitUse, error)

	Relay(ctx context.Context, owner models.ID) (*models.Relay, error)
	Relays(ctx context.Context) ([]models.RelayRow, error)
	SaveRelay(ctx context.Context, r *models.Relay) error
	DeleteRelay(ctx context.Context, owner models.ID) error
}
