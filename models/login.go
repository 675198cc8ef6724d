package models

// Protocol names the door of a log-in.
type Protocol string

// The doors.
const (
	ProtoSubmission Protocol = "smtp"
	ProtoIMAP       Protocol = "imap"
	ProtoPOP3       Protocol = "pop3"
	ProtoPanel      Protocol = "panel"
)

// Login is the aggregate of equal log-in attempts within one hour. Reason is "" for success,
// else a key of words under "login." (badpass, unknown, noat, toolong, blocked, suspended, deleted, ...).
type Login struct {
	ID        ID       `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	MailboxID ID       `gorm:"column:mailbox_id" json:"mailbox_id"` // 0 = unknown name or a panel user
	UserID    ID       `gorm:"column:user_id" json:"user_id"`       // 0 = not a panel user
	Name      string   `gorm:"column:login_name" json:"name"`       // as given, cut at 255 bytes
	Protocol  Protocol `gorm:"column:protocol" json:"protocol"`
	Network   string   `gorm:"column:network" json:"network"` // IPv4 address, or IPv6 /64
	Client    string   `gorm:"column:client" json:"client"`   // what the client calls itself, cut at 100 bytes
	OK        bool     `gorm:"column:ok" json:"ok"`
	Reason    string   `gorm:"column:reason" json:"reason,omitempty"`
	Hour      Micros   `gorm:"column:hour" json:"-"`
	FirstAt   Micros   `gorm:"column:first_at" json:"first_at"`
	LastAt    Micros   `gorm:"column:last_at" json:"last_at"`
	Count     int64    `gorm:"column:count" json:"count"`
}

// TableName names the table.
func (Login) TableName() string { return "logins" }
