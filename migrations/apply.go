package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/postchi/postchi/models"
)

// Apply brings the schema of db to the newest version and returns how many steps it took.
// dialect is "sqlite" or "mysql". A schema newer than this program is refused with an error
// of kind Invalid. On MySQL a lease row keeps two nodes from migrating at once; on SQLite the
// caller holds a file lock. An interrupted run resumes: SQLite's steps are transactions, and
// MySQL's statements, each of which commits by itself, can be repeated.
func Apply(ctx context.Context, db *sql.DB, dialect string, log *slog.Logger) (int, error) {
	p, err := provider(db, dialect, log)
	if err != nil {
		return 0, err
	}
	if err := refuseNewer(ctx, p); err != nil {
		return 0, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return len(results), fmt.Errorf("migrate: %w", err)
	}
	return len(results), nil
}

// Status is the version of the schema in the database and the newest this program knows.
func Status(ctx context.Context, db *sql.DB, dialect string) (current, newest int64, err error) {
	p, err := provider(db, dialect, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, 0, err
	}
	return p.GetVersions(ctx)
}

func refuseNewer(ctx context.Context, p *goose.Provider) error {
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > newest {
		return models.Errorf(models.Invalid, "schema.newer",
			"The database has schema version %d; this program knows versions up to %d. Start a newer Postchi.", current, newest)
	}
	return nil
}

func provider(db *sql.DB, dialect string, log *slog.Logger) (*goose.Provider, error) {
	steps, err := fs.Sub(files, dialect)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithSlog(log), goose.WithDisableGlobalRegistry(true)}
	if dialect == "sqlite" {
		return goose.NewProvider(goose.DialectSQLite3, db, steps, options...)
	}
	locker, err := lock.NewMySQLTableLocker(lock.WithTableLeaseDuration(30*time.Second), lock.WithTableHeartbeatInterval(5*time.Second),
		lock.WithTableLockTimeout(time.Second, 120))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectMySQL, db, steps, append(options, goose.WithLocker(locker))...)
}
