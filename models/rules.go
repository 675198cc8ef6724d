package models

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of what a record may hold, in characters.
const (
	MaxName   = 255
	MaxReason = 255
)

// MaxQuota is the highest quota or limit: 1 EiB, so that sums stay within 63 bits.
const MaxQuota = 1 << 60

// Line checks a text of one line that people read: valid, without control characters and
// without the controls that turn the direction of what follows (they could make one name look
// like another). Errors are of kind Invalid: text.long (arg max), text.control.
func Line(field, s string, most int) error {
	if !utf8.ValidString(s) {
		return Errorf(Invalid, "text.control", "The text holds characters that cannot be used here.").On(field)
	}
	if utf8.RuneCountInString(s) > most {
		return Errorf(Invalid, "text.long", "The text is longer than %d characters.", most).With("max", most).On(field)
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return Errorf(Invalid, "text.control", "The text holds characters that cannot be used here.").On(field)
		}
	}
	return nil
}

// Text is Line for a text of several lines: LF and tab may stand in it.
func Text(field, s string, most int) error {
	return Line(field, strings.NewReplacer("\n", " ", "\t", " ").Replace(s), most)
}

// amount checks a limit or quota. Error: number.range of kind Invalid.
func amount(field string, n int64) error {
	if n < 0 || n > MaxQuota {
		return Errorf(Invalid, "number.range", "The number is out of range.").On(field)
	}
	return nil
}

// Validate checks what is the customer's own; all bad fields are in the error's tree.
func (c *Customer) Validate() error {
	var empty error
	if strings.TrimSpace(c.Name) == "" {
		empty = Errorf(Invalid, "name.empty", "The name is missing.").On("name")
	}
	return errors.Join(empty, Line("name", c.Name, MaxName), Line("external_id", c.ExternalID, MaxName),
		Line("reason", c.Reason, MaxReason), c.Limits().Validate())
}

// Limits returns what the customer may use.
func (c *Customer) Limits() CustomerLimits {
	return CustomerLimits{Domains: c.MaxDomains, Mailboxes: c.MaxMailboxes, Storage: c.MaxStorage}
}

// Validate checks the limits.
func (l CustomerLimits) Validate() error {
	return errors.Join(amount("domains", l.Domains), amount("mailboxes", l.Mailboxes), amount("storage", l.Storage))
}

// Validate checks role, name and language of a user; the e-mail address is parsed before.
func (u *User) Validate() error {
	var bad error
	switch {
	case u.Role != RoleAdmin && u.Role != RoleCustomer:
		bad = Errorf(Invalid, "user.role", "The role must be admin or customer.").On("role")
	case (u.Role == RoleCustomer) != (u.CustomerID != nil):
		bad = Errorf(Invalid, "user.customer", "A customer's user belongs to a customer, an administrator to none.").On("customer")
	}
	return errors.Join(bad, Line("name", u.Name, MaxName), ValidateLanguage(u.Language))
}

// ValidateLanguage accepts the languages of the panel and "" for the browser's.
func ValidateLanguage(code string) error {
	switch code {
	case "", "en", "fa":
		return nil
	}
	return Errorf(Invalid, "user.language", "The panel does not speak this language.").On("language")
}

// Validate checks name, quotas and reason of a mailbox; the address is checked by
// ValidateLocal.
func (m *Mailbox) Validate() error {
	return errors.Join(Line("name", m.Name, MaxName), Line("reason", m.Reason, MaxReason),
		amount("quota", m.QuotaBytes), amount("messages", m.QuotaMessages))
}

// Reserved reports whether a local part is the server's own: postmaster and abuse of every
// domain are delivered to one of its mailboxes (RFC 5321, section 4.5.1; RFC 2142), and
// mailer-daemon is who bounces come from.
func Reserved(local string) bool {
	switch local {
	case RolePostmaster, RoleAbuse, "mailer-daemon":
		return true
	}
	return false
}

// The local parts that always work in a domain that has a mailbox.
const (
	RolePostmaster = "postmaster"
	RoleAbuse      = "abuse"
)

// ValidateLocal checks the normalized local part of a mailbox to be made: letters, digits,
// dot, hyphen and underscore, with a letter or digit at both ends. RFC 5321 allows more, but
// much of that is refused by forms and clients elsewhere. Errors, on field "local": kind
// Invalid with mailbox.tag or mailbox.local, kind Conflict with mailbox.reserved.
func ValidateLocal(local string) error {
	if strings.Contains(local, "+") {
		return Errorf(Invalid, "mailbox.tag", "What follows + is a tag that every mailbox has already; leave it out.").On("local")
	}
	if local == "" || strings.Contains(local, "..") || !edge(local[0]) || !edge(local[len(local)-1]) ||
		strings.Trim(local, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return Errorf(Invalid, "mailbox.local", "Use letters a to z, digits, dot, hyphen and underscore.").On("local")
	}
	if Reserved(local) {
		return Errorf(Conflict, "mailbox.reserved", "This address is reserved: mail to it reaches a mailbox of the domain already.").On("local")
	}
	return nil
}

func edge(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' }
