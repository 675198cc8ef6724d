package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	// bounceLeast and bouncePart say when a mailbox's sending is held: more than one in bouncePart
	// of at least bounceLeast recipients of an hour did not exist or refused. Such lists are
	// bought or stolen, and mail to them costs the whole server its reputation.
	bounceLeast = 50
	bouncePart  = 10
)

// bounceReasons are the words for it in each language of the owners of mailboxes.
var bounceReasons = map[string]string{
	"en": "More than 10% of the recipients of one hour did not take the mail.",
	"fa": "بیش از ۱۰٪ گیرندگان یک ساعت نامه را نپذیرفتند.",
}

// bounceReason is in the language of the mailbox's owner, in both where none is chosen.
func bounceReason(language string) string {
	if words, ok := bounceReasons[language]; ok {
		return words
	}
	return bounceReasons["fa"] + " " + bounceReasons["en"]
}

// OnFailure is told within a result's transaction how many recipients of a queued message were
// given up. It holds the sending of a mailbox that writes to too many such.
func (d *Delivery) OnFailure(ctx context.Context, _ *db.Tx, item *models.QueueItem, recipients int64) error {
	if item.Kind != models.QueueSubmitted || item.MailboxID == 0 || d.config.Records == nil {
		return nil
	}
	sent, bounced, err := d.config.Records.CountBounces(ctx, item.MailboxID, item.CreatedAt, recipients)
	if err != nil || sent < bounceLeast || bounced*bouncePart <= sent {
		return err
	}
	held, err := d.config.Records.HoldSending(ctx, item.MailboxID, bounceReason(item.Language))
	if err != nil || !held {
		return err
	}
	mailbox, customer := item.MailboxID, item.CustomerID
	d.afterwards("hold", func(ctx context.Context) { d.hold(ctx, mailbox, customer, sent, bounced) })
	return nil
}

// hold holds what of a mailbox lies in the queue, once the transaction that has held the mailbox
// is committed, if it is.
func (d *Delivery) hold(ctx context.Context, mailbox, customer models.ID, sent, bounced int64) {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		a, err := d.config.Records.AccountByID(ctx, models.AccountMailbox, mailbox)
		if err == nil && a.Held {
			d.config.Log.Warn("sending of a mailbox held", "mailbox", a.Name, "recipients", sent, "bounced", bounced)
			break
		}
		if wait > 2*time.Second || models.Is(err, models.NotFound) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
	d.event(models.Event{
		Kind: models.EventHeld, CustomerID: customer, MailboxID: mailbox, Direction: "out", Words: "held",
		Detail: fmt.Sprintf("%d of %d recipients of one hour bounced", bounced, sent),
	})
	if d.config.Queue == nil {
		return
	}
	if _, err := d.config.Queue.Hold(ctx, models.Everything(), models.QueueFilter{MailboxID: mailbox, Sending: true}); err != nil {
		d.config.Log.Warn("queue of a held mailbox not held", "err", err)
	}
}
