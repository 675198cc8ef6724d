package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	maxGroup    = 256 // callers that share one transaction on SQLite
	maxAttempts = 60  // of one transaction on MySQL after conflicts

	// maxPause is the longest pause before another attempt. A node of a Galera cluster ends its
	// own transactions in favour of those of others, so the same one may lose many times.
	maxPause = 100 * time.Millisecond

	maxLost    = 3                // of one transaction when its connection or its COMMIT is lost
	writeLimit = 30 * time.Second // for one transaction, waiting for locks included
)

// request is one caller of Write.
type request struct {
	ctx     context.Context
	fn      func(context.Context, *Tx) error
	changes changeSet
	wrote   bool // fn ran statements that may have changed something
	err     error
	panic   any
	done    chan struct{}
}

// Write runs fn in a transaction and returns after its COMMIT; it is the only way to write.
//
// When ctx carries a transaction of this database already, fn joins it. Otherwise on SQLite
// fn may share a transaction with other callers, each in a savepoint of its own: an error of
// fn undoes what fn did and is returned to its caller alone. On MySQL fn has a transaction to
// itself, and runs again after a conflict; so fn must reset its results when it starts, and
// do no hashing, network or file work. At most 100 ms and 500 rows; cut longer work in pieces.
//
// fn's own error comes back as it is. Failures of the database come as Unavailable. When the
// connection was lost during COMMIT its outcome is looked up; only if the database stays away
// meanwhile it remains unknown, and ErrUnknownCommit is in the error's tree as well. A ctx that
// ends while fn waits for its turn ends the wait; once fn has begun it is finished.
func (d *DB) Write(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if tx := TxOf(ctx); tx != nil && tx.db == d {
		return fn(ctx, tx)
	}
	req := &request{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case d.queue <- req:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-d.closing:
		return unavailable(ErrClosed)
	}
	select {
	case <-req.done:
	case <-d.closing:
		// The writers finish what they have taken; without them there is no answer. Nobody else
		// is waited for: the caller may be one whom Close waits for.
		d.working.Wait()
		select {
		case <-req.done:
		default:
			return unavailable(ErrClosed)
		}
	}
	if req.panic != nil {
		panic(req.panic) // in the caller's goroutine, where its connection recovers
	}
	return req.err
}

// writer owns one writing connection and one stream of changes.
type writer struct {
	db      *DB
	pool    *sql.DB
	dialect Dialect
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	stream  stream
}

func (w *writer) run() {
	defer w.disconnect()
	for {
		select {
		case req := <-w.db.queue:
			w.serve(w.gather(req))
			continue
		default:
		}
		select {
		case req := <-w.db.queue:
			w.serve(w.gather(req))
		case <-w.db.closing:
			return
		}
	}
}

// gather takes what waits: everybody on SQLite, nobody else on MySQL, where the others go to
// the other workers.
func (w *writer) gather(first *request) []*request {
	group := []*request{first}
	if w.dialect == MySQL {
		return group
	}
	for len(group) < maxGroup {
		select {
		case req := <-w.db.queue:
			group = append(group, req)
		default:
			return group
		}
	}
	return group
}

// serve runs a group to its end and answers everybody in it.
func (w *writer) serve(group []*request) {
	live := group[:0:len(group)]
	for _, req := range group {
		if err := req.ctx.Err(); err != nil {
			req.err = unavailable(err)
			close(req.done)
			continue
		}
		live = append(live, req)
	}
	if len(live) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	lost := 0
	for attempt := 1; ; attempt++ {
		err := w.transaction(ctx, live)
		if err == nil {
			break
		}
		if !conflict(err) {
			lost++
		}
		if attempt >= maxAttempts || lost >= maxLost || !retry(err) || ctx.Err() != nil {
			fail(live, err)
			break
		}
		time.Sleep(rand.N(min(time.Duration(attempt)*3*time.Millisecond, maxPause)))
	}
	for _, req := range live {
		close(req.done)
	}
}

func fail(group []*request, err error) {
	for _, req := range group {
		if req.err == nil {
			req.err = unavailable(err)
		}
	}
}

