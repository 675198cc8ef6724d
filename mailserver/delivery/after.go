package delivery

import (
	"context"
	"slices"
	"strings"

	"github.com/postchi/postchi/mailserver/mime"
	"github.com/postchi/postchi/models"
)

// record leaves the events of an accepted message: those of the sender, one for each mailbox and
// for each recipient elsewhere.
func (d *Delivery) record(e *Envelope, p *plan, id models.ID, c *mime.Contents, size int64) {
	if d.config.Events == nil {
		return
	}
	mailbox, _, customer := e.owner()
	line := models.Event{
		At: d.now(), Kind: models.EventAccepted, CustomerID: customer, MailboxID: mailbox, EnvelopeID: id, Direction: e.Direction,
		MessageID: c.MessageID, Sender: e.Sender.String(), Subject: c.Subject(), Remote: e.Remote,
		Code: 250, Enhanced: "2.0.0", Words: "accepted", Detail: "accepted as " + e.ID.String(), Size: size,
	}
	d.config.Events.Record(line)
	if e.Verdict != "" {
		d.recordVerdict(line, e)
	}
	line.Detail = ""
	d.recordTold(line, e)
	for i := range p.local {
		r := &p.local[i]
		line.Kind, line.Words, line.Folder, line.Direction = models.EventDelivered, "delivered", "", "in"
		if r.junk {
			line.Folder = "Junk"
		}
		line.CustomerID, line.MailboxID, line.Recipient = r.CustomerID, r.MailboxID, r.Address
		d.config.Events.Record(line)
	}
	line.Folder, line.Direction = "", e.Direction
	for _, it := range p.items {
		line.CustomerID, line.MailboxID, line.QueueID = it.CustomerID, it.MailboxID, it.ID
		for i := range it.recipients {
			d.recordOutside(line, it, i)
		}
	}
	for i := range p.dropped {
		x := &p.dropped[i]
		line.Kind, line.Words, line.Recipient, line.Detail, line.QueueID = models.EventRefused, "forward.suspect", x.given, x.to.Address, 0
		line.CustomerID, line.MailboxID, line.Code, line.Enhanced = x.to.CustomerID, x.to.MailboxID, 550, "5.7.1"
		d.config.Events.Record(line)
	}
}

// recordTold leaves for an account what became of its message at each recipient here: the steps of
// those are theirs, and those of another customer not its to see.
func (d *Delivery) recordTold(line models.Event, e *Envelope) {
	if e.Account == nil {
		return
	}
	for i := range e.Recipients {
		r := &e.Recipients[i]
		if line.Kind = toldOf(r, e.Account); line.Kind != "" {
			line.Words, line.Recipient = string(line.Kind)+models.ToldSender, r.Address
			d.config.Events.Record(line)
		}
	}
}

// toldOf is the step that a sender of ours is told of a recipient; "" if he has it already.
func toldOf(r *Recipient, sender *models.Account) (kind models.EventKind) {
	for i := range r.Remote {
		if x := &r.Remote[i]; x.Kind != models.RemoteDirect && !isSendersOwn(x, sender) {
			kind = models.EventForwarded
		}
	}
	for i := range r.Local {
		switch l := &r.Local[i]; {
		case l.MailboxID == sender.ID:
			return ""
		case !l.Spare:
			kind = models.EventDelivered
		}
	}
	return kind
}

// isSendersOwn reports whether what an account sends over an alias goes on in its own name: what
// leads there is its customer's.
func isSendersOwn(x *models.Remote, sender *models.Account) bool {
	return x.MailboxID == 0 && x.CustomerID == sender.CustomerID
}

// recordVerdict leaves what the checks have found, once for each customer that gets the message.
func (d *Delivery) recordVerdict(line models.Event, e *Envelope) {
	line.Kind, line.Words, line.Detail, line.Code, line.Enhanced = models.EventVerdict, "verdict", e.Verdict, 0, ""
	var told []models.ID
	for i := range e.Recipients {
		if r := &e.Recipients[i]; !slices.Contains(told, r.CustomerID) {
			told = append(told, r.CustomerID)
			line.CustomerID, line.MailboxID, line.Recipient = r.CustomerID, r.MailboxID(), r.Address
			d.config.Events.Record(line)
		}
	}
}

// recordOutside leaves the events of one recipient of a message for the queue.
func (d *Delivery) recordOutside(line models.Event, it *item, i int) {
	line.Recipient = it.recipients[i].Address
	if it.Kind == models.QueueForward {
		forward := line
		forward.Kind, forward.Words, forward.Recipient, forward.Detail = models.EventForwarded, "forwarded", it.given[i], line.Recipient
		d.config.Events.Record(forward)
	}
	line.Kind, line.Words = models.EventQueued, "queued"
	if it.Held {
		line.Kind, line.Words = models.EventHeld, "held"
	}
	d.config.Events.Record(line)
}

