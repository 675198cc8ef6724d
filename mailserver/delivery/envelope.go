package delivery

import (
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Envelope says from whom and for whom a message is.
type Envelope struct {
	ID         models.ID       // in the Received line and the logs
	Sender     address.Address // zero = <>
	Recipients []Recipient
	Declared   int64 // bytes announced by the sender (SIZE of MAIL), 0 = none; checked against quotas

	Account *models.Account // who has logged in and sends it; nil = it came from another server
	Author  string          // domain of the checked From of what an Account sends: who signs

	// RFC 3461.
	Ret   string // "", FULL or HDRS
	EnvID string // xtext decoded
	// Verified says that the sender's domain stands behind the message, so that a report which it
	// asks for meets nobody who has not asked.
	Verified bool
	// Forged says that the sender's domain denies the message: who is named there is not answered.
	Forged bool

	// For the trace.
	Verdict   string // what the checks have found, "" = nothing was checked
	Direction string // "in" or "out"
	Remote    string // address of the other side
}

// Recipient is one accepted RCPT.
type Recipient struct {
	*models.Route
	Original string // ORCPT: "rfc822;..." or "" (RFC 3461, section 4.2)
	Notify   string // "", NEVER or a list of SUCCESS, FAILURE, DELAY (section 4.1)

	Junk bool // goes to the Junk folder, and not on to other servers
}

// MailboxID returns the mailbox that the recipient is, 0 if it is none or several.
func (r *Recipient) MailboxID() models.ID {
	if len(r.Local) != 1 {
		return 0
	}
	return r.Local[0].MailboxID
}

// owner returns what the account's ids are in records; zero for mail from other servers.
func (e *Envelope) owner() (mailbox, domain, customer models.ID) {
	if e.Account == nil {
		return 0, 0, 0
	}
	return e.Account.ID, e.Account.DomainID, e.Account.CustomerID
}
