package models

// AccountKind says who logs in.
type AccountKind string

// The kinds of accounts.
const (
	AccountMailbox AccountKind = "mailbox" // by SMTP, IMAP, POP3
	AccountUser    AccountKind = "user"    // by the panel
)

// Account is what a log-in needs to know of a mailbox or of a user of the panel: the row as
// it is now, with the state of its customer.
type Account struct {
	Kind       AccountKind
	ID         ID
	CustomerID ID     // 0 for administrators
	DomainID   ID     // 0 for users
	Name       string // address of the mailbox, e-mail address of the user
	Role       Role   // of a user
	Hash       string // bcrypt
	Deleted    bool   // in the bin

	// Switches with the customer's suspension already taken in.
	LoginOff      bool
	SendOff       bool
	Held          bool   // what it sends waits in the queue
	QuotaBytes    int64  // of a mailbox; 0 = no limit
	QuotaMessages int64  // of a mailbox; 0 = no limit
	Logouts       int64  // how often all of its sessions were ended; those that began before are over
	Unproven      bool   // its domain is pending: it sends to mailboxes of its own customer only
	Language      string // of words to its owner; "" = not chosen
	Reason        string // why, in the words of who switched it off
}

// Recipient is where mail to an address goes now.
type Recipient struct {
	Address       string // normalized, as given, plus tag included
	MailboxID     ID
	Mailbox       string // the mailbox's own address
	CustomerID    ID
	DomainID      ID
	ReceiveOff    bool
	Reason        string
	QuotaBytes    int64 // 0 = no limit
	QuotaMessages int64 // 0 = no limit

	FullSince Micros // when mail was first refused because it is full; 0 = it has room
	Language  string // of words to its owner; "" = not chosen
	Replies   bool   // an auto-reply is switched on, whatever its dates
	Spare     bool   // forwards and keeps nothing: gets only what is not forwarded
	Alias     bool   // found through an alias, group or forward: what it cannot take others may
	Optional  bool   // a member of a group
}

// LoginBlock is a network that may not try the passwords of a mailbox (or of any mailbox, if
// MailboxID is 0) until a moment.
type LoginBlock struct {
	Network   string `gorm:"column:network;primaryKey" json:"network"` // IPv4 address or IPv6 /64
	MailboxID ID     `gorm:"column:mailbox_id;primaryKey;autoIncrement:false" json:"mailbox_id"`
	Failures  int64  `gorm:"column:failures" json:"failures"`
	Until     Micros `gorm:"column:blocked_until" json:"until"`
	At        Micros `gorm:"column:at" json:"at"`
}

// TableName names the table.
func (LoginBlock) TableName() string { return "login_blocks" }
