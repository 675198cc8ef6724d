package delivery

import (
	"slices"
	"strings"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// plan is what becomes of an envelope: copies for mailboxes here, messages for the queue.
type plan struct {
	local   []copyTo
	items   []*item
	outside int64        // recipients of items
	dropped []passedOver // that must not leave this server
	nothing string       // address of a recipient that is elsewhere alone, and so gets nothing; "" = all get it
}

// copyTo is one copy for a mailbox here.
type copyTo struct {
	models.Recipient
	junk  bool
	quiet bool // nothing is answered: the sender may be another
}

// item is one message for the queue: all recipients that are written to from the same sender and
// with the same fields in front.
type item struct {
	models.QueueItem
	recipients []models.QueueRecipient
	via        string   // who leads there; "" = the sender of the message
	given      []string // for each recipient the address in RCPT
}

// passedOver is an address elsewhere that does not get what looks like spam or forged mail; who
// leads there has a copy here.
type passedOver struct {
	given string
	to    *models.Remote
}

// plan lays out an envelope. Each mailbox and each address elsewhere gets one copy, however many
// ways lead to it.
func (d *Delivery) plan(e *Envelope) *plan {
	p := &plan{local: make([]copyTo, 0, len(e.Recipients))}
	boxes, remotes := map[models.ID]bool{}, map[string]bool{}
	if len(e.Recipients) == 1 {
		boxes, remotes = nil, nil // each end of one route is there once
	}
	for i := range e.Recipients {
		r := &e.Recipients[i]
		for j := range r.Local {
			l := &r.Local[j]
			if l.Spare && !r.Junk || boxes[l.MailboxID] {
				continue
			}
			if boxes != nil {
				boxes[l.MailboxID] = true
			}
			p.local = append(p.local, copyTo{Recipient: *l, junk: r.Junk, quiet: r.Junk})
		}
		if r.Junk && len(r.Local) == 0 && len(r.Remote) > 0 {
			p.nothing = r.Address
		}
		for j := range r.Remote {
			x := &r.Remote[j]
			switch {
			case r.Junk:
				p.dropped = append(p.dropped, passedOver{r.Address, x})
			case !remotes[x.Address]:
				if remotes != nil {
					remotes[x.Address] = true
				}
				d.add(p, e, r, x)
			}
		}
	}
	return p
}

// add puts a recipient elsewhere into the message it belongs to.
func (d *Delivery) add(p *plan, e *Envelope, r *Recipient, x *models.Remote) {
	i := slices.IndexFunc(p.items, func(it *item) bool { return it.via == x.Via && it.Kind == kindOf(x) })
	if i < 0 {
		p.items = append(p.items, d.item(e, x))
		i = len(p.items) - 1
	}
	it := p.items[i]
	it.recipients = append(it.recipients, models.QueueRecipient{Address: x.Address, Domain: x.Domain, Original: original(r, x), Notify: notify(r, x)})
	it.given = append(it.given, r.Address)
	p.outside++
}

func kindOf(x *models.Remote) models.QueueKind {
	if x.Kind == models.RemoteDirect {
		return models.QueueSubmitted
	}
	return models.QueueForward
}

// original is what ORCPT says at the next server. RFC 3461, section 5.2.1: of what is led on it may
// be the address as it came to us, if the sender gave none, so that a report names what he knows.
// A group is the sender now: its postmaster has to hear which member failed.
func original(r *Recipient, x *models.Remote) string {
	switch {
	case x.Kind == models.RemoteGroup:
		return ""
	case r.Original == "" && (x.Kind == models.RemoteAlias || x.Kind == models.RemoteForward):
		return "rfc822;" + r.Address
	}
	return r.Original
}

// notify is what NOTIFY says at the next server. RFC 3461, section 5.2.7.3: where one address
// becomes many, their deliveries are not the delivery that was asked about.
func notify(r *Recipient, x *models.Remote) string {
	switch {
	case x.Kind == models.RemoteGroup:
		return "" // the list is the sender now
	case x.Kind == models.RemoteDirect || len(r.Local)+len(r.Remote) == 1 || !strings.Contains(r.Notify, "SUCCESS"):
		return r.Notify
	}
	left := slices.DeleteFunc(strings.Split(r.Notify, ","), func(s string) bool { return s == "SUCCESS" })
	if len(left) == 0 {
		return "NEVER"
	}
	return strings.Join(left, ",")
}

// item begins a message for the queue.
func (d *Delivery) item(e *Envelope, x *models.Remote) *item {
	it := &item{via: x.Via, QueueItem: models.QueueItem{Kind: kindOf(x), Sender: e.Sender.String(), Ret: e.Ret, EnvID: e.EnvID, CreatedAt: d.now()}}
	if x.Kind == models.RemoteDirect {
		it.MailboxID, it.DomainID, it.CustomerID = e.owner()
		if e.Account != nil {
			it.Sending, it.Held, it.Language = true, e.Account.Held, e.Account.Language
		}
		return it
	}
	it.MailboxID, it.DomainID, it.CustomerID, it.Language = x.MailboxID, x.DomainID, x.CustomerID, x.Language
	if x.Via != "" {
		it.Prefix = []byte(deliveredTo + x.Via + "\r\n")
	}
	it.Sender = d.forwardSender(e, x)
	if e.Account != nil && isSendersOwn(x, e.Account) {
		// Its sender's matter as much: it waits, and takes its turn, with what else he sends. Where
		// an alias of another customer leads is none of his business, nor of his trace.
		it.MailboxID, it.Sending, it.Held = e.Account.ID, true, e.Account.Held
	}
	return it
}

// forwardSender is the envelope sender of what is led on. A group's is its domain's postmaster,
// who hears of failures (RFC 5321, section 3.9.2). Mail of others goes on under an address of
// ours that stands for theirs; what our own accounts send has a sender of ours already.
func (d *Delivery) forwardSender(e *Envelope, x *models.Remote) string {
	switch {
	case e.Sender.IsZero() || x.Kind == models.RemoteReturn:
		return e.Sender.String()
	case x.Kind == models.RemoteGroup:
		return address.Address{Local: models.RolePostmaster, Domain: x.ViaDomain}.String()
	case e.Account != nil || d.config.SRS == nil:
		return e.Sender.String()
	}
	sender, err := d.config.SRS.Forward(e.Sender, x.ViaDomain)
	if err != nil {
		// Better without a way back than refused for its length, or by SPF on the way.
		d.config.Log.Info("sender too long to forward for", "from", e.Sender.String())
		return ""
	}
	return sender.String()
}

// complete fills in what all messages of the plan share.
func (p *plan) complete(c *mime.Contents, size int64) {
	subject := ""
	if len(p.items) > 0 {
		subject = c.Subject()
	}
	for _, it := range p.items {
		it.Size, it.MessageID, it.Subject = size+int64(len(it.Prefix)), c.MessageID, subject
	}
}
