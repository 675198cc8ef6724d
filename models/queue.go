package models

// QueueKind says where a message in the outbound queue comes from.
type QueueKind string

// The kinds of queued messages.
const (
	QueueSubmitted QueueKind = "submitted" // a mailbox of ours has sent it
	QueueForward   QueueKind = "forward"   // it came for an alias or mailbox that leads elsewhere
	QueueBounce    QueueKind = "bounce"    // a report of ours (RFC 3464); never bounced itself
	QueueNotice    QueueKind = "notice"    // another message of the server: auto-reply, link; never bounced
)

// QueueItem is one message on its way to other servers: one blob, one envelope sender, one row
// for each recipient.
type QueueItem struct {
	ID         ID        `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"` // made before its transaction
	BlobID     ID        `gorm:"column:blob_id" json:"-"`
	EnvelopeID ID        `gorm:"column:envelope_id" json:"envelope_id"` // of its events
	Kind       QueueKind `gorm:"column:kind" json:"kind"`
	Sender     string    `gorm:"column:sender" json:"sender"` // of the envelope as it is sent; "" = <>
	MailboxID  ID        `gorm:"column:mailbox_id" json:"mailbox_id"`
	DomainID   ID        `gorm:"column:domain_id" json:"domain_id"`     // whose relay and source address are used
	CustomerID ID        `gorm:"column:customer_id" json:"customer_id"` // who may see it
	Prefix     []byte    `gorm:"column:prefix" json:"-"`                // header fields sent before the blob: DKIM-Signature; at most MaxQueuePrefix
	Size       int64     `gorm:"column:size" json:"size"`               // of prefix and blob
	MessageID  string    `gorm:"column:message_id" json:"message_id"`
	Subject    string    `gorm:"column:subject" json:"subject"`
	Ret        string    `gorm:"column:ret" json:"-"`      // RFC 3461: "", FULL or HDRS
	EnvID      string    `gorm:"column:envid" json:"-"`    // RFC 3461, as given (xtext decoded)
	Language   string    `gorm:"column:language" json:"-"` // of words to the sender: "fa", "en" or "" = both
	Sending    bool      `gorm:"column:sending" json:"-"`  // by its mailbox: it is held with the mailbox's sending. Not so mail for it that is led on, and reports
	Held       bool      `gorm:"column:held" json:"held"`  // by hand or with its mailbox; nothing is tried
	CreatedAt  Micros    `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	ExpiresAt  Micros    `gorm:"column:expires_at" json:"expires_at"` // after it what is left is returned
}

// MaxQueuePrefix is the most that may be sent before the blob of a queued message, in bytes.
const MaxQueuePrefix = 16 << 10

// TableName names the table.
func (QueueItem) TableName() string { return "queue" }

// QueueRecipient is one recipient of a queued message. A row exists while it waits; what is
// done with is removed, and its story is in the events.
type QueueRecipient struct {
	ID        ID     `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	QueueID   ID     `gorm:"column:queue_id" json:"queue_id"`
	Address   string `gorm:"column:address" json:"address"` // as in RCPT, local part quoted where needed
	Domain    string `gorm:"column:domain" json:"domain"`   // destination: the address's domain, A-label
	Original  string `gorm:"column:original" json:"-"`      // ORCPT (RFC 3461), "rfc822;..." or ""
	Notify    string `gorm:"column:notify" json:"-"`        // RFC 3461: "", NEVER or a list of SUCCESS, FAILURE, DELAY
	Flow      ID     `gorm:"column:flow" json:"-"`          // who sends: mailbox, else domain, else customer; flows of a destination take turns
	State     string `gorm:"column:state" json:"state"`     // RecipientWaiting, ...
	Held      bool   `gorm:"column:held" json:"held"`       // = the item's, so that one index finds what is due
	Released  bool   `gorm:"column:released" json:"-"`      // by hand, while its mailbox is held
	NextAt    Micros `gorm:"column:next_at" json:"next_at"` // when it is tried
	Attempts  int64  `gorm:"column:attempts" json:"attempts"`
	WarnedAt  Micros `gorm:"column:warned_at" json:"-"` // the delay warning was sent
	LastAt    Micros `gorm:"column:last_at" json:"last_at,omitempty"`
	Host      string `gorm:"column:host" json:"host,omitempty"` // of the last attempt
	Code      int    `gorm:"column:code" json:"code,omitempty"`
	Enhanced  string `gorm:"column:enhanced" json:"enhanced,omitempty"`
	Detail    string `gorm:"column:detail" json:"detail,omitempty"` // the last answer as it came
	Reason    string `gorm:"column:reason" json:"reason,omitempty"` // groups the queue: answer or fault in short
	Owner     ID     `gorm:"column:owner" json:"-"`                 // process that tries now; 0 = none
	Token     int64  `gorm:"column:token" json:"-"`                 // rises with each claim
	UntilTime Micros `gorm:"column:until_time" json:"-"`            // end of the claim, by the database's clock
}

