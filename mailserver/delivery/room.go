package delivery

import (
	"context"

	"github.com/postchi/postchi/models"
)

// takes returns why a mailbox cannot take a message now; nil if it can. A mailbox whose quota
// cannot be read is Unavailable.
func (d *Delivery) takes(ctx context.Context, r *models.Recipient, declared int64) error {
	if r.ReceiveOff {
		return off(r)
	}
	if r.QuotaBytes == 0 && r.QuotaMessages == 0 {
		d.noteFull(ctx, r, false)
		return nil
	}
	used, ok, err := d.hasRoom(ctx, r, declared)
	if err != nil {
		return err
	}
	if ok {
		if roomy(used, r) {
			d.noteFull(ctx, r, false)
		}
		return nil
	}
	e := models.Errorf(models.Full, "mailbox.full", "The mailbox %s is full.", r.Mailbox)
	fits := r.QuotaBytes == 0 || declared <= r.QuotaBytes
	if fits {
		d.noteFull(ctx, r, true) // also for what is only too large for the room that is left: most mail is refused so
	}
	switch {
	case fits && r.FullSince != 0 && d.now()-r.FullSince > models.Micros(d.config.FullGrace.Microseconds()):
		e = models.Errorf(models.Full, "mailbox.full_long", "The mailbox %s has been full for a long time; its owner does not seem to read it.", r.Mailbox)
	case !fits:
		e = models.Errorf(models.Full, "mailbox.too_small", "The message is larger than the whole mailbox %s may be.", r.Mailbox)
	}
	return e.With("mailbox", r.MailboxID).With("customer", r.CustomerID).With("address", r.Mailbox)
}

// roomy reports whether a mailbox that takes a message has room worth the name: 1 % of its quota.
// With less it stays full in the records, though a small message may still come: else each such
// message gave the larger ones that wait a new term, for ever.
func roomy(used models.MailboxUsage, r *models.Recipient) bool {
	return (r.QuotaMessages == 0 || used.Messages+max(1, r.QuotaMessages/100) <= r.QuotaMessages) &&
		(r.QuotaBytes == 0 || used.Bytes+max(1, r.QuotaBytes/100) <= r.QuotaBytes)
}

// noteFull keeps the record of since when a mailbox is full. Its failure is nobody's: the next
// refusal notes it again.
func (d *Delivery) noteFull(ctx context.Context, r *models.Recipient, full bool) {
	if full == (r.FullSince != 0) || d.config.Records == nil {
		return
	}
	since := models.Micros(0)
	if full {
		since = d.now()
	}
	if err := d.config.Records.SetFullSince(ctx, r.MailboxID, since); err != nil {
		d.config.Log.Warn("full mailbox not noted", "mailbox", r.Mailbox, "err", err)
	}
}

func off(r *models.Recipient) *models.Error {
	e := models.Errorf(models.Suspended, "recipient.off", "The mailbox %s takes no mail at the moment.", r.Mailbox).With("address", r.Mailbox).With("mailbox", r.MailboxID).With("customer", r.CustomerID)
	if r.Reason != "" {
		e = e.With("reason", r.Reason)
		e.Msg += " Reason: " + r.Reason
	}
	return e
}

// hasRoom looks whether one more message may come. That a mailbox has room is believed for a
// moment after it was read, with what was delivered since counted in; that it is full is always
// read. The transaction decides in any case.
func (d *Delivery) hasRoom(ctx context.Context, r *models.Recipient, declared int64) (models.MailboxUsage, bool, error) {
	if used, ok := d.usage.get(r.MailboxID, d.config.Now()); ok && room(used, r, declared) {
		return used, true, nil
	}
	now := d.config.Now()
	all, err := d.config.Mailboxes.Usage(ctx, r.MailboxID)
	if err != nil {
		return models.MailboxUsage{}, false, err
	}
	used := all[r.MailboxID]
	d.usage.put(r.MailboxID, used, now)
	return used, room(used, r, declared), nil
}

// room is the rule of mailstore.Deliver: one more message may come while used < quota, and if
// its size was declared only if that fits as well.
func room(used models.MailboxUsage, r *models.Recipient, declared int64) bool {
	if r.QuotaMessages != 0 && used.Messages >= r.QuotaMessages {
		return false
	}
	return r.QuotaBytes == 0 || used.Bytes < r.QuotaBytes && used.Bytes+declared <= r.QuotaBytes
}
