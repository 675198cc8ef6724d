package delivery

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/mailserver/srs"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// Letter is a message of the server's own: a report, an auto-reply, a notice, a link. Its sender
// is <>, so that nothing answers it.
type Letter struct {
	Kind       models.QueueKind // QueueBounce or QueueNotice
	To         string           // one address, anywhere
	Body       []byte           // the whole message, lines end in CRLF
	Language   string           // "fa", "en" or "" = both
	CustomerID models.ID        // who may see it in the queue; 0 = nobody but administrators
	MailboxID  models.ID        // for whom it is sent; 0 = for the server
	DomainID   models.ID        // whose smarthost and source address it takes; 0 = the mailbox's domain, if there is a mailbox
	Held       bool             // it waits in the queue with what its mailbox sends
	EnvelopeID models.ID        // of the message it speaks of, for the trace; 0 = none

	// Also runs in the transaction that stores the letter; an error of it is to undo that. It may
	// run more than once. nil = nothing.
	Also func(ctx context.Context, tx *db.Tx) error
}

// Post sends a letter: into a mailbox here, quotas aside, or to the queue, signed if the domain
// of its From has a key. Errors: temporary ones may go away; others mean that there is nobody at
// the address. An error is to mean that nothing was stored and Also has changed nothing.
func (d *Delivery) Post(ctx context.Context, l Letter) error {
	to, err := d.addressee(l.To)
	if err != nil {
		return err
	}
	route, err := d.letterRoute(ctx, to)
	if err != nil {
		return err
	}
	if err := d.letterDomain(ctx, &l); err != nil {
		return err
	}
	e := Envelope{ID: l.EnvelopeID, Recipients: []Recipient{{Route: route, Notify: "NEVER"}}}
	p := d.plan(&e)
	if len(p.local) == 0 && len(p.items) == 0 {
		return models.Errorf(models.NotFound, "recipient.nowhere", "The address %s leads to nobody at the moment.", to)
	}
	contents, err := mime.Build(bytes.NewReader(l.Body), int64(len(l.Body)))
	if err != nil {
		return models.Unavailablef(err, "The message could not be read.")
	}
	e.Author = author(l.Body)
	customer := l.CustomerID
	if e.Author == d.config.Hostname {
		customer = 0 // the server speaks, whoever holds the domain of its name
	}
	if err := d.sign(ctx, &e, customer, p, bytes.NewReader(l.Body)); err != nil {
		return err
	}
	prepared, err := d.config.Blobs.Prepare(ctx, bytes.NewReader(l.Body), int64(len(l.Body)))
	if err != nil {
		return fmt.Errorf("store message: %w", err)
	}
	arrival := mailstore.Arrival{Body: prepared, Contents: contents, Date: d.now(), Refs: int64(len(p.items)), Also: d.posting(&l, p)}
	for i := range p.local {
		p.local[i].QuotaBytes, p.local[i].QuotaMessages = 0, 0
		arrival.Targets = append(arrival.Targets, p.local[i].target(&e))
	}
	p.complete(contents, int64(len(l.Body)))
	if err := d.config.Mailboxes.Deliver(ctx, arrival); err != nil {
		return fmt.Errorf("deliver message: %w", err)
	}
	d.committed(p)
	d.recordLetter(&l, p, prepared.ID, contents)
	return nil
}

// addressee reads the address of a letter. A report to one of ours that stands for a sender
// elsewhere goes to him.
func (d *Delivery) addressee(text string) (address.Address, error) {
	if at := strings.LastIndexByte(text, '@'); d.config.SRS != nil && at > 0 && srs.Is(text[:at]) {
		if origin, err := d.config.SRS.Reverse(address.Address{Local: text[:at], Domain: text[at+1:]}); err == nil {
			return origin, nil
		}
	}
	return address.Parse(text)
}

