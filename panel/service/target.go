package service

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// The states of a target as people are told.
const (
	TargetMailbox  = "mailbox"  // a mailbox of the customer
	TargetAlias    = "alias"    // an alias of the customer
	TargetOff      = "off"      // an alias that is off
	TargetBin      = "bin"      // a mailbox in the bin: nothing goes there until it is restored
	TargetMissing  = "missing"  // no such address any more
	TargetVerified = "verified" // elsewhere; its owner has agreed
	TargetWaiting  = "waiting"  // elsewhere; its owner was asked and has not answered
	TargetExpired  = "expired"  // elsewhere; its owner was asked and the link is worth nothing any more
	TargetUnasked  = "unasked"  // elsewhere; the link is about to be mailed
	TargetCannot   = "cannot"   // elsewhere; nobody there can be asked
)

// TargetView is a target with what it is now.
type TargetView struct {
	models.Target
	State string `json:"state"`
}

// Waits reports whether the target's owner has to agree first.
func (t TargetView) Waits() bool { return !t.Ready() }

// splitTargets reads a list as people paste it: addresses with or without names, between
// commas, semicolons, spaces or lines. What has no @ is of the domain.
func splitTargets(texts []string, domain string) []string {
	var all []string
	for _, text := range texts {
		for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",;،؛\r\n", r) }) {
			if _, after, ok := strings.Cut(entry, "<"); ok {
				entry, _, _ = strings.Cut(after, ">")
			}
			for _, word := range strings.Fields(entry) {
				if !strings.Contains(word, "@") {
					word += "@" + domain
				}
				all = append(all, word)
			}
		}
	}
	return all
}

// wanted is a list of targets to be checked for an owner.
type wanted struct {
	owner    models.ID
	self     address.Address // of the alias or mailbox
	customer models.ID
	most     int
	texts    []string // as typed
	had      []models.Target
}

// targets reads and checks a list. What the owner has already stays as it is; the rest is made
// new. Errors, all on field "targets": Invalid target.invalid, target.missing, target.bin,
// alias.self, alias.loop (argument address), target.many (max), target.none; Limited
// target.waiting (max).
func (s *Service) targets(ctx context.Context, w wanted) ([]models.Target, error) {
	var list []models.Target
	var bad []error
	seen := map[string]bool{}
	words := splitTargets(w.texts, w.self.Domain)
	if len(words) > 10*w.most {
		return nil, manyTargets(w.most)
	}
	for _, text := range words {
		a, err := address.Parse(text)
		if err != nil {
			bad = append(bad, models.Errorf(models.Invalid, "target.invalid", "%s is no address.", clipped(text)).With("address", clipped(text)).On("targets"))
			continue
		}
		if seen[a.String()] {
			continue
		}
		seen[a.String()] = true
		t, err := s.target(ctx, w, a)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		list = append(list, *t)
	}
	switch {
	case len(bad) > 0:
		return nil, errors.Join(bad[:min(len(bad), 10)]...)
	case len(list) > w.most:
		return nil, manyTargets(w.most)
	}
	if err := s.notTooManyWaiting(ctx, w, list); err != nil {
		return nil, err
	}
	return list, s.noLoop(ctx, w, list)
}

func clipped(s string) string { return models.Clip(s, 100) }

func manyTargets(most int) error {
	return models.Errorf(models.Invalid, "target.many", "At most %d addresses are possible.", most).With("max", most).On("targets")
}

// target makes one target, or returns the one that the owner has.
func (s *Service) target(ctx context.Context, w wanted, a address.Address) (*models.Target, error) {
	name := a.String()
	if a.WithoutTag() == w.self {
		return nil, models.Errorf(models.Invalid, "alias.self", "%s would lead to itself.", name).With("address", name).On("targets")
	}
	if i := slices.IndexFunc(w.had, func(t models.Target) bool { return t.Address == name }); i >= 0 {
		return &w.had[i], nil
	}
	t := &models.Target{ID: s.store.NewID(), OwnerID: w.owner, CustomerID: w.customer, Address: name, CreatedAt: s.now()}
	state, err := s.addressState(ctx, w.customer, a, a.Domain == w.self.Domain)
	switch {
	case err != nil:
		return nil, err
	case state == "elsewhere":
		t.External = true
	case state == TargetMissing:
		return nil, models.Errorf(models.Invalid, "target.missing", "There is no %s.", name).With("address", name).On("targets")
	case state == TargetBin:
		return nil, models.Errorf(models.Invalid, "target.bin", "%s is in the bin.", name).With("address", name).On("targets")
	}
	return t, nil
}

// addressState says what an address is for a customer: one of the states of AddressStates,
// "role", TargetMissing, or "elsewhere" if its domain is not the customer's. Whether it exists
// at somebody else's is none of the customer's business. A domain that is claimed and not proven
// is somebody else's too, except (claims) for what nobody can reach before that is proven: what
// leads there from the same domain.
func (s *Service) addressState(ctx context.Context, customer models.ID, a address.Address, claims bool) (string, error) {
	d, err := s.store.Domain(ctx, models.OfCustomer(customer), a.Domain)
	if err == nil && d.AliasOf != nil {
		d, err = s.store.DomainByID(ctx, models.OfCustomer(customer), *d.AliasOf)
	}
	if models.Is(err, models.NotFound) || err == nil && d.State != models.DomainActive && !claims {
		return "elsewhere", nil
	}
	if err != nil {
		return "", err
	}
	bare := address.Address{Local: a.WithoutTag().Local, Domain: d.Name}
	states, err := s.store.AddressStates(ctx, customer, []string{bare.String(), a.Local + "@" + d.Name})
	if err != nil {
		return "", err
	}
	for _, name := range []string{a.Local + "@" + d.Name, bare.String()} {
		if state := states[name]; state != "" {
			return state, nil
		}
	}
	if bare.Local == models.RolePostmaster || bare.Local == models.RoleAbuse {
		return "role", nil
	}
	return TargetMissing, nil
}

