package main

import (
	"context"
	"net/netip"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/store"
)

// panelLogin lets the panel's people in by the same door as mail clients.
type panelLogin struct {
	auth  *auth.Service
	store *store.Store
}

// Login returns the user with this name and password; errors as those of auth.Service.Login.
func (p panelLogin) Login(ctx context.Context, remote netip.Addr, userAgent, name, password string) (*models.User, error) {
	account, err := p.auth.Login(ctx, auth.Attempt{
		Kind: models.AccountUser, Protocol: models.ProtoPanel, Remote: remote, Client: userAgent, Name: name, Password: password,
	})
	if err != nil {
		return nil, err
	}
	return p.store.User(ctx, models.Everything(), account.ID)
}
