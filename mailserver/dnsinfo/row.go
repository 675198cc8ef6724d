package dnsinfo

import (
	"context"
	"slices"

	"github.com/postchi/postchi/models"
)

// CheckRow looks at one record of a domain, by type and full name, and returns the last report
// with what was found in it; nil if the domain needs no such record. It takes as long as Check
// at most.
func (i *Info) CheckRow(ctx context.Context, d *models.Domain, keys []models.DKIMKey, last *models.DNSReport, kind, fullName string) *models.DNSReport {
	ctx, cancel := context.WithTimeout(ctx, i.config.Timeout)
	defer cancel()
	c, list := i.begin(ctx, d, keys)
	n := slices.IndexFunc(list, func(r models.DNSRecord) bool { return r.Type == kind && r.FullName == fullName })
	if n < 0 {
		return nil
	}
	found := []models.DNSResult{c.check(&list[n])}
	found[0].CheckedAt = models.At(i.config.Now())
	i.until(found, keys)

	report := *last
	report.Results = nil
	for _, rec := range list { // in the order of a whole look
		switch old := last.Find(rec.Type, rec.FullName); {
		case rec.Type == kind && rec.FullName == fullName:
			if !silent(&found[0]) {
				report.Results = append(report.Results, found[0])
			}
		case old != nil:
			report.Results = append(report.Results, *old)
		}
	}
	report.Health = report.Sum()
	return &report
}
