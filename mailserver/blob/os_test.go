package blob

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLockNewNoticesRemoval(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	for _, c := range []struct {
		meanwhile func() error
		ok        bool
	}{
		{func() error { return nil }, true},
		{func() error { return os.Remove(name) }, false},
		{func() error { return errors.Join(os.Remove(name), os.WriteFile(name, nil, 0o600)) }, false},
	} {
		os.Remove(name)
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.meanwhile(); err != nil {
			t.Fatal(err)
		}
		if err := lockNew(f); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrLocked) {
			t.Errorf("lock: %v, want success %v", err, c.ok)
		}
		f.Close()
	}
}

func TestCreateLocks(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f, err := OS{}.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (OS{}).Create(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("second create: %v", err)
	}
	if _, err := (OS{}).Lock(name); !errors.Is(err, ErrLocked) {
		t.Errorf("lock of a file that is being written: %v", err)
	}
	f.Close()
	l, err := OS{}.Lock(name)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := (OS{}).Lock(name + "b"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("lock of nothing: %v", err)
	}
}