// maxWaiting is how many addresses elsewhere may wait for their owners' answer at one customer:
// each of them gets a mail from this server.
const maxWaiting = 50

func (s *Service) notTooManyWaiting(ctx context.Context, w wanted, list []models.Target) error {
	fresh := int64(0)
	for _, t := range list {
		if t.External && !slices.ContainsFunc(w.had, func(h models.Target) bool { return h.ID == t.ID }) {
			if err := s.mayAsk(ctx, &t); err != nil {
				return err
			}
			fresh++
		}
	}
	if fresh == 0 {
		return nil
	}
	n, err := s.store.CountWaiting(ctx, w.customer)
	if err != nil {
		return err
	}
	if n+fresh > maxWaiting {
		return models.Errorf(models.Limited, "target.waiting", "At most %d addresses elsewhere can wait for an answer at once.", maxWaiting).With("max", maxWaiting).On("targets")
	}
	unasked, err := s.store.CountUnasked(ctx, w.customer)
	if err != nil {
		return err
	}
	sent, _, err := s.store.LinksSent(ctx, w.customer, "", s.dayAgo())
	if err == nil && sent+unasked+fresh > linksOfCustomer {
		err = tooManyAsked()
	}
	return err
}

func tooManyAsked() error {
	return models.Errorf(models.Limited, "target.daily", "At most %d addresses elsewhere are asked in a day; try again tomorrow.", linksOfCustomer).With("max", linksOfCustomer).On("targets")
}

// noLoop follows the list through aliases and forwards of the customer and refuses if a way
// leads back to its owner.
func (s *Service) noLoop(ctx context.Context, w wanted, list []models.Target) error {
	seen := map[string]bool{}
	next := list
	for depth := 0; len(next) > 0 && depth <= models.MaxRouteDepth && len(seen) < models.MaxRouteTargets; depth++ {
		var found []models.Target
		for _, t := range next {
			if t.Address == w.self.String() {
				return models.Errorf(models.Invalid, "alias.loop", "One of these leads back to %s.", w.self).With("address", w.self.String()).On("targets")
			}
			if t.External || seen[t.Address] {
				continue
			}
			seen[t.Address] = true
			more, err := s.leadsTo(ctx, w.customer, t.Address)
			if err != nil {
				return err
			}
			found = append(found, more...)
		}
		next = found
	}
	return nil
}

// leadsTo returns the targets of an alias or a mailbox of the customer; none if there are none.
func (s *Service) leadsTo(ctx context.Context, customer models.ID, addr string) ([]models.Target, error) {
	a, err := s.store.Alias(ctx, models.OfCustomer(customer), addr)
	if err == nil {
		return a.Targets, nil
	}
	if !models.Is(err, models.NotFound) {
		return nil, err
	}
	m, err := s.store.Mailbox(ctx, models.OfCustomer(customer), addr)
	if models.Is(err, models.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.store.Targets(ctx, m.ID)
}

// saveTargets makes an owner's targets what list says, in the transaction that ctx carries.
func (s *Service) saveTargets(ctx context.Context, owner models.ID, list []models.Target) error {
	had, err := s.store.Targets(ctx, owner)
	if err != nil {
		return err
	}
	for _, t := range had {
		if !slices.ContainsFunc(list, func(l models.Target) bool { return l.Address == t.Address }) {
			if err := s.store.DeleteTarget(ctx, &t); err != nil {
				return err
			}
		}
	}
	for i := range list {
		if !slices.ContainsFunc(had, func(h models.Target) bool { return h.Address == list[i].Address }) {
			if err := s.store.InsertTarget(ctx, &list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// views says what each target is now.
func (s *Service) views(ctx context.Context, customer models.ID, targets []models.Target) ([]TargetView, error) {
	var inside []string
	for _, t := range targets {
		if a, err := address.Parse(t.Address); err == nil && !t.External {
			inside = append(inside, t.Address, a.WithoutTag().String())
		}
	}
	states, err := s.store.AddressStates(ctx, customer, inside)
	if err != nil {
		return nil, err
	}
	all := make([]TargetView, len(targets))
	for i, t := range targets {
		all[i] = TargetView{Target: t, State: s.targetState(&t)}
		if t.External {
			continue
		}
		a, err := address.Parse(t.Address)
		if err != nil {
			continue
		}
		state := states[t.Address]
		if state == "" {
			state = states[a.WithoutTag().String()]
		}
		if state == "" { // another name of the domain, or a role
			if state, err = s.addressState(ctx, customer, a, true); err != nil {
				return nil, err
			}
		}
		all[i].State = state
	}
	return all, nil
}

// targetState is the state of a target elsewhere.
func (s *Service) targetState(t *models.Target) string {
	switch {
	case !t.External:
		return TargetMissing
	case t.VerifiedAt != 0:
		return TargetVerified
	case t.AskTries == models.AskGivenUp:
		return TargetCannot
	case t.AskedAt == 0:
		return TargetUnasked
	case s.linkOver(t):
		return TargetExpired
	}
	return TargetWaiting
}
