package queue

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// retryWrite is the pause before a result is written once more that the database did not take.
const retryWrite = 500 * time.Millisecond

// relayPause is how long messages wait when as many connections to a relay are open as may be.
const relayPause = time.Second

// work claims what a flow has due, and tries it.
func (q *Queue) work(ctx context.Context, t *turn) {
	if q.noRoom(t.to) {
		q.schedule.busy(t.to)
		return
	}
	items := claimItems
	if _, down := q.schedule.isDown(t.to); down {
		items = claimRows // they are only put off
	}
	taken, more, err := q.take(ctx, t.flow, items)
	if err != nil {
		if ctx.Err() == nil {
			q.quiet(true, err)
			q.schedule.busy(t.to)
		}
		return
	}
	q.schedule.looked(t, more)
	q.poke()
	defer q.claims.drop(taken)
	messages, err := q.items(ctx, taken)
	if err != nil {
		q.schedule.busy(t.to)
		q.back(ctx, taken, 0)
		q.schedule.again(t)
		return
	}
	groups := grouped(taken)
	w := &worker{Queue: q, to: t.to, spread: rand.Float64()}
	defer func() { q.settleAll(ctx, w.late) }()
	for i, group := range groups {
		late := len(w.late)
		pause, ok := w.group(ctx, messages[group[0].QueueID], group)
		if !ok {
			q.back(ctx, slices.Concat(groups[i:]...), pause)
			q.schedule.again(t)
			return
		}
		if len(w.late) == late {
			q.claims.drop(group)
		}
	}
}

// noRoom reports whether a destination was busy, and is still: then nothing is claimed for it, since
// claims that are given back cost the database as much as results.
func (q *Queue) noRoom(d *destination) bool {
	client, ok := q.config.Send.(interface{ Free([]netip.Addr) bool })
	full := q.schedule.isFull(d)
	return ok && len(full) > 0 && !client.Free(full)
}

// back gives claims back whose recipients were not tried; they are due after a pause.
func (q *Queue) back(ctx context.Context, some []*claim, pause time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := q.giveBack(ctx, some, models.At(q.now().Add(pause))); err != nil {
		q.log.Debug("claims not given back", "err", err) // they run out
	}
}

// grouped puts the recipients of one message together; they come sorted.
func grouped(taken []*claim) (groups [][]*claim) {
	for i, c := range taken {
		if i == 0 || c.QueueID != taken[i-1].QueueID {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], c)
	}
	return groups
}

// worker is one turn's work for a destination.
type worker struct {
	*Queue
	to     *destination
	late   []*settlement // put off without an attempt, while the destination is down
	spread float64       // of when they are tried again

	// The route of the message before: those of a flow leave the same way.
	mailbox, domain models.ID
	route           *outbound.Route
}

// group does what is due for one message and the recipients of one flow. It is not ok if nothing
// was done, and all is to rest for a pause.
func (w *worker) group(ctx context.Context, item *models.QueueItem, group []*claim) (pause time.Duration, ok bool) {
	if item == nil {
		w.log.Error("recipients in the queue without their message", "queue_id", group[0].QueueID)
		return 0, true // their claims run out; they are shown to whoever looks at the queue
	}
	var due, told, held []*claim
	for _, c := range group {
		switch {
		case c.State != models.RecipientWaiting:
			told = append(told, c)
		case item.Held && !c.Released && item.Sending:
			held = append(held, c)
		default:
			due = append(due, c)
		}
	}
	if len(held) > 0 {
		w.keepHeld(ctx, item, held)
	}
	if len(told) > 0 {
		w.report(ctx, item, told)
	}
	if len(due) == 0 {
		return 0, true
	}
	if ctx.Err() != nil {
		return 0, false
	}
	return w.send(ctx, item, due)
}

