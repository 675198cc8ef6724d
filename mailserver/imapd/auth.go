package imapd

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/postchi/postchi/models"
)

// errInClear refuses a password without TLS (RFC 8314; RFC 5530, PRIVACYREQUIRED).
func (s *session) errInClear() error {
	text := "Passwords are taken under TLS only, use STARTTLS first."
	if s.config.TLS == nil {
		text = "Passwords are taken under TLS only, use the port for TLS."
	}
	return models.Errorf(models.Denied, "imap.privacy", "%s", text)
}

// login answers LOGIN.
func (s *session) login(r *request) error {
	s.p.SP()
	name := s.p.AString()
	s.p.SP()
	password := s.p.AString()
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	defer s.in.Wipe()
	if !s.tls {
		return s.errInClear()
	}
	account, err := s.check(name, password)
	if err != nil {
		return s.refused(err)
	}
	return s.enter(r, account)
}

// authenticate answers AUTHENTICATE, with an initial response or without (RFC 4959).
func (s *session) authenticate(r *request) error {
	s.p.SP()
	name := s.p.Word()
	initial, given := "", false
	if s.p.Accept(' ') {
		initial, given = string(s.p.Line()), true
	}
	if s.p.End(); s.p.Err() != nil {
		return nil
	}
	defer s.in.Wipe()
	if !s.tls {
		return s.errInClear()
	}
	for _, m := range s.config.Mechanisms {
		if m.Name == name {
			return s.exchange(r, m, initial, given)
		}
	}
	return models.Errorf(models.Invalid, "login.mechanism", "That mechanism is not offered, see CAPABILITY.")
}

// errExchange is an exchange that a client got wrong: it said nothing that could be checked.
var errExchange = models.Errorf(models.Denied, "login.malformed", "The mail program's log-in could not be understood.")

// exchange runs one SASL exchange.
func (s *session) exchange(r *request, m Mechanism, initial string, given bool) error {
	var account *models.Account
	var denied error // of the account, other errors are of the exchange itself
	x := m.New(func(name, password string) error {
		account, denied = s.check(name, password)
		return denied
	})
	var response []byte
	if given {
		var err error
		if response, err = initialResponse(initial); err != nil {
			return err
		}
	}
	for {
		challenge, done, err := x.Next(response)
		switch {
		case denied != nil:
			return s.refused(denied)
		case err != nil:
			var e *models.Error
			if errors.As(err, &e) {
				return s.refused(e)
			}
			return s.refused(errExchange.Because(err))
		case done && account == nil:
			return s.refused(errExchange)
		case done:
			return s.enter(r, account)
		}
		if response, err = s.respond(challenge); err != nil {
			return err
		}
	}
}

// initialResponse decodes what came with AUTHENTICATE. RFC 4959, section 3: "=" is an empty
// response, which is not the same as none.
func initialResponse(s string) ([]byte, error) {
	if s == "=" {
		return []byte{}, nil
	}
	return decode(s)
}

// decode returns the bytes of a base64 text, never nil.
func decode(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, bad("", "That is not base64")
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// respond sends a challenge and returns the client's response.
func (s *session) respond(challenge []byte) ([]byte, error) {
	s.out.Strings("+ ", base64.StdEncoding.EncodeToString(challenge), "\r\n")
	line, err := s.nextLine()
	if err != nil {
		return nil, err
	}
	if line == "*" {
		return nil, bad("", "Cancelled")
	}
	return decode(line)
}

// maxResponse is the longest line of a SASL response, in bytes.
const maxResponse = 8 << 10

// nextLine flushes and reads a line that is no command.
func (s *session) nextLine() (string, error) {
	if err := s.out.Flush(); err != nil {
		return "", err
	}
	if over := s.wait(true); over != nil {
		return "", endSession{over}
	}
	line, err := s.in.Line(maxResponse)
	if over := s.wait(false); over != nil {
		return "", endSession{over}
	}
	if err != nil {
		return "", endSession{err}
	}
	return strings.TrimRight(string(line), " "), nil
}

// endSession is an error that ends the session though it would be an answer elsewhere.
type endSession struct{ error }

// check asks the accounts.
func (s *session) check(name, password string) (*models.Account, error) {
	ctx, cancel := context.WithTimeout(s.ctx, loginTime)
	defer cancel()
	return s.config.Accounts.Login(ctx, Attempt{Remote: s.remote, Client: s.client, Name: name, Password: password})
}

// refused counts a failed log-in; after too many the connection ends. What is our own fault
// does not count. Clients ask for the password again at AUTHENTICATIONFAILED alone, so nothing
// temporary has that code.
func (s *session) refused(err error) error {
	e := modelOf(err)
	switch e.Kind {
	case models.Internal, models.Unavailable:
		return e
	case models.Limited:
		e = &models.Error{Kind: models.Unavailable, Key: e.Key, Msg: e.Msg}
	case models.Denied, models.Invalid:
		e = &models.Error{Kind: models.Denied, Key: "login.malformed", Msg: e.Msg}
	}
	if s.failed++; s.failed >= s.config.MaxFailures {
		s.quit, s.bye = true, "Too many wrong passwords."
	}
	return e
}

// modelOf returns the error to show for err, of kind Internal if nobody named it.
func modelOf(err error) *models.Error {
	var e *models.Error
	if errors.As(err, &e) {
		return e
	}
	return models.Errorf(models.Internal, "internal", "Something went wrong here.").Because(err)
}

// enter begins the session of an account that has logged in.
func (s *session) enter(r *request, account *models.Account) error {
	place, err := s.config.Accounts.Open(s.ctx, account, s.remote, s.client, func(reason *models.Error) { s.end(reason, true) })
	if err != nil {
		e := modelOf(err)
		s.quit, s.bye = true, e.Msg
		return e
	}
	s.place, s.account = place, account
	s.log = s.log.With("mailbox", account.Name)
	s.state = authenticated
	s.errors = 0
	s.loggedIn()
	r.code, r.text = "CAPABILITY "+s.capabilities(), "Logged in"
	return nil
}
