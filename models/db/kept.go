package db

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// kept are statements of the read pool that stay prepared.
type kept struct {
	mu    sync.Mutex
	stmts map[string]*sql.Stmt
}

// Kept is Reader for queries of fixed texts that are asked for each message or log-in. On SQLite,
// where reading the text costs as much as the answer, their statements stay prepared, some
// hundreds of them. On MySQL the driver writes the values into the query by itself, which
// spares a round trip.
func (d *DB) Kept(ctx context.Context) Querier {
	if tx := TxOf(ctx); tx != nil {
		return tx
	}
	if d.dialect == MySQL {
		return d.read
	}
	return keptReader{d}
}

// keptReader is a Querier that prepares what it is asked.
type keptReader struct{ *DB }

// QueryContext implements Querier.
func (d keptReader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := d.keep(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return d.read.QueryContext(ctx, query, args...)
	}
	return s.QueryContext(ctx, args...)
}

// QueryRowContext implements Querier.
func (d keptReader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s, err := d.keep(ctx, query); err == nil && s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return d.read.QueryRowContext(ctx, query, args...) // reports the statement's error too
}

// keep returns the statement of a query; nil if there is no room for one more.
func (d *DB) keep(ctx context.Context, query string) (*sql.Stmt, error) {
	d.kept.mu.Lock()
	defer d.kept.mu.Unlock()
	if s := d.kept.stmts[query]; s != nil || len(d.kept.stmts) >= maxStatements {
		return s, nil
	}
	s, err := d.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	if d.kept.stmts == nil {
		d.kept.stmts = map[string]*sql.Stmt{}
	}
	d.kept.stmts[query] = s
	return s, nil
}

// closeKept ends the statements before their pool is closed.
func (d *DB) closeKept() {
	d.kept.mu.Lock()
	defer d.kept.mu.Unlock()
	closeStatements(d.kept.stmts)
}
