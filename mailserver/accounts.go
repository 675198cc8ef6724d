package mailserver

import (
	"context"
	"net/netip"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/smtpd"
	"github.com/postchi/postchi/models"
)

// smtpAccounts shows the one door of log-ins to submission.
type smtpAccounts struct {
	auth     *auth.Service
	accounts Accounts
}

func (a smtpAccounts) Login(ctx context.Context, at smtpd.Attempt) (*models.Account, error) {
	return a.auth.Login(ctx, auth.Attempt{
		Kind: models.AccountMailbox, Protocol: models.ProtoSubmission, Remote: at.Remote, Client: at.Client, Name: at.Name, Password: at.Password,
	})
}

func (a smtpAccounts) Open(_ context.Context, account *models.Account, remote netip.Addr, client string, end func(reason *models.Error)) (func(), error) {
	session, err := a.auth.Open(auth.SessionInfo{Account: account, Protocol: models.ProtoSubmission, Remote: remote, Client: client}, end)
	if err != nil {
		return nil, err
	}
	return session.Close, nil
}

func (a smtpAccounts) Sender(ctx context.Context, id models.ID) (*models.Account, error) {
	return a.auth.Account(ctx, models.AccountMailbox, id)
}

func (a smtpAccounts) Addresses(ctx context.Context, account *models.Account) ([]string, error) {
	return a.accounts.SenderAddresses(ctx, account)
}

func smtpMechanisms() []smtpd.Mechanism {
	return []smtpd.Mechanism{
		{Name: "PLAIN", New: func(login func(name, password string) error) smtpd.Exchange { return auth.NewPlain(login) }},
		{Name: "LOGIN", New: func(login func(name, password string) error) smtpd.Exchange { return auth.NewLogin(login) }},
	}
}
