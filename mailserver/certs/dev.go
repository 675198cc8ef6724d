package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files of the development authority in the data folder.
const (
	AuthorityFile    = "ca.pem" // what clients import
	authorityKeyFile = "ca.key" // mode 0600
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 90 * 24 * time.Hour // strict clients accept at most 398 days
	renewBefore   = 30 * 24 * time.Hour
	backdate      = time.Hour // for clients whose clock is behind
)

// authority is the development authority and what it signs.
type authority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	hosts []string
	now   func() time.Time
	until time.Time // when the last leaf must be replaced
}

// Dev returns a certificate for localhost, 127.0.0.1, ::1 and hosts (names or addresses),
// signed by the development authority of the data folder. The authority, ca.pem and ca.key, is
// made at the first start and kept, so clients import it once; the certificate is made at each
// start and again 30 days before its end, and its key is in no file. A nil now is time.Now.
func Dev(dataDir string, hosts []string, now func() time.Time) (*Source, error) {
	if now == nil {
		now = time.Now
	}
	cert, key, err := openAuthority(dataDir, now())
	if err != nil {
		return nil, fmt.Errorf("development authority in %s: %w", dataDir, err)
	}
	a := &authority{cert: cert, key: key, now: now, hosts: []string{"localhost", "127.0.0.1", "::1"}}
	for _, host := range hosts {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if host != "" && !slices.Contains(a.hosts, host) {
			a.hosts = append(a.hosts, host)
		}
	}
	s := &Source{now: now, refresh: a.refresh, failed: func(error) {}, roots: x509.NewCertPool()}
	s.roots.AddCert(cert)
	return s.start()
}

// openAuthority reads the authority, and makes what is missing of it. Of two processes that
// start at once the first to put the key in place wins, the other signs with the same key.
func openAuthority(dir string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := openKey(filepath.Join(dir, authorityKeyFile))
	if err != nil {
		return nil, nil, err
	}
	name := filepath.Join(dir, AuthorityFile)
	if cert, err := readCertificate(name); err == nil && key.PublicKey.Equal(cert.PublicKey) && now.Add(leafLife).Before(cert.NotAfter) {
		return cert, key, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	der, err := signAuthority(key, now)
	if err != nil {
		return nil, nil, err
	}
	if err := replace(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

func openKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := readKey(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(fresh)
	if err != nil {
		return nil, err
	}
	if err := create(name, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return readKey(name)
}

func readKey(name string) (*ecdsa.PrivateKey, error) {
	block, err := readPEM(name, "EC PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(block)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

func readCertificate(name string) (*x509.Certificate, error) {
	block, err := readPEM(name, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(block)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return cert, nil
}

func readPEM(name, kind string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: no %s in it", name, strings.ToLower(kind))
	}
	return block.Bytes, nil
}

// signAuthority makes the authority's own certificate (RFC 5280, section 4.2.1: basic
// constraints and key usage of an authority, critical). A part of the key's hash in the name
// tells the authorities of several trial copies apart in a client's list, and is the same for
// two processes that sign at once.
func signAuthority(key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(public)
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"Postchi"}, CommonName: fmt.Sprintf("Postchi trial authority %x", hash[:4])},
		NotBefore:    now.Add(-24 * time.Hour), NotAfter: now.Add(authorityLife),
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
}

// newSerial returns a positive number of 127 random bits (RFC 5280, section 4.1.2.2).
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.SetBit(n, 126, 1), nil
}

// refresh makes a certificate when there is none that lasts.
func (a *authority) refresh() (*tls.Certificate, error) {
	now := a.now()
	if now.Before(a.until) {
		return nil, nil
	}
	cert, err := a.sign(now)
	if err != nil {
		return nil, err
	}
	a.until = cert.Leaf.NotAfter.Add(-renewBefore)
	return cert, nil
}

func (a *authority) sign(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"Postchi"}, CommonName: "localhost"},
		NotBefore:    now.Add(-backdate), NotAfter: now.Add(leafLife),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range a.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
