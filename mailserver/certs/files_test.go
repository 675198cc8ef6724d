package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pairFiles writes the certificate of a fresh authority for host, and returns the authority.
func pairFiles(t *testing.T, dir, host string) *x509.CertPool {
	t.Helper()
	ca := t.TempDir()
	cert := dev(t, ca, nil, host).Certificate()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
	put(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return authorityPool(t, ca)
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := replace(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fixture is a source of files under a clock and a log that tests read.
type fixture struct {
	*Source
	dir   string
	clock time.Time
	log   bytes.Buffer
}

func newFixture(t *testing.T) (*fixture, *x509.CertPool) {
	t.Helper()
	f := &fixture{dir: t.TempDir(), clock: time.Now()}
	roots := pairFiles(t, f.dir, "one.example")
	s, err := openFiles(filepath.Join(f.dir, "cert.pem"), filepath.Join(f.dir, "key.pem"),
		slog.New(slog.NewTextHandler(&f.log, nil)), func() time.Time { return f.clock })
	if err != nil {
		t.Fatal(err)
	}
	f.Source = s
	return f, roots
}

func TestFilesReload(t *testing.T) {
	f, first := newFixture(t)
	if err := f.Covers("one.example", first); err != nil {
		t.Fatal(err)
	}
	second := pairFiles(t, f.dir, "two.example")
	if err := f.Covers("one.example", first); err != nil {
		t.Errorf("looked again within a second: %v", err)
	}
	f.clock = f.clock.Add(checkEvery)
	if err := f.Covers("two.example", second); err != nil {
		t.Errorf("not reloaded: %v", err)
	}
	if f.log.Len() > 0 {
		t.Errorf("warned: %s", &f.log)
	}
}

func TestFilesBrokenPairKeepsOld(t *testing.T) {
	good := func(t *testing.T, f *fixture) { pairFiles(t, f.dir, "two.example") }
	breaks := map[string]func(t *testing.T, f *fixture){
		"key of another": func(t *testing.T, f *fixture) {
			key, _ := os.ReadFile(filepath.Join(f.dir, "key.pem"))
			good(t, f)
			put(t, filepath.Join(f.dir, "key.pem"), key)
		},
		"half written": func(t *testing.T, f *fixture) {
			good(t, f)
			if err := os.Truncate(filepath.Join(f.dir, "cert.pem"), 100); err != nil {
				t.Fatal(err)
			}
		},
		"empty":    func(t *testing.T, f *fixture) { put(t, filepath.Join(f.dir, "cert.pem"), nil) },
		"key gone": func(t *testing.T, f *fixture) { os.Remove(filepath.Join(f.dir, "key.pem")) },
		"both gone": func(t *testing.T, f *fixture) {
			os.Remove(filepath.Join(f.dir, "key.pem"))
			os.Remove(filepath.Join(f.dir, "cert.pem"))
		},
		"unreadable": func(t *testing.T, f *fixture) { put(t, filepath.Join(f.dir, "key.pem"), []byte("no key")) },
	}
	for name, damage := range breaks {
		t.Run(name, func(t *testing.T) {
			f, first := newFixture(t)
			damage(t, f)
			for range 5 {
				f.clock = f.clock.Add(checkEvery)
				if err := f.Covers("one.example", first); err != nil {
					t.Fatalf("the old pair is gone: %v", err)
				}
			}
			if n := strings.Count(f.log.String(), "level=WARN"); n != 1 {
				t.Errorf("%d warnings:\n%s", n, &f.log)
			}
			second := pairFiles(t, f.dir, "two.example")
			f.clock = f.clock.Add(checkEvery)
			if err := f.Covers("two.example", second); err != nil {
				t.Errorf("not mended: %v", err)
			}
		})
	}
}

func TestFilesAtStart(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if _, err := Files(cert, key, nil); err == nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("missing files: %v", err)
	}
	put(t, cert, []byte("none"))
	put(t, key, []byte("none"))
	if _, err := Files(cert, key, nil); err == nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("no certificate: %v", err)
	}
}

func TestFilesOutOfDate(t *testing.T) {
	f, roots := newFixture(t)
	f.clock = f.clock.Add(leafLife + time.Hour)
	if f.Covers("one.example", roots) == nil {
		t.Error("covers out of date")
	}
	if f.Certificate() == nil {
		t.Error("no certificate at all")
	}
}
