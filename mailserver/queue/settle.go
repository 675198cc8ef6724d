package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// settle writes what became of recipients of one message, and tells their sender what is to be
// told.
func (q *Queue) settle(ctx context.Context, item *models.QueueItem, due []*claim, results []outbound.Result) {
	s := &settlement{item: item, now: q.now()}
	spread := rand.Float64()
	for i, c := range due {
		s.outcomes = append(s.outcomes, q.decide(item, c, results[i], s.now, spread))
	}
	q.settleAll(ctx, []*settlement{s})
}

// settleAll is settle for several messages at once. It goes on trying while the database is away, as
// long as the claims hold: between the other side's 250 and this commit lies the only way to a
// second copy.
func (q *Queue) settleAll(ctx context.Context, messages []*settlement) {
	ctx = context.WithoutCancel(ctx)
	recipients := 0
	for _, s := range messages {
		recipients += len(s.outcomes)
	}
	if recipients == 0 {
		return
	}
	for {
		err := q.settlements.do(&messages, recipients)
		if err == nil {
			q.quiet(false, nil)
			break
		}
		q.quiet(true, err)
		if !worthWriting(messages) || !q.restForWrite() {
			q.log.Error("results of attempts not written", "queue_id", messages[0].item.ID, "messages", len(messages), "domain", messages[0].outcomes[0].Domain, "status", messages[0].outcomes[0].status, "err", err)
			return
		}
	}
	for _, s := range messages {
		q.follow(ctx, s.item, s.written)
	}
}

// restForWrite waits before a result is written once more; false once the process ends.
func (q *Queue) restForWrite() bool {
	select {
	case <-q.cutting.Done():
		return false
	case <-time.After(retryWrite):
		return true
	}
}

// worthWriting reports whether results that the database did not take may still be written: a claim
// holds, or somebody has the message.
func worthWriting(messages []*settlement) bool {
	for _, s := range messages {
		for i := range s.outcomes {
			if o := &s.outcomes[i]; o.valid() || o.status == outbound.Delivered {
				return true
			}
		}
	}
	return false
}

// settlement is what became of recipients of one message.
type settlement struct {
	item     *models.QueueItem
	outcomes []outcome
	now      time.Time
	written  []outcome // those whose claims held
}

// writeAll is the transaction of settle, for messages of several workers.
func (q *Queue) writeAll(ctx context.Context, all []*[]*settlement) error {
	var messages []*settlement
	for _, some := range all {
		messages = append(messages, *some...)
	}
	return q.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var some []*claim
		for _, s := range messages {
			for i := range s.outcomes {
				some = append(some, s.outcomes[i].claim)
			}
		}
		mine, err := q.mine(ctx, tx, some)
		if err != nil {
			return err
		}
		held := make(map[*claim]bool, len(mine))
		for _, c := range mine {
			held[c] = true
		}
		var gone, items []models.ID
		stay := map[change][]models.ID{}
		for _, s := range messages {
			s.written = nil
			for i := range s.outcomes {
				if held[s.outcomes[i].claim] {
					s.written = append(s.written, s.outcomes[i])
				}
			}
			left, err := q.writeOne(ctx, tx, s, stay)
			if err != nil {
				return err
			}
			if len(left) > 0 {
				gone, items = append(gone, left...), append(items, s.item.ID)
			}
		}
		if err := keepAll(ctx, tx, stay); err != nil {
			return err
		}
		if err := removeRecipients(ctx, tx, gone); err != nil {
			return err
		}
		return q.removeEmpty(ctx, tx, items)
	})
}

// writeOne writes what became of one message, but for the rows of its recipients: those that go it
// returns, and the others it adds to those that stay.
func (q *Queue) writeOne(ctx context.Context, tx *db.Tx, s *settlement, stay map[change][]models.ID) (gone []models.ID, err error) {
	failed := int64(0)
	for i := range s.written {
		o := &s.written[i]
		if o.status == outbound.Failed {
			failed++
			if err := q.suppress(ctx, tx, s.item, o, s.now); err != nil {
				return nil, err
			}
		}
		if !o.stays {
			gone = append(gone, o.ID)
			continue
		}
		to := q.changeOf(o, s.now)
		stay[to] = append(stay[to], o.ID)
	}
	if failed > 0 && q.config.OnFailure != nil {
		err = q.config.OnFailure(ctx, tx, s.item, failed)
	}
	return gone, err
}

// removeRecipients removes the rows of recipients.
func removeRecipients(ctx context.Context, tx *db.Tx, ids []models.ID) error {
	if len(ids) == 0 {
		return nil
	}
	in, args := among(ids)
	_, err := affected(tx.ExecContext(ctx, "DELETE FROM queue_recipients WHERE id"+in, args...))
	return err
}

