// Package store keeps the records of accounts in the database: customers, users, domains,
// addresses, mailboxes, log-ins, sessions, settings and the mail trace, one file for each
// table. It has no rules of its own beyond what a single statement must guarantee (unique
// addresses, counters that cannot pass a limit); those are in panel/service.
//
// Reads use the transaction that the context carries, else the read pool. Every change goes
// through models/db's Write, joins the transaction of an outer Write, and tells the watchers
// of all processes what changed. Errors of the drivers end here: NotFound, Conflict (a unique
// index) and Unavailable come out, with the cause for the log.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/driver/mysql"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// Store is all tables of accounts. Safe for concurrent use.
type Store struct {
	d    *db.DB
	gorm *gorm.DB

	budget int // of one search of the trace, in the units of searchBudget

	digestSize, rowLimit int // see digestSize and rowLimit
	digestAfter          time.Duration

	routes   *db.Recent[address.Address, *models.Route]
	accounts *db.Recent[models.ID, models.Account] // of mailboxes
	signing  *db.Recent[string, ring]              // of domains
}

// New returns the store on an open, migrated database. A nil log drops gorm's warnings.
func New(d *db.DB, log *slog.Logger) (*Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var dialector gorm.Dialector = sqlite.New(sqlite.Config{Conn: d.SQL()})
	if d.Dialect() == db.MySQL {
		dialector = mysql.New(mysql.Config{Conn: d.SQL(), SkipInitializeWithVersion: true, DisableWithReturning: true})
	}
	g, err := gorm.Open(translating{dialector}, &gorm.Config{
		SkipDefaultTransaction: true, // Write has one already
		DisableAutomaticPing:   true,
		TranslateError:         true,
		NowFunc:                func() time.Time { return d.Now().UTC() },
		Logger: logger.NewSlogLogger(log, logger.Config{
			LogLevel: logger.Error, ParameterizedQueries: true, // parameters hold addresses and hashes
			IgnoreRecordNotFoundError: true,
		}),
	})
	if err != nil {
		return nil, failed("open", err)
	}
	return &Store{
		d: d, gorm: g, budget: searchBudget, digestSize: digestSize, rowLimit: rowLimit, digestAfter: digestAfter,
		routes: db.NewRecent[address.Address, *models.Route](d), accounts: db.NewRecent[models.ID, models.Account](d),
		signing: db.NewRecent[string, ring](d),
	}, nil
}

// translating tells gorm what a duplicate key is: its dialect for SQLite knows the errors of
// another driver than ours.
type translating struct{ gorm.Dialector }

func (t translating) Translate(err error) error {
	if db.IsDuplicate(err) {
		return gorm.ErrDuplicatedKey
	}
	return err
}

// NewID returns the next id of this process.
func (s *Store) NewID() models.ID { return s.d.IDs().New() }

// Write runs fn in one transaction; every method of the store called with fn's context takes
// part in it. fn may run again after a conflict: it must reset its results when it starts and
// do no hashing, network or file work.
func (s *Store) Write(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error { return fn(ctx) })
}

// change is Write for one method: fn gets gorm on the transaction, and the record is
// announced when fn succeeds.
func (s *Store) change(ctx context.Context, kind db.ChangeKind, id models.ID, fn func(g *gorm.DB) error) error {
	return s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := fn(s.on(ctx)); err != nil {
			return err
		}
		tx.Changed(kind, id)
		return nil
	})
}

// on returns gorm on the transaction that ctx carries, else on the read pool.
func (s *Store) on(ctx context.Context) *gorm.DB {
	g := s.gorm.Session(&gorm.Session{NewDB: true, Context: ctx})
	if tx := db.TxOf(ctx); tx != nil {
		g.Statement.ConnPool = tx
	}
	return g
}

// row reads one row with a query that is asked at every log-in or recipient; its text is one of few.
func (s *Store) row(ctx context.Context, query string, args []any, into ...any) error {
	return s.d.Kept(ctx).QueryRowContext(ctx, query, args...).Scan(into...)
}

// each is row for several rows.
func (s *Store) each(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := s.query(ctx, query, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *Store) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	return s.d.Kept(ctx).QueryContext(ctx, query, args...)
}

// failed turns what a driver or gorm said into an error of ours; what says what was done.
func failed(what string, err error) error {
	var e *models.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return models.Errorf(models.NotFound, "not_found", "Not found.").Because(fmt.Errorf("%s: %w", what, err))
	case errors.Is(err, gorm.ErrDuplicatedKey), db.IsDuplicate(err):
		return models.Errorf(models.Conflict, "exists", "It exists already.").Because(fmt.Errorf("%s: %w", what, err))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return models.Unavailablef(fmt.Errorf("%s: %w", what, err), "The request was given up.")
	}
	// A lost connection and the like become Unavailable; a conflict keeps its cause in the
	// tree, where Write looks for it to run the transaction again.
	return db.Failure(fmt.Errorf("%s: %w", what, err))
}

// found returns a record or an error, never both.
func found[T any](what string, record *T, err error) (*T, error) {
	if err != nil {
		return nil, failed(what, err)
	}
	return record, nil
}

// one is failed for an update or delete that must have met a row.
func one(what string, g *gorm.DB) error {
	if g.Error == nil && g.RowsAffected == 0 {
		return failed(what, gorm.ErrRecordNotFound)
	}
	return failed(what, g.Error)
}

// scoped limits a query to what belongs to the viewer's customer; a mailbox's owner finds
// nothing with it.
func scoped(g *gorm.DB, scope models.Scope, column string) *gorm.DB {
	if scope.All() {
		return g
	}
	return g.Where(column+" = ?", scope.Customer())
}

// scopedMailbox is scoped for what belongs to a mailbox, which its owner may see too; mailbox
// is the column with its id.
func scopedMailbox(g *gorm.DB, scope models.Scope, customer, mailbox string) *gorm.DB {
	if id := scope.Mailbox(); id != 0 {
		return g.Where(mailbox+" = ?", id)
	}
	return scoped(g, scope, customer)
}
