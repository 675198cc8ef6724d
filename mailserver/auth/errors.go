package auth

import (
	"strings"
	"time"

	"github.com/postchi/postchi/models"
)

// The reasons an attempt is recorded with; see models.Login.
const (
	reasonUnknown   = "unknown"   // nobody has this name
	reasonBadPass   = "badpass"   // wrong password
	reasonNoAt      = "noat"      // a name without @
	reasonName      = "name"      // a name over MaxName bytes, or with a NUL
	reasonTooLong   = "toolong"   // a password over MaxPassword bytes
	reasonNUL       = "nul"       // a password with a NUL
	reasonBlocked   = "blocked"   // too many wrong passwords before
	reasonMany      = "many"      // too many attempts at once from there
	reasonBusy      = "busy"      // no worker for it
	reasonSuspended = "suspended" // right, but switched off
	reasonDeleted   = "deleted"   // the mailbox is in the bin
)

// refusal is an error for the client with the reason for the owner.
type refusal struct {
	reason string
	err    *models.Error
}

func errDenied() *models.Error {
	return models.Errorf(models.Denied, "login.denied", "The user name or the password is wrong.")
}

// checkAttempt refuses, before anything is looked up, what cannot be right whoever has the name.
func checkAttempt(a *Attempt) *refusal {
	switch {
	case len(a.Name) > MaxName || strings.IndexByte(a.Name, 0) >= 0:
		return &refusal{reasonName, models.Errorf(models.Denied, "login.name",
			"The user name is longer than %d bytes or holds a NUL character.", MaxName).With("max", MaxName)}
	case strings.IndexByte(a.Name, '@') < 0:
		return &refusal{reasonNoAt, models.Errorf(models.Denied, "login.noat",
			"The user name has no @. Use the full address, like name@example.com.")}
	case strings.IndexByte(a.Password, 0) >= 0:
		return &refusal{reasonNUL, models.Errorf(models.Denied, "login.nul", "A password cannot hold a NUL character.")}
	case len(a.Password) > MaxPassword:
		return &refusal{reasonTooLong, models.Errorf(models.Denied, "login.toolong",
			"The password is longer than %d bytes; no password here is.", MaxPassword).With("max", MaxPassword)}
	}
	return nil
}

func errBlocked(until, now time.Time) *models.Error {
	minutes := int((until.Sub(now) + time.Minute - 1) / time.Minute)
	return models.Errorf(models.Limited, "login.blocked",
		"Too many wrong passwords from your network. Try again in %d min.", minutes).
		With("minutes", minutes).With("n", minutes).With("until", models.At(until))
}

func errMany() *models.Error {
	return models.Errorf(models.Limited, "login.many", "Too many log-ins from your network at once. Try again in a moment.")
}

func errBusy() *models.Error {
	return models.Errorf(models.Unavailable, "login.busy", "Too many log-ins at once. Try again in a moment.")
}

func errSuspended(reason string) *models.Error {
	if reason == "" {
		return models.Errorf(models.Suspended, "login.suspended_bare", "Log-in is switched off for this account.")
	}
	return models.Errorf(models.Suspended, "login.suspended", "Log-in is switched off for this account: %s", reason).With("reason", reason)
}

func errPasswordChanged() *models.Error {
	return models.Errorf(models.Denied, "login.ended_password", "The password was changed. Log in again.")
}

func errLoggedOut() *models.Error {
	return models.Errorf(models.Denied, "login.ended_logout", "This connection was ended in the panel. Log in again.")
}

func errDeleted() *models.Error {
	return models.Errorf(models.Denied, "login.ended_deleted", "This account was deleted.")
}

// unavailable keeps an error that says so itself, and wraps any other.
func unavailable(err error) error {
	if models.Is(err, models.Unavailable) {
		return err
	}
	return models.Unavailablef(err, "Log-in is not possible at the moment. Try again later.")
}
