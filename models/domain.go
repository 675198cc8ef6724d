package models

// DomainState says how far a domain's owner has proven to own it.
type DomainState string

// The states of a domain.
const (
	DomainActive  DomainState = "active"  // sends and receives
	DomainPending DomainState = "pending" // not proven yet: receives nothing, sends only inside its customer
)

// Domain is a mail domain of a customer.
type Domain struct {
	ID         ID          `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	CustomerID ID          `gorm:"column:customer_id" json:"customer_id"`
	Name       string      `gorm:"column:name" json:"name"`     // A-label, lower case
	ActiveName *string     `gorm:"column:active_name" json:"-"` // Name while active, else NULL: at most one active claim
	State      DomainState `gorm:"column:state" json:"state"`
	ClientHost string      `gorm:"column:client_host" json:"client_host,omitempty"` // shown to clients; "" = the server's

	// Where mail to postmaster and abuse goes; nil = the domain's first mailbox.
	PostmasterID *ID `gorm:"column:postmaster_id" json:"postmaster_id,omitempty"`
	AbuseID      *ID `gorm:"column:abuse_id" json:"abuse_id,omitempty"`

	CreatedAt Micros `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	UpdatedAt Micros `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
}

// TableName names the table.
func (Domain) TableName() string { return "domains" }
