package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// handshake connects to a listener with the configuration and returns what a client sees.
func handshake(t *testing.T, server *tls.Config, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err == nil {
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", ln.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	return c.ConnectionState(), nil
}

func authorityPool(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("ca.pem holds no certificate")
	}
	return pool
}

func dev(t *testing.T, dir string, now func() time.Time, hosts ...string) *Source {
	t.Helper()
	s, err := Dev(dir, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDevIsAccepted(t *testing.T) {
	dir := t.TempDir()
	s := dev(t, dir, nil, "Mail.Example.net.", "localhost", "192.0.2.7", "")
	if want := []string{"localhost", "mail.example.net", "127.0.0.1", "::1", "192.0.2.7"}; !slices.Equal(s.Names(), want) {
		t.Errorf("names %v, want %v", s.Names(), want)
	}
	roots := authorityPool(t, dir)
	for _, name := range s.Names() {
		if _, err := handshake(t, s.TLSConfig(), &tls.Config{RootCAs: roots, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Covers(name, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(t, s.TLSConfig(), &tls.Config{RootCAs: roots, ServerName: "elsewhere.example"}); err == nil {
		t.Error("accepted for a name that is not in it")
	}
	if _, err := handshake(t, s.TLSConfig(), &tls.Config{RootCAs: roots, ServerName: "localhost", MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 spoken")
	}
}

func TestDevCovers(t *testing.T) {
	clock := time.Now()
	s := dev(t, t.TempDir(), func() time.Time { return clock })
	if s.Covers("elsewhere.example", nil) == nil {
		t.Error("covers a name that is not in it")
	}
	if s.Covers("127.0.0.2", nil) == nil {
		t.Error("covers an address that is not in it")
	}
	if s.Covers("localhost", x509.NewCertPool()) == nil {
		t.Error("covers without the authority")
	}
}

func TestDevForm(t *testing.T) {
	dir := t.TempDir()
	s := dev(t, dir, nil)
	leaf := s.Certificate().Leaf
	if d := leaf.NotAfter.Sub(leaf.NotBefore); d > 398*24*time.Hour {
		t.Errorf("lasts %v", d)
	}
	if leaf.IsCA || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("leaf: authority %v, usage %v %v", leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage)
	}
	text, _ := os.ReadFile(filepath.Join(dir, AuthorityFile))
	block, _ := pem.Decode(text)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !ca.IsCA || !ca.BasicConstraintsValid || !ca.MaxPathLenZero || ca.KeyUsage&x509.KeyUsageCertSign == 0 || len(ca.SubjectKeyId) == 0 {
		t.Errorf("authority: %v %v %v %v", ca.IsCA, ca.BasicConstraintsValid, ca.MaxPathLenZero, ca.KeyUsage)
	}
	info, err := os.Stat(filepath.Join(dir, authorityKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// OpenSSL's strict mode is what the pickiest clients ask of a certificate.
func TestDevStrictOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	s := dev(t, dir, nil)
	leaf := filepath.Join(dir, "leaf.pem")
	if err := os.WriteFile(leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, check := range [][]string{{"-verify_hostname", "localhost"}, {"-verify_ip", "127.0.0.1"}, {"-verify_ip", "::1"}} {
		args := append([]string{"verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", filepath.Join(dir, AuthorityFile)}, check...)
		if out, err := exec.Command(openssl, append(args, leaf)...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", check, err, out)
		}
	}
}

func TestDevKeepsAuthority(t *testing.T) {
	dir := t.TempDir()
	dev(t, dir, nil)
	before, _ := os.ReadFile(filepath.Join(dir, AuthorityFile))
	s := dev(t, dir, nil)
	after, _ := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if !bytes.Equal(before, after) {
		t.Error("the second start made another authority")
	}
	if err := s.Covers("localhost", authorityPool(t, dir)); err != nil {
		t.Error(err)
	}
}

func TestDevStartedTwiceAtOnce(t *testing.T) {
	dir := t.TempDir()
	sources := make([]*Source, 8)
	var all sync.WaitGroup
	for i := range sources {
		all.Go(func() {
			s, err := Dev(dir, nil, nil)
			if err != nil {
				t.Error(err)
			}
			sources[i] = s
		})
	}
	all.Wait()
	roots := authorityPool(t, dir)
	for i, s := range sources {
		if s == nil {
			continue
		}
		if err := s.Covers("localhost", roots); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestDevDamaged(t *testing.T) {
	for _, name := range []string{AuthorityFile, authorityKeyFile} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			dev(t, dir, nil)
			if err := os.WriteFile(filepath.Join(dir, name), []byte("nothing"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Dev(dir, nil, nil); err == nil {
				t.Error("a file that cannot be read was overwritten or ignored")
			}
		})
	}
	t.Run("key lost", func(t *testing.T) {
		dir := t.TempDir()
		dev(t, dir, nil)
		os.Remove(filepath.Join(dir, authorityKeyFile))
		if err := dev(t, dir, nil).Covers("localhost", authorityPool(t, dir)); err != nil {
			t.Error(err)
		}
	})
}

func TestDevRenews(t *testing.T) {
	clock := time.Now()
	s := dev(t, t.TempDir(), func() time.Time { return clock })
	first := s.Certificate().Leaf.SerialNumber
	clock = clock.Add(leafLife - renewBefore - time.Minute)
	if s.Certificate().Leaf.SerialNumber.Cmp(first) != 0 {
		t.Error("renewed too early")
	}
	clock = clock.Add(2 * time.Minute)
	if s.Certificate().Leaf.SerialNumber.Cmp(first) == 0 {
		t.Error("not renewed")
	}
	if err := s.Covers("localhost", nil); err != nil {
		t.Error(err)
	}
}
