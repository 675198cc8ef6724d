package models

// Customer is a tenant: it owns domains, mailboxes and the users who look after them.
type Customer struct {
	ID         ID     `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	ParentID   *ID    `gorm:"column:parent_id" json:"-"` // a reseller; none yet
	PlanID     *ID    `gorm:"column:plan_id" json:"-"`   // none yet
	Name       string `gorm:"column:name" json:"name"`
	ExternalID string `gorm:"column:external_id" json:"external_id,omitempty"` // of a billing system

	Suspended      bool   `gorm:"column:suspended" json:"suspended"`             // no log-in to panel or mail, no sending
	SuspendReceive bool   `gorm:"column:suspend_receive" json:"suspend_receive"` // and nothing is received either
	Reason         string `gorm:"column:reason" json:"reason,omitempty"`         // shown to the customer's people

	MaxDomains   int64 `gorm:"column:max_domains" json:"max_domains"`     // 0 = no limit
	MaxMailboxes int64 `gorm:"column:max_mailboxes" json:"max_mailboxes"` // 0 = no limit
	MaxStorage   int64 `gorm:"column:max_storage" json:"max_storage"`     // bytes of quotas that may be given out; 0 = no limit

	// What is given out now, the bin included. Changed only by conditional updates of the
	// store, so that two at once cannot pass a limit.
	Domains   int64 `gorm:"column:domains" json:"domains"`
	Mailboxes int64 `gorm:"column:mailboxes" json:"mailboxes"`
	Allocated int64 `gorm:"column:allocated" json:"allocated"` // bytes

	CreatedAt Micros `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	UpdatedAt Micros `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
}

// TableName names the table.
func (Customer) TableName() string { return "customers" }

// CustomerLimits are what a customer may use; 0 = no limit.
type CustomerLimits struct {
	Domains   int64 `json:"domains"`
	Mailboxes int64 `json:"mailboxes"`
	Storage   int64 `json:"storage"` // bytes
}
