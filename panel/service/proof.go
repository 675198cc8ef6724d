package service

import (
	"context"
	"crypto/rand"

	"github.com/postchi/postchi/models"
)

// newProofToken returns what a claim's TXT record holds: 26 letters and digits, 128 random bits.
func newProofToken() string { return rand.Text() }

// prove takes in what a look says of a pending claim, and returns the domain as it is then. It
// becomes active by its TXT record; or, where nothing speaks against that, by an MX that points
// here already. If another customer's claim is active, the proof is noted and nothing moves:
// people decide.
func (s *Service) prove(ctx context.Context, d *models.Domain, report *models.DNSReport) (*models.Domain, error) {
	if d.State != models.DomainPending {
		return d, nil
	}
	text := shows(report, "proof")
	mx, err := s.mxProves(ctx, d, report, text)
	if err != nil || !text && !mx {
		return d, err
	}
	claims, err := s.store.Claims(ctx, d.Name)
	if err != nil {
		return d, err
	}
	held := false
	for i := range claims {
		held = held || claims[i].ID != d.ID && claims[i].State == models.DomainActive
	}
	if !held {
		if err := s.moveIn(ctx, d); err != nil {
			return d, err
		}
	}
	var now *models.Domain
	err = s.changeDomain(ctx, d.ID, func(_ context.Context, d *models.Domain) error {
		now = d
		if d.State != models.DomainPending {
			return nil
		}
		if d.ProvenAt == 0 {
			d.ProvenAt = s.now()
		}
		if !held {
			d.State, d.ActiveName = models.DomainActive, &d.Name
		}
		return nil
	})
	switch {
	case models.Is(err, models.Conflict): // another claim became active meanwhile
		return d, nil
	case err != nil:
		return d, err
	case now.State == models.DomainActive:
		s.log.Info("domain proven", "domain", d.Name, "customer_id", d.CustomerID, "by_txt", text)
	default:
		s.log.Warn("domain proven, but held by another customer", "domain", d.Name, "customer_id", d.CustomerID)
	}
	return now, nil
}

// moveIn brings what leads into a domain into line with its becoming active for its customer: the
// customer's own targets there need no consent, and what those agreed to who had the domain before
// binds nobody now. It comes before the change, which until then does not depend on it: a target
// inside is not followed into a domain of others. It can be repeated.
func (s *Service) moveIn(ctx context.Context, d *models.Domain) error {
	others, err := s.store.HeldByOthers(ctx, d.CustomerID, d.Name)
	if err == nil && others {
		err = s.store.ForgetConsents(ctx, d.CustomerID, d.Name)
	}
	if err != nil {
		return err
	}
	return s.store.TargetsCameHome(ctx, d.CustomerID, d.Name)
}

// mxProves reports whether the MX of a pending claim says that the owner of the name wants the
// claiming customer's mail here. It does only if it pointed here before the claim was made known:
// who waits for the owner to set it must not get the domain; and only where nobody else can have
// been meant by it: another customer that claims the name, or has or ever had it or one above or
// below it. Why it does not is noted in the report.
func (s *Service) mxProves(ctx context.Context, d *models.Domain, report *models.DNSReport, proven bool) (bool, error) {
	row := find(report, "mx")
	if row == nil || row.Verdict == models.DNSUnknown || row.Verdict == "" {
		return false, nil
	}
	mx := shows(report, "mx")
	first, err := s.store.FirstMX(ctx, d.CustomerID, d.Name, mx)
	if err != nil || !mx || proven {
		return false, err
	}
	claims, err := s.store.Claims(ctx, d.Name)
	if err != nil {
		return false, err
	}
	others := len(claims) > 1
	if !others {
		if others, err = s.store.HeldByOthers(ctx, d.CustomerID, d.Name); err != nil {
			return false, err
		}
	}
	switch {
	case others:
		row.Notes = append(row.Notes, "mx_no_proof")
	case !first:
		row.Notes = append(row.Notes, "mx_late")
	default:
		return true, nil
	}
	return false, nil
}

// find returns the first row of a purpose, nil if there is none.
func find(report *models.DNSReport, purpose string) *models.DNSResult {
	for i := range report.Results {
		if report.Results[i].Purpose == purpose {
			return &report.Results[i]
		}
	}
	return nil
}

