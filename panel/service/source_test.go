package service

import (
	"net/netip"
	"testing"

	"github.com/postchi/postchi/models"
)

func TestSourceAddressOfADomain(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.config.Addresses = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil }
		if _, err := s.CheckDNS(s.ctx, s.admin, "example.com"); err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			typed, want string
			elsewhere   bool
		}{{" ::ffff:192.0.2.7 ", "192.0.2.7", false}, {"2001:DB8::25", "2001:db8::25", true}, {"", "", false}} {
			s.ok(s.SetDomainSource(s.ctx, s.admin, "example.com", test.typed))
			d, err := s.Domain(s.ctx, s.admin, "example.com")
			s.ok(err)
			if d.SourceIP != test.want || s.SourceElsewhere(&d.Domain) != test.elsewhere {
				t.Errorf("%q: %q, elsewhere %v", test.typed, d.SourceIP, s.SourceElsewhere(&d.Domain))
			}
		}
		if due, err := s.records.DomainsToCheck(s.ctx, s.now(), 10); err != nil || len(due) != 1 {
			t.Errorf("the DNS of %d domains is due, %v", len(due), err)
		}
		e := s.want(s.SetDomainSource(s.ctx, s.admin, "example.com", "mail.example.com"), models.Invalid, "domain.source")
		if e.Field != "source" {
			t.Error(e.Field)
		}
	})
}
