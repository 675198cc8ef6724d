package service

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Explain says where mail to an address would go now. An error that a sender would get comes
// beside the route, with the steps that lead to it. The address must be of a domain of the
// viewer's, and of what lies at others' nothing is told but that it is elsewhere. Of a claim that
// is not proven that is all: Conflict recipient.unproven (argument domain).
func (s *Service) Explain(ctx context.Context, v Viewer, addr string) (*models.Route, error) {
	a, err := address.Parse(addr)
	if err != nil {
		return nil, on(err, "address")
	}
	scope, _, err := s.findDomain(ctx, v, see, a.Domain)
	if err != nil {
		return nil, err
	}
	if mine, err := s.servedFor(ctx, scope, a.String()); err != nil {
		return nil, err
	} else if !mine {
		route := &models.Route{Address: a.Lower().String(), Steps: []models.RouteStep{{Address: a.Lower().String(), Kind: models.StepOutside}}}
		return route, unproven(a.Domain)
	}
	route, err := s.store.Explain(ctx, a)
	if route == nil || scope.All() {
		return route, err
	}
	seen, hideErr := s.within(ctx, scope, route)
	if hideErr != nil {
		return nil, hideErr
	}
	return seen, err
}

// unproven is why nothing is told of a domain, and nothing sent into it.
func unproven(domain string) error {
	return models.Errorf(models.Conflict, "recipient.unproven", "%s is not proven yet: until then its mail goes elsewhere.", domain).With("domain", domain)
}

// within returns a route without what lies at other customers'.
func (s *Service) within(ctx context.Context, scope models.Scope, route *models.Route) (*models.Route, error) {
	seen := &models.Route{Address: route.Address, DomainID: route.DomainID, CustomerID: route.CustomerID, DMARCObey: route.DMARCObey}
	for _, r := range route.Local {
		if scope.Sees(r.CustomerID) {
			seen.Local = append(seen.Local, r)
		}
	}
	for _, r := range route.Remote {
		if r.CustomerID == 0 || scope.Sees(r.CustomerID) {
			seen.Remote = append(seen.Remote, r)
		}
	}
	var hidden *models.RouteStep // what follows of it is told to nobody else
	for _, step := range route.Steps {
		if hidden != nil && (step.Depth > hidden.Depth || step.Depth == hidden.Depth && step.Address == hidden.Address) {
			continue
		}
		hidden = nil
		mine, err := s.servedFor(ctx, scope, step.Address)
		if err != nil {
			return nil, err
		}
		if !mine {
			if step.Kind != models.StepUnverified {
				step = models.RouteStep{Depth: step.Depth, Address: step.Address, Kind: models.StepOutside}
			}
			hidden = &step
		}
		seen.Steps = append(seen.Steps, step)
	}
	return seen, nil
}

// servedFor reports whether mail to an address goes, or would, to a domain in the scope now; a
// claim that is not proven is none.
func (s *Service) servedFor(ctx context.Context, scope models.Scope, addr string) (bool, error) {
	a, err := address.Parse(addr)
	if err != nil {
		return false, nil
	}
	d, err := s.store.Domain(ctx, models.Everything(), a.Domain) // the active claim, if there is one
	if models.Is(err, models.NotFound) {
		return false, nil
	}
	return err == nil && scope.Sees(d.CustomerID) && (scope.All() || d.State == models.DomainActive), err
}
