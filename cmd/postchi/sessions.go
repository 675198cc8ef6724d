package main

import (
	"context"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// liveSessions shows the service the open connections of this process.
type liveSessions struct {
	auth *auth.Service
	db   *db.DB
}

// Live implements service.Sessions.
func (l liveSessions) Live(mailbox models.ID) []models.LiveSession {
	var all []models.LiveSession
	for _, info := range l.auth.Live(mailbox) {
		all = append(all, models.LiveSession{ID: info.ID, Protocol: info.Protocol, Network: models.NetworkName(models.Network(info.Remote)),
			Client: info.Client, Since: models.At(info.Since)})
	}
	return all
}

// EndSession implements service.Sessions.
func (l liveSessions) EndSession(mailbox models.ID, id int64) bool {
	return l.auth.EndSession(mailbox, id)
}

// Others implements service.Sessions.
func (l liveSessions) Others(ctx context.Context) (bool, error) {
	peers, err := l.db.Peers(ctx, "server")
	return len(peers) > 0, err
}
