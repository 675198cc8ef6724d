package db

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

// Leases are locks over all processes of a database: rows taken by compare-and-swap.
type Leases struct {
	db *DB

	mu sync.Mutex
	// doubt has the names of leases that the database may say are ours while nobody here holds
	// them: an Acquire or a Release of which the outcome is not known. They are as good as free.
	doubt map[string]bool
}

// Lease is a held lock. Token grows with every holder: who stores it with his results can
// refuse those of a holder that was too slow.
type Lease struct {
	Name  string
	Token int64

	leases *Leases
	ttl    time.Duration
}

// Clock is the database's clock as an expression of SQL, in microseconds: the only one by which
// leases of several nodes can be compared.
func (d Dialect) Clock() string {
	if d == MySQL {
		return "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
	}
	return "(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000)"
}

// leaseNow reads the database's clock.
func (d *DB) leaseNow(ctx context.Context, q Querier) (models.Micros, error) {
	var now models.Micros
	err := q.QueryRowContext(ctx, "SELECT "+d.dialect.Clock()).Scan(&now)
	return now, err
}

// Acquire takes the lease, or returns an error of kind Conflict if somebody else holds it. A
// ttl of 0 holds it until Release or until this process is gone: at once if the asker shares
// its data folder, within 30 s otherwise.
func (l *Leases) Acquire(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	lease := &Lease{Name: name, leases: l, ttl: ttl}
	err := l.db.Write(ctx, func(ctx context.Context, tx *Tx) error { return lease.take(ctx, tx) })
	if err == nil || errors.Is(err, ErrUnknownCommit) {
		l.doubtful(name, err != nil)
	}
	if err != nil {
		return nil, err
	}
	return lease, nil
}

func (l *Leases) doubtful(name string, yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !yes {
		delete(l.doubt, name)
		return
	}
	if l.doubt == nil {
		l.doubt = map[string]bool{}
	}
	l.doubt[name] = true
}

func (l *Leases) inDoubt(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doubt[name]
}

func held(name string) error {
	return models.Errorf(models.Conflict, "lease.held", "Somebody else is doing this at the moment.").Because(errors.New("lease " + name))
}

func (lease *Lease) take(ctx context.Context, tx *Tx) error {
	d := lease.leases.db
	now, err := d.leaseNow(ctx, tx)
	if err != nil {
		return err
	}
	var owner models.ID
	var token int64
	var expires models.Micros
	err = tx.QueryRowContext(ctx, "SELECT owner, token, expires_at FROM leases WHERE name = ?"+d.dialect.ForUpdate(), lease.Name).Scan(&owner, &token, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		lease.Token = 1
		_, err = tx.ExecContext(ctx, "INSERT INTO leases (name, owner, token, expires_at) VALUES (?, ?, ?, ?)", lease.Name, d.node.process, lease.Token, lease.until(now))
		if IsDuplicate(err) {
			return held(lease.Name)
		}
		return err
	}
	if err != nil {
		return err
	}
	free, err := d.free(ctx, tx, owner, expires, now)
	if err != nil {
		return err
	}
	if !free && (owner != d.node.process || !lease.leases.inDoubt(lease.Name)) {
		return held(lease.Name)
	}
	lease.Token = token + 1
	return changedOne(lease.Name)(tx.ExecContext(ctx, "UPDATE leases SET owner = ?, token = ?, expires_at = ? WHERE name = ? AND token = ?",
		d.node.process, lease.Token, lease.until(now), lease.Name, token))
}

// free reports whether a lease of this owner may be taken.
func (d *DB) free(ctx context.Context, q Querier, owner models.ID, expires, now models.Micros) (bool, error) {
	if owner == 0 || expires != 0 && expires <= now {
		return true, nil
	}
	if owner == d.node.process {
		return false, nil
	}
	h := holder{process: owner}
	err := q.QueryRowContext(ctx, "SELECT folder, expires_at FROM nodes WHERE process = ?", owner).Scan(&h.folder, &h.expires)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return err == nil && !d.node.alive(h, now), err
}

func (lease *Lease) until(now models.Micros) models.Micros {
	if lease.ttl == 0 {
		return 0
	}
	return now + models.Micros(lease.ttl.Microseconds())
}

// Renew extends a lease with a ttl from now on. Conflict means that it was lost.
func (lease *Lease) Renew(ctx context.Context) error {
	d := lease.leases.db
	return d.Write(ctx, func(ctx context.Context, tx *Tx) error {
		now, err := d.leaseNow(ctx, tx)
		if err != nil {
			return err
		}
		return changedOne(lease.Name)(tx.ExecContext(ctx, "UPDATE leases SET expires_at = ? WHERE name = ? AND owner = ? AND token = ?", lease.until(now), lease.Name, d.node.process, lease.Token))
	})
}

// Release gives the lease back; one that was lost is no error. After an error this process may
// take it again nevertheless, and the others may once it is gone.
func (lease *Lease) Release(ctx context.Context) error {
	d := lease.leases.db
	err := d.Write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE leases SET owner = 0, expires_at = 1 WHERE name = ? AND owner = ? AND token = ?", lease.Name, d.node.process, lease.Token)
		return err
	})
	if err != nil {
		lease.leases.doubtful(lease.Name, true)
	}
	return err
}

func changedOne(name string) func(sql.Result, error) error {
	return func(res sql.Result, err error) error {
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return held(name)
	}
}
