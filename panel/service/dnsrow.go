package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

// CheckDNSRow looks at one record of a domain, by type and full name, takes in what follows, and
// returns its row; the rest of the last look stays as it was. Before the first look it is one at
// everything. NotFound if the domain needs no such record.
func (s *Service) CheckDNSRow(ctx context.Context, v Viewer, name, kind, fullName string) (*models.DNSResult, error) {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return nil, err
	}
	if s.config.DNS == nil {
		return nil, noDNS()
	}
	report, _, err := s.lastLook(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	if last := report.Find(kind, fullName); v.UserID == 0 || last == nil || !s.justNow(max(last.CheckedAt, report.CheckedAt)) {
		if report, err = s.lookAtRow(ctx, d, report, kind, fullName); err != nil {
			return nil, err
		}
	}
	if row := report.Find(kind, fullName); row != nil {
		return row, nil
	}
	return &models.DNSResult{DNSRecord: models.DNSRecord{Type: kind, FullName: fullName}, Verdict: models.DNSNotNeeded}, nil // a row that is gone, since nothing is in the way any more
}

// justNow reports whether a look is so new that another person's wish for one is answered by it.
func (s *Service) justNow(at models.Micros) bool {
	age := s.config.Now().Sub(at.Time())
	return at != 0 && age >= 0 && age < lookPause
}

func (s *Service) lookAtRow(ctx context.Context, d *models.Domain, last *models.DNSReport, kind, fullName string) (*models.DNSReport, error) {
	if last.CheckedAt == 0 {
		return s.look(ctx, d)
	}
	keys, err := s.store.Keys(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	report := s.config.DNS.CheckRow(ctx, d, keys, last, kind, fullName)
	if report == nil {
		return nil, notFound()
	}
	seen := &models.DNSReport{Domain: d.Name}
	if row := report.Find(kind, fullName); row != nil {
		seen.Results = []models.DNSResult{*row}
	}
	return report, s.follow(ctx, d, keys, seen, report)
}
