package delivery

import (
	"context"
	"fmt"
	"io"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// Accept takes responsibility for a message: it returns nil when every recipient here has it,
// durable and visible, and every one elsewhere is in the queue. On an error nobody has it, and
// the same message may be offered again. Errors are of kind Full (a mailbox is over its quota),
// NotFound (one is gone meanwhile), Limited (a sending limit), Denied forward.suspect (a
// recipient is elsewhere alone, where the message must not go), or temporary.
func (d *Delivery) Accept(ctx context.Context, e Envelope, body Body) error {
	contents, err := mime.Build(body, body.Size())
	if err != nil {
		return models.Unavailablef(err, "The message could not be read.")
	}
	p := d.plan(&e)
	if p.nothing != "" || len(p.local) == 0 && len(p.items) == 0 {
		// After DATA there is one answer for all (RFC 5321, section 4.2.5): 250 for the others
		// would be a lie to this one, and a 4xx would be repeated for the same recipients until
		// the sender's server gives up. Now its writer hears of it at once.
		return models.Errorf(models.Denied, "forward.suspect",
			"The message looks like spam or forged mail and is not forwarded to other servers, where %s leads; nobody got it. Without that address it can be sent to the others.", p.nothing).With("address", p.nothing)
	}
	_, _, customer := e.owner()
	if err := d.sign(ctx, &e, customer, p, body); err != nil {
		return err
	}
	prepared, err := d.config.Blobs.Prepare(ctx, io.NewSectionReader(body, 0, body.Size()), body.Size())
	if err != nil {
		return fmt.Errorf("store message: %w", err)
	}
	arrival := mailstore.Arrival{Body: prepared, Contents: contents, Date: d.now(), Targets: make([]mailstore.Target, len(p.local))}
	for i := range p.local {
		arrival.Targets[i] = p.local[i].target(&e)
	}
	if len(p.items) > 0 {
		p.complete(contents, body.Size())
		arrival.Refs, arrival.Also = int64(len(p.items)), d.queueing(&e, p)
	}
	if err := d.config.Mailboxes.Deliver(ctx, arrival); err != nil { // settles or drops the blob
		d.usage.forget(p.local)
		return fmt.Errorf("deliver message: %w", err)
	}
	d.committed(p)
	for i := range arrival.Targets {
		t := &arrival.Targets[i]
		d.usage.delivered(t.Mailbox, body.Size()+int64(len(t.Prefix)))
	}
	d.record(&e, p, prepared.ID, contents, body.Size())
	d.follow(&e, p, prepared.ID, contents, body)
	return nil
}

// queueing makes the rows of the queue, and counts recipients outside that an account writes to.
// It may run again after a conflict.
func (d *Delivery) queueing(e *Envelope, p *plan) func(context.Context, *db.Tx, models.ID) error {
	return func(ctx context.Context, tx *db.Tx, blob models.ID) error {
		if e.Account != nil && d.config.Records != nil {
			if err := d.config.Records.CountSending(ctx, d.config.Limits, e.Account.ID, e.Account.DomainID, p.outside); err != nil {
				return err
			}
		}
		for _, it := range p.items {
			it.BlobID, it.EnvelopeID = blob, blob
			if err := d.config.Queue.Insert(ctx, tx, &it.QueueItem, it.recipients); err != nil {
				return err
			}
		}
		return nil
	}
}

// committed lets the queue try at once what it got.
func (d *Delivery) committed(p *plan) {
	for _, it := range p.items {
		d.config.Queue.Committed(it.recipients)
	}
}

// sign signs what an account of ours sends to other servers, as it leaves: the domain of the
// checked From answers for it, if it is the customer's. Mail of others that is forwarded keeps
// the signatures it has.
func (d *Delivery) sign(ctx context.Context, e *Envelope, customer models.ID, p *plan, body Body) error {
	if len(p.items) == 0 || d.config.Signer == nil || e.Author == "" {
		return nil
	}
	fields, err := d.config.Signer.Sign(ctx, e.Author, customer, body, body.Size())
	if err != nil {
		return models.Unavailablef(err, "The message could not be signed.")
	}
	for _, it := range p.items {
		// Signatures first, then the trace fields of the forward, which they do not cover.
		it.Prefix = append(append([]byte(nil), fields...), it.Prefix...)
	}
	return nil
}

// target is a copy as the mail store takes it.
func (c *copyTo) target(e *Envelope) mailstore.Target {
	t := mailstore.Target{
		Mailbox: c.MailboxID, Prefix: prefix(e.Sender, &c.Recipient),
		QuotaBytes: c.QuotaBytes, QuotaMessages: c.QuotaMessages, Declared: e.Declared,
	}
	if c.junk {
		t.Folder = junkFolder
	}
	return t
}

// junkFolder is the special use of the folder for what looks like spam (RFC 6154).
const junkFolder = `\Junk`

// prefix makes the header lines of one copy: the envelope sender as RFC 5321, section 4.4, wants
// it at the final delivery, and for whom it is, with the address as it was given if that is
// another.
func prefix(sender address.Address, r *models.Recipient) []byte {
	b := make([]byte, 0, 256)
	b = append(append(append(b, "Return-Path: <"...), sender.String()...), ">\r\n"...)
	b = append(append(append(b, deliveredTo...), r.Mailbox...), "\r\n"...)
	if r.Address != r.Mailbox {
		b = append(append(append(b, "X-Original-To: "...), r.Address...), "\r\n"...)
	}
	return b
}

// deliveredTo begins the field by which a message that comes back is known.
const deliveredTo = "Delivered-To: "
