package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// locks gives every maildrop to one session of one process. Within the process a map decides;
// towards other processes a lease without an end, which is void as soon as its process is gone.
type locks struct {
	db  *db.DB
	log *slog.Logger

	mu    sync.Mutex
	held  map[models.ID]struct{}
	stale map[models.ID]struct{} // leases that could not be given back, or may have been taken
}

func newLocks(d *db.DB, log *slog.Logger) *locks {
	return &locks{db: d, log: log, held: map[models.ID]struct{}{}, stale: map[models.ID]struct{}{}}
}

// releaseTime bounds how long a lease is tried to be given back.
const releaseTime = 5 * time.Second

func leaseName(mailbox models.ID) string { return fmt.Sprintf("pop3:%d", mailbox) }

func errInUse() *models.Error {
	return models.Errorf(models.Conflict, "pop3.in_use", "Another program is reading this mailbox by POP3 at the moment.")
}

// acquire returns what gives the lock back. It is of kind Conflict while somebody has it.
func (l *locks) acquire(ctx context.Context, mailbox models.ID) (release func(), err error) {
	if !l.enter(mailbox) {
		return nil, errInUse()
	}
	l.tidy(ctx)
	lease, err := l.lease(ctx, mailbox)
	if db.IsFull(err) && l.db.Dialect() == db.SQLite {
		// Mail can be read though nothing can be written. No other process serves an SQLite
		// database, so the map is lock enough meanwhile.
		l.log.Warn("maildrop opened without a lease", slog.Int64("mailbox_id", int64(mailbox)), slog.Any("err", err))
		return func() { l.leave(mailbox, true) }, nil
	}
	if err != nil {
		l.leave(mailbox, !models.Is(err, models.Conflict))
		if models.Is(err, models.Conflict) {
			return nil, errInUse()
		}
		return nil, err
	}
	return func() { l.release(mailbox, lease) }, nil
}

// lease takes the lease of a mailbox that this process has the lock of.
func (l *locks) lease(ctx context.Context, mailbox models.ID) (*db.Lease, error) {
	lease, err := l.db.Leases().Acquire(ctx, leaseName(mailbox), 0)
	if !models.Is(err, models.Conflict) {
		return lease, err
	}
	// Nobody in this process has it. If the row says otherwise, it was left from a session
	// whose release, or the answer to whose COMMIT, was lost.
	freed, err := l.free(ctx, mailbox)
	if err != nil {
		return nil, err
	}
	if !freed {
		return nil, errInUse()
	}
	return l.db.Leases().Acquire(ctx, leaseName(mailbox), 0)
}

// release gives the lock back. A lease that cannot be given back now is tried again later.
func (l *locks) release(mailbox models.ID, lease *db.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	err := lease.Release(ctx)
	if err != nil {
		l.log.Warn("lock of a maildrop not given back", slog.Int64("mailbox_id", int64(mailbox)), slog.Any("err", err))
	}
	l.leave(mailbox, err != nil)
	if err == nil {
		l.tidy(ctx)
	}
}

// free gives back a lease that the database says this process has, and reports whether it had.
func (l *locks) free(ctx context.Context, mailbox models.ID) (freed bool, err error) {
	err = l.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE leases SET owner = 0, expires_at = 1 WHERE name = ? AND owner = ?",
			leaseName(mailbox), int64(l.db.Process()))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		freed = n > 0
		return err
	})
	return freed, err
}

// tidy tries once more to give back what is stale.
func (l *locks) tidy(ctx context.Context) {
	for _, mailbox := range l.untidy() {
		if !l.enter(mailbox) {
			continue // whoever has it now gives it back
		}
		_, err := l.free(ctx, mailbox)
		l.leave(mailbox, err != nil)
	}
}

// untidy takes the stale mailboxes off the list.
func (l *locks) untidy() []models.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []models.ID
	for mailbox := range l.stale {
		all = append(all, mailbox)
	}
	clear(l.stale)
	return all
}

func (l *locks) enter(mailbox models.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.held[mailbox]; held {
		return false
	}
	l.held[mailbox] = struct{}{}
	return true
}

func (l *locks) leave(mailbox models.ID, stale bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, mailbox)
	if stale {
		l.stale[mailbox] = struct{}{}
	}
}
