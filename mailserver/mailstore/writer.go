package mailstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	// maxRows and maxBytes bound what one transaction of arrivals writes.
	maxRows  = 256
	maxBytes = 1 << 20

	// maxYields is how often the processor is offered to others before a group is closed.
	maxYields = 3

	// lookFor is how long a writer looks for the rows of a lost COMMIT before it gives up.
	lookFor = 60 * time.Second
	// maxTries is how often an item is written again after a lost COMMIT.
	maxTries = 3
)

// startWriters starts n goroutines that write arrivals in groups.
func (s *Store) startWriters(n int) {
	var all sync.WaitGroup
	for range n {
		all.Go(s.write)
	}
	go func() {
		all.Wait()
		close(s.stopped)
		s.refuse()
	}()
}

// refuse ends what is still in the queue; each owner ends itself when it sees stopped.
func (s *Store) refuse() {
	for {
		select {
		case it := <-s.queue:
			if it.take() {
				it.finish(errClosed())
			}
		default:
			return
		}
	}
}

// write takes what waits, without waiting for more: while one group is synced the next one
// gathers by itself.
func (s *Store) write() {
	var next *item
	for {
		if next == nil {
			select {
			case <-s.life.Done():
				return
			case next = <-s.queue:
			}
		}
		var group []*item
		group, next = s.gather(next)
		if group = s.flush(group); len(group) > 0 {
			s.commit(group, 1)
		}
		if s.life.Err() != nil && next != nil {
			if next.take() {
				next.finish(errClosed())
			}
			return
		}
	}
}

// gather takes first and what else waits, up to the bounds of a group. What is over them is
// returned as next; an item that is over them by itself is a group alone.
//
// Whoever shared a sync of the blobs comes here in the same moment, but the first of them wakes
// this goroutine; so the processor is offered to the others before the group is closed. That
// costs a microsecond and saves them a whole sync of the database.
func (s *Store) gather(first *item) (group []*item, next *item) {
	rows, weight, yields := 0, 0, 0
	for it := first; it != nil; it = s.poll(&yields) {
		if len(group) > 0 && (rows+it.rows > maxRows || weight+it.weight > maxBytes) {
			return group, it
		}
		if it.take() {
			group = append(group, it)
			rows += it.rows
			weight += it.weight
		}
	}
	return group, nil
}

// poll takes an item that waits; nil if there is none after some yields.
func (s *Store) poll(yields *int) *item {
	for {
		select {
		case it := <-s.queue:
			return it
		default:
		}
		if *yields == maxYields {
			return nil
		}
		*yields++
		runtime.Gosched()
	}
}

// flush makes the bytes of a group durable, and ends the items whose bytes could not be kept. One
// goroutine does that and the COMMIT in turn: while both run all others gather, and share the
// next two syncs. If the syncs overlapped, each would be for half as many.
func (s *Store) flush(group []*item) []*item {
	var bodies []*blob.Prepared
	for _, it := range group {
		for i := range it.letters {
			if b := it.letters[i].body; b != nil {
				bodies = append(bodies, b)
			}
		}
	}
	if len(bodies) == 0 {
		return group
	}
	s.blobs.Flush(context.WithoutCancel(s.life), bodies)
	return slices.DeleteFunc(group, func(it *item) bool {
		err := it.durable()
		if err != nil {
			it.finish(err)
		}
		return err != nil
	})
}

// durable takes over where flushed bytes are.
func (it *item) durable() error {
	for i := range it.letters {
		l := &it.letters[i]
		if l.body == nil {
			continue
		}
		if err := l.body.Err(); err != nil {
			return err
		}
		l.staged, l.body = l.body.Staged, nil
	}
	return nil
}

// commit writes a group and answers everybody in it. When the database refuses it, it is written
// again in halves; when the database is away, all fail.
func (s *Store) commit(group []*item, try int) {
	err := s.transaction(group, s.place)
	if err != nil && len(group) > 1 && !models.Is(err, models.Unavailable) {
		err = s.transaction(group, s.placeHalves)
	}
	switch {
	case err == nil:
		for _, it := range group {
			close(it.done)
		}
	case errors.Is(err, db.ErrUnknownCommit):
		s.findOut(group, err, try)
	case len(group) > 1 && !models.Is(err, models.Unavailable):
		half := len(group) / 2 // something that a savepoint does not take back
		s.commit(group[:half], try)
		s.commit(group[half:], try)
	default:
		s.notStored(len(group), err)
		for _, it := range group {
			it.finish(refusal(err))
		}
	}
}

