package main

import (
	"context"
	"net/netip"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/store"
	"github.com/postchi/postchi/panel/service"
)

// panelLogin lets the panel's people and the owners of mailboxes in by the same door as mail
// clients.
type panelLogin struct {
	auth    *auth.Service
	store   *store.Store
	service *service.Service
}

// Login returns the user with this name and password, or the owner of the mailbox; errors as
// those of auth.Service.Login.
func (p panelLogin) Login(ctx context.Context, remote netip.Addr, userAgent, name, password string) (*models.User, error) {
	kind, err := p.kind(ctx, name)
	if err != nil {
		return nil, err
	}
	account, err := p.auth.Login(ctx, auth.Attempt{
		Kind: kind, Protocol: models.ProtoPanel, Remote: remote, Client: userAgent, Name: name, Password: password,
	})
	if err != nil {
		return nil, err
	}
	if kind == models.AccountMailbox {
		owner, _, err := p.service.Owner(ctx, account.ID)
		return owner, err
	}
	return p.store.User(ctx, models.Everything(), account.ID)
}

// kind says whose name it is. A user of the panel comes first: who is that and has a mailbox of
// the same address too finds everything of the mailbox there. A name of nobody is asked for as
// a mailbox's. Each way asks the same questions, so that the time tells nobody which it was.
func (p panelLogin) kind(ctx context.Context, name string) (models.AccountKind, error) {
	addr, err := address.Parse(name)
	if err != nil {
		return models.AccountUser, nil // refused before anything is looked up
	}
	_, err = p.store.UserAccount(ctx, addr.String())
	switch {
	case err == nil:
		return models.AccountUser, nil
	case models.Is(err, models.NotFound):
		return models.AccountMailbox, nil
	}
	return "", err
}
