package delivery

import (
	"context"

	"github.com/postchi/postchi/mailserver/srs"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Asked is what is known at RCPT beside the address.
type Asked struct {
	Sender   address.Address // zero = <>
	Declared int64           // size the sender has announced, 0 = none
	Account  *models.Account // who has logged in; nil = another server speaks
	Outside  int64           // recipients outside that the envelope has already
}

// Route returns where mail for an address goes, without what cannot take it now. The answer may be
// shared: it must not be changed. Errors beside those of the Resolver, for the address as a
// whole:
//
//   - Denied recipient.relay: it is elsewhere, and nobody has logged in
//   - Denied recipient.outbound: it is elsewhere, and nothing leaves this server
//   - Denied sender.unproven: the account's domain is not proven yet
//   - NotFound recipient.suppressed: it has refused this account's mail before
//   - Limited limit.*: a sending limit would be passed
//   - Suspended recipient.off, Full mailbox.full (for now) and mailbox.full_long (for good): by
//     the same rule that Accept applies
//   - NotFound srs.unknown: a bounce to an address that we have not made
//
// Of what an alias leads to, what cannot take the message for good is left out as long as
// something is left; what cannot take it now refuses all, so that the sender tries again, unless
// it is a member of a group or a forward beside others.
func (d *Delivery) Route(ctx context.Context, addr address.Address, asked Asked) (*models.Route, error) {
	route, err := d.find(ctx, addr, asked)
	if err == nil {
		route, err = d.usable(ctx, route, asked)
	}
	if err == nil && asked.Account != nil {
		err = d.permitted(ctx, route, asked)
	}
	if err != nil {
		return nil, err
	}
	return route, nil
}

// find resolves an address, those elsewhere and those that bounces return to included.
func (d *Delivery) find(ctx context.Context, addr address.Address, asked Asked) (*models.Route, error) {
	if d.config.SRS != nil && srs.Is(addr.Local) {
		return d.returning(ctx, addr, asked)
	}
	route, err := d.config.Resolver.Route(ctx, addr)
	if err == nil || !isElsewhere(err) {
		return route, err
	}
	switch {
	case asked.Account == nil:
		return nil, errRelay(addr.Domain)
	case d.config.Queue == nil:
		return nil, errOutbound(addr.Domain)
	}
	if err := d.notSuppressed(ctx, addr, asked.Account); err != nil {
		return nil, err
	}
	return outside(addr, models.RemoteDirect), nil
}

func isElsewhere(err error) bool {
	all := models.Errors(err)
	return len(all) == 1 && all[0].Key == "recipient.elsewhere"
}

func errRelay(domain string) *models.Error {
	return models.Errorf(models.Denied, "recipient.relay", "This server takes mail for its own mailboxes only; it does not relay.").With("domain", domain)
}

func errOutbound(domain string) *models.Error {
	return models.Errorf(models.Denied, "recipient.outbound",
		"Mail to other servers is switched off on this server (outbound.enabled = false): it delivers to its own mailboxes only.").With("domain", domain)
}

// outside is the route of an address on another server.
func outside(addr address.Address, kind models.RemoteKind) *models.Route {
	text := addr.String()
	return &models.Route{Address: text, Remote: []models.Remote{{Address: text, Domain: addr.Domain, Kind: kind}}}
}

func (d *Delivery) notSuppressed(ctx context.Context, addr address.Address, a *models.Account) error {
	if d.config.Records == nil {
		return nil
	}
	yes, err := d.config.Records.Suppressed(ctx, a.ID, addr.Lower().String())
	if err != nil || !yes {
		return err
	}
	return models.Errorf(models.NotFound, "recipient.suppressed",
		"The server of %s has refused this mailbox's mail to %s for good, so nothing more is sent there. If the address is right, lift the block in the panel (blocked addresses).",
		addr.Domain, addr).With("address", addr.String())
}

// returning finds where a bounce for forwarded mail goes: to whom Forward has stood for. Only
// bounces may: an address of this scheme is no way through this server.
func (d *Delivery) returning(ctx context.Context, addr address.Address, asked Asked) (*models.Route, error) {
	origin, err := d.config.SRS.Reverse(addr)
	if err != nil {
		// An address elsewhere that looks like ours, or a forged one.
		_, found := d.config.Resolver.Route(ctx, addr)
		switch {
		case isElsewhere(found) && asked.Account != nil && d.config.Queue != nil:
			return outside(addr, models.RemoteDirect), nil
		case isElsewhere(found):
			return nil, errRelay(addr.Domain)
		case models.KindOf(found).Temporary() && found != nil:
			return nil, found
		}
		return nil, err
	}
	if !asked.Sender.IsZero() {
		return nil, models.Errorf(models.Denied, "srs.bounces_only", "This address takes reports about undelivered mail only.")
	}
	route, err := d.config.Resolver.Route(ctx, origin)
	switch {
	case err == nil || !isElsewhere(err):
		return route, err
	case d.config.Queue == nil:
		return nil, errOutbound(origin.Domain)
	}
	return outside(origin, models.RemoteReturn), nil
}

// usable leaves out of a route what cannot take the message.
func (d *Delivery) usable(ctx context.Context, route *models.Route, asked Asked) (*models.Route, error) {
	if len(route.Local) == 1 && len(route.Remote) == 0 {
		if err := d.takes(ctx, &route.Local[0], asked.Declared); err != nil {
			return nil, as(err, route, &route.Local[0])
		}
		return route, nil
	}
	left := *route
	left.Local, left.Remote = nil, nil
	var refused error
	for i := range route.Local {
		r := &route.Local[i]
		if r.Spare {
			left.Local = append(left.Local, *r)
			continue
		}
		err := d.takes(ctx, r, asked.Declared)
		switch {
		case err == nil:
			left.Local = append(left.Local, *r)
		case models.KindOf(err).Temporary(), !r.Alias, isForNow(err) && !r.Optional:
			return nil, as(err, route, r)
		case refused == nil:
			refused = as(err, route, r)
		}
	}
	if d.config.Queue != nil {
		left.Remote = route.Remote
	} else if len(route.Remote) > 0 && refused == nil {
		refused = errOutbound(route.Remote[0].Domain)
	}
	return &left, d.fallBack(ctx, &left, asked.Declared, refused)
}

// fallBack lets mailboxes that forward only keep what would go nowhere else.
func (d *Delivery) fallBack(ctx context.Context, left *models.Route, declared int64, refused error) error {
	if len(left.Remote) > 0 {
		return nil
	}
	for i := range left.Local {
		if !left.Local[i].Spare {
			return nil
		}
	}
	kept := left.Local[:0]
	for _, r := range left.Local {
		r.Spare = false
		if err := d.takes(ctx, &r, declared); err != nil {
			refused = as(err, left, &r)
			continue
		}
		kept = append(kept, r)
	}
	if left.Local = kept; len(kept) > 0 {
		return nil
	}
	if refused == nil {
		refused = models.Errorf(models.NotFound, "recipient.nowhere", "The address %s leads to nobody at the moment.", left.Address).With("address", left.Address)
	}
	return refused
}

// as puts a refusal into words for who has written to an alias: what is behind it is not told.
func as(err error, route *models.Route, r *models.Recipient) error {
	all := models.Errors(err)
	if !r.Alias || len(all) != 1 || all[0].Key == "unavailable" {
		return err
	}
	e := all[0].With("address", route.Address)
	switch e.Kind {
	case models.Full:
		e.Msg = "The address " + route.Address + " leads to a mailbox that is full."
	case models.Suspended:
		e.Msg = "The address " + route.Address + " takes no mail at the moment."
	}
	return e
}

// isForNow reports whether a mailbox may take the message later.
func isForNow(err error) bool {
	all := models.Errors(err)
	return len(all) == 1 && all[0].Key == "mailbox.full"
}

// permitted checks what an account may do with a route: nothing outside its customer while its
// domain is unproven, and no more recipients outside than its limits allow.
func (d *Delivery) permitted(ctx context.Context, route *models.Route, asked Asked) error {
	a := asked.Account
	if a.Unproven {
		inside := len(route.Remote) == 0
		for i := range route.Local {
			inside = inside && route.Local[i].CustomerID == a.CustomerID
		}
		if !inside {
			return models.Errorf(models.Denied, "sender.unproven", "Your domain is not confirmed yet: until its owner has proven it in the panel, mail goes to mailboxes of your own organisation only.")
		}
	}
	n := asked.Outside + int64(len(route.Remote))
	if len(route.Remote) == 0 || d.config.Records == nil || d.config.Limits == (models.SendingLimits{}) {
		return nil
	}
	uses, err := d.config.Records.SendingUse(ctx, d.config.Limits, a.ID, a.DomainID)
	if err != nil {
		return err
	}
	for i := range uses {
		if !uses[i].Room(n) {
			return uses[i].Limited()
		}
	}
	return nil
}
