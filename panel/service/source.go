package service

import (
	"context"
	"net/netip"
	"slices"

	"github.com/postchi/postchi/models"
)

// SetDomainSource sets the address that a domain's mail leaves from; "" = any of the machine's.
// For administrators. An address that this machine does not have is taken, for another server
// of the same database may: SourceElsewhere tells. Invalid domain.source, field "source".
func (s *Service) SetDomainSource(ctx context.Context, v Viewer, name, source string) error {
	_, d, err := s.findDomain(ctx, v, manageCustomers, name)
	if err != nil {
		return err
	}
	if source != "" {
		ip, err := models.ParseSource(source)
		if err != nil {
			return err
		}
		source = ip.String()
	}
	err = s.changeDomain(ctx, d.ID, func(_ context.Context, d *models.Domain) error {
		d.SourceIP = source
		return nil
	})
	if err != nil {
		return err
	}
	s.done(v, "domain source address changed", "domain", d.Name, "source", source)
	return s.lookSoon(ctx, d.ID)
}

// SourceElsewhere reports whether a domain's mail leaves from an address that this machine does
// not have: from here it cannot be sent then. Not where nobody knows what the machine has.
func (s *Service) SourceElsewhere(d *models.Domain) bool {
	ip, err := netip.ParseAddr(d.SourceIP)
	if err != nil || s.config.Addresses == nil {
		return false
	}
	own, err := s.config.Addresses()
	return err == nil && !slices.Contains(own, ip)
}

// lookSoon lets the job look at the DNS of a domain now, since other records are needed.
func (s *Service) lookSoon(ctx context.Context, domain models.ID) error {
	_, row, err := s.lastLook(ctx, domain)
	if err != nil || row.CheckedAt == 0 { // never looked at: due anyway
		return err
	}
	return s.store.PostponeDNSCheck(ctx, domain, s.now())
}
