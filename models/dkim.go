package models

// DKIMAlgorithm is how a key signs.
type DKIMAlgorithm string

// The algorithms, as the k= tag of a key's record names them (RFC 6376 section 3.6.1, RFC 8463
// section 4).
const (
	DKIMRSA     DKIMAlgorithm = "rsa"
	DKIMEd25519 DKIMAlgorithm = "ed25519"
)

// DKIMState is how far a key's life has come. It only ever moves down this list.
type DKIMState string

// The states of a key.
const (
	DKIMNext     DKIMState = "next"     // made; it signs nothing until the DNS shows it
	DKIMActive   DKIMState = "active"   // signs
	DKIMRetiring DKIMState = "retiring" // signs nothing more; mail under way still needs its record
	DKIMRetired  DKIMState = "retired"  // its record may go; the private key is gone
)

// DKIMKey is a key of a domain. A domain has at most one of each algorithm that is next, and
// one that is active. Selectors are never used twice, since caches would answer with the old
// key.
type DKIMKey struct {
	ID        ID            `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	DomainID  ID            `gorm:"column:domain_id" json:"-"`
	Algorithm DKIMAlgorithm `gorm:"column:algorithm" json:"algorithm"`
	Selector  string        `gorm:"column:selector" json:"selector"` // the label before ._domainkey
	State     DKIMState     `gorm:"column:state" json:"state"`
	Public    string        `gorm:"column:public" json:"public"` // the p= tag: base64
	Sealed    string        `gorm:"column:sealed" json:"-"`      // PKCS #8, sealed for "dkim:" and the id; "" = gone
	CreatedAt Micros        `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	OtherAt   Micros        `gorm:"column:other_at" json:"-"` // the DNS was last seen with another key at the selector; 0 = never
	ActiveAt  Micros        `gorm:"column:active_at" json:"active_at,omitempty"`
	RetiredAt Micros        `gorm:"column:retired_at" json:"retired_at,omitempty"` // it ceased to sign
}

// TableName names the table.
func (DKIMKey) TableName() string { return "dkim_keys" }
