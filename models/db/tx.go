package db

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/postchi/postchi/models"
)

// maxStatements bounds the prepared statements a writing connection keeps. Multi-row inserts
// of many lengths would otherwise collect without end.
const maxStatements = 400

// Tx is a running transaction of Write. It prepares and keeps statements by itself, and fits
// where gorm wants a ConnPool. It must not be used after the function given to Write returns,
// nor from two goroutines.
type Tx struct {
	db      *DB
	conn    *sql.Conn
	prepare bool                 // SQLite; on MySQL the driver interpolates and saves a round trip
	stmts   map[string]*sql.Stmt // of the connection, kept over transactions
	changes *changeSet
	wrote   *bool // set by whatever may change something; nil = nobody asks
}

// ExecContext runs a statement that returns no rows.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	tx.writes()
	if !tx.prepare {
		return tx.conn.ExecContext(ctx, query, args...)
	}
	s, err := tx.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// QueryContext runs a query; close its rows before the next statement.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if !tx.prepare {
		return tx.conn.QueryContext(ctx, query, args...)
	}
	s, err := tx.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// QueryRowContext runs a query for at most one row.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if tx.prepare {
		if s, err := tx.statement(ctx, query); err == nil {
			return s.QueryRowContext(ctx, args...)
		}
	}
	return tx.conn.QueryRowContext(ctx, query, args...) // reports the statement's error too
}

// PrepareContext is there for gorm's ConnPool; the caller closes the statement.
func (tx *Tx) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	tx.writes()
	return tx.conn.PrepareContext(ctx, query)
}

func (tx *Tx) writes() {
	if tx.wrote != nil {
		*tx.wrote = true
	}
}

// Dialect returns the kind of database.
func (tx *Tx) Dialect() Dialect { return tx.db.dialect }

// Changed records that these records changed: after the commit the watchers of every process
// are told.
func (tx *Tx) Changed(kind ChangeKind, ids ...models.ID) {
	for _, id := range ids {
		tx.changes.add(Change{kind, id})
	}
	if len(ids) == 0 {
		tx.changes.add(Change{Kind: kind})
	}
}

func (tx *Tx) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := tx.stmts[query]; s != nil {
		return s, nil
	}
	if len(tx.stmts) >= maxStatements {
		closeStatements(tx.stmts)
	}
	s, err := tx.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	tx.stmts[query] = s
	return s, nil
}

func closeStatements(stmts map[string]*sql.Stmt) {
	for query, s := range stmts {
		s.Close()
		delete(stmts, query)
	}
}
