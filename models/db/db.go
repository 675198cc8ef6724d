// Package db opens the database of Postchi and is the only way to write to it.
//
// Two databases are supported with the same behaviour: SQLite, embedded, one file in the data
// folder; and MySQL or MariaDB. Reads go through a pool. Writes go through Write: on SQLite
// one writing connection takes the waiting callers together into one transaction, so that
// they share its sync; on MySQL a few workers hold one transaction each.
//
// What a transaction changed is recorded in table changes, one row for each transaction, in a
// stream that belongs to one writer and has no gaps; other processes read the streams every
// 250 ms and so learn of changed folders, passwords and suspensions (see Watch).
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

// Dialect is the kind of database.
type Dialect int

// The dialects.
const (
	SQLite Dialect = iota
	MySQL
)

// String returns the name that the folders of migrations use.
func (d Dialect) String() string {
	if d == MySQL {
		return "mysql"
	}
	return "sqlite"
}

// ForUpdate is appended to a SELECT whose rows the same transaction will change. SQLite needs
// none, since only one transaction writes.
func (d Dialect) ForUpdate() string {
	if d == MySQL {
		return " FOR UPDATE"
	}
	return ""
}

// Config says which database to open and for whom.
type Config struct {
	URL     string           // "sqlite", or mysql://user:password@host:3306/name, mysql://user:password@/name?socket=/path
	DataDir string           // folder of the SQLite file and of the locks that show which processes live
	Kind    string           // what the process is, for table nodes: "server" or "command"; "" = "command"
	Now     func() time.Time // nil = time.Now
	Log     *slog.Logger     // nil = none
	Readers int              // connections of the read pool; 0 = 8 on SQLite, 32 on MySQL
	Writers int              // workers on MySQL; 0 = 4

	// PollEvery is how often changes of other processes are looked for; 0 = 250 ms.
	PollEvery time.Duration
}

// DB is an open database. Safe for concurrent use.
type DB struct {
	dialect Dialect
	read    *sql.DB
	writers []*writer
	queue   chan *request
	config  Config
	ids     *models.IDs
	node    *node
	watch   *watch
	leases  *Leases
	kept    kept

	closing chan struct{}
	done    sync.WaitGroup // all goroutines
	working sync.WaitGroup // the writers
	once    sync.Once
}

// ErrUnknownCommit is in the tree of an error of Write when the connection was lost during
// COMMIT and the database stayed away while Write looked for the outcome: the rows may be there
// or not. Look for a unique key of yours before you retry.
var ErrUnknownCommit = errors.New("outcome of COMMIT is not known")

// ErrClosed is returned by Write after Close.
var ErrClosed = errors.New("database is closed")

// Open opens the database; the schema must have been migrated (see OpenPool for that). It
// leases a node number, so a database that cannot be written refuses here.
func Open(ctx context.Context, config Config) (*DB, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.PollEvery == 0 {
		config.PollEvery = 250 * time.Millisecond
	}
	if config.Writers == 0 {
		config.Writers = 4
	}
	pools, err := openPools(config)
	if err != nil {
		return nil, err
	}
	d := &DB{dialect: pools.dialect, read: pools.read, config: config, queue: make(chan *request, 1024), closing: make(chan struct{})}
	d.watch = newWatch(d)
	if d.node, err = claimNode(ctx, d, pools.write); err != nil {
		return nil, errors.Join(err, pools.close())
	}
	d.ids = models.NewIDs(d.node.number, config.Now)
	d.leases = &Leases{db: d}
	if err := d.watch.findStreams(ctx); err != nil {
		return nil, errors.Join(unavailable(err), pools.close())
	}
	d.startWriters(pools.write)
	d.done.Go(d.node.keep)
	d.done.Go(d.watch.run)
	return d, nil
}

// startWriters begins the goroutines that own the writing connections.
func (d *DB) startWriters(pool *sql.DB) {
	n := 1
	if d.dialect == MySQL {
		n = d.config.Writers
	}
	for range n {
		w := &writer{db: d, pool: pool, dialect: d.dialect}
		d.writers = append(d.writers, w)
		d.working.Go(w.run)
	}
	d.done.Go(func() {
		d.working.Wait()
		pool.Close()
	})
}

// Close ends the writers after what they have begun, gives the node number back, and closes
// the pools.
func (d *DB) Close() error {
	d.once.Do(func() {
		d.node.release()
		close(d.closing)
		d.done.Wait()
		d.closeKept()
	})
	return d.read.Close()
}

// Dialect returns the kind of database.
func (d *DB) Dialect() Dialect { return d.dialect }

// SQL returns the read pool.
func (d *DB) SQL() *sql.DB { return d.read }

// IDs returns the id generator of this process.
func (d *DB) IDs() *models.IDs { return d.ids }

// Now returns the injected clock's time.
func (d *DB) Now() time.Time { return d.config.Now() }

// Process returns the identity of this process in tables nodes and leases.
func (d *DB) Process() models.ID { return d.node.process }

// Leases returns the leases of this database.
func (d *DB) Leases() *Leases { return d.leases }

// Ping reports whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	if err := d.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return unavailable(err)
	}
	return nil
}

// Querier reads; *sql.DB and *Tx are ones.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type txKey struct{}

// Reader returns the transaction that ctx carries, else the read pool.
func (d *DB) Reader(ctx context.Context) Querier {
	if tx := TxOf(ctx); tx != nil {
		return tx
	}
	return d.read
}

// TxOf returns the transaction that ctx carries, or nil.
func TxOf(ctx context.Context) *Tx {
	tx, _ := ctx.Value(txKey{}).(*Tx)
	return tx
}

func unavailable(err error) error {
	var e *models.Error
	if errors.As(err, &e) {
		return err
	}
	e = &models.Error{Kind: models.Unavailable, Key: "db.unavailable", Msg: "The database cannot be reached at the moment.", Err: fmt.Errorf("database: %w", err)}
	if IsFull(err) { // as the store of messages says it: to a sender both are one disk
		e.Key, e.Msg = "store.full", "There is no space left at the moment."
	}
	return e
}
