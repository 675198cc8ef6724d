package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// lookFor bounds how long a writer looks for the outcome of a lost COMMIT. A server that is
// restarted or taken over by another is back by then, mostly; the writer does nothing else
// meanwhile.
const lookFor = 3 * time.Second

// lostCommit is the failure of a COMMIT of which nothing was committed: the transaction may be
// run again.
type lostCommit struct{ error }

func (e lostCommit) Unwrap() error { return e.error }

// commitFailed finds out what became of a group whose COMMIT failed, and answers it unless its
// error says that the group may be run again.
func (w *writer) commitFailed(group []*request, changes *changeSet, err error) error {
	w.rollback()
	if conflict(err) {
		return err
	}
	w.disconnect()
	if w.dialect == SQLite {
		// SQLite fails only when nothing was committed. Running it again also writes over what a
		// failed sync left in the log: after a crash recovery would take that for committed.
		return lostCommit{err}
	}
	there, lookErr := w.look()
	switch {
	case lookErr != nil:
		unknown(group, errors.Join(err, lookErr))
		w.stream = stream{} // its next number may be taken
	case !there:
		return lostCommit{err}
	default:
		w.stream.committed()
	}
	// If it is not known watchers are told as well: to look once too often does no harm.
	w.db.watch.local(changes.list())
	return nil
}

// recordFailed passes on why changes could not be recorded. Their number can be taken already
// if a COMMIT that was given up for lost has come through nevertheless, on another node.
func (w *writer) recordFailed(group []*request, err error) error {
	if !IsDuplicate(err) {
		return err
	}
	w.stream = stream{}
	unknown(group, err)
	return nil
}

func unknown(group []*request, err error) {
	for _, req := range group {
		if req.err == nil {
			req.err = unavailable(errors.Join(ErrUnknownCommit, err))
		}
	}
}

// look reports whether the transaction whose COMMIT was lost has been committed, and asks again
// while the database is away. Its row in table changes is its key. The row is read with a lock,
// which waits for a server that is still at the COMMIT: the answer is final.
func (w *writer) look() (there bool, err error) {
	if !w.stream.open {
		return false, nil // it changed nothing
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		if there, err = w.lookOnce(ctx); err == nil {
			return there, nil
		}
		select {
		case <-time.After(wait):
		case <-w.db.closing:
			return false, err
		case <-ctx.Done():
			return false, err
		}
	}
}

func (w *writer) lookOnce(ctx context.Context) (bool, error) {
	if err := w.connect(ctx); err != nil {
		return false, err
	}
	var one int
	err := w.conn.QueryRowContext(ctx, "SELECT 1 FROM changes WHERE stream = ? AND seq = ?"+w.dialect.ForUpdate(), w.stream.id, w.stream.seq+1).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		w.disconnect()
		return false, fmt.Errorf("look for a lost COMMIT: %w", err)
	}
	return true, nil
}
