package smtpd

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/postchi/postchi/models"
)

var (
	errNoAuth    = models.Errorf(models.Invalid, "smtp.no_auth", "Nobody logs in here.")
	errMechanism = models.Errorf(models.Invalid, "smtp.mechanism", "That mechanism is not offered.")
	errExchange  = models.Errorf(models.Denied, "login.malformed", "The mail program's log-in could not be understood.")
)

// AuthMechanisms implements smtp.AuthSession: none without TLS, on loopback too.
func (s *session) AuthMechanisms() []string {
	if s.wire.tls == nil || !s.server.config.Mode.submits() {
		return nil
	}
	names := make([]string, len(s.server.config.Mechanisms))
	for i, m := range s.server.config.Mechanisms {
		names[i] = m.Name
	}
	return names
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(name string) (_ sasl.Server, err error) {
	defer s.recovered(stepAuth, &err)
	switch {
	case !s.server.config.Mode.submits():
		return nil, s.refuse(stepAuth, errNoAuth, "", "")
	case s.wire.tls == nil:
		return nil, s.refuse(stepAuth, errTLSFirst, "", "")
	case s.mail != nil: // RFC 4954, section 4
		return nil, s.refuse(stepAuth, errSequence, "", "")
	}
	for _, m := range s.server.config.Mechanisms {
		if strings.EqualFold(m.Name, name) {
			x := &exchange{session: s}
			x.inner = m.New(x.login)
			return x, nil
		}
	}
	return nil, s.refuse(stepAuth, errMechanism, "", "")
}

// exchange is one SASL exchange; it turns the account's errors into replies.
type exchange struct {
	session *session
	inner   Exchange
	denied  error
}

// Next implements sasl.Server.
func (x *exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	s := x.session
	defer s.recovered(stepAuth, &err)
	challenge, done, err = x.inner.Next(response)
	switch {
	case x.denied != nil:
		return nil, false, s.denied(x.denied)
	case err != nil:
		var e *models.Error
		if !errors.As(err, &e) {
			err = errExchange.Because(err)
		}
		return nil, false, s.denied(err)
	case done && s.account == nil:
		return nil, false, s.denied(errExchange)
	}
	return challenge, done, nil
}

// login checks name and password and opens the account's session.
func (x *exchange) login(name, password string) error {
	x.denied = x.session.login(name, password)
	return x.denied
}

func (s *session) login(name, password string) error {
	ctx, cancel := context.WithTimeout(s.ctx, loginTime)
	defer cancel()
	client := s.conn.Hostname()
	account, err := s.server.config.Accounts.Login(ctx, Attempt{Remote: s.wire.remote, Client: client, Name: name, Password: password})
	if err != nil {
		return err
	}
	release, err := s.server.config.Accounts.Open(ctx, account, s.wire.remote, client, s.end)
	if err != nil {
		return err
	}
	s.account, s.release = account, release
	s.log = s.log.With(slog.String("mailbox", account.Name))
	if s.wire.low != nil {
		s.wire.low.LoggedIn()
	}
	return nil
}

// denied counts a failed log-in; what is our own fault does not count.
func (s *session) denied(err error) error {
	if !modelOf(err).Kind.Temporary() || models.Is(err, models.Limited) {
		s.wire.failures++
	}
	return s.refuse(stepAuth, err, "", "")
}
