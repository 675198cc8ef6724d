package models

// Mailbox is one person's mail: an address, a password, and a quota. What is in it and how
// much of the quota is used belongs to the mail store, not to this record.
type Mailbox struct {
	ID         ID     `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	CustomerID ID     `gorm:"column:customer_id" json:"customer_id"`
	DomainID   ID     `gorm:"column:domain_id" json:"domain_id"`
	Address    string `gorm:"column:address" json:"address"` // local@domain, normalized
	Name       string `gorm:"column:name" json:"name,omitempty"`

	PasswordHash string `gorm:"column:password_hash" json:"-"` // bcrypt

	QuotaBytes    int64 `gorm:"column:quota_bytes" json:"quota_bytes"`       // 0 = no limit
	QuotaMessages int64 `gorm:"column:quota_messages" json:"quota_messages"` // 0 = no limit

	// The three switches. The zero value of each is "allowed".
	LoginOff   bool   `gorm:"column:login_off" json:"login_off"`
	SendOff    bool   `gorm:"column:send_off" json:"send_off"`
	ReceiveOff bool   `gorm:"column:receive_off" json:"receive_off"`
	Reason     string `gorm:"column:reason" json:"reason,omitempty"` // shown to the owner and, for receive, to senders
	SwitchedBy Role   `gorm:"column:switched_by" json:"-"`           // of who set a switch; what an administrator set a customer cannot lift

	// Sending held: what it sends waits in the queue; receiving goes on. 0 = not held.
	HeldAt     Micros `gorm:"column:held_at" json:"held_at,omitempty"`
	HeldReason string `gorm:"column:held_reason" json:"held_reason,omitempty"`
	HeldBy     Role   `gorm:"column:held_by" json:"held_by,omitempty"` // "" = the server by itself; what an administrator held a customer cannot release

	// FullSince is when mail was first refused because it is full; 0 = it was not.
	FullSince   Micros `gorm:"column:full_since" json:"full_since,omitempty"`
	ForwardOnly bool   `gorm:"column:forward_only" json:"forward_only"`   // what is forwarded is not kept here
	Language    string `gorm:"column:language" json:"language,omitempty"` // of words to its owner; "" = the domain's users', else both

	DeletedAt Micros `gorm:"column:deleted_at" json:"deleted_at,omitempty"` // in the bin since; 0 = not in the bin
	DeletedBy string `gorm:"column:deleted_by" json:"deleted_by,omitempty"`
	Purging   bool   `gorm:"column:purging" json:"-"` // being removed for good: only that can still be done with it

	CreatedAt  Micros `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	UpdatedAt  Micros `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
	PasswordAt Micros `gorm:"column:password_at" json:"password_at"`
}

// TableName names the table.
func (Mailbox) TableName() string { return "mailboxes" }

// InBin reports whether the mailbox is deleted but can still be restored.
func (m *Mailbox) InBin() bool { return m.DeletedAt != 0 }

// AddressKind says what an address leads to.
type AddressKind string

// The kinds of addresses.
const (
	AddressMailbox AddressKind = "mailbox"
	AddressAlias   AddressKind = "alias" // or a group
)

// Address is what keeps addresses unique: one row for each that exists, the bin included.
type Address struct {
	ID        ID          `gorm:"column:id;primaryKey;autoIncrement:false"`
	DomainID  ID          `gorm:"column:domain_id"`
	Local     string      `gorm:"column:local_part"`
	Kind      AddressKind `gorm:"column:kind"`
	MailboxID *ID         `gorm:"column:mailbox_id"`
	AliasID   *ID         `gorm:"column:alias_id"`
	CreatedAt Micros      `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table.
func (Address) TableName() string { return "addresses" }

// MailboxUsage is what a mailbox holds now.
type MailboxUsage struct {
	Bytes    int64 `json:"bytes"`
	Messages int64 `json:"messages"`
}

// Count is a number as a counter has it and as counting gives it.
type Count struct {
	Stored int64 `json:"stored"`
	True   int64 `json:"true"`
}

// Drift is what a recount found of a mailbox.
type Drift struct {
	Bytes    Count `json:"bytes"`
	Messages Count `json:"messages"`
	Folders  int   `json:"folders"` // with a wrong counter
	Fixed    bool  `json:"fixed"`
}

// Any reports whether anything was wrong.
func (d Drift) Any() bool {
	return d.Bytes.Stored != d.Bytes.True || d.Messages.Stored != d.Messages.True || d.Folders > 0
}
