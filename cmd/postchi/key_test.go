package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeyOfSecrets starts over a database whose key file is there, gone, and another's.
func TestKeyOfSecrets(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		c := defaults()
		c.dev()
		c.DataDir, c.Database.URL = t.TempDir(), url
		start := func() error {
			b, err := openBase(t.Context(), c, slog.New(slog.DiscardHandler), "command")
			if err == nil {
				err = b.close()
			}
			return err
		}
		for range 2 {
			if err := start(); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(c.DataDir, "server.key")
		right, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(file)
		if err := start(); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("without the key: %v", err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("a key was made that opens nothing")
		}
		other := *c
		other.DataDir, other.Database.URL = t.TempDir(), "sqlite"
		if b, err := openBase(t.Context(), &other, slog.New(slog.DiscardHandler), "command"); err != nil {
			t.Fatal(err)
		} else if err := b.close(); err != nil {
			t.Fatal(err)
		}
		c.Secrets.KeyFile = filepath.Join(other.DataDir, "server.key")
		if err := start(); err == nil || !strings.Contains(err.Error(), "not the one") {
			t.Errorf("with another key: %v", err)
		}
		c.Secrets.KeyFile = ""
		os.WriteFile(file, right, 0o600)
		if err := start(); err != nil {
			t.Error(err)
		}
	})
}