// send makes an attempt and writes what came of it. What is learned of a relay is not taken for
// the destination's, where the mail of others goes too.
func (w *worker) send(ctx context.Context, item *models.QueueItem, due []*claim) (pause time.Duration, ok bool) {
	route, err := w.routeOf(ctx, item)
	if err != nil {
		w.log.Warn("route not found", "queue_id", item.ID, "err", err)
		w.settle(ctx, item, due, same(outbound.Result{Enhanced: "4.3.0", Reason: outbound.ReasonRoute, Text: "how the message leaves cannot be found out at the moment"}, len(due)))
		return 0, true
	}
	direct := route.Relay == nil
	if why, down := w.schedule.isDown(w.to); down && direct {
		w.putOff(item, due, why)
		return 0, true
	}
	a := w.attempt(ctx, item, route, due)
	if abandoned(a.Results) && !a.Busy {
		return 0, false // by ourselves: that is no attempt
	}
	if !direct {
		if a.Busy {
			return relayPause, false
		}
	} else if !w.learn(a) {
		return 0, false
	}
	w.settle(ctx, item, due, a.Results)
	return 0, true
}

// putOff lets recipients wait with the result of an attempt that another message had.
func (w *worker) putOff(item *models.QueueItem, due []*claim, why outbound.Result) {
	s := &settlement{item: item, now: w.now()}
	for _, c := range due {
		s.outcomes = append(s.outcomes, w.decide(item, c, why, s.now, w.spread))
	}
	w.late = append(w.late, s)
}

// learn notes what an attempt says of the destination. False if it says nothing of the message.
func (w *worker) learn(a *outbound.Attempt) bool {
	if !a.Busy {
		a.BusyAt = nil // another host had room
	}
	w.schedule.fullAt(w.to, a.BusyAt)
	switch {
	case a.Busy:
		w.schedule.busy(w.to)
		return false
	case a.Unreached && a.Results[0].Status == outbound.Deferred:
		if !w.schedule.unreached(w.to, a.Results[0]) {
			w.schedule.busy(w.to)
			return false
		}
	case !a.Unreached && answered(a.Results):
		w.schedule.succeeded(w.to)
	}
	return true
}

// routeOf finds out how a message leaves.
func (w *worker) routeOf(ctx context.Context, item *models.QueueItem) (*outbound.Route, error) {
	if w.route != nil && w.mailbox == item.MailboxID && w.domain == item.DomainID {
		return w.route, nil
	}
	route := &outbound.Route{}
	if w.config.Routes != nil {
		found, err := w.config.Routes.Route(ctx, item.MailboxID, item.DomainID)
		if err != nil {
			return nil, err
		}
		route = &found
	}
	w.mailbox, w.domain, w.route = item.MailboxID, item.DomainID, route
	return route, nil
}

// keepHeld holds recipients whose mailbox was held while they were not marked: by another process,
// or by one that died before it came to them.
func (q *Queue) keepHeld(ctx context.Context, item *models.QueueItem, held []*claim) {
	var mine []*claim
	err := q.config.DB.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx *db.Tx) (err error) {
		if mine, err = q.mine(ctx, tx, held); err != nil || len(mine) == 0 {
			return err
		}
		if _, err := affected(tx.ExecContext(ctx, "UPDATE queue SET held = 1 WHERE id = ?", item.ID)); err != nil {
			return err
		}
		in, args := among(claimIDs(mine), models.At(q.now()))
		_, err = affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET held = 1, owner = 0, until_time = 0, next_at = ? WHERE id"+in, args...))
		return err
	})
	if err != nil {
		q.log.Debug("recipients not held", "queue_id", item.ID, "err", err) // they come again with the end of their claims
		return
	}
	for _, c := range mine {
		q.record(item, c.Address, models.EventHeld, string(models.EventHeld))
	}
}

func same(r outbound.Result, n int) []outbound.Result {
	out := make([]outbound.Result, n)
	for i := range out {
		out[i] = r
	}
	return out
}

// abandoned reports whether an attempt was given up on this side for all recipients.
func abandoned(results []outbound.Result) bool {
	for i := range results {
		if results[i].Reason != outbound.ReasonAbandoned {
			return false
		}
	}
	return true
}

