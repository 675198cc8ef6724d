package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	claimRows  = 100 // recipients that one worker claims at once
	claimItems = 10  // messages of them that are to be sent

	// lease is how long a claim lasts without being renewed: so long after a process died its
	// recipients are tried again.
	defaultLease = 30 * time.Second
)

var errLost = errors.New("the claim is lost")

// claim is a recipient that this process alone may try.
type claim struct {
	models.QueueRecipient

	mu    sync.Mutex
	until time.Time // by the process's own clock, with a margin: not valid after it
	lost  bool
}

// valid reports whether the claim holds still.
func (c *claim) valid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.lost && time.Now().Before(c.until)
}

func (c *claim) extend(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = until
}

func (c *claim) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
}

// claims are those of this process, by recipient.
type claims struct {
	mu   sync.Mutex
	byID map[models.ID]*claim
}

func (c *claims) add(all []*claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range all {
		c.byID[one.ID] = one
	}
}

func (c *claims) drop(all []*claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range all {
		delete(c.byID, one.ID)
	}
}

func (c *claims) has(id models.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id] != nil
}

func (c *claims) list() []*claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*claim, 0, len(c.byID))
	for _, one := range c.byID {
		out = append(out, one)
	}
	return out
}

const recipientColumns = "id, queue_id, address, domain, original, notify, flow, state, held, released, next_at, attempts, warned_at, last_at, host, code, enhanced, detail, reason, owner, token"

func scanRecipient(rows *sql.Rows, r *models.QueueRecipient) error {
	return rows.Scan(&r.ID, &r.QueueID, &r.Address, &r.Domain, &r.Original, &r.Notify, &r.Flow, &r.State, &r.Held, &r.Released, &r.NextAt, &r.Attempts, &r.WarnedAt, &r.LastAt,
		&r.Host, &r.Code, &r.Enhanced, &r.Detail, &r.Reason, &r.Owner, &r.Token)
}

// taking is one worker's wish for claims.
type taking struct {
	ids   []models.ID // that may be due and free
	began time.Time
	rows  []models.QueueRecipient // what was claimed
}

// take claims what a flow has due, of at most some messages. more says that there was more.
func (q *Queue) take(ctx context.Context, f *flow, messages int) (taken []*claim, more bool, err error) {
	t := &taking{}
	if t.ids, more, err = q.candidates(ctx, f, messages); err != nil || len(t.ids) == 0 {
		return nil, false, err
	}
	if err := q.takings.do(t, len(t.ids)); err != nil {
		return nil, true, err
	}
	for _, r := range t.rows {
		taken = append(taken, &claim{QueueRecipient: r, until: q.validUntil(t.began)})
	}
	q.claims.add(taken)
	return taken, more, nil
}

// validUntil is the end of a claim that was taken or renewed after a moment, some of it left off.
func (q *Queue) validUntil(began time.Time) time.Time { return began.Add(q.lease * 5 / 6) }

// takeAll is the transaction of take, for the wishes of several workers.
func (q *Queue) takeAll(ctx context.Context, all []*taking) error {
	began := time.Now()
	return q.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		of := map[models.ID]*taking{}
		var ids []models.ID
		for _, t := range all {
			t.began, t.rows = began, nil
			for _, id := range t.ids {
				of[id] = t
			}
			ids = append(ids, t.ids...)
		}
		return q.takeRows(ctx, tx, ids, of)
	})
}

// takeRows is the compare-and-swap of take. A row of this process that it is not working on is
// one whose claim it never got to know as its own, or gave up.
func (q *Queue) takeRows(ctx context.Context, tx *db.Tx, ids []models.ID, of map[models.ID]*taking) error {
	me, clock, now := q.config.DB.Process(), tx.Dialect().Clock(), models.At(q.now())
	// By ids alone: with more conditions SQLite goes through everything that is due.
	in, args := among(ids)
	rows, err := tx.QueryContext(ctx, "SELECT "+recipientColumns+" FROM queue_recipients WHERE id"+in+" AND (owner = 0 OR owner = ? OR until_time <= "+clock+
		") ORDER BY queue_id, id"+tx.Dialect().ForUpdate(), append(args, me)...)
	free, err := all(rows, err, scanRecipient)
	if err != nil {
		return err
	}
	var claimed []models.ID
	for _, r := range free {
		t := of[r.ID]
		if r.Held || r.NextAt > now || r.Owner == me && q.claims.has(r.ID) {
			continue
		}
		r.Owner, r.Token = me, r.Token+1
		t.rows, claimed = append(t.rows, r), append(claimed, r.ID)
	}
	if len(claimed) == 0 {
		return nil
	}
	// The next attempt moves to the end of the claim, so that the index of what is due has only
	// what can be claimed.
	in, args = among(claimed, me, q.lease.Microseconds(), models.At(q.now().Add(q.lease)))
	n, err := affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET owner = ?, token = token + 1, until_time = "+clock+" + ?, next_at = ? WHERE id"+in, args...))
	if err == nil && n != int64(len(claimed)) {
		err = fmt.Errorf("claim %d recipients: %d changed", len(claimed), n)
	}
	return err
}

