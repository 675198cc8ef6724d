package service

import "github.com/postchi/postchi/models"

// Viewer is who acts. The zero value may nothing and sees nothing.
type Viewer struct {
	UserID     models.ID // 0 on the command line
	Role       models.Role
	CustomerID models.ID // 0 for administrators
	Name       string    // e-mail address, for logs and for who deleted what
}

// Console returns the viewer of the command line: who can read the configuration may do
// everything.
func Console() Viewer { return Viewer{Role: models.RoleAdmin, Name: "command line"} }

// IsAdmin reports whether the viewer is an administrator.
func (v Viewer) IsAdmin() bool { return v.Role == models.RoleAdmin }

// action is what a method does, in the words of the policy.
type action int

const (
	see             action = iota // read what is in the scope
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
	}
	return models.Scope{}, notFound()
}
