package pop3d

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/postchi/postchi/models"
)

// errInClear refuses a password without TLS (RFC 8314). It has no [AUTH] code, since no other
// password would help.
func (s *session) errInClear() error {
	if s.server.config.TLS == nil {
		return bad("Passwords are taken under TLS only, use the port for TLS.")
	}
	return bad("Passwords are taken under TLS only, use STLS first.")
}

// userCommand answers USER. It never tells whether there is such a mailbox.
func (s *session) userCommand(arg string) error {
	switch {
	case !s.tls:
		return s.errInClear()
	case arg == "":
		return bad("USER needs a name.")
	}
	s.user = arg
	s.sayOK("Now the password")
	return nil
}

// pass answers PASS. The password is everything after the one space: it may hold spaces, at
// its ends too.
func (s *session) pass(arg string) error {
	switch {
	case !s.tls:
		return s.errInClear()
	case s.user == "":
		return bad("USER comes first.")
	case arg == "":
		return bad("PASS needs a password.")
	}
	name := s.user
	s.user = ""
	account, err := s.check(name, arg)
	if err != nil {
		return s.refused(err)
	}
	return s.enter(account)
}

// auth answers AUTH (RFC 5034). Without an argument it lists the mechanisms, as RFC 1734's
// implementations did and clients still ask.
func (s *session) auth(arg string) error {
	if !s.tls {
		return s.errInClear()
	}
	name, initial, given := strings.Cut(strings.TrimRight(arg, " "), " ")
	if name == "" {
		return s.mechanisms()
	}
	for _, m := range s.server.config.Mechanisms {
		if strings.EqualFold(m.Name, name) {
			return s.exchange(m, initial, given)
		}
	}
	return bad("That mechanism is not offered, see CAPA.")
}

func (s *session) mechanisms() error {
	s.out.WriteString("+OK Mechanisms follow\r\n")
	for _, m := range s.server.config.Mechanisms {
		s.out.WriteString(m.Name + "\r\n")
	}
	s.out.WriteString(".\r\n")
	return nil
}

// exchange runs one SASL exchange.
func (s *session) exchange(m Mechanism, initial string, given bool) error {
	s.user = ""
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
			if e, ok := asModel(err); ok {
				return s.refused(e)
			}
			return s.refused(errExchange.Because(err))
		case done && account == nil:
			return s.refused(errExchange)
		case done:
			return s.enter(account)
		}
		if response, err = s.respond(challenge); err != nil {
			return err
		}
	}
}

// errExchange is an exchange that a client got wrong: it said nothing that could be checked.
var errExchange = models.Errorf(models.Denied, "login.malformed", "The mail program's log-in could not be understood.")

// initialResponse decodes what came with AUTH. RFC 5034, section 4: "=" is an empty response,
// which is not the same as none.
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
		return nil, bad("That is not base64.")
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// respond sends a challenge and returns the client's response.
func (s *session) respond(challenge []byte) ([]byte, error) {
	s.out.WriteString("+ " + base64.StdEncoding.EncodeToString(challenge) + "\r\n")
	line, err := s.next()
	if err != nil {
		s.farewell(err)
		return nil, errGone
	}
	defer s.in.wipe()
	if string(line) == "*" {
		return nil, bad("Cancelled.")
	}
	return decode(string(line))
}

// check asks the accounts.
func (s *session) check(name, password string) (*models.Account, error) {
	ctx, cancel := context.WithTimeout(s.ctx, loginTime)
	defer cancel()
	return s.server.config.Accounts.Login(ctx, Attempt{Remote: s.remote, Name: name, Password: password})
}

// refused counts a failed log-in; after too many the connection ends. What is our own fault
// does not count.
func (s *session) refused(err error) error {
	e := modelOf(err)
	if e.Kind == models.Internal || e.Kind == models.Unavailable {
		return e
	}
	if s.failed++; s.failed >= s.server.config.MaxFailures {
		s.quit = true
	}
	return e
}

// enter opens the maildrop of an account that has logged in.
func (s *session) enter(account *models.Account) error {
	s.log = s.log.With("mailbox", account.Name)
	release, err := s.server.config.Accounts.Open(s.ctx, account, s.remote, func(reason *models.Error) { s.end(reason, true) })
	if err != nil {
		return modelOf(err)
	}
	s.release = release
	ctx, cancel := context.WithTimeout(s.ctx, openTime)
	defer cancel()
	s.drop, err = s.server.config.Maildrops.Open(ctx, account)
	if err != nil {
		s.unlock()
		return modelOf(err)
	}
	s.messages = s.drop.Messages()
	s.marks = newMarks(s.messages)
	s.state = transaction
	s.loggedIn()
	s.out.WriteString("+OK ")
	s.summary()
	s.out.WriteString("\r\n")
	return nil
}
