// Package dsn writes delivery status notifications (RFC 3464): what tells a sender that a message
// failed, is late, or was handed on to a server that will not tell.
//
// A report has three parts: words for people, in Persian, English or both; the same facts for
// programs (message/delivery-status); and the header of the message it speaks of, or all of it
// if the sender asked for that (RET of RFC 3461). What other servers said is quoted, never
// interpreted, and can reach no header. A recipient is named as the sender has named him: where an
// alias or forward has led the message is its owner's secret.
package dsn

import (
	"time"
)

// Kind is what a report tells.
type Kind string

// The kinds of reports; they are the Action of each recipient (RFC 3464, section 2.3.3).
const (
	Failed  Kind = "failed"
	Delayed Kind = "delayed"
	Relayed Kind = "relayed"

	Delivered Kind = "delivered" // into a mailbox here, asked for with NOTIFY=SUCCESS
	Expanded  Kind = "expanded"  // by an alias that leads to several addresses, elsewhere too
)

// Recipient is one recipient that a report speaks of.
type Recipient struct {
	Address  string // that the message was sent on to
	Original string // ORCPT, "rfc822;..."; "" = none. If it is another address, Address is not told,
	Direct   bool   // unless the sender has written to it, whatever he says of ORCPT
	Code     int    // of the last reply; 0 = there was none
	Enhanced string
	Text     string // of the reply, or of the fault
	Reason   string // of a fault that is no reply: "connect", "dns", ...
	Host     string // that was asked last
	At       time.Time
	Until    time.Time // Delayed: how long it is tried
}

// Report is everything a notification is made of.
type Report struct {
	Kind     Kind
	Hostname string // of this server
	From     string // address it comes from, e.g. mailer-daemon@mail.example.net
	To       string // the sender of the message
	ID       string // makes Message-ID and boundary unique
	Date     time.Time
	Language string // "fa", "en"; anything else = both

	EnvID     string // of the message's MAIL command
	MessageID string // of the message
	Subject   string // of the message
	Arrived   time.Time

	Recipients []Recipient
	Header     []byte // of the message, as it was received; cut to MaxHeader
	Message    []byte // the whole message, if it is to be returned; nil = its header only
}

const (
	// MaxHeader bounds what is returned of a header, in bytes.
	MaxHeader = 64 << 10

	// MaxMessage bounds a message that is returned whole, in bytes: of a larger one only the
	// header is.
	MaxMessage = 1 << 20

	// maxNamed bounds the recipients that the words name one by one.
	maxNamed = 100
)
