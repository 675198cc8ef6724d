package models

import (
	"errors"
	"net/netip"
	"strings"
)

// RelaySecurity says how the connection to a smarthost is secured.
type RelaySecurity string

// The ways to secure it.
const (
	RelayTLS      RelaySecurity = "tls"      // from the first byte (RFC 8314), usually port 465
	RelayStartTLS RelaySecurity = "starttls" // by STARTTLS, without which nothing is sent
	RelayNone     RelaySecurity = "none"     // in clear; no log-in then, but at an InnerHost
)

// The kinds of owners of a relay.
const (
	RelayOfServer  = "server" // OwnerID is 0
	RelayOfDomain  = "domain"
	RelayOfMailbox = "mailbox"
)

// Relay is a smarthost: another server that outgoing mail of its owner is handed to, instead
// of the recipients' own.
type Relay struct {
	OwnerID   ID            `gorm:"column:owner_id;primaryKey;autoIncrement:false" json:"-"` // mailbox or domain; 0 = the server
	OwnerKind string        `gorm:"column:owner_kind" json:"of"`
	Host      string        `gorm:"column:host" json:"host"` // name or address
	Port      int           `gorm:"column:port" json:"port"`
	Security  RelaySecurity `gorm:"column:security" json:"security"`
	Username  string        `gorm:"column:username" json:"username,omitempty"` // "" = no log-in
	Secret    string        `gorm:"column:secret" json:"-"`                    // password, sealed for SecretContext; "" = none
	UpdatedAt Micros        `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
}

// TableName names the table.
func (Relay) TableName() string { return "relays" }

// SecretContext is what the password is sealed for: another relay's cannot take its place.
func (r *Relay) SecretContext() string { return "relay:" + r.OwnerID.String() }

// RelayRow is a relay as lists show it.
type RelayRow struct {
	Relay
	Owner string `json:"owner"` // name of the domain, address of the mailbox; "" = the server
}

// InnerHost reports whether a host is this machine or one beside it, as far as can be seen
// without asking anybody: a loopback or private address, or localhost.
func InnerHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.Unmap().IsLoopback() || ip.Unmap().IsPrivate()) || strings.EqualFold(host, "localhost")
}

// Validate checks everything but the host's name and the secret. Errors: Invalid relay.host,
// relay.port, relay.security, relay.clear (a log-in without TLS at a host that is no InnerHost),
// text.*.
func (r *Relay) Validate() error {
	var bad []error
	if r.Host == "" || len(r.Host) > 253 || strings.ContainsAny(r.Host, " /@\\\"<>") {
		bad = append(bad, Errorf(Invalid, "relay.host", "That is not the name of a server.").On("host"))
	}
	if r.Port < 1 || r.Port > 65535 {
		bad = append(bad, Errorf(Invalid, "relay.port", "The port is a number from 1 to 65535.").On("port"))
	}
	switch r.Security {
	case RelayTLS, RelayStartTLS:
	case RelayNone:
		if r.Username != "" && !InnerHost(r.Host) {
			bad = append(bad, Errorf(Invalid, "relay.clear", "A password must not cross the internet in clear. Choose TLS or STARTTLS, or name a host inside by its private address.").On("security"))
		}
	default:
		bad = append(bad, Errorf(Invalid, "relay.security", "The security is tls, starttls or none.").On("security"))
	}
	return errors.Join(append(bad, Line("username", r.Username, MaxName))...)
}
