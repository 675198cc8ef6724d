package service

import (
	"context"
	"errors"
	"strings"

	"github.com/postchi/postchi/models"
)

// Sealer seals what the database keeps of secrets.
type Sealer interface {
	Seal(plain []byte, context string) (string, error)
}

// NewRelay is a smarthost to be set.
type NewRelay struct {
	Owner    string // a domain, or a mailbox's address; "" = the server
	Host     string
	Port     int // 0 = the usual one of Security
	Security models.RelaySecurity
	Username string // "" = no log-in
	Password string // "" = the one it has, if host and user name stay the same
	Clear    bool   // it is understood that without TLS everybody on the way can read along
}

// Relays returns all smarthosts. For administrators; passwords are in none.
func (s *Service) Relays(ctx context.Context, v Viewer) ([]models.RelayRow, error) {
	if _, err := permit(v, manageCustomers); err != nil {
		return nil, err
	}
	return s.store.Relays(ctx)
}

// SetRelay sets the smarthost of the server, a domain or a mailbox. For administrators. Errors:
// Invalid as Relay.Validate, and relay.owner, relay.password, relay.unread (field "clear": without
// TLS and without NewRelay.Clear); NotFound.
func (s *Service) SetRelay(ctx context.Context, v Viewer, n NewRelay) error {
	id, kind, err := s.relayOwner(ctx, v, n.Owner)
	if err != nil {
		return err
	}
	r := &models.Relay{OwnerID: id, OwnerKind: kind, Host: strings.ToLower(strings.TrimSpace(n.Host)), Port: n.Port, Security: n.Security,
		Username: strings.TrimSpace(n.Username), UpdatedAt: s.now()}
	if r.Port == 0 {
		r.Port = map[models.RelaySecurity]int{models.RelayTLS: 465, models.RelayNone: 25}[r.Security]
		if r.Port == 0 {
			r.Port = 587
		}
	}
	err = r.Validate()
	if r.Security == models.RelayNone && !n.Clear {
		err = errors.Join(err, models.Errorf(models.Invalid, "relay.unread", "Without TLS everybody on the way can read the mail, and a password with it. Confirm that this is meant.").On("clear"))
	}
	if err != nil {
		return err
	}
	if err := s.relaySecret(ctx, r, n.Password); err != nil {
		return err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error { return s.store.SaveRelay(ctx, r) })
	if err == nil {
		s.done(v, "relay set", "owner", n.Owner, "host", r.Host)
	}
	return err
}

// relaySecret seals the password. One that is not typed again stays, but never goes to another
// host or user than it was given for, nor in clear where it went over TLS.
func (s *Service) relaySecret(ctx context.Context, r *models.Relay, password string) error {
	if r.Username == "" {
		return nil
	}
	if password == "" {
		old, err := s.store.Relay(ctx, r.OwnerID)
		if err != nil && !models.Is(err, models.NotFound) {
			return err
		}
		if err != nil || old.Secret == "" || old.Host != r.Host || old.Username != r.Username || r.Security == models.RelayNone && old.Security != models.RelayNone {
			return models.Errorf(models.Invalid, "relay.password", "The password is missing.").On("password")
		}
		r.Secret = old.Secret
		return nil
	}
	if s.config.Secrets == nil {
		return models.Errorf(models.Unavailable, "unavailable", "Secrets cannot be kept now.")
	}
	var err error
	r.Secret, err = s.config.Secrets.Seal([]byte(password), r.SecretContext())
	return err
}

// relayOwner finds whose smarthost is meant.
func (s *Service) relayOwner(ctx context.Context, v Viewer, owner string) (models.ID, string, error) {
	if _, err := permit(v, manageCustomers); err != nil {
		return 0, "", err
	}
	owner = strings.TrimSpace(owner)
	unknown := models.Errorf(models.Invalid, "relay.owner", "There is no such domain or mailbox.").On("owner")
	switch {
	case owner == "":
		return 0, models.RelayOfServer, nil
	case strings.Contains(owner, "@"):
		m, err := s.findMailbox(ctx, v, manageCustomers, owner)
		if models.Is(err, models.NotFound) {
			return 0, "", unknown
		}
		if err != nil {
			return 0, "", err
		}
		return m.ID, models.RelayOfMailbox, nil
	}
	_, d, err := s.findDomain(ctx, v, manageCustomers, owner)
	if models.Is(err, models.NotFound) {
		return 0, "", unknown
	}
	if err != nil {
		return 0, "", err
	}
	return d.ID, models.RelayOfDomain, nil
}

// RemoveRelay removes the smarthost of an owner as SetRelay names it. For administrators.
func (s *Service) RemoveRelay(ctx context.Context, v Viewer, owner string) error {
	id, _, err := s.relayOwner(ctx, v, owner)
	if err != nil {
		return err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error { return s.store.DeleteRelay(ctx, id) })
	if err == nil {
		s.done(v, "relay removed", "owner", owner)
	}
	return err
}
