package auth

import (
	"bytes"

	"github.com/emersion/go-sasl"

	"github.com/postchi/postchi/models"
)

// maxResponse is the longest response of a client, in bytes, after base64: far above the
// longest names and a password of 255 characters (RFC 4616, section 2), since what is only
// somewhat too long is to be refused with the words of Login.
const maxResponse = 2048

func errMalformed() *models.Error {
	return models.Errorf(models.Invalid, "sasl.malformed", "The authentication data cannot be read.")
}

// NewPlain returns the server's side of SASL PLAIN (RFC 4616), with or without an initial
// response. Data that are not three parts with a name and a password are sasl.malformed of kind
// Invalid; an authorization identity other than "" and the name itself is sasl.authzid of kind
// Denied; any other error is login's.
func NewPlain(login func(name, password string) error) sasl.Server { return &plain{login: login} }

type plain struct {
	login func(name, password string) error
	done  bool
}

// Next implements sasl.Server.
func (p *plain) Next(response []byte) (challenge []byte, done bool, err error) {
	if p.done {
		return nil, false, sasl.ErrUnexpectedClientResponse
	}
	if response == nil {
		return []byte{}, false, nil
	}
	p.done = true
	if len(response) > maxResponse {
		return nil, false, errMalformed()
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 {
		return nil, false, errMalformed()
	}
	if len(parts[0]) > 0 && !bytes.Equal(parts[0], parts[1]) {
		return nil, false, models.Errorf(models.Denied, "sasl.authzid", "Nobody may act for another user. Leave the authorization identity empty.")
	}
	if err := p.login(string(parts[1]), string(parts[2])); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

// NewLogin returns the server's side of SASL LOGIN (draft-murchison-sasl-login), which Outlook
// needs, with or without the name as initial response. Errors are as for NewPlain.
func NewLogin(login func(name, password string) error) sasl.Server { return &loginServer{login: login} }

type loginServer struct {
	login func(name, password string) error
	asked bool // for the name
	named bool
	name  string
	done  bool
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.done:
		return nil, false, sasl.ErrUnexpectedClientResponse
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case len(response) == 0 || len(response) > maxResponse || bytes.IndexByte(response, 0) >= 0 && !l.named:
		l.done = true
		return nil, false, errMalformed()
	case !l.named:
		l.asked, l.named, l.name = true, true, string(response)
		return []byte("Password:"), false, nil
	}
	l.done = true
	if err := l.login(l.name, string(response)); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}