// change is what an attempt makes of the row of a recipient that stays.
type change struct {
	state                          string
	next, last                     models.Micros
	host, enhanced, detail, reason string
	code                           int
	owner                          models.ID
}

// changeOf is what becomes of a recipient that stays. One whose sender is to be told remains claimed
// until it is; if that fails it is due with the end of the claim.
func (q *Queue) changeOf(o *outcome, now time.Time) change {
	r := &o.result
	to := change{o.state, o.next, models.At(now), models.Clip(r.Host, 255), models.Clip(r.Enhanced, 64), models.Clip(r.Text, 2000), models.Clip(r.Reason, 255), r.Code, 0}
	if o.state != models.RecipientWaiting {
		to.owner, to.next = q.config.DB.Process(), models.At(now.Add(q.lease))
	}
	return to
}

// keepAll writes the rows that stay, those that fared alike at once.
func keepAll(ctx context.Context, tx *db.Tx, stay map[change][]models.ID) error {
	for to, ids := range stay {
		in, args := among(ids, to.state, to.next, to.last, to.host, to.code, to.enhanced, to.detail, to.reason, to.owner)
		_, err := affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET state = ?, next_at = ?, attempts = attempts + 1, last_at = ?, host = ?, code = ?, enhanced = ?, detail = ?, reason = ?, owner = ? WHERE id"+in, args...))
		if err != nil {
			return err
		}
	}
	return nil
}

// suppress notes an address that takes no mail. The first refusal's words stay.
func (q *Queue) suppress(ctx context.Context, tx *db.Tx, item *models.QueueItem, o *outcome, now time.Time) error {
	if !suppresses(item, &o.result) {
		return nil
	}
	insert := "INSERT INTO suppressions (mailbox_id, address, customer_id, code, enhanced, detail, at) VALUES (?, ?, ?, ?, ?, ?, ?) "
	if tx.Dialect() == db.MySQL {
		insert += "ON DUPLICATE KEY UPDATE at = at"
	} else {
		insert += "ON CONFLICT DO NOTHING"
	}
	_, err := tx.ExecContext(ctx, insert, item.MailboxID, strings.ToLower(o.Address), item.CustomerID, o.result.Code, o.result.Enhanced, models.Clip(o.result.Text, 2000), models.At(now))
	if err != nil {
		return fmt.Errorf("suppress address: %w", err)
	}
	return nil
}

// follow is what comes after the commit: events, and words to the sender.
func (q *Queue) follow(ctx context.Context, item *models.QueueItem, written []outcome) {
	var late, told []*claim
	for i := range written {
		o := &written[i]
		q.recordOutcome(item, o)
		c := o.claim
		c.State, c.Host, c.Code, c.Enhanced, c.Detail, c.Reason, c.LastAt = o.state, o.result.Host, o.result.Code, o.result.Enhanced, o.result.Text, o.result.Reason, models.At(q.now())
		c.Attempts++
		switch {
		case o.warn:
			c.NextAt = o.next
			late = append(late, c)
		case o.stays && o.state != models.RecipientWaiting:
			told = append(told, c)
		}
	}
	if len(late) > 0 {
		q.warn(ctx, item, late)
	}
	if len(told) > 0 {
		q.report(ctx, item, told)
	}
}

var eventOf = map[outbound.Status]models.EventKind{outbound.Delivered: models.EventSent, outbound.Failed: models.EventBounced, outbound.Deferred: models.EventDeferred}

func (q *Queue) recordOutcome(item *models.QueueItem, o *outcome) {
	r := &o.result
	q.counts[o.status].Add(1)
	if o.status != outbound.Deferred {
		q.log.Info(string(eventOf[o.status]), "queue_id", item.ID, "to", o.Address, "remote", r.Remote, "code", r.Code, "enhanced", r.Enhanced, "reason", r.Reason, "attempts", o.Attempts+1)
	}
	if q.config.Events == nil {
		return
	}
	q.config.Events.Record(models.Event{
		At: models.At(q.now()), Kind: eventOf[o.status], CustomerID: item.CustomerID, MailboxID: item.MailboxID, EnvelopeID: item.EnvelopeID, Direction: "out",
		MessageID: item.MessageID, Sender: item.Sender, Recipient: o.Address, Subject: item.Subject, Remote: r.Remote, Code: r.Code, Enhanced: r.Enhanced,
		Words: words(o), Detail: r.Text, Size: item.Size, QueueID: item.ID, Host: r.Host, TLS: r.TLS, Next: o.next,
	})
}

// words is the key of an event's words: what happened, or the fault if it was none of the other
// side's answers.
func words(o *outcome) string {
	kind := string(eventOf[o.status])
	if o.result.Code == 0 && o.result.Reason != "" {
		return kind + "." + o.result.Reason
	}
	return kind
}
