package queue

import (
	"context"
	"io"
	"time"

	"github.com/postchi/postchi/mailserver/dsn"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	// reportPause is how long a report waits that could not be posted.
	reportPause = 5 * time.Minute

	// reportFor is how long it is tried: after it the sender cannot be told.
	reportFor = 24 * time.Hour
)

// report tells the sender of a message about recipients that are failed or relayed, and removes
// their rows in the transaction that stores the report.
func (q *Queue) report(ctx context.Context, item *models.QueueItem, told []*claim) {
	for _, kind := range []dsn.Kind{dsn.Failed, dsn.Relayed} {
		var some []*claim
		for _, c := range told {
			if (c.State == models.RecipientFailed) == (kind == dsn.Failed) {
				some = append(some, c)
			}
		}
		if len(some) == 0 {
			continue
		}
		q.reportOne(ctx, item, kind, some)
	}
}

func (q *Queue) reportOne(ctx context.Context, item *models.QueueItem, kind dsn.Kind, some []*claim) {
	ctx = context.WithoutCancel(ctx)
	err := q.post(ctx, item, kind, some, func(ctx context.Context, tx *db.Tx) error {
		mine, err := q.mine(ctx, tx, some)
		if err != nil {
			return err
		}
		if len(mine) != len(some) {
			return models.Unavailablef(errLost, "The report is somebody else's.")
		}
		return q.settled(ctx, tx, item, some)
	})
	switch {
	case err == nil:
		q.recordReturned(item, kind, some)
		return
	case passes(err) && models.At(q.now()) < some[0].LastAt+models.Micros(reportFor.Microseconds()):
		q.log.Info("report put off", "queue_id", item.ID, "to", item.Sender, "err", err)
		if err := q.giveBack(ctx, some, models.At(q.now().Add(reportPause))); err != nil {
			q.log.Debug("claims not given back", "err", err)
		}
		return
	}
	q.log.Warn("report cannot be posted", "queue_id", item.ID, "to", item.Sender, "recipients", len(some), "err", err)
	for _, c := range some {
		q.record(item, c.Address, models.EventReturned, "returned.untold")
	}
	err = q.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		mine, err := q.mine(ctx, tx, some)
		if err != nil || len(mine) == 0 {
			return err
		}
		return q.settled(ctx, tx, item, mine)
	})
	if err != nil {
		q.log.Debug("recipients not removed", "err", err) // they come again with the end of their claims
	}
}

// passes reports whether a report that was not taken may be taken later.
func passes(err error) bool {
	kind := models.KindOf(err)
	return kind.Temporary() || kind == models.Full
}

// settled removes recipients for good, and their message with the last.
func (q *Queue) settled(ctx context.Context, tx *db.Tx, item *models.QueueItem, some []*claim) error {
	if err := removeRecipients(ctx, tx, claimIDs(some)); err != nil {
		return err
	}
	return q.removeEmpty(ctx, tx, []models.ID{item.ID})
}

// warn tells the sender that a message is late, once for each recipient.
func (q *Queue) warn(ctx context.Context, item *models.QueueItem, late []*claim) {
	ctx = context.WithoutCancel(ctx)
	err := q.post(ctx, item, dsn.Delayed, late, func(ctx context.Context, tx *db.Tx) error {
		n, err := affected(tx.ExecContext(ctx, "UPDATE queue_recipients SET warned_at = ? WHERE warned_at = 0 AND id IN ("+list("?", len(late))+")", idArgs(claimIDs(late), models.At(q.now()))...))
		if err == nil && n != int64(len(late)) {
			err = models.Unavailablef(errLost, "The warning was sent already.")
		}
		return err
	})
	if err != nil {
		q.log.Info("delay warning not posted", "queue_id", item.ID, "to", item.Sender, "err", err) // the next attempt does
		return
	}
	q.recordReturned(item, dsn.Delayed, late)
}

// post writes a report and hands it to delivery.
func (q *Queue) post(ctx context.Context, item *models.QueueItem, kind dsn.Kind, some []*claim, also func(context.Context, *db.Tx) error) error {
	if q.config.Post == nil {
		return models.Unavailablef(nil, "Reports are not posted here.")
	}
	r := &dsn.Report{
		Kind: kind, Hostname: q.config.Hostname, From: "mailer-daemon@" + q.config.Hostname, To: item.Sender, ID: q.config.DB.IDs().New().String(), Date: q.now(), Language: item.Language,
		EnvID: item.EnvID, MessageID: item.MessageID, Subject: item.Subject, Arrived: item.CreatedAt.Time(),
	}
	for _, c := range some {
		r.Recipients = append(r.Recipients, dsn.Recipient{
			Address: c.Address, Original: c.Original, Direct: item.Kind == models.QueueSubmitted, Code: c.Code, Enhanced: c.Enhanced, Text: c.Detail, Reason: c.Reason, Host: c.Host,
			At: c.LastAt.Time(), Until: item.ExpiresAt.Time(),
		})
	}
	if err := q.original(ctx, item, kind, r); err != nil {
		q.log.Warn("message of a report not readable", "queue_id", item.ID, "err", err) // the report says enough without
	}
	return q.config.Post(ctx, Letter{
		Kind: models.QueueBounce, To: item.Sender, Body: r.Build(), Language: item.Language, CustomerID: item.CustomerID, MailboxID: item.MailboxID, DomainID: item.DomainID,
		EnvelopeID: item.EnvelopeID, Also: also,
	})
}

// original gives a report the header of the message, or all of it where the sender wanted that
// of a failure (RFC 3461, section 4.3).
func (q *Queue) original(ctx context.Context, item *models.QueueItem, kind dsn.Kind, r *dsn.Report) error {
	blob, err := q.config.Open(ctx, item.BlobID)
	if err != nil {
		return err
	}
	defer blob.Close()
	size := min(blob.Size(), dsn.MaxHeader)
	whole := item.Ret == "FULL" && kind == dsn.Failed && blob.Size() <= dsn.MaxMessage
	if whole {
		size = blob.Size()
	}
	text, err := io.ReadAll(io.NewSectionReader(blob, 0, size))
	if err != nil {
		return err
	}
	r.Header = text
	if whole {
		r.Message = text
	}
	return nil
}

func (q *Queue) recordReturned(item *models.QueueItem, kind dsn.Kind, some []*claim) {
	for _, c := range some {
		q.record(item, c.Address, models.EventReturned, "returned."+string(kind))
	}
}

// record leaves a line of the trace that no attempt has caused.
func (q *Queue) record(item *models.QueueItem, recipient string, kind models.EventKind, words string) {
	if q.config.Events == nil {
		return
	}
	q.config.Events.Record(models.Event{
		At: models.At(q.now()), Kind: kind, CustomerID: item.CustomerID, MailboxID: item.MailboxID, EnvelopeID: item.EnvelopeID, Direction: "out",
		MessageID: item.MessageID, Sender: item.Sender, Recipient: recipient, Subject: item.Subject, Words: words, QueueID: item.ID,
	})
}
