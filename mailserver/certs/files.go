package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// files is a certificate and its key in PEM files.
type files struct {
	cert, key string
	seen      [2]state // when they were last read
}

// state is what a rewrite or a replacement of a file changes; without info the file cannot be
// seen. The zero value equals no other.
type state struct {
	info   os.FileInfo
	looked bool
}

// Files returns the certificate of two PEM files: the chain with the server's own certificate
// first, and its key. The files are looked at during handshakes, at most once a second, and
// read again when one was changed or replaced; a pair that cannot be used (half written, key
// of another certificate) leaves the old one in use and is logged as a warning. A nil log
// discards.
func Files(cert, key string, log *slog.Logger) (*Source, error) {
	return openFiles(cert, key, log, time.Now)
}

func openFiles(cert, key string, log *slog.Logger, now func() time.Time) (*Source, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &files{cert: cert, key: key}
	s := &Source{now: now, refresh: f.refresh, failed: func(err error) {
		log.Warn("certificate not replaced", "err", err)
	}}
	return s.start()
}

// refresh reads the files if they differ from those read last, be it in that one is gone.
func (f *files) refresh() (*tls.Certificate, error) {
	now := [2]state{look(f.cert), look(f.key)}
	if now[0].same(f.seen[0]) && now[1].same(f.seen[1]) {
		return nil, nil
	}
	f.seen = now
	return f.load()
}

func look(name string) state {
	info, err := os.Stat(name)
	if err != nil {
		info = nil
	}
	return state{info, true}
}

// same compares. A file replaced by a link to another (as certbot does) has another inode.
func (a state) same(b state) bool {
	if !a.looked || !b.looked || a.info == nil || b.info == nil {
		return a == b
	}
	return os.SameFile(a.info, b.info) && a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime())
}

func (f *files) load() (*tls.Certificate, error) {
	cert, err := os.ReadFile(f.cert)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pair, err := parse(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.cert, f.key, err)
	}
	return pair, nil
}