// answered reports whether the other side said something to at least one recipient.
func answered(results []outbound.Result) bool {
	for i := range results {
		if results[i].Code != 0 {
			return true
		}
	}
	return false
}

// attempt sends a message to some of its recipients, all of one domain.
func (q *Queue) attempt(ctx context.Context, item *models.QueueItem, route *outbound.Route, due []*claim) *outbound.Attempt {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a shutdown waits for it, and cuts it in the end
	defer cancel()
	stop := context.AfterFunc(q.cutting, cancel)
	defer stop()
	blob, err := q.config.Open(ctx, item.BlobID)
	if err != nil {
		q.log.Error("message of the queue not readable", "queue_id", item.ID, "blob", item.BlobID, "err", err)
		return &outbound.Attempt{Results: same(outbound.Result{Enhanced: "4.3.0", Reason: outbound.ReasonMessage, Text: "the message cannot be read at the moment"}, len(due))}
	}
	defer blob.Close()
	m := &outbound.Message{
		Domain: due[0].Domain, Route: *route, Sender: item.Sender, Ret: item.Ret, EnvID: item.EnvID,
		Prefix: item.Prefix, Body: blob, Size: blob.Size(), Recipients: make([]outbound.Recipient, len(due)),
		Hold: func() error {
			for _, c := range due {
				if !c.valid() {
					return errLost
				}
			}
			return nil
		},
	}
	for i, c := range due {
		m.Recipients[i] = outbound.Recipient{Address: c.Address, Original: c.Original, Notify: c.Notify}
	}
	start := time.Now()
	a := q.config.Send.Send(ctx, m)
	q.log.Debug("attempt", "queue_id", item.ID, "domain", m.Domain, "recipients", len(due), "status", a.Results[0].Status, "code", a.Results[0].Code,
		"reason", a.Results[0].Reason, "remote", a.Results[0].Remote, "took", time.Since(start))
	return a
}

// items reads the messages of recipients. Held says of them whether the sending of their mailbox is
// held: what is held by itself is not claimed.
func (q *Queue) items(ctx context.Context, taken []*claim) (map[models.ID]*models.QueueItem, error) {
	if len(taken) == 0 {
		return nil, nil
	}
	seen := map[models.ID]bool{}
	var ids []models.ID
	for _, c := range taken {
		if !seen[c.QueueID] {
			seen[c.QueueID] = true
			ids = append(ids, c.QueueID)
		}
	}
	in, args := among(ids)
	rows, err := q.config.DB.Kept(ctx).QueryContext(ctx, `SELECT q.id, q.blob_id, q.envelope_id, q.kind, q.sender, q.mailbox_id, q.domain_id, q.customer_id, q.prefix, q.size, q.message_id, q.subject,
		q.ret, q.envid, q.language, q.sending, CASE WHEN m.held_at <> 0 THEN 1 ELSE 0 END, q.created_at, q.expires_at FROM queue q LEFT JOIN mailboxes m ON m.id = q.mailbox_id WHERE q.id`+in, args...)
	found, err := all(rows, err, func(rows *sql.Rows, i *models.QueueItem) error {
		return rows.Scan(&i.ID, &i.BlobID, &i.EnvelopeID, &i.Kind, &i.Sender, &i.MailboxID, &i.DomainID, &i.CustomerID, &i.Prefix, &i.Size, &i.MessageID, &i.Subject,
			&i.Ret, &i.EnvID, &i.Language, &i.Sending, &i.Held, &i.CreatedAt, &i.ExpiresAt)
	})
	if err != nil {
		return nil, fmt.Errorf("read messages of the queue: %w", err)
	}
	out := make(map[models.ID]*models.QueueItem, len(found))
	for i := range found {
		out[found[i].ID] = &found[i]
	}
	return out, nil
}

// Message is the bytes of a queued message; blob.Reader is one.
type Message interface {
	io.ReaderAt
	io.Closer
	Size() int64
}
