package models

import (
	"errors"
	"fmt"
	"maps"
)

// Kind says what went wrong in a way every edge can answer: the panel with an HTTP status,
// SMTP with a reply code, IMAP and POP3 with theirs, the command line with an exit status.
// Only Unavailable and Internal are temporary.
type Kind int

// The kinds of error. The zero value is Internal: what nobody named is our own fault.
const (
	Internal    Kind = iota // a fault of ours; the text is not for the client
	Invalid                 // the request makes no sense as it stands
	NotFound                // no such thing, or not for this viewer
	Conflict                // it exists already, or has changed meanwhile
	Denied                  // not known, or not allowed; unknown and wrong are alike
	Suspended               // known and right, but switched off
	Full                    // over a quota or a limit of space or number
	Limited                 // too much at once or too often; later it will do
	Unavailable             // a resource of ours fails at the moment; later it will do
	TooLarge                // larger than accepted, ever
)

var kindNames = [...]string{"internal", "invalid", "not_found", "conflict", "denied", "suspended", "full", "limited", "unavailable", "too_large"}

// String returns the kind as it appears in logs and in JSON.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return kindNames[k]
}

// Temporary reports whether the same request may succeed later without anybody changing it.
func (k Kind) Temporary() bool { return k == Internal || k == Limited || k == Unavailable }

// Error is the one error type that crosses packages: a kind for the reply, words that are
// safe to show to anyone, and a cause for the log.
type Error struct {
	Kind  Kind
	Key   string         // of the words in the catalogues of the panel, under "error."
	Args  map[string]any // the values in those words
	Field string         // the field of a form the error belongs to; may be empty
	Msg   string         // the words in English, for protocols and the command line
	Err   error          // cause, for the log; may be nil
}

// Error returns the words and the cause; it is for logs, never for a client.
func (e *Error) Error() string {
	s := e.Msg
	if s == "" {
		s = e.Kind.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error with words made by fmt.Sprintf. Args are printed into the English
// words only; use With to give them to the catalogue.
func Errorf(kind Kind, key, format string, args ...any) *Error {
	return &Error{Kind: kind, Key: key, Msg: fmt.Sprintf(format, args...)}
}

// With returns a copy that carries one more value for the catalogue's words.
func (e *Error) With(name string, value any) *Error {
	c := *e
	c.Args = maps.Clone(e.Args)
	if c.Args == nil {
		c.Args = map[string]any{}
	}
	c.Args[name] = value
	return &c
}

// On returns a copy that belongs to a field of a form.
func (e *Error) On(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// Because returns a copy with a cause for the log.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// KindOf returns the kind of the first Error in err's tree, Internal if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is or wraps an Error of this kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Unavailablef wraps a cause that will pass: the database is away, the disk is full.
func Unavailablef(err error, format string, args ...any) *Error {
	return &Error{Kind: Unavailable, Key: "unavailable", Msg: fmt.Sprintf(format, args...), Err: err}
}

// Errors returns every Error in err's tree, in order: a form with several bad fields joins
// one for each with errors.Join.
func Errors(err error) []*Error {
	var all []*Error
	var walk func(error)
	walk = func(err error) {
		if e, ok := err.(*Error); ok {
			all = append(all, e)
			return
		}
		switch u := err.(type) {
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				walk(e)
			}
		case interface{ Unwrap() error }:
			if e := u.Unwrap(); e != nil {
				walk(e)
			}
		}
	}
	if err != nil {
		walk(err)
	}
	return all
}
