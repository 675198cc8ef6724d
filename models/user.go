package models

// Role says what a user of the panel may do.
type Role string

// The roles. Resellers and more come on the same policy function.
const (
	RoleAdmin    Role = "admin"    // everything
	RoleCustomer Role = "customer" // what belongs to the user's customer
	RoleOwner    Role = "owner"    // who has a mailbox's password: that mailbox alone
)

// User is a person of the panel: an administrator, or somebody of a customer. A mailbox
// owner has no row here: the panel knows them as a User made from their mailbox's row, with
// its id (ids are unique over all tables), address and RoleOwner.
type User struct {
	ID           ID     `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	Email        string `gorm:"column:email" json:"email"` // normalized; also the log-in name
	Name         string `gorm:"column:name" json:"name,omitempty"`
	Role         Role   `gorm:"column:role" json:"role"`
	CustomerID   *ID    `gorm:"column:customer_id" json:"customer_id,omitempty"` // nil for administrators
	PasswordHash string `gorm:"column:password_hash" json:"-"`                   // bcrypt
	Language     string `gorm:"column:language" json:"language,omitempty"`       // "fa", "en", or "" = the browser's
	CreatedAt    Micros `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	UpdatedAt    Micros `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
	PasswordAt   Micros `gorm:"column:password_at" json:"password_at"` // last change of the password
}

// TableName names the table.
func (User) TableName() string { return "users" }
