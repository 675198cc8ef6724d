package models

// DomainState says how far a domain's owner has proven to own it.
type DomainState string

// The states of a domain.
const (
	DomainActive  DomainState = "active"  // sends and receives
	DomainPending DomainState = "pending" // not proven yet: receives nothing, sends only inside its customer
)

// DMARCObey is how far a domain follows the DMARC policies of those who write to it.
type DMARCObey string

// The ways to take a failed DMARC.
const (
	DMARCObeyAll  DMARCObey = "obey" // reject is refused, quarantine goes to Junk
	DMARCObeyJunk DMARCObey = "junk" // both go to Junk
	DMARCObeyOff  DMARCObey = "off"  // noted only
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

	// AliasOf makes the domain another name for one of the same customer: x@this is x@that. nil = no.
	AliasOf *ID `gorm:"column:alias_of" json:"alias_of,omitempty"`
	// CatchAll is where mail to addresses that do not exist goes; "" = it is refused.
	CatchAll string `gorm:"column:catch_all" json:"catch_all,omitempty"`
	// DMARCObey says what is done with mail to the domain that fails its sender's DMARC policy.
	DMARCObey DMARCObey `gorm:"column:dmarc_obey" json:"dmarc_obey"`
	// SourceIP is the address of ours that its mail leaves from; "" = any.
	SourceIP string `gorm:"column:source_ip" json:"source_ip,omitempty"`

	ProofToken string `gorm:"column:proof_token" json:"-"` // of the TXT record that proves the domain
	ProvenAt   Micros `gorm:"column:proven_at" json:"proven_at,omitempty"`

	CreatedAt Micros `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	UpdatedAt Micros `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
}

// TableName names the table.
func (Domain) TableName() string { return "domains" }
