package secret

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/postchi/postchi/models"
)

func open(t *testing.T, file string) *Box {
	t.Helper()
	b, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealedOpensForItsContextOnly(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "server.key"))
	sealed, err := b.Seal([]byte("s3cret"), "dkim:1")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := b.Seal([]byte("s3cret"), "dkim:1")
	if sealed == again || strings.Contains(sealed, "s3cret") || !strings.HasPrefix(sealed, "1:"+b.KeyID()+":") {
		t.Fatal(sealed, again)
	}
	if plain, err := b.Unseal(sealed, "dkim:1"); err != nil || string(plain) != "s3cret" {
		t.Fatal(string(plain), err)
	}
	for _, bad := range []string{"", "1", "1:", "2" + sealed[1:], sealed[:len(sealed)-2], "1:" + b.KeyID() + ":!", "1:00000000:" + sealed[11:]} {
		if _, err := b.Unseal(bad, "dkim:1"); err == nil {
			t.Errorf("%q opened", bad)
		}
	}
	if _, err := b.Unseal(sealed, "dkim:2"); err == nil {
		t.Error("opened for another record")
	}
	if empty, _ := b.Seal(nil, "x"); empty != "" {
		if plain, err := b.Unseal(empty, "x"); err != nil || len(plain) != 0 {
			t.Error(plain, err)
		}
	}
}

func TestFileIsMadeOnceAndKeptClosed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.key")
	ids := make([]string, 16)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			if b, err := Open(file); err == nil {
				ids[i] = b.KeyID()
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatal(ids)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".key-*")); len(left) > 0 {
		t.Fatal(left)
	}
	os.Chmod(file, 0o644)
	if _, err := Open(file); !models.Is(err, models.Invalid) {
		t.Fatalf("a file that all may read: %v", err)
	}
}

func TestSecondKeyOpensOldValues(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	old, newer := open(t, first), open(t, second)
	sealed, _ := old.Seal([]byte("x"), "c")
	if _, err := newer.Unseal(sealed, "c"); err == nil {
		t.Fatal("another key opened it")
	}
	a, _ := os.ReadFile(first)
	b, _ := os.ReadFile(second)
	os.WriteFile(second, append(b, a...), 0o600)
	both := open(t, second)
	if plain, err := both.Unseal(sealed, "c"); err != nil || string(plain) != "x" || both.KeyID() != newer.KeyID() {
		t.Fatal(plain, err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.key")
	open(t, file)
	good, _ := os.ReadFile(file)
	for name, text := range map[string][]byte{
		"empty": {}, "comment": []byte("# nothing\n"), "cut": good[:len(good)-4], "long": bytes.Repeat([]byte("#\n"), maxFile),
		"changed": bytes.Replace(good, good[len(good)-12:len(good)-8], []byte("abcd"), 1),
	} {
		os.WriteFile(file, text, 0o600)
		if _, err := Open(file); !models.Is(err, models.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type settings map[string]string

func (s settings) Setting(_ context.Context, name string) (string, error) {
	if v, ok := s[name]; ok {
		return v, nil
	}
	return "", models.Errorf(models.NotFound, "not_found", "Not found.")
}

func (s settings) AddSetting(_ context.Context, name, value string) error {
	if _, ok := s[name]; ok {
		return models.Errorf(models.Conflict, "exists", "It exists already.")
	}
	s[name] = value
	return nil
}

func TestWrongKeyIsRefused(t *testing.T) {
	dir, kept, ctx := t.TempDir(), settings{}, context.Background()
	if used, err := Used(ctx, kept); used || err != nil {
		t.Fatal(used, err)
	}
	right, wrong := open(t, filepath.Join(dir, "1")), open(t, filepath.Join(dir, "2"))
	for range 2 {
		if err := right.Check(ctx, kept, "1"); err != nil {
			t.Fatal(err)
		}
	}
	if used, _ := Used(ctx, kept); !used {
		t.Fatal("not used")
	}
	if err := wrong.Check(ctx, kept, "2"); !models.Is(err, models.Conflict) {
		t.Fatal(err)
	}
}

func FuzzUnseal(f *testing.F) {
	b, err := Open(filepath.Join(f.TempDir(), "server.key"))
	if err != nil {
		f.Fatal(err)
	}
	sealed, _ := b.Seal([]byte("x"), "c")
	f.Add(sealed)
	f.Add("1:" + b.KeyID() + ":AAAA")
	f.Add("::")
	f.Fuzz(func(t *testing.T, s string) {
		if plain, err := b.Unseal(s, "c"); err == nil && (s != sealed || string(plain) != "x") {
			t.Fatal(s)
		}
	})
}
