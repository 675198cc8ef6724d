package service

import (
	"context"
	"encoding/json"
	"time"

	"github.com/postchi/postchi/models"
)

// DNSStore is what the rules of domains' keys and DNS records ask of the records.
type DNSStore interface {
	InsertKeys(ctx context.Context, keys []models.DKIMKey) error
	Keys(ctx context.Context, domain models.ID) ([]models.DKIMKey, error)
	DeleteKeys(ctx context.Context, domain models.ID) error

	DNSCheck(ctx context.Context, domain models.ID) (*models.DNSCheck, error)
	SetDNSCheck(ctx context.Context, c *models.DNSCheck, told models.Micros) (mine bool, err error)
	PostponeDNSCheck(ctx context.Context, domain models.ID, due models.Micros) error
	DeleteDNSCheck(ctx context.Context, domain models.ID) error
	DomainsToCheck(ctx context.Context, now models.Micros, limit int) ([]models.Domain, error)
	BadDNS(ctx context.Context, scope models.Scope, limit int) ([]models.Domain, error)
	Claims(ctx context.Context, name string) ([]models.Domain, error)
	FirstMX(ctx context.Context, customer models.ID, name string, here bool) (first bool, err error)
	HeldByOthers(ctx context.Context, customer models.ID, name string) (bool, error)
}

// Keys makes the DKIM keys of domains and leads them through their lives.
type Keys interface {
	// NewKeys makes the first keys of a domain, to be inserted with it. It is called before a
	// transaction, never inside one.
	NewKeys(domain models.ID) ([]models.DKIMKey, error)
	// Rotate makes successors of a domain's keys; they sign once the DNS shows them.
	Rotate(ctx context.Context, domain models.ID) error
	// Seen takes in the verdicts of a look at the DNS, by selector.
	Seen(ctx context.Context, domain models.ID, seen map[string]models.DNSVerdict) error
}

// DNS knows the records that domains need, and looks what is published.
type DNS interface {
	// Expected returns the records of a domain with these keys, without asking anybody.
	Expected(d *models.Domain, keys []models.DKIMKey) []models.DNSRecord
	// Zone returns records as a zone file.
	Zone(domain string, list []models.DNSRecord) string
	// CSV returns a report as a table for spreadsheets.
	CSV(report *models.DNSReport) string
	// CheckRow looks at one record and returns the last report with what was found in it; nil
	// if the domain needs no such record.
	CheckRow(ctx context.Context, d *models.Domain, keys []models.DKIMKey, last *models.DNSReport, kind, fullName string) *models.DNSReport
	// Check looks at all of them. It takes up to a quarter of a minute and never fails.
	Check(ctx context.Context, d *models.Domain, keys []models.DKIMKey) *models.DNSReport
}

func (s *Service) newKeys(domain models.ID) ([]models.DKIMKey, error) {
	if s.config.Keys == nil {
		return nil, nil
	}
	return s.config.Keys.NewKeys(domain)
}

func noDNS() error {
	return models.Errorf(models.Unavailable, "dns.off", "The DNS cannot be asked here.")
}

