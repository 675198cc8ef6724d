package store

import (
	"context"

	"github.com/postchi/postchi/models/db"
)

// Setting returns a value kept under a name; NotFound if there is none.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.row(ctx, "SELECT value FROM settings WHERE name = ?", []any{name}, &value)
	return value, failed("setting", err)
}

// AddSetting keeps a value under a name of at most 64 bytes; Conflict if there is one.
func (s *Store) AddSetting(ctx context.Context, name, value string) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", name, value)
		return failed("add setting", err)
	})
}

// SetSetting keeps a value under a name of at most 64 bytes.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, upsert(tx.Dialect(), "settings", "name", "value"), name, value)
		return failed("set setting", err)
	})
}