// follow leaves to Run what an accepted message brings about: auto-replies, and reports of
// deliveries that were asked for.
func (d *Delivery) follow(e *Envelope, p *plan, id models.ID, c *mime.Contents, body Body) {
	if e.Sender.IsZero() {
		return // nobody to be told
	}
	if e.Account != nil && e.Account.Unproven {
		return // mail to its address is another's, here or elsewhere
	}
	var answers *answers
	for i := range p.local {
		r := &p.local[i]
		if r.Replies && !r.quiet && !e.Forged && d.config.Records != nil {
			if answers == nil {
				answers = d.answersTo(e, c, body)
			}
			answers.envelope = id
			answers.boxes = append(answers.boxes, r.Recipient)
		}
	}
	if answers != nil && answers.wanted {
		d.afterwards("auto-reply", answers.send)
	}
	d.report(e, id, c, body)
}

// Delivered is a message that was delivered here, with the recipients whose sender asked to be
// told so.
type Delivered struct {
	Envelope   *Envelope
	At         models.Micros
	MessageID  string
	Subject    string
	Recipients []DeliveredTo // in mailboxes here
	Expanded   []DeliveredTo // aliases that lead elsewhere, and to several
	Header     []byte        // of the message, as it was received
	Language   string        // of the sender, if it is one of ours
}

// DeliveredTo is one recipient of Delivered.
type DeliveredTo struct {
	Original string // ORCPT, "" = none
	Address  string // as in RCPT
}

// maxReported is how much of a message's header a report holds, in bytes.
const maxReported = 64 << 10

// report tells the sender of deliveries that he asked to be told of (RFC 3461, section 5.2.3).
// Another server's sender is told only if he is known to stand behind the message.
func (d *Delivery) report(e *Envelope, id models.ID, c *mime.Contents, body Body) {
	if d.config.Report == nil || e.Account == nil && !e.Verified {
		return
	}
	report := Delivered{Envelope: e, At: d.now(), MessageID: c.MessageID, Subject: c.Subject()}
	for i := range e.Recipients {
		r := &e.Recipients[i]
		if r.Junk || !strings.Contains(r.Notify, "SUCCESS") {
			continue
		}
		to := DeliveredTo{Original: r.Original, Address: r.Address}
		switch {
		case len(r.Remote) == 0:
			report.Recipients = append(report.Recipients, to)
		case len(r.Local)+len(r.Remote) > 1 || r.Remote[0].Kind == models.RemoteGroup:
			report.Expanded = append(report.Expanded, to)
		} // else the next server reports, or the queue for it
	}
	if len(report.Recipients)+len(report.Expanded) == 0 {
		return
	}
	report.Header = headerOf(body)
	letter := Letter{Kind: models.QueueBounce, To: e.Sender.String(), EnvelopeID: id}
	letter.MailboxID, letter.DomainID, letter.CustomerID = e.owner()
	if e.Account != nil {
		report.Language, letter.Language = e.Account.Language, e.Account.Language
	}
	d.afterwards("report of a delivery", func(ctx context.Context) {
		for _, letter.Body = range d.config.Report(&report) {
			if err := d.Post(ctx, letter); err != nil {
				d.config.Log.Info("report of a delivery not sent", "to", letter.To, "err", err)
				return
			}
		}
		d.recordReport(&report, &letter)
	})
}

// recordReport leaves of whom the sender was told that the message is delivered.
func (d *Delivery) recordReport(report *Delivered, letter *Letter) {
	line := models.Event{
		At: d.now(), Kind: models.EventReturned, CustomerID: letter.CustomerID, MailboxID: letter.MailboxID, EnvelopeID: letter.EnvelopeID,
		Direction: report.Envelope.Direction, MessageID: report.MessageID, Sender: letter.To, Subject: report.Subject,
	}
	for words, all := range map[string][]DeliveredTo{"returned.delivered": report.Recipients, "returned.expanded": report.Expanded} {
		for i := range all {
			line.Words, line.Recipient = words, all[i].Address
			d.event(line)
		}
	}
}

// headerOf copies the header of a message up to maxReported, in whole lines.
func headerOf(body Body) []byte {
	b := make([]byte, min(body.Size(), maxReported))
	n, _ := body.ReadAt(b, 0)
	text := string(b[:n])
	if i := strings.Index(text, "\r\n\r\n"); i >= 0 {
		return b[:i+2]
	}
	return b[:strings.LastIndexByte(text, '\n')+1]
}