// shows reports whether the owner has saved a record for sure: caches do not matter here. An MX
// by another name of this host is no proof, for anybody can give such a name; nor is that of a
// wildcard or of an alias.
func shows(report *models.DNSReport, purpose string) bool {
	row := find(report, purpose)
	return row != nil && len(row.Notes) == 0 && (row.Verdict == models.DNSOK || row.Verdict == models.DNSPending)
}

// Proof says how a claim is proven and how far it is.
type Proof struct {
	Domain string             `json:"domain"`
	State  models.DomainState `json:"state"`
	Name   string             `json:"name"`  // of the TXT record; "" once active
	Value  string             `json:"value"` // of the TXT record
	Held   bool               `json:"held"`  // proven, but another customer's claim is active
}

// Proof returns the record that proves a domain. Claims from before there were proofs get
// their token now.
func (s *Service) Proof(ctx context.Context, v Viewer, name string) (*Proof, error) {
	_, d, err := s.findDomain(ctx, v, manageDomains, name)
	if err != nil {
		return nil, err
	}
	p := &Proof{Domain: d.Name, State: d.State}
	if d.State == models.DomainActive {
		return p, nil
	}
	if d.ProofToken == "" {
		err := s.changeDomain(ctx, d.ID, func(_ context.Context, now *models.Domain) error {
			if now.ProofToken == "" {
				now.ProofToken = newProofToken()
			}
			d = now
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	p.Held = d.ProvenAt != 0
	if s.config.DNS == nil {
		return nil, noDNS()
	}
	for _, rec := range s.config.DNS.Expected(d, nil) {
		if rec.Purpose == "proof" {
			p.Name, p.Value = rec.FullName, rec.Value
		}
	}
	return p, nil
}

// TakeDomain makes the claim of a customer (0 = the oldest that is pending) active in place of
// another customer's, whose claim waits from then on and whose mailboxes receive nothing more.
// For administrators.
func (s *Service) TakeDomain(ctx context.Context, v Viewer, name string, customer models.ID) error {
	_, d, err := s.findDomain(ctx, v, manageCustomers, name)
	if err != nil {
		return err
	}
	claims, err := s.store.Claims(ctx, d.Name)
	if err != nil {
		return err
	}
	if c := wantedClaim(claims, customer); c == nil {
		return notFound()
	} else if err := s.moveIn(ctx, c); err != nil {
		return err
	}
	var claim *models.Domain
	var losers []models.Domain
	err = s.store.Write(ctx, func(ctx context.Context) error {
		claims, err := s.store.Claims(ctx, d.Name)
		if err != nil {
			return err
		}
		if losers, claim = nil, wantedClaim(claims, customer); claim == nil {
			return notFound()
		}
		for i := range claims {
			if c := &claims[i]; c.ID != claim.ID && c.State == models.DomainActive {
				c.State, c.ActiveName, c.ProvenAt, c.UpdatedAt = models.DomainPending, nil, 0, s.now()
				if err := s.store.UpdateDomain(ctx, c); err != nil {
					return err
				}
				losers = append(losers, *c)
			}
		}
		claim.State, claim.ActiveName, claim.UpdatedAt = models.DomainActive, &claim.Name, s.now()
		return conflict(s.store.UpdateDomain(ctx, claim), domainTaken())
	})
	if err != nil {
		return err
	}
	s.done(v, "domain taken over", "domain", claim.Name, "customer_id", claim.CustomerID)
	if err := s.store.ForgetConsents(ctx, claim.CustomerID, claim.Name); err != nil { // of those asked meanwhile
		s.log.Warn("consents into a domain that was taken over", "domain", claim.Name, "err", err)
	}
	for i := range losers { // not followed from now on in any case; that their owners are asked is a service
		if err := s.store.TargetsLeft(ctx, losers[i].CustomerID, losers[i].ID, losers[i].Name); err != nil {
			s.log.Warn("targets into a domain that was taken over", "domain", claim.Name, "err", err)
		}
	}
	return nil
}

// wantedClaim returns the claim of a customer, 0 = the oldest that is pending; nil if there is none.
func wantedClaim(claims []models.Domain, customer models.ID) *models.Domain {
	for i := range claims {
		if c := &claims[i]; customer != 0 && c.CustomerID == customer || customer == 0 && c.State == models.DomainPending {
			return c
		}
	}
	return nil
}
