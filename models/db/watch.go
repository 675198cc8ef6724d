package db

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postchi/postchi/models"
)

const (
	changesKept  = time.Hour
	pruneEvery   = time.Minute
	pruneBatch   = 500  // rows removed in one transaction
	changesBatch = 2000 // rows read at once
	pollTimeout  = 10 * time.Second
)

// watch tells watchers of changes: our own at once, those of other processes by polling.
type watch struct {
	db       *DB
	wake     chan struct{}
	accounts atomic.Int64 // rises with each change that ofAccounts knows

	mu       sync.Mutex
	queued   []Change
	watchers map[int]func([]Change)
	nextID   int
	ours     map[models.ID]bool

	// Of the goroutine of run alone.
	positions   map[models.ID]int64
	dataVersion int64
	conn        *sql.Conn // SQLite: data_version counts the commits of other connections than this
}

func newWatch(d *DB) *watch {
	return &watch{db: d, wake: make(chan struct{}, 1), watchers: map[int]func([]Change){}, ours: map[models.ID]bool{}}
}

// Watch calls fn with what changed, in order and never at the same time as another watcher:
// after each commit of this process at once, and for those of other processes within
// Config.PollEvery. fn must be quick and must not call stop. A change may be told twice, and
// ChangedAll stands for what was missed.
func (d *DB) Watch(fn func([]Change)) (stop func()) {
	w := d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.nextID
	w.nextID++
	w.watchers[id] = fn
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watchers, id)
	}
}

// own marks a stream as written by this process, whose changes are told without the database.
func (w *watch) own(stream models.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ours[stream] = true
}

// local queues the changes of a commit of ours.
func (w *watch) local(changes []Change) {
	if len(changes) == 0 {
		return
	}
	if ofAccounts(changes) {
		w.accounts.Add(1) // here, so that who has written reads what he wrote
	}
	w.mu.Lock()
	w.queued = append(w.queued, changes...)
	if len(w.queued) > 100*maxChanges {
		w.queued = []Change{{Kind: ChangedAll}}
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watch) run() {
	tick := time.NewTicker(w.db.config.PollEvery)
	defer tick.Stop()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	defer w.closeConn()
	for {
		select {
		case <-w.db.closing:
			return
		case <-w.wake:
			w.flush()
		case <-tick.C:
			w.poll()
		case <-prune.C:
			w.prune()
		}
	}
}

// flush tells what our own commits queued.
func (w *watch) flush() {
	w.mu.Lock()
	changes := w.queued
	w.queued = nil
	w.mu.Unlock()
	w.tell(changes)
}

func (w *watch) tell(changes []Change) {
	if len(changes) == 0 {
		return
	}
	w.mu.Lock()
	fns := make([]func([]Change), 0, len(w.watchers))
	for _, fn := range w.watchers {
		fns = append(fns, fn)
	}
	w.mu.Unlock()
	for _, fn := range fns {
		w.call(fn, changes)
	}
}

func (w *watch) call(fn func([]Change), changes []Change) {
	defer func() {
		if p := recover(); p != nil {
			w.db.config.Log.Error("watcher failed", "err", p)
		}
	}()
	fn(changes)
}

// poll reads what other processes committed. A failing database is logged at debug only: the
// next poll reads on from the same place.
func (w *watch) poll() {
	ctx, cancel := context.WithTimeout(context.Background(), pollTimeout)
	defer cancel()
	changes, err := w.read(ctx)
	if err != nil {
		w.closeConn()
		w.db.config.Log.Debug("cannot read changes", "err", err)
		return
	}
	if ofAccounts(changes) {
		w.accounts.Add(1)
	}
	w.tell(changes)
}

func (w *watch) read(ctx context.Context) ([]Change, error) {
	moved, err := w.moved(ctx)
	if err != nil || !moved {
		return nil, err
	}
	if err := w.findStreams(ctx); err != nil {
		w.dataVersion = 0
		return nil, err
	}
	changes, err := w.readStreams(ctx)
	if err != nil {
		w.dataVersion = 0 // look again, though nothing moves meanwhile
	}
	return changes, err
}

// moved reports whether another connection committed since the last call. On MySQL nobody
// can tell, so it is always true.
func (w *watch) moved(ctx context.Context) (bool, error) {
	if w.db.dialect == MySQL {
		return true, nil
	}
	if w.conn == nil {
		conn, err := w.db.read.Conn(ctx)
		if err != nil {
			return false, err
		}
		w.conn, w.dataVersion = conn, 0
	}
	var version int64
	if err := w.conn.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
		return false, err
	}
	moved := version != w.dataVersion
	w.dataVersion = version
	return moved, nil
}