// DNS returns the records that a domain needs, with the verdicts of the last look where it
// was at these records. Before the first look no row has a verdict.
func (s *Service) DNS(ctx context.Context, v Viewer, name string) (*models.DNSReport, error) {
	_, d, err := s.findDomain(ctx, v, see, name)
	if err != nil {
		return nil, err
	}
	if s.config.DNS == nil {
		return nil, noDNS()
	}
	keys, err := s.store.Keys(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	last, _, err := s.lastLook(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	return merge(d, s.config.DNS.Expected(d, keys), last), nil
}

// DNSZone returns the records that a domain needs as a zone file, and the domain's normalized
// name.
func (s *Service) DNSZone(ctx context.Context, v Viewer, name string) (domain, text string, err error) {
	report, err := s.DNS(ctx, v, name)
	if err != nil {
		return "", "", err
	}
	list := make([]models.DNSRecord, len(report.Results))
	for i := range report.Results {
		list[i] = report.Results[i].DNSRecord
	}
	return report.Domain, s.config.DNS.Zone(report.Domain, list), nil
}

// DNSCSV returns the records that a domain needs as a table, and the domain's normalized name.
func (s *Service) DNSCSV(ctx context.Context, v Viewer, name string) (domain, text string, err error) {
	report, err := s.DNS(ctx, v, name)
	if err != nil {
		return "", "", err
	}
	return report.Domain, s.config.DNS.CSV(report), nil
}

// lastLook returns the last report and its row; both are empty before the first.
func (s *Service) lastLook(ctx context.Context, domain models.ID) (*models.DNSReport, *models.DNSCheck, error) {
	report := &models.DNSReport{Health: models.DNSHealthUnknown}
	row, err := s.store.DNSCheck(ctx, domain)
	if models.Is(err, models.NotFound) {
		return report, &models.DNSCheck{DomainID: domain}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal([]byte(row.Body), report); err != nil {
		s.log.Warn("report of a DNS check", "domain_id", domain, "err", err) // of another version: look again
		report = &models.DNSReport{Health: models.DNSHealthUnknown}
	}
	return report, row, nil
}

// merge puts the verdicts of the last look beside the records as they ought to be now. Rows
// that only a look can find (of the server, or that may go) are taken from it.
func merge(d *models.Domain, expected []models.DNSRecord, last *models.DNSReport) *models.DNSReport {
	report := &models.DNSReport{Domain: d.Name, CheckedAt: last.CheckedAt}
	for _, rec := range expected {
		row := models.DNSResult{DNSRecord: rec}
		seen := last.Find(rec.Type, rec.FullName)
		switch {
		case rec.NotYet:
			row.Verdict, row.Notes = models.DNSNotNeeded, []string{"not_yet"}
		case seen != nil && !seen.NotYet && (seen.Value == rec.Value || rec.Purpose == "spf"):
			row = *seen
			if row.DNSRecord = rec; rec.Purpose == "spf" { // its value is one that has what was there before
				row.Value, row.Strings = seen.Value, seen.Strings
			}
		case rec.Purpose == "caa": // a row only where something is in the way
			continue
		}
		report.Results = append(report.Results, row)
	}
	for i := range last.Results {
		if row := &last.Results[i]; row.Operator || row.Purpose == "dkim_retired" {
			report.Results = append(report.Results, *row)
		}
	}
	report.Health = models.DNSHealthUnknown
	if last.CheckedAt != 0 {
		report.Health = report.Sum()
	}
	return report
}

// lookPause is how long after a look another person's wish for one is answered with it.
const lookPause = 5 * time.Second

// CheckDNS looks at the DNS of a domain now, and takes in what follows: a claim that is proven
// becomes active, a key that is published signs.
func (s *Service) CheckDNS(ctx context.Context, v Viewer, name string) (*models.DNSReport, error) {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return nil, err
	}
	if s.config.DNS == nil {
		return nil, noDNS()
	}
	if v.UserID != 0 {
		_, row, err := s.lastLook(ctx, d.ID)
		if err != nil {
			return nil, err
		}
		if s.justNow(row.CheckedAt) {
			return s.DNS(ctx, v, d.Name)
		}
	}
	if _, err := s.look(ctx, d); err != nil {
		return nil, err
	}
	return s.DNS(ctx, v, d.Name)
}

// look asks the DNS for a domain's records, does what follows and keeps the report.
func (s *Service) look(ctx context.Context, d *models.Domain) (*models.DNSReport, error) {
	keys, err := s.store.Keys(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	report := s.config.DNS.Check(ctx, d, keys)
	report.CheckedAt = s.now()
	return report, s.follow(ctx, d, keys, report, report)
}

// follow does what follows from the rows that were looked at just now, and keeps the report that
// they belong to.
func (s *Service) follow(ctx context.Context, d *models.Domain, keys []models.DKIMKey, seen, report *models.DNSReport) error {
	if ctx.Err() != nil {
		return models.Unavailablef(ctx.Err(), "The look at the DNS was given up.")
	}
	if err := s.publish(ctx, d.ID, keys, seen); err != nil {
		return err
	}
	d, err := s.prove(ctx, d, seen)
	if err != nil {
		return err
	}
	return s.keepLook(ctx, d, report)
}

// publish tells the keys which of them the DNS shows.
func (s *Service) publish(ctx context.Context, domain models.ID, keys []models.DKIMKey, report *models.DNSReport) error {
	if s.config.Keys == nil {
		return nil
	}
	seen := map[string]models.DNSVerdict{}
	for _, k := range keys {
		for i := range report.Results {
			if row := &report.Results[i]; row.Name == k.Selector+"._domainkey" {
				seen[k.Selector] = row.Verdict
			}
		}
	}
	return s.config.Keys.Seen(ctx, domain, seen)
}

// keepLook keeps a report, says when the next look is due, and tells the owner once when all
// has become right.
func (s *Service) keepLook(ctx context.Context, d *models.Domain, report *models.DNSReport) error {
	_, row, err := s.lastLook(ctx, d.ID)
	if err != nil {
		return err
	}
	now := s.now()
	body, err := json.Marshal(report)
	if err != nil {
		return err
	}
	if row.Health != report.Health {
		row.Since = now
	}
	row.Health, row.Body, row.CheckedAt = report.Health, string(body), report.CheckedAt
	row.DueAt = models.NextDNSCheck(row.Health, row.Since, now)
	tell, told := false, row.ToldAt
	switch {
	case report.Health == models.DNSHealthBad:
		row.ToldAt = 0
	case report.Health != models.DNSHealthOK || d.State != models.DomainActive || row.ToldAt != 0:
	case s.config.Notices == nil:
		row.DueAt = now // a server that can tell looks at once
	default:
		row.ToldAt, tell = now, true // before the mail: once at most, whatever fails
	}
	mine, err := s.store.SetDNSCheck(ctx, row, told)
	if err != nil {
		return err
	}
	if tell && mine { // of two looks at once one tells
		s.tellReady(ctx, d)
	}
	return nil
}

// looksAtOnce is how many domains one round of the job looks at.
const looksAtOnce = 10

// CheckDue looks at domains whose time has come and returns how many; the caller repeats it
// until 0. It is for the one job of all servers that does so. A domain whose look fails waits
// for its own next time and holds nobody else's up.
func (s *Service) CheckDue(ctx context.Context) (int64, error) {
	if s.config.DNS == nil {
		return 0, nil
	}
	due, err := s.store.DomainsToCheck(ctx, s.now(), looksAtOnce)
	for i := range due {
		_, failure := s.look(ctx, &due[i])
		switch {
		case failure == nil, models.Is(failure, models.NotFound): // removed meanwhile
			continue
		case ctx.Err() != nil:
			return int64(i), failure
		}
		s.log.Warn("domain not looked at", "domain", due[i].Name, "err", failure)
		if later := s.store.PostponeDNSCheck(ctx, due[i].ID, models.At(s.config.Now().Add(lookAgain))); later != nil {
			return int64(i), later
		}
	}
	return int64(len(due)), err
}

// lookAgain is how long after a failed look a domain is looked at again.
const lookAgain = 10 * time.Minute

// RotateKeys makes successors of a domain's DKIM keys. They are among its records from now on,
// and sign once they are published; until then the old ones do.
func (s *Service) RotateKeys(ctx context.Context, v Viewer, name string) error {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return err
	}
	if s.config.Keys == nil {
		return noDNS()
	}
	if err := s.config.Keys.Rotate(ctx, d.ID); err != nil {
		return err
	}
	s.done(v, "DKIM keys made", "domain", d.Name)
	return nil
}

// SetDMARCObey says what is done with mail to a domain that fails its sender's policy. Invalid
// domain.dmarc for what is no such way.
func (s *Service) SetDMARCObey(ctx context.Context, v Viewer, name string, obey models.DMARCObey) error {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return err
	}
	switch obey {
	case models.DMARCObeyAll, models.DMARCObeyJunk, models.DMARCObeyOff:
	default:
		return models.Errorf(models.Invalid, "domain.dmarc", "That is no way to take a failed DMARC.").On("dmarc")
	}
	err = s.changeDomain(ctx, d.ID, func(_ context.Context, d *models.Domain) error {
		d.DMARCObey = obey
		return nil
	})
	if err == nil {
		s.done(v, "domain DMARC changed", "domain", d.Name, "obey", obey)
	}
	return err
}
