package delivery

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// replyEvery is how long a sender is not answered again (RFC 5230, section 4.2: 7 days).
const replyEvery = 7 * 24 * time.Hour

// answers are the auto-replies to one message.
type answers struct {
	delivery *Delivery
	wanted   bool // an answer to this message would not be a nuisance
	sender   address.Address
	subject  string
	id       string // Message-ID, "" = none
	to       []string
	boxes    []models.Recipient
	envelope models.ID
}

// answersTo looks whether a message may be answered at all.
func (d *Delivery) answersTo(e *Envelope, c *mime.Contents, body Body) *answers {
	a := &answers{delivery: d, sender: e.Sender, id: c.MessageID}
	h, err := mime.ReadHeader(bufio.NewReader(io.NewSectionReader(body, 0, body.Size())))
	if err != nil || !answerable(h) || !answerableSender(e.Sender.Local) {
		return a
	}
	env, err := mime.DecodeEnvelope(c.Envelope)
	if err != nil {
		return a
	}
	a.wanted, a.subject = true, mime.DecodeWords(env.Subject)
	for _, list := range [][]mime.Address{env.To, env.Cc} {
		for i := range list {
			addr, err := address.Parse(string(list[i].Mailbox) + "@" + string(list[i].Host))
			if err == nil {
				a.to = append(a.to, addr.String())
			}
		}
	}
	return a
}

// answerable reports whether a person seems to have written a message to persons. RFC 3834,
// sections 2 and 5; RFC 5230, section 4.6; and what mailing lists and Exchange say.
func answerable(h *mime.Header) bool {
	fields := h.Fields()
	for i := range fields {
		f := &fields[i]
		name, value := strings.ToLower(f.Name), strings.ToLower(strings.TrimSpace(f.Value()))
		switch {
		case name == "auto-submitted" && value != "no",
			strings.HasPrefix(name, "list-"),
			name == "precedence" && (value == "bulk" || value == "list" || value == "junk" || value == "auto_reply"),
			name == "x-auto-response-suppress" && (strings.Contains(value, "all") || strings.Contains(value, "oof") || strings.Contains(value, "autoreply")),
			name == "x-autoreply", name == "x-autorespond", name == "x-loop", name == "mailing-list", name == "feedback-id",
			name == "x-spam-flag" && strings.HasPrefix(value, "yes"),
			name == "return-path" && value == "<>",
			name == "content-type" && strings.HasPrefix(value, "multipart/report"):
			return false
		}
	}
	return true
}

// answerableSender reports whether somebody reads what is sent to such an address.
func answerableSender(local string) bool {
	local = strings.ToLower(local)
	plain := strings.NewReplacer("-", "", "_", "", ".", "").Replace(local)
	switch {
	case plain == "mailerdaemon", plain == "postmaster", plain == "listserv", plain == "majordomo", plain == "root",
		strings.HasPrefix(plain, "noreply"), strings.HasPrefix(plain, "donotreply"), strings.HasSuffix(plain, "noreply"),
		strings.HasPrefix(local, "owner-"), strings.HasSuffix(local, "-owner"), strings.HasSuffix(local, "-request"),
		strings.HasPrefix(local, "bounce"), strings.HasSuffix(local, "-bounces"), strings.Contains(local, "-bounces+"):
		return false
	}
	return true
}

// send answers for each mailbox that has an auto-reply now and was written to by name.
func (a *answers) send(ctx context.Context) {
	for i := range a.boxes {
		r := &a.boxes[i]
		if !a.names(r) || r.Mailbox == a.sender.Lower().WithoutTag().String() {
			continue
		}
		if err := a.answer(ctx, r); err != nil {
			a.delivery.config.Log.Info("auto-reply not sent", "mailbox", r.Mailbox, "to", a.sender.String(), "err", err)
		}
	}
}

// names reports whether the mailbox, or the alias over which the message came, is in To or Cc. A
// group is not: its members were written to as one of many.
func (a *answers) names(r *models.Recipient) bool {
	for _, text := range a.to {
		addr, err := address.Parse(text)
		if err != nil {
			continue
		}
		if bare := addr.WithoutTag().String(); bare == r.Mailbox || text == r.Mailbox || !r.Optional && (text == r.Address || bare == r.Address) {
			return true
		}
	}
	return false
}

// Answer is what a mailbox answers, by itself, to a message about a subject from a sender inside
// its customer's domains or outside. InReplyTo, Hostname and At are the caller's to set.
func Answer(reply *models.AutoReply, inside bool, mailbox, sender, subject string) Draft {
	d := Draft{From: "<" + mailbox + ">", To: "<" + sender + ">", Subject: reply.Subject, Text: reply.Text(inside), Submitted: "auto-replied"}
	if d.Subject == "" {
		d.Subject = "Re: " + subject
	}
	return d
}

// errAnswered undoes an answer that somebody else has given meanwhile.
var errAnswered = models.Errorf(models.Conflict, "exists", "The sender has been answered already.")

// answer sends the auto-reply of one mailbox, unless the sender got one lately. That he got it is
// noted in the transaction that stores the reply: without one he gets it for his next message. A
// mailbox whose sending is held answers nobody elsewhere before it is released.
func (a *answers) answer(ctx context.Context, r *models.Recipient) error {
	d, records := a.delivery, a.delivery.config.Records
	reply, err := records.Answering(ctx, r.MailboxID)
	now := d.now()
	if err != nil || reply.State(now) != models.AutoReplyOn {
		return err
	}
	to, before := a.sender.Lower().String(), now-models.Micros(replyEvery.Microseconds())
	if done, err := records.Answered(ctx, r.MailboxID, to, before); err != nil || done {
		return err
	}
	account, err := records.AccountByID(ctx, models.AccountMailbox, r.MailboxID)
	if err != nil {
		return err
	}
	inside := false
	if reply.Outside != "" { // else all get the same, and nothing has to be asked
		if inside, err = records.Inside(ctx, r.CustomerID, a.sender.Domain); err != nil {
			return err
		}
	}
	draft := Answer(reply, inside, r.Mailbox, a.sender.String(), a.subject)
	draft.InReplyTo, draft.Hostname, draft.At = a.id, d.config.Hostname, d.config.Now()
	err = d.Post(ctx, Letter{
		Kind: models.QueueNotice, To: a.sender.String(), Body: Compose(draft), Language: r.Language, CustomerID: r.CustomerID, MailboxID: r.MailboxID, DomainID: r.DomainID,
		Held: account.Held, EnvelopeID: a.envelope,
		Also: func(ctx context.Context, _ *db.Tx) error {
			first, err := records.TakeReply(ctx, r.MailboxID, to, now, before)
			if err == nil && !first {
				err = errAnswered
			}
			return err
		},
	})
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case err == nil:
		d.event(models.Event{
			At: now, Kind: models.EventReplied, CustomerID: r.CustomerID, MailboxID: r.MailboxID, EnvelopeID: a.envelope, Direction: "out",
			Sender: r.Mailbox, Recipient: a.sender.String(), Subject: oneLine(draft.Subject), Words: "replied",
		})
	}
	return err
}