func (w *watch) closeConn() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// findStreams learns of streams that began. Those that exist at the first look are read from
// their end on, later ones from their beginning.
func (w *watch) findStreams(ctx context.Context) error {
	first := w.positions == nil
	rows, err := w.db.read.QueryContext(ctx, "SELECT s.stream, (SELECT MAX(c.seq) FROM changes c WHERE c.stream = s.stream) FROM streams s")
	if err != nil {
		return fmt.Errorf("read streams: %w", err)
	}
	defer rows.Close()
	positions := map[models.ID]int64{}
	for rows.Next() {
		var id models.ID
		var last sql.NullInt64
		if err := rows.Scan(&id, &last); err != nil {
			return err
		}
		known, ok := w.positions[id]
		switch {
		case ok:
			positions[id] = known
		case first:
			positions[id] = last.Int64
		default:
			positions[id] = 0
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.ours {
		delete(positions, id)
	}
	w.positions = positions
	return nil
}

func (w *watch) readStreams(ctx context.Context) ([]Change, error) {
	if len(w.positions) == 0 {
		return nil, nil
	}
	var where []string
	var args []any
	for id, seq := range w.positions {
		where = append(where, "stream = ? AND seq > ?")
		args = append(args, id, seq)
	}
	query := "SELECT stream, seq, items FROM changes WHERE " + strings.Join(where, " OR ") + " ORDER BY stream, seq LIMIT ?"
	rows, err := w.db.read.QueryContext(ctx, query, append(args, changesBatch)...)
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", err)
	}
	defer rows.Close()
	var all changeSet
	n := 0
	for rows.Next() {
		var id models.ID
		var seq int64
		var items string
		if err := rows.Scan(&id, &seq, &items); err != nil {
			return nil, err
		}
		if seq != w.positions[id]+1 {
			all.add(Change{Kind: ChangedAll}) // pruned before we read it
		}
		w.positions[id] = seq
		for _, c := range decodeChanges(items) {
			all.add(c)
		}
		n++
	}
	if n == changesBatch {
		w.dataVersion = 0 // there is more
	}
	return all.items, rows.Err()
}

// prune removes changes that every living process has read long ago, and streams of processes
// that are gone.
func (w *watch) prune() {
	ctx, cancel := context.WithTimeout(context.Background(), pruneEvery)
	defer cancel()
	before := models.At(w.db.Now().Add(-changesKept))
	if err := w.pruneStreams(ctx, before); err != nil {
		w.db.config.Log.Debug("cannot prune changes", "err", err)
	}
}

func (w *watch) pruneStreams(ctx context.Context, before models.Micros) error {
	ids, err := w.streams(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		for more := true; more; {
			if more, err = w.pruneSome(ctx, id, before); err != nil {
				return err
			}
		}
	}
	return w.db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM streams WHERE started_at < ? AND process NOT IN (SELECT process FROM nodes)
			AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.stream = streams.stream)`, before)
		return err
	})
}

func (w *watch) streams(ctx context.Context) (ids []models.ID, err error) {
	rows, err := w.db.read.QueryContext(ctx, "SELECT stream FROM streams")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id models.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// pruneSome removes the first changes of a stream, of those from before a moment: they come in
// the order of their time, so no index by time is needed, which every transaction would pay for.
func (w *watch) pruneSome(ctx context.Context, stream models.ID, before models.Micros) (more bool, err error) {
	err = w.db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		var last sql.NullInt64
		var n int
		err := tx.QueryRowContext(ctx, `SELECT MAX(seq), COUNT(*) FROM (SELECT seq, at FROM changes WHERE stream = ? ORDER BY seq LIMIT ?) AS oldest
			WHERE at < ?`, stream, pruneBatch, before).Scan(&last, &n)
		if more = err == nil && n == pruneBatch; err != nil || n == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM changes WHERE stream = ? AND seq <= ?", stream, last.Int64)
		return err
	})
	return more, err
}
