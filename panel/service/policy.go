package service

import "github.com/postchi/postchi/models"

// Viewer is who acts. The zero value may nothing and sees nothing.
type Viewer struct {
	UserID     models.ID // 0 on the command line; of an owner the mailbox's
	Role       models.Role
	CustomerID models.ID // 0 for administrators
	MailboxID  models.ID // of a mailbox's owner; 0 for all others
	Name       string    // e-mail address, for logs and for who deleted what
}

// Console returns the viewer of the command line: who can read the configuration may do
// everything.
func Console() Viewer { return Viewer{Role: models.RoleAdmin, Name: "command line"} }

// IsOwner reports whether the viewer is a mailbox's owner: every query is then limited to that
// mailbox.
func (v Viewer) IsOwner() bool { return v.Role == models.RoleOwner }

// IsAdmin reports whether the viewer is an administrator.
func (v Viewer) IsAdmin() bool { return v.Role == models.RoleAdmin }

// action is what a method does, in the words of the policy.
type action int

const (
	see             action = iota // read what is in the scope
	seeMailbox                    // read what a mailbox's owner may read too: its settings, log-ins and messages' ways
	manageOwn                     // change what a mailbox's owner may change too: auto-reply, own language
	manageMailboxes               // add and change mailboxes
	manageDomains                 // add and remove domains
	manageCustomers               // customers, their limits, users of the panel, proofs of domains
)

// permit is the whole policy: whether a viewer may do something, and with what. What is not
// allowed is NotFound like what is not there. Resellers and further roles come in here.
func permit(v Viewer, a action) (models.Scope, error) {
	switch {
	case v.Role == models.RoleAdmin:
		return models.Everything(), nil
	case v.Role == models.RoleCustomer && v.CustomerID != 0 && a != manageCustomers:
		return models.OfCustomer(v.CustomerID), nil
	case v.Role == models.RoleOwner && v.MailboxID != 0 && (a == seeMailbox || a == manageOwn):
		return models.OfMailbox(v.MailboxID), nil
	}
	return models.Scope{}, notFound()
}
