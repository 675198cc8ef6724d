package certs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Sealer hides values that lie in the database; context binds a value to its place.
type Sealer interface {
	Seal(plain []byte, context string) (string, error)
	Unseal(sealed, context string) ([]byte, error)
}

// maxKey is the longest name of a value, in bytes, and maxValue the largest one: a chain of
// certificates is some 10 KiB.
const (
	maxKey   = 255
	maxValue = 1 << 20
)

// lockPoll is how often a lock that somebody else holds is tried.
const lockPoll = time.Second

// storage keeps what certmagic has to keep in the table certificates, every value sealed, and
// its locks as leases, so that any number of nodes obtain each certificate once.
type storage struct {
	db     *db.DB
	sealer Sealer
	held   sync.Map // name → *db.Lease
}

func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("certificate storage: the name %.60q has %d bytes; 1 to %d are allowed", key, len(key), maxKey)
	}
	return nil
}

// Store implements certmagic.Storage.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > maxValue {
		return fmt.Errorf("certificate storage: %s has %d bytes", key, len(value))
	}
	sealed, err := s.sealer.Seal(value, "certificates:"+key)
	if err != nil {
		return err
	}
	now := models.At(s.db.Now())
	return s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE certificates SET value = ?, size = ?, updated_at = ? WHERE name = ?", sealed, len(value), now, key)
		if err != nil {
			return err
		}
		// MySQL counts a row that is rewritten with the same values as not affected.
		if n, err := r.RowsAffected(); err != nil || n > 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO certificates (name, value, size, updated_at) VALUES (?, ?, ?, ?)", key, sealed, len(value), now)
		if db.IsDuplicate(err) {
			return nil // another node has just stored it, or nothing changed
		}
		return err
	})
}

// Load implements certmagic.Storage.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	var sealed string
	err := s.db.SQL().QueryRowContext(ctx, "SELECT value FROM certificates WHERE name = ?", key).Scan(&sealed)
	if err != nil {
		return nil, missing(err)
	}
	return s.sealer.Unseal(sealed, "certificates:"+key)
}

// missing turns the absence of a row into what certmagic looks for.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fs.ErrNotExist
	}
	return err
}

// below matches the values of a folder, "" being all.
func below(folder string) (from, to string) {
	if folder == "" {
		return "", "\U0010FFFF"
	}
	return folder + "/", folder + "0" // '0' follows '/'
}

// Delete implements certmagic.Storage.
func (s *storage) Delete(ctx context.Context, key string) error {
	from, to := below(key)
	return s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM certificates WHERE name = ? OR name >= ? AND name < ?", key, from, to)
		return err
	})
}

// Exists implements certmagic.Storage.
func (s *storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage.
func (s *storage) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	from, to := below(folder)
	rows, err := s.db.SQL().QueryContext(ctx, "SELECT name FROM certificates WHERE name >= ? AND name < ? ORDER BY name", from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if !recursive {
			if first, _, deeper := strings.Cut(name[len(from):], "/"); deeper {
				name = from + first
			}
		}
		if len(all) == 0 || all[len(all)-1] != name {
			all = append(all, name)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fs.ErrNotExist
	}
	return all, nil
}

// Stat implements certmagic.Storage.
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	info := certmagic.KeyInfo{Key: key, IsTerminal: true}
	var updated models.Micros
	err := s.db.SQL().QueryRowContext(ctx, "SELECT size, updated_at FROM certificates WHERE name = ?", key).Scan(&info.Size, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		from, to := below(key)
		info.IsTerminal = false
		err = s.db.SQL().QueryRowContext(ctx, "SELECT updated_at FROM certificates WHERE name >= ? AND name < ? LIMIT 1", from, to).Scan(&updated)
	}
	info.Modified = updated.Time()
	return info, missing(err)
}

// Lock implements certmagic.Locker. The lock is that of the process: it is void when that is
// gone.
func (s *storage) Lock(ctx context.Context, name string) error {
	for {
		ok, err := s.TryLock(ctx, name)
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// TryLock implements certmagic.TryLocker.
func (s *storage) TryLock(ctx context.Context, name string) (bool, error) {
	lease, err := s.db.Leases().Acquire(ctx, leaseName(name), 0)
	if models.Is(err, models.Conflict) {
		return false, nil
	}
	if err == nil {
		s.held.Store(name, lease)
	}
	return err == nil, err
}

// Unlock implements certmagic.Locker.
func (s *storage) Unlock(ctx context.Context, name string) error {
	lease, ok := s.held.LoadAndDelete(name)
	if !ok {
		return fmt.Errorf("certificate storage: the lock %s is not held", name)
	}
	return lease.(*db.Lease).Release(context.WithoutCancel(ctx))
}

func leaseName(name string) string {
	name = "certificates:" + name
	return name[:min(len(name), maxKey)]
}