// letterRoute finds where a letter goes. Full mailboxes get it; those that are off do not.
func (d *Delivery) letterRoute(ctx context.Context, to address.Address) (*models.Route, error) {
	route, err := d.config.Resolver.Route(ctx, to.Lower())
	switch {
	case isElsewhere(err) && d.config.Queue == nil:
		return nil, errOutbound(to.Domain)
	case isElsewhere(err):
		return outside(to, models.RemoteDirect), nil
	case err != nil:
		return nil, err
	}
	open := *route
	open.Local = nil
	for _, r := range route.Local {
		if r.ReceiveOff {
			err = off(&r)
			continue
		}
		r.Spare = r.Spare && d.config.Queue != nil
		open.Local = append(open.Local, r)
	}
	if d.config.Queue == nil {
		open.Remote = nil
	}
	if len(open.Local) == 0 && len(open.Remote) == 0 && err != nil {
		return nil, err
	}
	return &open, nil
}

// letterDomain finds the domain of the mailbox that a letter is for.
func (d *Delivery) letterDomain(ctx context.Context, l *Letter) error {
	if l.DomainID != 0 || l.MailboxID == 0 || d.config.Records == nil {
		return nil
	}
	a, err := d.config.Records.AccountByID(ctx, models.AccountMailbox, l.MailboxID)
	switch {
	case err == nil:
		l.DomainID = a.DomainID
	case models.Is(err, models.NotFound): // gone meanwhile; the letter is not
		return nil
	}
	return err
}

// posting makes the rows of the queue and those of the letter's own.
func (d *Delivery) posting(l *Letter, p *plan) func(context.Context, *db.Tx, models.ID) error {
	return func(ctx context.Context, tx *db.Tx, blob models.ID) error {
		for _, it := range p.items {
			it.BlobID, it.EnvelopeID = blob, blob
			if l.EnvelopeID != 0 {
				it.EnvelopeID = l.EnvelopeID
			}
			it.Kind, it.MailboxID, it.DomainID, it.CustomerID, it.Language, it.Sender, it.Held = l.Kind, l.MailboxID, l.DomainID, l.CustomerID, l.Language, "", l.Held
			it.Sending = l.Kind == models.QueueNotice && l.MailboxID != 0 // an auto-reply
			if err := d.config.Queue.Insert(ctx, tx, &it.QueueItem, it.recipients); err != nil {
				return err
			}
		}
		if l.Also == nil {
			return nil
		}
		return l.Also(ctx, tx)
	}
}

// recordLetter leaves the events of a letter.
func (d *Delivery) recordLetter(l *Letter, p *plan, blob models.ID, c *mime.Contents) {
	line := models.Event{
		At: d.now(), Kind: models.EventDelivered, EnvelopeID: blob, Direction: "out", Words: "delivered", MessageID: c.MessageID, Subject: c.Subject(), Size: int64(len(l.Body)),
	}
	about := "" // another message: its story has the letter as a step
	if l.EnvelopeID != 0 {
		line.EnvelopeID, about = l.EnvelopeID, models.OfLetter
	}
	line.Words += about
	for i := range p.local {
		r := &p.local[i]
		line.Recipient, line.CustomerID, line.MailboxID = r.Address, r.CustomerID, r.MailboxID
		d.event(line)
	}
	line.Kind, line.Words, line.CustomerID, line.MailboxID = models.EventQueued, "queued", l.CustomerID, l.MailboxID
	if l.Held {
		line.Kind, line.Words = models.EventHeld, "held"
	}
	line.Words += about
	for _, it := range p.items {
		line.QueueID = it.ID
		for i := range it.recipients {
			line.Recipient = it.recipients[i].Address
			d.event(line)
		}
	}
}

// author returns the domain of a message's From; "" if there is no one address in it.
func author(message []byte) string {
	h, err := mime.ReadHeader(bufio.NewReader(bytes.NewReader(message)))
	if err != nil {
		return ""
	}
	m, err := mime.OneMailbox(h, "From", false)
	if err != nil {
		return ""
	}
	domain, err := address.NormalizeDomain(m.Domain)
	if err != nil {
		return ""
	}
	return domain
}
