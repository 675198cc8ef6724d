// Package certs gives every listener its certificate: one from files, taken anew when the
// files change, one of the development authority in the data folder, or one that an authority
// gives by ACME.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often at most a source looks whether its certificate must be replaced.
const checkEvery = time.Second

// Source is a certificate that may be replaced while listeners use it. Safe for concurrent
// use; handshakes look after it, and Run does what takes longer.
type Source struct {
	now     func() time.Time
	refresh func() (*tls.Certificate, error) // nil, nil: as before
	failed  func(error)                      // told once for each change that cannot be used
	roots   *x509.CertPool                   // that sign it; nil = the system's
	acme    *acme                            // nil = certificates are not obtained

	current atomic.Pointer[tls.Certificate]
	mu      sync.Mutex // held while refreshing
	checked atomic.Int64
}

// start loads the first certificate.
func (s *Source) start() (*Source, error) {
	cert, err := s.refresh()
	if err != nil {
		return nil, err
	}
	s.current.Store(cert)
	s.checked.Store(s.now().UnixNano())
	return s, nil
}

// TLSConfig returns a new configuration for a server: TLS 1.2 and later, and for each
// handshake the certificate of that moment.
func (s *Source) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: s.certificateFor,
	}
}

// WebTLSConfig is TLSConfig for the web: an authority may ask there who we are.
func (s *Source) WebTLSConfig() *tls.Config {
	c := s.TLSConfig()
	if s.acme != nil {
		c.NextProtos = []string{"h2", "http/1.1", alpnACME}
	}
	return c
}

func (s *Source) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.acme != nil {
		return s.acme.config.GetCertificate(hello)
	}
	return s.Certificate(), nil
}

// Certificate returns the certificate in use, with Leaf set. What cannot be replaced stays in
// use, be it out of date: a client's warning about the date leads to the cause. Nil is none yet,
// which only certificates by ACME can be.
func (s *Source) Certificate() *tls.Certificate {
	now := s.now().UnixNano()
	if d := now - s.checked.Load(); d >= 0 && d < int64(checkEvery) {
		return s.current.Load()
	}
	if !s.mu.TryLock() { // another handshake is looking already
		return s.current.Load()
	}
	defer s.mu.Unlock()
	s.checked.Store(now)
	switch cert, err := s.refresh(); {
	case err != nil:
		s.failed(err)
	case cert != nil:
		s.current.Store(cert)
	}
	return s.current.Load()
}

// Names returns the host names and addresses in the certificate.
func (s *Source) Names() []string {
	cert := s.Certificate()
	if cert == nil {
		return nil
	}
	leaf := cert.Leaf
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// Covers returns nil if a client that is told host (a name or an address) and trusts roots
// would accept the certificate now: it names host, is in date and its chain is complete. Nil
// roots are the development authority if the certificate is of it, else the system's.
func (s *Source) Covers(host string, roots *x509.CertPool) error {
	cert := s.Certificate()
	if cert == nil {
		return fmt.Errorf("certificate for %s: none was obtained yet", host)
	}
	if roots == nil {
		roots = s.roots
	}
	between := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	if ip := net.ParseIP(host); ip != nil {
		host = "[" + ip.String() + "]" // what VerifyOptions wants for an address
	}
	_, err := cert.Leaf.Verify(x509.VerifyOptions{
		DNSName: host, Roots: roots, Intermediates: between, CurrentTime: s.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("certificate for %s: %w", host, err)
	}
	return nil
}

// parse makes a pair of PEM texts a certificate with Leaf set.
func parse(cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	if pair.Leaf == nil {
		return nil, errors.New("no certificate in the file")
	}
	return &pair, nil
}
