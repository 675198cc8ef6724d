package dkim

import (
	"context"
	"crypto"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

// maxOpen is how many private keys are kept open: about 5 MB.
const maxOpen = 2000

// SignerConfig is what a Signer needs. Keys and Box must be set.
type SignerConfig struct {
	Keys interface {
		// SigningKeys returns the active keys of an active domain of a customer (0 = of anybody);
		// none for any other name. It is asked for each message, so it remembers; it notices a
		// change of any process.
		SigningKeys(ctx context.Context, domain string, customer models.ID) ([]models.DKIMKey, error)
	}
	Box Box
	Now func() time.Time // nil = time.Now
	Log *slog.Logger     // nil = none
}

// Signer signs messages for domains of ours. Safe for concurrent use.
type Signer struct {
	config SignerConfig

	mu   sync.Mutex
	open map[models.ID]crypto.Signer // a key never changes, so only its state is asked for again
}

// NewSigner returns a signer.
func NewSigner(config SignerConfig) *Signer {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return &Signer{config: config, open: map[models.ID]crypto.Signer{}}
}

// Sign returns the DKIM-Signature fields, CRLF at the end of each, that go in front of a
// message of size bytes that leaves in the name of a domain (A-label, lower case): one for
// each active key. customer is whose message it is: nobody gets a signature of another's domain;
// 0 is the server itself. Without any key, be it that the domain is not ours, it returns nil and
// no error. Errors: Unavailable, and those of reading r.
func (s *Signer) Sign(ctx context.Context, domain string, customer models.ID, r io.ReaderAt, size int64) ([]byte, error) {
	keys, err := s.config.Keys.SigningKeys(ctx, domain, customer)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	d, err := read(r, size)
	if err != nil {
		return nil, err
	}
	var fields []byte
	at := s.config.Now().Unix()
	for i := range keys {
		private, err := s.private(&keys[i])
		if err == nil {
			var field []byte
			if field, err = d.signature(domain, &keys[i], private, at); err == nil {
				fields = append(fields, field...)
				continue
			}
		}
		// A message without a signature is better than none.
		s.config.Log.Error("cannot sign", "domain", domain, "selector", keys[i].Selector, "err", err)
	}
	return fields, nil
}

func (s *Signer) private(k *models.DKIMKey) (crypto.Signer, error) {
	s.mu.Lock()
	private := s.open[k.ID]
	s.mu.Unlock()
	if private != nil {
		return private, nil
	}
	private, err := openKey(s.config.Box, k)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxOpen {
		clear(s.open)
	}
	s.open[k.ID] = private
	return private, nil
}
