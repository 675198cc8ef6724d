// Package delivery takes an accepted envelope to the mailboxes it is for.
//
// The order is always the same: the bytes become one durable blob, then one transaction makes
// the rows of all mailboxes, and only when that is committed the sender is told. Both are done by
// mailstore, for all messages that come at the same time together. What fails on
// the way leaves nothing behind but bytes that nobody refers to, which the blob store collects.
package delivery

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Resolver finds mailboxes. Errors: NotFound recipient.unknown, Denied recipient.elsewhere for a
// domain that is not served here, Unavailable when it cannot be known now.
type Resolver interface {
	Route(ctx context.Context, addr address.Address) (*models.Route, error)
}

// Blobs takes bytes that Mailboxes makes durable; *blob.Blobs does.
type Blobs interface {
	Prepare(ctx context.Context, r io.Reader, size int64) (*blob.Prepared, error)
}

// Mailboxes keeps messages; *mailstore.Store does.
type Mailboxes interface {
	Deliver(ctx context.Context, a mailstore.Arrival) error
	Usage(ctx context.Context, mailboxes ...models.ID) (map[models.ID]models.MailboxUsage, error)
}

// Events takes the lines of the trace. Record never blocks.
type Events interface{ Record(models.Event) }

// Config is all that a Delivery needs.
type Config struct {
	Resolver  Resolver
	Blobs     Blobs
	Mailboxes Mailboxes
	Events    Events           // nil = none
	Now       func() time.Time // nil = time.Now
	Log       *slog.Logger     // nil = none
}

// Delivery delivers. Safe for concurrent use.
type Delivery struct {
	config Config
	usage  usage
}

// New returns a Delivery.
func New(c Config) *Delivery {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Delivery{config: c}
}

// Body is a message in its final form. Reading it again gives the same bytes.
type Body interface {
	io.ReaderAt
	Size() int64
}

// Envelope says from whom and for whom a message is.
type Envelope struct {
	ID         models.ID       // in the Received line and the logs
	Sender     address.Address // zero = <>
	Recipients []models.Recipient
	Declared   int64 // bytes announced by the sender (SIZE of MAIL), 0 = none; checked against quotas

	// For the trace.
	Direction  string    // "in" or "out"
	Remote     string    // address of the other side
	MailboxID  models.ID // who has sent it, if it is one of ours
	CustomerID models.ID
}

// Accept takes responsibility for a message: it returns nil when every recipient has it, durable
// and visible. On an error nobody has it, and the same message may be offered again. Errors are
// of kind Full (a mailbox is over its quota), NotFound (one is gone meanwhile) or temporary.
func (d *Delivery) Accept(ctx context.Context, e Envelope, body Body) error {
	contents, err := mime.Build(body, body.Size())
	if err != nil {
		return models.Unavailablef(err, "The message could not be read.")
	}
	prepared, err := d.config.Blobs.Prepare(ctx, io.NewSectionReader(body, 0, body.Size()), body.Size())
	if err != nil {
		return fmt.Errorf("store message: %w", err)
	}
	now := models.At(d.config.Now())
	arrival := mailstore.Arrival{Body: prepared, Contents: contents, Date: now, Targets: make([]mailstore.Target, len(e.Recipients))}
	for i := range e.Recipients {
		arrival.Targets[i] = target(&e, &e.Recipients[i])
	}
	if err := d.config.Mailboxes.Deliver(ctx, arrival); err != nil { // settles or drops the blob
		d.usage.forget(e.Recipients)
		return fmt.Errorf("deliver message: %w", err)
	}
	for i := range arrival.Targets {
		t := &arrival.Targets[i]
		d.usage.delivered(t.Mailbox, body.Size()+int64(len(t.Prefix)))
	}
	d.record(&e, prepared.ID, contents, body.Size(), now)
	return nil
}

func target(e *Envelope, r *models.Recipient) mailstore.Target {
	return mailstore.Target{
		Mailbox: r.MailboxID, Prefix: prefix(e.Sender, r),
		QuotaBytes: r.QuotaBytes, QuotaMessages: r.QuotaMessages, Declared: e.Declared,
	}
}

// prefix makes the header lines of one copy: the envelope sender as RFC 5321, section 4.4, wants
// it at the final delivery, and for whom it is, with the address as it was given if that is
// another.
func prefix(sender address.Address, r *models.Recipient) []byte {
	b := make([]byte, 0, 256)
	b = append(append(append(b, "Return-Path: <"...), sender.String()...), ">\r\n"...)
	b = append(append(append(b, "Delivered-To: "...), r.Mailbox...), "\r\n"...)
	if r.Address != r.Mailbox {
		b = append(append(append(b, "X-Original-To: "...), r.Address...), "\r\n"...)
	}
	return b
}

// record leaves the events of an accepted message: one for the sender, one for each mailbox.
func (d *Delivery) record(e *Envelope, id models.ID, c *mime.Contents, size int64, now models.Micros) {
	if d.config.Events == nil {
		return
	}
	line := models.Event{
		At: now, Kind: models.EventAccepted, CustomerID: e.CustomerID, MailboxID: e.MailboxID, EnvelopeID: id, Direction: e.Direction,
		MessageID: c.MessageID, Sender: e.Sender.String(), Subject: c.BaseSubject, Remote: e.Remote,
		Code: 250, Enhanced: "2.0.0", Words: "accepted", Detail: "accepted as " + e.ID.String(), Size: size,
	}
	d.config.Events.Record(line)
	for i := range e.Recipients {
		r := &e.Recipients[i]
		line.Kind, line.Words, line.Detail = models.EventDelivered, "delivered", ""
		line.CustomerID, line.MailboxID, line.Recipient = r.CustomerID, r.MailboxID, r.Address
		d.config.Events.Record(line)
	}
}
