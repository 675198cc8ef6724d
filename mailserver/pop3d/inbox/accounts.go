package inbox

import (
	"context"
	"net/netip"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/pop3d"
	"github.com/postchi/postchi/models"
)

// Accounts answers the log-ins of the POP3 server from the one service for log-ins.
func Accounts(service *auth.Service) pop3d.Accounts { return accounts{service} }

type accounts struct{ service *auth.Service }

// Login implements pop3d.Accounts.
func (a accounts) Login(ctx context.Context, attempt pop3d.Attempt) (*models.Account, error) {
	return a.service.Login(ctx, auth.Attempt{
		Kind: models.AccountMailbox, Protocol: models.ProtoPOP3,
		Remote: attempt.Remote, Name: attempt.Name, Password: attempt.Password,
	})
}

// Open implements pop3d.Accounts.
func (a accounts) Open(_ context.Context, account *models.Account, remote netip.Addr, end func(*models.Error)) (func(), error) {
	session, err := a.service.Open(auth.SessionInfo{Account: account, Protocol: models.ProtoPOP3, Remote: remote}, end)
	if err != nil {
		return nil, err
	}
	return session.Close, nil
}

// Mechanisms returns the SASL mechanisms of the service for log-ins.
func Mechanisms() []pop3d.Mechanism {
	return []pop3d.Mechanism{
		{Name: "PLAIN", New: func(login func(name, password string) error) pop3d.Exchange { return auth.NewPlain(login) }},
		{Name: "LOGIN", New: func(login func(name, password string) error) pop3d.Exchange { return auth.NewLogin(login) }},
	}
}
