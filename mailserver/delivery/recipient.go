package delivery

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Recipient returns where mail for an address goes, if it may go there now. declared is the size
// the sender has announced, 0 = none. Beside the Resolver's errors: Suspended recipient.off for a
// mailbox that takes no mail, Full mailbox.full by the same rule that Accept applies. A mailbox
// whose quota cannot be read is Unavailable.
func (d *Delivery) Recipient(ctx context.Context, addr address.Address, declared int64) (*models.Recipient, error) {
	route, err := d.config.Resolver.Route(ctx, addr)
	if err != nil {
		return nil, err
	}
	if len(route.Local) == 0 {
		return nil, models.Errorf(models.Denied, "recipient.elsewhere", "Mail cannot leave this server yet.")
	}
	r := &route.Local[0]
	if r.ReceiveOff {
		return nil, off(r)
	}
	if r.QuotaBytes == 0 && r.QuotaMessages == 0 {
		return r, nil
	}
	ok, err := d.hasRoom(ctx, r, declared)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, models.Errorf(models.Full, "mailbox.full", "The mailbox %s is full.", r.Mailbox).With("mailbox", r.MailboxID)
	}
	return r, nil
}

func off(r *models.Recipient) *models.Error {
	e := models.Errorf(models.Suspended, "recipient.off", "The mailbox %s takes no mail at the moment.", r.Mailbox).With("address", r.Mailbox)
	if r.Reason != "" {
		e = e.With("reason", r.Reason)
		e.Msg += " Reason: " + r.Reason
	}
	return e
}

// hasRoom looks whether one more message may come. That a mailbox has room is believed for a
// moment after it was read, with what was delivered since counted in; that it is full is always
// read. The transaction decides in any case.
func (d *Delivery) hasRoom(ctx context.Context, r *models.Recipient, declared int64) (bool, error) {
	if used, ok := d.usage.get(r.MailboxID, d.config.Now()); ok && room(used, r, declared) {
		return true, nil
	}
	now := d.config.Now()
	all, err := d.config.Mailboxes.Usage(ctx, r.MailboxID)
	if err != nil {
		return false, err
	}
	d.usage.put(r.MailboxID, all[r.MailboxID], now)
	return room(all[r.MailboxID], r, declared), nil
}

// room is the rule of mailstore.Deliver: one more message may come while used < quota, and if
// its size was declared only if that fits as well.
func room(used models.MailboxUsage, r *models.Recipient, declared int64) bool {
	if r.QuotaMessages != 0 && used.Messages >= r.QuotaMessages {
		return false
	}
	return r.QuotaBytes == 0 || used.Bytes < r.QuotaBytes && used.Bytes+declared <= r.QuotaBytes
}