// transaction runs the group once. Its error means that nothing was committed and the group
// may be run again if retry says so; errors of single requests stay with them.
func (w *writer) transaction(ctx context.Context, group []*request) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	if err := w.exec(ctx, w.begin()); err != nil {
		w.disconnect()
		return fmt.Errorf("begin: %w", err)
	}
	alone := len(group) == 1
	var all changeSet
	good, wrote := 0, false
	for _, req := range group {
		if err := w.one(ctx, req, alone); err != nil {
			w.rollback()
			return err
		}
		if req.err == nil && req.panic == nil {
			good++
			wrote = wrote || req.wrote
			all.merge(&req.changes)
		}
	}
	if good == 0 {
		w.rollback()
		return nil
	}
	if err := w.stream.record(ctx, w, &all, wrote); err != nil {
		w.rollback()
		return w.recordFailed(group, err)
	}
	if err := w.exec(ctx, "COMMIT"); err != nil {
		return w.commitFailed(group, &all, err)
	}
	w.stream.committed()
	w.db.watch.local(all.list())
	return nil
}

// one runs one request inside the open transaction. Its error means that the transaction as a
// whole is lost.
func (w *writer) one(ctx context.Context, req *request, alone bool) error {
	req.err, req.panic, req.changes, req.wrote = nil, nil, changeSet{}, false
	if !alone {
		if err := w.exec(ctx, "SAVEPOINT item"); err != nil {
			return fmt.Errorf("savepoint: %w", err)
		}
	}
	tx := w.tx(&req.changes)
	tx.wrote = &req.wrote
	w.call(ctx, req, &tx)
	if alone {
		err := req.err
		switch {
		case err == nil:
		case retry(err): // the transaction is gone; it may be tried again
			req.err = nil
			return err
		case fatal(err):
			req.err = unavailable(err)
		}
		return nil
	}
	if req.err == nil && req.panic == nil {
		return w.exec(ctx, "RELEASE item")
	}
	if fatal(req.err) {
		req.err = unavailable(req.err)
	}
	// After a full disk or an I/O error SQLite has rolled everything back by itself, and there
	// is no savepoint any more.
	if err := w.exec(ctx, "ROLLBACK TO item"); err != nil {
		return errors.Join(req.err, err)
	}
	return w.exec(ctx, "RELEASE item")
}

// call runs fn with a context that carries the transaction. It does not end with the caller's:
// interrupting a statement would roll back SQLite's whole transaction, other callers included.
func (w *writer) call(ctx context.Context, req *request, tx *Tx) {
	defer func() { req.panic = recover() }()
	inner, cancel := context.WithCancel(context.WithoutCancel(req.ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	req.err = req.fn(context.WithValue(inner, txKey{}, tx), tx)
}

// exec runs a statement of the transaction itself.
func (w *writer) exec(ctx context.Context, statement string) error {
	tx := w.tx(nil)
	_, err := tx.ExecContext(ctx, statement)
	return err
}

func (w *writer) tx(changes *changeSet) Tx {
	return Tx{db: w.db, conn: w.conn, prepare: w.dialect == SQLite, stmts: w.stmts, changes: changes}
}

func (w *writer) begin() string {
	if w.dialect == MySQL {
		return "START TRANSACTION"
	}
	return "BEGIN IMMEDIATE"
}

// rollback ends the transaction; a connection that cannot is given up.
func (w *writer) rollback() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := w.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		w.disconnect()
	}
}

func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if w.dialect == MySQL {
		// READ COMMITTED takes no gap locks, so arrivals for different mailboxes do not wait
		// for each other.
		if _, err := conn.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	w.conn, w.stmts = conn, map[string]*sql.Stmt{}
	return nil
}

func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	closeStatements(w.stmts)
	// Raw with ErrBadConn makes the pool throw the connection away: its transaction's state is
	// not known.
	w.conn.Raw(func(any) error { return errBadConn })
	w.conn.Close()
	w.conn, w.stmts = nil, nil
}
