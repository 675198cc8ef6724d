package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

// Sessions is what the server knows of its open connections.
type Sessions interface {
	// Live returns the open connections of a mailbox to this server, the oldest first.
	Live(mailbox models.ID) []models.LiveSession
	// EndSession ends one of them; false if there is no such one any more.
	EndSession(mailbox models.ID, id int64) bool
	// Others reports whether other servers run on the same database, of whose connections
	// Live knows nothing.
	Others(ctx context.Context) (bool, error)
}

// LiveSessions are the open connections of a mailbox.
type LiveSessions struct {
	Sessions []models.LiveSession
	Others   bool // there are other servers, whose connections are not in the list
}

// LiveSessions returns the open connections of a mailbox; none on the command line, which has
// none of its own.
func (s *Service) LiveSessions(ctx context.Context, v Viewer, addr string) (LiveSessions, error) {
	row, err := s.Mailbox(ctx, v, addr)
	if err != nil || s.config.Sessions == nil {
		return LiveSessions{}, err
	}
	others, err := s.config.Sessions.Others(ctx)
	if err != nil {
		return LiveSessions{}, err
	}
	return LiveSessions{s.config.Sessions.Live(row.ID), others}, nil
}

// EndSession ends one connection of a mailbox to this server. One that is gone meanwhile is no
// error.
func (s *Service) EndSession(ctx context.Context, v Viewer, addr string, id int64) error {
	row, err := s.findMailbox(ctx, v, manageOwn, addr)
	if err != nil {
		return err
	}
	if s.config.Sessions != nil && s.config.Sessions.EndSession(row.ID, id) {
		s.done(v, "session ended", "mailbox", row.Address, "session", id)
	}
	return nil
}

// LogOut ends all connections of a mailbox within a second, on all servers. Whoever has the
// password may come again at once.
func (s *Service) LogOut(ctx context.Context, v Viewer, addr string) error {
	row, err := s.findMailbox(ctx, v, manageOwn, addr)
	if err != nil {
		return err
	}
	if err := s.store.LogOut(ctx, row.ID); err != nil {
		return err
	}
	s.done(v, "mailbox logged out", "mailbox", row.Address)
	return nil
}

// LastUses returns when each client last logged in over each protocol, newest first. A client
// that says its name only after its log-in may have a line without a name too: it is left out
// beside a younger one with a name.
func (s *Service) LastUses(ctx context.Context, v Viewer, addr string, limit int) ([]models.LastUse, error) {
	row, err := s.Mailbox(ctx, v, addr)
	if err != nil {
		return nil, err
	}
	all, err := s.store.LastUses(ctx, row.ID, limit)
	if err != nil {
		return nil, err
	}
	named := map[models.Protocol]models.Micros{}
	for _, u := range all {
		if u.Client != "" {
			named[u.Protocol] = max(named[u.Protocol], u.At)
		}
	}
	var uses []models.LastUse
	for _, u := range all {
		if u.Client == "" && u.At <= named[u.Protocol] {
			continue
		}
		uses = append(uses, u)
	}
	return uses, nil
}
