package models

// LiveSession is an open connection of a mailbox that has logged in, to one server.
type LiveSession struct {
	ID       int64    `json:"id"` // within the server's process
	Protocol Protocol `json:"protocol"`
	Network  string   `json:"network"`          // IPv4 address, or IPv6 /64
	Client   string   `json:"client,omitempty"` // what the client calls itself
	Since    Micros   `json:"since"`
}

// LastUse is when a client last logged in to a mailbox with success.
type LastUse struct {
	Protocol Protocol `gorm:"column:protocol" json:"protocol"`
	Client   string   `gorm:"column:client" json:"client,omitempty"` // "" = it did not say
	At       Micros   `gorm:"column:at" json:"at"`
}
