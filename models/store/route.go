package store

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// walk follows one address to its ends.
type walk struct {
	store   *Store
	ctx     context.Context
	route   *models.Route
	explain bool

	domains map[string]*served // nil = elsewhere
	seen    map[models.ID]bool // aliases, and mailboxes that forward, already followed
	looked  int                // targets
	looped  bool               // something was left out because it was seen
}

// from says who has led to an address: an alias, group or mailbox. Zero = the sender.
type from struct {
	models.Remote      // as a Remote of it would say, without its address
	outside       bool // the target may be elsewhere: its owner has agreed
	depth         int  // aliases on the way here
}

func (s *Store) route(ctx context.Context, addr address.Address, explain bool) (*models.Route, error) {
	w := &walk{store: s, ctx: ctx, explain: explain, route: &models.Route{Address: addr.String()}}
	err := w.address(addr, from{})
	switch {
	case err != nil && explain:
		return w.route, err
	case err != nil:
		return nil, err
	case len(w.route.Local) > 0 || len(w.route.Remote) > 0:
		return w.route, nil
	case w.looped:
		err = models.Errorf(models.Invalid, "recipient.loop", "The address %s leads back to itself.", addr).With("address", addr.String())
	default:
		err = models.Errorf(models.NotFound, "recipient.nowhere", "The address %s leads to nobody at the moment.", addr).With("address", addr.String())
	}
	if explain {
		return w.route, err
	}
	return nil, err
}

// step adds a line to the explanation.
func (w *walk) step(f from, addr string, kind models.RouteStepKind, to, reason string) {
	if w.explain {
		w.route.Steps = append(w.route.Steps, models.RouteStep{Depth: f.depth, Address: addr, Kind: kind, To: to, Reason: reason})
	}
}

// address adds what one address leads to. Its errors are those of Store.Route.
func (w *walk) address(addr address.Address, f from) error {
	name := addr.String()
	d, err := w.domain(addr.Domain)
	switch {
	case err != nil:
		return err
	case d == nil:
		return w.elsewhere(addr, f)
	}
	if f.depth > 0 && d.customer != f.CustomerID && !f.outside {
		// It was the customer's own when it was added, and is another's now: nobody has agreed.
		w.step(f, name, models.StepUnverified, "", "")
		return nil
	}
	if d, addr, err = w.realDomain(d, addr, f); err != nil {
		return err
	}
	if f.depth == 0 {
		w.route.DomainID, w.route.CustomerID, w.route.DMARCObey = d.id, d.customer, d.obey
	}
	e, err := w.entry(d, addr, f)
	switch {
	case models.Is(err, models.NotFound):
		return w.catchAll(d, addr, f)
	case err != nil:
		return err
	case e.alias != 0:
		return w.alias(e.alias, name, f)
	}
	return w.mailbox(e, name, f)
}

// domain returns a domain that is served here, nil if it is not.
func (w *walk) domain(name string) (*served, error) {
	if d, ok := w.domains[name]; ok {
		return d, nil
	}
	d, err := w.store.served(w.ctx, "active_name = ?", name)
	if err != nil && !models.Is(err, models.NotFound) {
		return nil, err
	}
	if w.domains == nil {
		w.domains = map[string]*served{}
	}
	w.domains[name] = d
	return d, nil
}

// realDomain follows a domain that is another name of one.
func (w *walk) realDomain(d *served, addr address.Address, f from) (*served, address.Address, error) {
	for hops := 0; d.aliasOf != nil; hops++ {
		real, err := w.store.served(w.ctx, "active_name IS NOT NULL AND id = ?", *d.aliasOf)
		if models.Is(err, models.NotFound) || hops == models.MaxRouteDepth || err == nil && real.customer != d.customer {
			w.step(f, addr.String(), models.StepUnknown, "", "")
			return nil, addr, errUnknown(addr, d.customer)
		}
		if err != nil {
			return nil, addr, err
		}
		to := address.Address{Local: addr.Local, Domain: real.name}
		w.step(f, addr.String(), models.StepDomainAlias, to.String(), "")
		d, addr = real, to
	}
	return d, addr, nil
}

// entry finds what an address of a domain leads to; NotFound if it is not there.
func (w *walk) entry(d *served, addr address.Address, f from) (*entry, error) {
	bare := addr.WithoutTag().Local
	e, err := w.store.entryOf(w.ctx, d.id, addr.Local, bare)
	if !models.Is(err, models.NotFound) {
		return e, err
	}
	switch bare {
	case models.RolePostmaster:
		e, err = w.store.roleEntry(w.ctx, d.id, d.postmaster)
	case models.RoleAbuse:
		e, err = w.store.roleEntry(w.ctx, d.id, d.abuse)
	}
	if err == nil {
		w.step(f, addr.String(), models.StepRole, e.box.Mailbox, "")
	}
	return e, err
}

// catchAll leads an address that does not exist to the domain's catch-all, if that is here.
func (w *walk) catchAll(d *served, addr address.Address, f from) error {
	to, err := address.Parse(d.catchAll)
	if d.catchAll == "" || err != nil || w.seen[d.id] {
		w.looped = w.looped || w.seen[d.id]
		w.step(f, addr.String(), models.StepUnknown, "", "")
		return errUnknown(addr, d.customer)
	}
	w.step(f, addr.String(), models.StepCatchAll, to.String(), "")
	w.mark(d.id)
	next := from{Remote: models.Remote{Kind: models.RemoteAlias, Via: addr.String(), ViaDomain: addr.Domain, DomainID: d.id, CustomerID: d.customer, Optional: f.Optional}, depth: f.depth + 1}
	return w.follow([]models.Target{{Address: to.String()}}, next)
}

