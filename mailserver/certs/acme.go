package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/postchi/postchi/models/db"
)

// alpnACME is the protocol of the challenge TLS-ALPN-01 (RFC 8737, section 3).
const alpnACME = "acme-tls/1"

// ACMEConfig is what certificates from an authority that speaks ACME (RFC 8555) need.
type ACMEConfig struct {
	Names     []string       // host names; the first is served to clients that name none of them
	Directory string         // URL of the authority's directory; "" = Let's Encrypt
	Roots     *x509.CertPool // that its web server is checked with; nil = the system's
	Email     string         // told to the authority; may be empty

	// The ports of our own listeners, where challenges are answered; 0 turns the challenge off.
	// The authority always asks port 80 for HTTP-01 and 443 for TLS-ALPN-01.
	HTTPPort, HTTPSPort int

	DB     *db.DB // keeps certificates, keys and the account, and the lock over all nodes
	Sealer Sealer // nothing lies in the database in clear
	Every  time.Duration
	Log    *slog.Logger // nil discards
}

// acme is the authority's side of a Source.
type acme struct {
	names  []string
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
	cache  *certmagic.Cache
	stop   sync.Once
}

// ACME returns certificates that are obtained, and renewed in time, from an authority. It asks
// nobody before Run. Until the first certificate is there handshakes fail; one that an earlier
// start obtained is taken from the database.
func ACME(c ACMEConfig) (*Source, error) {
	if len(c.Names) == 0 || c.DB == nil || c.Sealer == nil {
		return nil, errors.New("certs: ACME needs Names, DB and Sealer")
	}
	if c.HTTPPort == 0 && c.HTTPSPort == 0 {
		return nil, errors.New("certificates by ACME need the listener http or https: the authority asks there who we are")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Every <= 0 {
		c.Every = certmagic.DefaultRenewCheckInterval
	}
	a := &acme{}
	for _, name := range c.Names {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" && !slices.Contains(a.names, name) {
			a.names = append(a.names, name)
		}
	}
	a.assemble(c)
	return &Source{now: c.DB.Now, refresh: a.newest, failed: func(error) {}, acme: a}, nil
}

func (a *acme) assemble(c ACMEConfig) {
	log := zapLogger(c.Log)
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.config, nil },
		RenewCheckInterval: c.Every, Logger: log,
	})
	a.config = certmagic.New(a.cache, certmagic.Config{
		Storage: &storage{db: c.DB, sealer: c.Sealer}, DefaultServerName: a.names[0], FallbackServerName: a.names[0],
		OCSP: certmagic.OCSPConfig{DisableStapling: true}, // authorities have given OCSP up
		OnEvent: func(_ context.Context, event string, data map[string]any) error {
			logEvent(c.Log, event, data)
			return nil
		},
		ShouldEmitFunc: func(event string) bool { return strings.HasPrefix(event, "cert_") },
		Logger:         log,
	})
	directory := c.Directory
	if directory == "" {
		directory = certmagic.LetsEncryptProductionCA
	}
	a.issuer = certmagic.NewACMEIssuer(a.config, certmagic.ACMEIssuer{
		CA: directory, TestCA: directory, Email: c.Email, Agreed: true, TrustedRoots: c.Roots,
		DisableHTTPChallenge: c.HTTPPort == 0, DisableTLSALPNChallenge: c.HTTPSPort == 0,
		AltHTTPPort: c.HTTPPort, AltTLSALPNPort: c.HTTPSPort, Logger: log,
	})
	a.config.Issuers = []certmagic.Issuer{a.issuer}
}

// logEvent tells what an administrator wants to know of certificates.
func logEvent(log *slog.Logger, event string, data map[string]any) {
	switch event {
	case "cert_obtained":
		log.Info("certificate obtained", "name", data["identifier"], "renewal", data["renewal"])
	case "cert_failed":
		log.Warn("no certificate could be obtained; trying again later", "name", data["identifier"], "err", data["error"])
	}
}

// newest returns the certificate of the first name that lasts longest; nil if there is none.
func (a *acme) newest() (*tls.Certificate, error) {
	var best *tls.Certificate
	for _, c := range a.cache.AllMatchingCertificates(a.names[0]) {
		if c.Leaf != nil && (best == nil || c.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best = &c.Certificate
		}
	}
	return best, nil
}

// Load takes what the database has of certificates by ACME, so that they serve before Run and
// where nothing is obtained, as in commands. What is not there or cannot be read is no error:
// Certificate is nil then.
func (s *Source) Load(ctx context.Context) {
	if s.acme == nil {
		return
	}
	for _, name := range s.acme.names {
		s.acme.config.CacheManagedCertificate(ctx, name)
	}
}

// Close ends the work of certificates by ACME that Run was not called for.
func (s *Source) Close() {
	if s.acme != nil {
		s.acme.stop.Do(s.acme.cache.Stop)
	}
}

// Run obtains certificates and renews them until ctx ends; it returns at once where there is
// nothing to obtain. What fails is tried again, ever more rarely, for 30 days, and anew at the
// next start. Other nodes on the same database wait and take what this one has obtained.
func (s *Source) Run(ctx context.Context) {
	if s.acme == nil {
		return
	}
	defer s.Close()
	if err := s.acme.config.ManageAsync(ctx, s.acme.names); err != nil && ctx.Err() == nil {
		s.failed(err)
	}
	<-ctx.Done()
}

// Challenges answers the authority's questions on port 80 (HTTP-01, RFC 8555, section 8.3) and
// passes every other request on.
func (s *Source) Challenges(next http.Handler) http.Handler {
	if s.acme == nil {
		return next
	}
	return s.acme.issuer.HTTPChallengeHandler(next)
}
