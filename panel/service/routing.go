package service

import (
	"context"
	"errors"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// SetCatchAll sets where mail to addresses of a domain goes that do not exist; "" = it is
// refused. It must be a mailbox or alias of the customer: what everybody can write to is sent
// on to no other server. Errors, on field "catch_all": Invalid address.*, catchall.outside,
// catchall.missing (argument address), domain.is_alias.
func (s *Service) SetCatchAll(ctx context.Context, v Viewer, name, catchAll string) error {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return err
	}
	if catchAll, err = s.catchAll(ctx, d, strings.TrimSpace(catchAll)); err != nil {
		return err
	}
	err = s.changeDomain(ctx, d.ID, func(_ context.Context, d *models.Domain) error {
		d.CatchAll = catchAll
		return nil
	})
	if err == nil {
		s.done(v, "domain catch-all changed", "domain", d.Name, "to", catchAll)
	}
	return err
}

func (s *Service) catchAll(ctx context.Context, d *models.Domain, typed string) (string, error) {
	if typed == "" {
		return "", nil
	}
	if d.AliasOf != nil {
		return "", on(isAlias(d), "catch_all")
	}
	if !strings.Contains(typed, "@") {
		typed += "@" + d.Name
	}
	a, err := address.Parse(typed)
	if err != nil {
		return "", on(err, "catch_all")
	}
	state, err := s.addressState(ctx, d.CustomerID, a, a.Domain == d.Name)
	switch {
	case err != nil:
		return "", err
	case state == "elsewhere":
		return "", models.Errorf(models.Invalid, "catchall.outside", "A catch-all must be a mailbox or alias of yours.").On("catch_all")
	case state == TargetMissing || state == TargetBin:
		return "", models.Errorf(models.Invalid, "catchall.missing", "There is no %s.", a).With("address", a.String()).On("catch_all")
	}
	return a.String(), nil
}

// SetAliasOf makes a domain another name of one of the same customer: mail to x@name goes
// where x@of goes; "" ends it. It must have no mailboxes or aliases of its own, and of must not
// be another name itself. Errors, on field "alias_of": Invalid domain.alias_self,
// domain.alias_chain, domain.alias_used, domain.alias_full, domain.alias_unknown.
func (s *Service) SetAliasOf(ctx context.Context, v Viewer, name, of string) error {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return err
	}
	err = s.changeDomain(ctx, d.ID, func(ctx context.Context, d *models.Domain) error {
		var err error
		if d.AliasOf, err = s.aliasOf(ctx, d, strings.TrimSpace(of)); d.AliasOf != nil {
			d.CatchAll = ""
		}
		return on(err, "alias_of")
	})
	if err == nil {
		s.done(v, "domain alias changed", "domain", d.Name, "of", of)
	}
	return err
}

// aliasOf checks the domain that another is to be a name of; the customer is locked.
func (s *Service) aliasOf(ctx context.Context, d *models.Domain, of string) (*models.ID, error) {
	if of == "" {
		return nil, nil
	}
	unknown := models.Errorf(models.Invalid, "domain.alias_unknown", "That is no other domain of this customer.")
	name, err := address.NormalizeDomain(of)
	if err != nil {
		return nil, unknown
	}
	to, err := s.store.Domain(ctx, models.OfCustomer(d.CustomerID), name)
	if models.Is(err, models.NotFound) {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	mailboxes, err1 := s.store.CountMailboxes(ctx, d.CustomerID, d.ID)
	aliases, err2 := s.store.CountAliases(ctx, d.ID)
	names, err3 := s.store.CountAliasDomains(ctx, d.ID)
	switch {
	case err1 != nil || err2 != nil || err3 != nil:
		return nil, errors.Join(err1, err2, err3)
	case to.ID == d.ID:
		return nil, models.Errorf(models.Invalid, "domain.alias_self", "A domain cannot be another name of itself.")
	case to.AliasOf != nil:
		return nil, models.Errorf(models.Invalid, "domain.alias_chain", "%s is another name itself.", to.Name).With("domain", to.Name)
	case names > 0:
		return nil, models.Errorf(models.Invalid, "domain.alias_used", "Another domain is a name of this one.")
	case mailboxes+aliases > 0:
		return nil, models.Errorf(models.Invalid, "domain.alias_full", "The domain has %d mailboxes and aliases of its own, the bin included.", mailboxes+aliases).With("n", mailboxes+aliases)
	}
	return &to.ID, nil
}

// AliasOf returns the name of the domain that a domain is another name of; "" if it is none.
func (s *Service) AliasOf(ctx context.Context, v Viewer, name string) (string, error) {
	scope, d, err := s.findDomain(ctx, v, see, name)
	if err != nil || d.AliasOf == nil {
		return "", err
	}
	to, err := s.store.DomainByID(ctx, scope, *d.AliasOf)
	if err != nil {
		return "", err
	}
	return to.Name, nil
}
