// Package entry gives the IMAP server what it asks for of people: log-ins and open sessions from
// package auth, quotas with them.
package entry

import (
	"context"
	"net/netip"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/imapd"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/models"
)

// Accounts answers the log-ins of the IMAP server from the one service for log-ins.
func Accounts(service *auth.Service) imapd.Accounts {
	return accounts{service}
}

type accounts struct{ service *auth.Service }

// Login implements imapd.Accounts.
func (a accounts) Login(ctx context.Context, attempt imapd.Attempt) (*models.Account, error) {
	return a.service.Login(ctx, auth.Attempt{
		Kind: models.AccountMailbox, Protocol: models.ProtoIMAP,
		Remote: attempt.Remote, Client: attempt.Client, Name: attempt.Name, Password: attempt.Password,
	})
}

// Open implements imapd.Accounts.
func (a accounts) Open(_ context.Context, account *models.Account, remote netip.Addr, client string, end func(*models.Error)) (imapd.Place, error) {
	session, err := a.service.Open(auth.SessionInfo{Account: account, Protocol: models.ProtoIMAP, Remote: remote, Client: client}, end)
	if err != nil {
		return nil, err
	}
	return session, nil
}

// Quota implements imapd.Accounts.
func (a accounts) Quota(ctx context.Context, mailbox models.ID) (mailstore.Quota, error) {
	account, err := a.service.Account(ctx, models.AccountMailbox, mailbox)
	if err != nil {
		return mailstore.Quota{}, err
	}
	return mailstore.Quota{Bytes: account.QuotaBytes, Messages: account.QuotaMessages}, nil
}

// Mechanisms returns the SASL mechanisms of the service for log-ins.
func Mechanisms() []imapd.Mechanism {
	return []imapd.Mechanism{
		{Name: "PLAIN", New: func(login func(name, password string) error) imapd.Exchange { return auth.NewPlain(login) }},
		{Name: "LOGIN", New: func(login func(name, password string) error) imapd.Exchange { return auth.NewLogin(login) }},
	}
}
