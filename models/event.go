package models

import "strings"

// EventKind is one step of a message's way.
type EventKind string

// The steps known so far.
const (
	EventAccepted  EventKind = "accepted"  // we answered 250
	EventDelivered EventKind = "delivered" // it lies in a mailbox
	EventRefused   EventKind = "refused"   // we answered 4xx or 5xx
	EventQueued    EventKind = "queued"    // it waits to be sent to another server
	EventForwarded EventKind = "forwarded" // an alias or a mailbox leads it to the recipient named in Detail
	EventDeferred  EventKind = "deferred"  // an attempt failed for now; At is of the attempt, Next of the next one
	EventSent      EventKind = "sent"      // another server has answered 250
	EventBounced   EventKind = "bounced"   // it was given up
	EventReturned  EventKind = "returned"  // the sender was told (bounce or delay warning)
	EventHeld      EventKind = "held"      // it waits until somebody releases it
	EventReleased  EventKind = "released"
	EventDropped   EventKind = "dropped" // taken out of the queue by hand
	EventReplied   EventKind = "replied" // an auto-reply was sent
	EventVerdict   EventKind = "verdict" // what the checks found; Detail is spf=... dkim=... dmarc=...
)

// Event is one line of the trace of a message or of a refused attempt.
type Event struct {
	ID         ID        `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	At         Micros    `gorm:"column:at" json:"at"`
	Kind       EventKind `gorm:"column:kind" json:"kind"`
	CustomerID ID        `gorm:"column:customer_id" json:"customer_id"` // whose it is; 0 = nobody's (only admins see it)
	MailboxID  ID        `gorm:"column:mailbox_id" json:"mailbox_id"`
	EnvelopeID ID        `gorm:"column:envelope_id" json:"envelope_id"` // the blob's id, of what was refused after its body the one it would have got; 0 if refused before
	Direction  string    `gorm:"column:direction" json:"direction"`     // "in" (mx) or "out" (submission)
	MessageID  string    `gorm:"column:message_id" json:"message_id"`
	Sender     string    `gorm:"column:sender" json:"sender"`
	Recipient  string    `gorm:"column:recipient" json:"recipient"`
	Subject    string    `gorm:"column:subject" json:"subject"`
	Remote     string    `gorm:"column:remote" json:"remote"` // address of the other side
	Code       int       `gorm:"column:code" json:"code"`     // SMTP reply
	Enhanced   string    `gorm:"column:enhanced" json:"enhanced"`
	Words      string    `gorm:"column:words" json:"words"`   // key of the words, under "event."
	Detail     string    `gorm:"column:detail" json:"detail"` // the reply's text as sent
	Size       int64     `gorm:"column:size" json:"size"`
	QueueID    ID        `gorm:"column:queue_id" json:"queue_id,omitempty"` // of an item of the queue
	Host       string    `gorm:"column:host" json:"host,omitempty"`         // name of the other server
	TLS        string    `gorm:"column:tls" json:"tls,omitempty"`           // how the attempt was secured: "", "TLS1.3 opportunistic", "TLS1.3 mta-sts", ...
	Next       Micros    `gorm:"column:next_at" json:"next_at,omitempty"`   // of the next attempt
	Folder     string    `gorm:"column:folder" json:"folder,omitempty"`     // of a delivery that is not to the inbox
}

// TableName names the table.
func (Event) TableName() string { return "events" }

// OfLetter is the end of Words of a step of a report or auto-reply about the message.
const OfLetter = ".letter"

// ToldSender is the end of Words of a step that repeats another for who has sent the message: what
// became of it at a recipient here whose own steps are not the sender's to see. Recipient is the
// address that he wrote to; what is behind it is not told.
const ToldSender = ".told"

// Repeats reports whether a step is there for the sender's sake alone.
func (e *Event) Repeats() bool { return strings.HasSuffix(e.Words, ToldSender) }
