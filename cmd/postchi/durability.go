package main

import (
	"context"
	"database/sql"
	"log/slog"

	"github.com/postchi/postchi/models/db"
)

// checkDurability warns of a MySQL that answers COMMIT before the rows are on disk: what we
// acknowledged could be lost at a power cut.
func checkDurability(ctx context.Context, pool *sql.DB, dialect db.Dialect, log *slog.Logger) error {
	if dialect != db.MySQL {
		return nil
	}
	var flush int
	if err := pool.QueryRowContext(ctx, "SELECT @@innodb_flush_log_at_trx_commit").Scan(&flush); err != nil {
		return db.Failure(err)
	}
	if flush != 1 {
		log.Warn("innodb_flush_log_at_trx_commit is not 1: mail that was acknowledged can be lost at a power cut", "value", flush)
	}
	return nil
}
