package service

import (
	"context"
	"crypto/rand"

	"github.com/postchi/postchi/models"
)

// DNSStore is what the rules of domains' keys and DNS records ask of the records.
type DNSStore interface {
	InsertKeys(ctx context.Context, keys []models.DKIMKey) error
	Keys(ctx context.Context, domain models.ID) ([]models.DKIMKey, error)
	DeleteKeys(ctx context.Context, domain models.ID) error

	DNSCheck(ctx context.Context, domain models.ID) (*models.DNSCheck, error)
	SetDNSCheck(ctx context.Context, c *models.DNSCheck) error
	DeleteDNSCheck(ctx context.Context, domain models.ID) error
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

func (s *Service) newKeys(domain models.ID) ([]models.DKIMKey, error) {
	if s.config.Keys == nil {
		return nil, nil
	}
	return s.config.Keys.NewKeys(domain)
}

// newProofToken returns what a claim's TXT record holds: 26 letters and digits, 128 random bits.
func newProofToken() string { return rand.Text() }