// The states of a queued recipient.
const (
	RecipientWaiting = ""        // is to be tried at NextAt
	RecipientFailed  = "failed"  // given up; its sender is still to be told
	RecipientRelayed = "relayed" // taken by the other server; its sender is still to be told (NOTIFY=SUCCESS)
)

// TableName names the table.
func (QueueRecipient) TableName() string { return "queue_recipients" }

// Suppression is an address that has refused a mailbox's mail for good: nothing more is sent
// there until the owner lifts it.
type Suppression struct {
	MailboxID  ID     `gorm:"column:mailbox_id;primaryKey;autoIncrement:false" json:"-"`
	Address    string `gorm:"column:address;primaryKey" json:"address"`
	CustomerID ID     `gorm:"column:customer_id" json:"-"`
	Code       int    `gorm:"column:code" json:"code"`
	Enhanced   string `gorm:"column:enhanced" json:"enhanced"`
	Detail     string `gorm:"column:detail" json:"detail"` // the answer as it came
	At         Micros `gorm:"column:at" json:"at"`
}

// TableName names the table.
func (Suppression) TableName() string { return "suppressions" }

// QueueFilter chooses recipients of the queue. Every field that is set must fit; the zero value
// chooses all in the scope.
type QueueFilter struct {
	IDs       []ID   // of recipients; at most MaxPageSize
	QueueID   ID     // of a message
	MailboxID ID     // that has sent it
	Sending   bool   // only what is a mailbox's sending
	Domain    string // destination, A-label
	Reason    string // as a QueueGroup has it; QueueUntried for those without one
	Address   string // of the recipient
}

// QueueUntried is the reason in a filter that chooses what has not been tried yet.
const QueueUntried = "-"

// QueueGroup is what waits for one destination for one reason.
type QueueGroup struct {
	Domain string `json:"domain"`
	Reason string `json:"reason"` // "" = not tried yet
	Count  int64  `json:"count"`  // recipients
	Held   int64  `json:"held"`   // of Count
	Oldest Micros `json:"oldest"` // when the first of them was queued
	Next   Micros `json:"next"`   // the first attempt to come; 0 = all are held
}

// QueueRow is one recipient of the queue with its message, as lists show it.
type QueueRow struct {
	QueueRecipient
	Kind       QueueKind `json:"kind"`
	Sender     string    `json:"sender"` // "" = <>
	MailboxID  ID        `json:"mailbox_id"`
	CustomerID ID        `json:"customer_id"`
	EnvelopeID ID        `json:"envelope_id"`
	MessageID  string    `json:"message_id"`
	Subject    string    `json:"subject"`
	Size       int64     `json:"size"` // bytes
	CreatedAt  Micros    `json:"created_at"`
	ExpiresAt  Micros    `json:"expires_at"`
	Trying     bool      `json:"trying"` // an attempt is under way
}