// placing writes items in an open transaction.
type placing func(ctx context.Context, tx *db.Tx, items []*item) error

func (s *Store) transaction(group []*item, do placing) error {
	return s.db.Write(context.WithoutCancel(s.life), func(ctx context.Context, tx *db.Tx) error { return guarded(ctx, tx, group, do) })
}

// guarded makes an error of a panic: the writer lives on.
func guarded(ctx context.Context, tx *db.Tx, items []*item, do placing) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an arrival: %v\n%s", p, debug.Stack())
		}
	}()
	return do(ctx, tx, items)
}

// placeHalves writes the halves of a group that was refused, and of these the halves if need be,
// until the guilty one is alone. All share one COMMIT, so that nobody waits for several syncs.
func (s *Store) placeHalves(ctx context.Context, tx *db.Tx, items []*item) error {
	half := len(items) / 2
	for _, part := range [][]*item{items[:half], items[half:]} {
		if _, err := tx.ExecContext(ctx, "SAVEPOINT half"); err != nil {
			return err
		}
		err := guarded(ctx, tx, part, s.place)
		if err == nil {
			continue
		}
		if models.Is(db.Failure(err), models.Unavailable) {
			return err // the transaction is lost, not the part
		}
		if _, back := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT half"); back != nil {
			return errors.Join(back, err)
		}
		if len(part) > 1 {
			if err := s.placeHalves(ctx, tx, part); err != nil {
				return err
			}
			continue
		}
		s.notStored(1, err)
		part[0].err = refusal(err)
	}
	return nil
}

// notStored notes a failure. What an Also refuses in words of its own is no matter for the
// administrator.
func (s *Store) notStored(items int, err error) {
	level := slog.LevelWarn
	var e *models.Error
	if errors.As(err, &e) && e.Kind != models.Internal && e.Kind != models.Unavailable {
		level = slog.LevelDebug
	}
	s.log.Log(context.Background(), level, "arrival not stored", "items", items, "err", err)
}

// refusal makes a temporary error of whatever the database said of an item: the sender may try
// again, and we have it in the log.
func refusal(err error) error {
	var e *models.Error
	if errors.As(err, &e) {
		return err
	}
	return &models.Error{Kind: models.Unavailable, Key: "store.refused", Msg: "The message could not be stored.", Err: err}
}

// findOut finds out what became of a group whose COMMIT was lost. Blob ids are keys of the same
// transaction: those that are there were committed, and the others are written again.
func (s *Store) findOut(group []*item, cause error, try int) {
	s.log.Warn("outcome of an arrival is not known", "items", len(group), "err", cause)
	there, err := s.lookUp(group)
	if err == nil && try >= maxTries {
		cause = models.Unavailablef(errors.New("COMMIT was lost again and again"), "The message could not be stored.")
	}
	var again []*item
	for _, it := range group {
		switch {
		case there[it.letters[0].staged.ID]:
			close(it.done) // with the verdict of the transaction that made it
		case err == nil && it.err != nil:
			close(it.done) // it was refused, whatever became of the rest
		case err != nil || try >= maxTries:
			it.finish(cause)
		default:
			again = append(again, it)
		}
	}
	if len(again) > 0 {
		s.commit(again, try+1)
	}
}

var blobLists = [...]*shape{
	db.SQLite: listOf("SELECT id FROM blobs WHERE id IN (%s)" + db.SQLite.ForUpdate()),
	db.MySQL:  listOf("SELECT id FROM blobs WHERE id IN (%s)" + db.MySQL.ForUpdate()),
}

// lookUp reads which items have their rows, and keeps trying while the database is away. It
// locks what it reads, and so waits for a transaction that is still at its COMMIT: the answer
// is final.
func (s *Store) lookUp(group []*item) (map[models.ID]bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.life), lookFor)
	defer cancel()
	ids := make([]any, len(group))
	for i, it := range group {
		ids[i] = int64(it.letters[0].staged.ID)
	}
	d := s.db.Dialect()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		var there map[models.ID]bool
		err := s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			there = map[models.ID]bool{}
			return queryList(ctx, d, tx, blobLists[d], nil, ids, func(rows *sql.Rows) error {
				var id models.ID
				err := rows.Scan(&id)
				there[id] = true
				return err
			})
		})
		if err == nil {
			return there, nil
		}
		select {
		case <-time.After(wait):
		case <-s.life.Done():
			return nil, err
		case <-ctx.Done():
			return nil, err
		}
	}
}
