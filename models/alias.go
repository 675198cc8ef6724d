package models

import (
	"errors"
	"strings"
)

// AliasKind says what an alias does with what it gets.
type AliasKind string

// The kinds of aliases.
const (
	// AliasPlain hands a message on to all targets; one that cannot take it now refuses it
	// for all, so that the sender hears of it.
	AliasPlain AliasKind = "alias"
	// AliasGroup takes a message as soon as one member can be reached; what a member does not
	// take is the group's matter and not the sender's (bounces go to the owner of the group's
	// domain, not to the sender).
	AliasGroup AliasKind = "group"
)

// Alias is an address that leads to others.
type Alias struct {
	ID         ID        `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	CustomerID ID        `gorm:"column:customer_id" json:"customer_id"`
	DomainID   ID        `gorm:"column:domain_id" json:"domain_id"`
	Address    string    `gorm:"column:address" json:"address"` // local@domain, normalized
	Kind       AliasKind `gorm:"column:kind" json:"kind"`
	Name       string    `gorm:"column:name" json:"name,omitempty"`
	Off        bool      `gorm:"column:off" json:"off"` // mail to it is refused with 550 5.2.1

	CreatedAt Micros `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
	UpdatedAt Micros `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
}

// TableName names the table.
func (Alias) TableName() string { return "aliases" }

// Target is one address that an alias, or a mailbox that forwards, leads to.
type Target struct {
	ID         ID     `gorm:"column:id;primaryKey;autoIncrement:false" json:"id"`
	OwnerID    ID     `gorm:"column:owner_id" json:"-"` // the alias or the mailbox
	CustomerID ID     `gorm:"column:customer_id" json:"-"`
	Address    string `gorm:"column:address" json:"address"` // normalized

	// External says that the address was not served here when the target was made. Mail goes
	// there only after its owner has agreed by the link that was mailed to it.
	External   bool   `gorm:"column:external" json:"external"`
	VerifiedAt Micros `gorm:"column:verified_at" json:"verified_at,omitempty"` // 0 = not yet
	TokenHash  string `gorm:"column:token_hash" json:"-"`                      // SHA-256 of the mailed link's token, hex
	AskedAt    Micros `gorm:"column:asked_at" json:"asked_at,omitempty"`       // the link was mailed, or given up
	AskAt      Micros `gorm:"column:ask_at" json:"-"`                          // when it is mailed, if it was not; 0 = now
	AskTries   int64  `gorm:"column:ask_tries" json:"-"`                       // times that mailing it has failed; AskGivenUp = it cannot be
	CreatedAt  Micros `gorm:"column:created_at;autoCreateTime:false" json:"created_at"`
}

// AskGivenUp is AskTries of a target whose owner cannot be asked.
const AskGivenUp = 1_000

// TableName names the table.
func (Target) TableName() string { return "targets" }

// Ready reports whether mail may go to the target.
func (t *Target) Ready() bool { return !t.External || t.VerifiedAt != 0 }

// AutoReply is what a mailbox answers while its owner is away.
type AutoReply struct {
	MailboxID ID     `gorm:"column:mailbox_id;primaryKey;autoIncrement:false" json:"-"`
	Enabled   bool   `gorm:"column:enabled" json:"enabled"`
	Subject   string `gorm:"column:subject" json:"subject"`           // "" = Re: and the subject of the message
	Body      string `gorm:"column:body" json:"body"`                 // plain text, lines end in LF
	Outside   string `gorm:"column:outside" json:"outside,omitempty"` // Body for senders in none of the customer's domains; "" = Body
	StartsAt  Micros `gorm:"column:starts_at" json:"starts_at,omitempty"`
	EndsAt    Micros `gorm:"column:ends_at" json:"ends_at,omitempty"`
	Answered  int64  `gorm:"column:answered" json:"answered"` // people answered since it was switched on
	UpdatedAt Micros `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
}

// TableName names the table.
func (AutoReply) TableName() string { return "auto_replies" }

// Text returns what a sender gets: inside says that his domain is an active one of the customer
// whose mailbox answers.
func (a *AutoReply) Text(inside bool) string {
	if inside || a.Outside == "" {
		return a.Body
	}
	return a.Outside
}

// AutoReplyState is what an auto-reply does at a moment.
type AutoReplyState string

// The states of an auto-reply.
const (
	AutoReplyOff     AutoReplyState = "off"
	AutoReplyPlanned AutoReplyState = "planned"
	AutoReplyOn      AutoReplyState = "on"
	AutoReplyEnded   AutoReplyState = "ended"
)

// State returns what the auto-reply does at a moment. A start or end of 0 is open.
func (a *AutoReply) State(now Micros) AutoReplyState {
	switch {
	case a == nil || !a.Enabled:
		return AutoReplyOff
	case a.StartsAt != 0 && now < a.StartsAt:
		return AutoReplyPlanned
	case a.EndsAt != 0 && now >= a.EndsAt:
		return AutoReplyEnded
	}
	return AutoReplyOn
}

// AliasRow is an alias as lists show it.
type AliasRow struct {
	Alias
	Domain   string   `json:"domain"`   // name
	Customer string   `json:"customer"` // name
	Targets  []Target `gorm:"-" json:"targets"`
}

// The limits of aliases and forwards.
const (
	MaxTargets  = 200 // of one alias or group
	MaxForwards = 20  // of one mailbox
)

// Validate checks kind and name of an alias; the address is checked by ValidateLocal.
func (a *Alias) Validate() error {
	var bad error
	if a.Kind != AliasPlain && a.Kind != AliasGroup {
		bad = Errorf(Invalid, "alias.kind", "That is neither an alias nor a group.").On("kind")
	}
	return errors.Join(bad, Line("name", a.Name, MaxName))
}

// MaxAutoReply is the longest text of an auto-reply, in characters.
const MaxAutoReply = 5000

// Validate checks the texts and the time of an auto-reply; one that is on needs a text.
// Errors: Invalid text.long, text.control, autoreply.empty (field body), autoreply.order
// (field ends).
func (a *AutoReply) Validate() error {
	var bad []error
	if a.Enabled && strings.TrimSpace(a.Body) == "" {
		bad = append(bad, Errorf(Invalid, "autoreply.empty", "The text of the reply is missing.").On("body"))
	}
	if a.StartsAt != 0 && a.EndsAt != 0 && a.EndsAt <= a.StartsAt {
		bad = append(bad, Errorf(Invalid, "autoreply.order", "The end is before the start.").On("ends"))
	}
	return errors.Join(append(bad, Line("subject", a.Subject, MaxName), Text("body", a.Body, MaxAutoReply), Text("outside", a.Outside, MaxAutoReply))...)
}