func (w *walk) mark(id models.ID) {
	if w.seen == nil {
		w.seen = map[models.ID]bool{}
	}
	w.seen[id] = true
}

// elsewhere adds an address on another server, if somebody who may has led there.
func (w *walk) elsewhere(addr address.Address, f from) error {
	switch {
	case f.depth == 0:
		return errElsewhere(addr.Domain)
	case !f.outside:
		w.step(f, addr.String(), models.StepUnverified, "", "")
		return nil
	}
	r := f.Remote
	r.Address, r.Domain = addr.String(), addr.Domain
	for i := range w.route.Remote {
		if w.route.Remote[i].Address == r.Address {
			w.step(f, r.Address, models.StepSeen, "", "")
			return nil
		}
	}
	w.step(f, r.Address, models.StepOutside, "", "")
	w.route.Remote = append(w.route.Remote, r)
	return nil
}

// alias follows an alias or group; name is the address that led to it.
func (w *walk) alias(id models.ID, name string, f from) error {
	if w.seen[id] {
		w.looped = true
		w.step(f, name, models.StepSeen, "", "")
		return nil
	}
	w.mark(id)
	g, err := w.store.group(w.ctx, id)
	if err != nil {
		return err
	}
	if g.off {
		w.step(f, name, models.StepOff, "", g.reason)
		return errAliasOff(name, g.reason)
	}
	targets, err := w.store.targetsOf(w.ctx, id)
	if err != nil {
		return err
	}
	kind, step := models.RemoteAlias, models.StepAlias
	if g.Kind == models.AliasGroup {
		kind, step = models.RemoteGroup, models.StepGroup
	}
	w.step(f, name, step, "", "")
	return w.follow(targets, from{depth: f.depth + 1, Remote: models.Remote{
		Kind: kind, Via: g.Address, ViaDomain: domainOf(g.Address), DomainID: g.DomainID, CustomerID: g.CustomerID,
		Optional: f.Optional || kind == models.RemoteGroup,
	}})
}

func errAliasOff(name, reason string) *models.Error {
	e := models.Errorf(models.Suspended, "recipient.off", "The address %s takes no mail at the moment.", name).With("address", name)
	if reason != "" {
		e = e.With("reason", reason)
		e.Msg += " Reason: " + reason
	}
	return e
}

// mailbox adds a mailbox, and what it forwards to.
func (w *walk) mailbox(e *entry, name string, f from) error {
	r := e.box
	r.Address, r.Alias, r.Optional = w.route.Address, f.depth > 0, f.Optional
	if w.seen[r.MailboxID] {
		w.again(&r)
		w.looped = true
		w.step(f, name, models.StepSeen, r.Mailbox, "")
		return nil
	}
	w.mark(r.MailboxID)
	spare := r.Spare
	r.Spare = false
	if r.ReceiveOff || !e.forwards {
		w.addMailbox(r, name, f, models.StepMailbox)
		return nil
	}
	targets, err := w.store.targetsOf(w.ctx, r.MailboxID)
	if err != nil {
		return err
	}
	at := w.addMailbox(r, name, f, stepOf(spare))
	before := len(w.route.Local) + len(w.route.Remote)
	err = w.follow(targets, from{depth: f.depth + 1, Remote: models.Remote{
		Kind: models.RemoteForward, Via: r.Mailbox, ViaDomain: domainOf(r.Mailbox), MailboxID: r.MailboxID, DomainID: r.DomainID, CustomerID: r.CustomerID,
		Language: r.Language, Optional: true,
	}})
	// What goes nowhere else stays, whatever the owner has chosen.
	w.route.Local[at].Spare = spare && len(w.route.Local)+len(w.route.Remote) > before
	return err
}

func stepOf(spare bool) models.RouteStepKind {
	if spare {
		return models.StepForwardOnly
	}
	return models.StepMailbox
}

func (w *walk) addMailbox(r models.Recipient, name string, f from, kind models.RouteStepKind) int {
	if r.ReceiveOff {
		kind = models.StepOff
	}
	w.step(f, name, kind, r.Mailbox, r.Reason)
	w.route.Local = append(w.route.Local, r)
	return len(w.route.Local) - 1
}

// again takes in that a mailbox is reached by a second way.
func (w *walk) again(r *models.Recipient) {
	for i := range w.route.Local {
		if l := &w.route.Local[i]; l.MailboxID == r.MailboxID {
			l.Optional = l.Optional && r.Optional
		}
	}
}

// follow walks on to targets. One that is not there or takes no mail is left out: whether
// anything is left is seen at the end.
func (w *walk) follow(targets []models.Target, f from) error {
	if w.looked += len(targets); w.looked > models.MaxRouteTargets || f.depth > models.MaxRouteDepth {
		w.step(f, f.Via, models.StepTooMuch, "", "")
		return models.Errorf(models.Invalid, "recipient.too_much", "The address leads to more than %d addresses, or over more than %d aliases.", models.MaxRouteTargets, models.MaxRouteDepth)
	}
	for _, t := range targets {
		addr, err := address.Parse(t.Address)
		if err != nil {
			continue // no rule lets such a target in
		}
		if !t.Ready() {
			w.step(f, t.Address, models.StepUnverified, "", "")
			continue
		}
		f.outside = t.External && t.VerifiedAt != 0
		if err := w.address(addr, f); err != nil && !isOutcome(err) {
			return err
		}
	}
	return nil
}

// domainOf returns what follows the last @.
func domainOf(addr string) string {
	a, err := address.Parse(addr)
	if err != nil {
		return ""
	}
	return a.Domain
}