// renew extends all claims of this process; those that are not its own any more are lost. An
// error leaves them to run out.
func (q *Queue) renew(ctx context.Context) error {
	all := q.claims.list()
	for start := 0; start < len(all); start += adminPiece {
		if err := q.renewSome(ctx, all[start:min(start+adminPiece, len(all))]); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) renewSome(ctx context.Context, some []*claim) error {
	ids := make([]models.ID, len(some))
	for i, c := range some {
		ids[i] = c.ID
	}
	in := "owner = ? AND id IN (" + list("?", len(ids)) + ")"
	tokens := map[models.ID]int64{}
	began := time.Now()
	err := q.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		clear(tokens)
		rows, err := tx.QueryContext(ctx, "SELECT id, token FROM queue_recipients WHERE "+in+" ORDER BY id"+tx.Dialect().ForUpdate(), idArgs(ids, q.config.DB.Process())...)
		type held struct {
			id    models.ID
			token int64
		}
		mine, err := all(rows, err, func(rows *sql.Rows, h *held) error { return rows.Scan(&h.id, &h.token) })
		if err != nil || len(mine) == 0 {
			return err
		}
		for _, h := range mine {
			tokens[h.id] = h.token
		}
		_, err = affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET until_time = "+tx.Dialect().Clock()+" + ?, next_at = ? WHERE "+in,
			append([]any{q.lease.Microseconds(), models.At(q.now().Add(q.lease))}, idArgs(ids, q.config.DB.Process())...)...))
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range some {
		if tokens[c.ID] == c.Token {
			c.extend(q.validUntil(began))
		} else {
			c.lose()
		}
	}
	return nil
}

// giveBack ends claims without a result: the recipients are due again at a moment.
func (q *Queue) giveBack(ctx context.Context, some []*claim, at models.Micros) error {
	defer q.claims.drop(some)
	if len(some) == 0 {
		return nil
	}
	return q.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		mine, err := q.mine(ctx, tx, some)
		if err != nil || len(mine) == 0 {
			return err
		}
		_, err = affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET owner = 0, until_time = 0, next_at = ? WHERE id IN ("+list("?", len(mine))+")", idArgs(claimIDs(mine), at)...))
		return err
	})
}

// mine locks the rows of claims and returns those that still hold.
func (q *Queue) mine(ctx context.Context, tx *db.Tx, some []*claim) ([]*claim, error) {
	type held struct {
		id    models.ID
		token int64
	}
	in, args := among(claimIDs(some), q.config.DB.Process())
	rows, err := tx.QueryContext(ctx, "SELECT id, token FROM queue_recipients WHERE owner = ? AND id"+in+" ORDER BY id"+tx.Dialect().ForUpdate(), args...)
	there, err := all(rows, err, func(rows *sql.Rows, h *held) error { return rows.Scan(&h.id, &h.token) })
	if err != nil {
		return nil, err
	}
	tokens := make(map[models.ID]int64, len(there))
	for _, h := range there {
		tokens[h.id] = h.token
	}
	var out []*claim
	for _, c := range some {
		if tokens[c.ID] == c.Token {
			out = append(out, c)
		}
	}
	return out, nil
}

func claimIDs(some []*claim) []models.ID {
	ids := make([]models.ID, len(some))
	for i, c := range some {
		ids[i] = c.ID
	}
	return ids
}

// freeAll makes due what processes that are gone have claimed. Only for a server that knows that
// no other sends from its database.
func (q *Queue) freeAll(ctx context.Context) error {
	for {
		var n int64
		err := q.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			now := models.At(q.now())
			rows, err := tx.QueryContext(ctx, "SELECT id FROM queue_recipients WHERE held = 0 AND next_at > ? AND next_at <= ? AND owner <> 0 AND owner <> ? LIMIT ?",
				now, models.At(q.now().Add(2*q.lease)), q.config.DB.Process(), adminPiece)
			ids, err := all(rows, err, func(rows *sql.Rows, id *models.ID) error { return rows.Scan(id) })
			if n = int64(len(ids)); err != nil || n == 0 {
				return err
			}
			_, err = affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET owner = 0, until_time = 0, next_at = ? WHERE id IN ("+list("?", len(ids))+")", idArgs(ids, now)...))
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
