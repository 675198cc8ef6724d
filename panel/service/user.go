package service

import (
	"context"
	"errors"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/password"
)

// NewUser is a user of the panel to be added.
type NewUser struct {
	Email      string
	Name       string
	Role       models.Role
	CustomerID models.ID // 0 for administrators
	Password   string
	Language   string // "" = the browser's
}

func userTaken() *models.Error {
	return models.Errorf(models.Conflict, "user.taken", "There is a user with this address already.").On("email")
}

// prepareUser checks a user and hashes its password. Bad fields are all in the error's tree.
func (s *Service) prepareUser(ctx context.Context, n NewUser) (*models.User, error) {
	now := s.now()
	u := &models.User{ID: s.store.NewID(), Name: strings.TrimSpace(n.Name), Role: n.Role, Language: n.Language, CreatedAt: now, UpdatedAt: now, PasswordAt: now}
	if n.CustomerID != 0 {
		u.CustomerID = &n.CustomerID
	}
	email, err := address.Parse(n.Email)
	u.Email = email.String()
	err = errors.Join(on(err, "email"), u.Validate(), s.checkPassword(n.Password, email))
	if err != nil {
		return nil, err
	}
	u.PasswordHash, err = s.config.Hash(ctx, n.Password)
	return u, err
}

// checkPassword applies the rules of passwords for the owner of an address.
func (s *Service) checkPassword(pw string, owner address.Address) error {
	return on(password.Check(s.config.Passwords, pw, owner.String(), owner.Display(), owner.Local, owner.Domain, address.Unicode(owner.Domain)), "password")
}

// on says which field of a form an error belongs to.
func on(err error, field string) error {
	var e *models.Error
	if errors.As(err, &e) {
		return e.On(field)
	}
	return err
}

// HasAdmin reports whether the panel has an administrator.
func (s *Service) HasAdmin(ctx context.Context) (bool, error) {
	ids, err := s.store.LockAdmins(ctx)
	return len(ids) > 0, err
}

// Users returns the users of a customer, or with id 0 all in the viewer's scope.
func (s *Service) Users(ctx context.Context, v Viewer, customer models.ID) ([]models.User, error) {
	scope, err := permit(v, see)
	if err != nil {
		return nil, err
	}
	return s.store.Users(ctx, scope, customer)
}

// User returns one user.
func (s *Service) User(ctx context.Context, v Viewer, id models.ID) (*models.User, error) {
	scope, err := permit(v, see)
	if err != nil {
		return nil, err
	}
	return s.store.User(ctx, scope, id)
}

// UserByEmail returns one user by e-mail address.
func (s *Service) UserByEmail(ctx context.Context, v Viewer, email string) (*models.User, error) {
	scope, err := permit(v, see)
	if err != nil {
		return nil, err
	}
	a, err := address.Parse(email)
	if err != nil {
		return nil, notFound()
	}
	return s.store.UserByEmail(ctx, scope, a.String())
}

// AddUser adds a user of the panel. For administrators. Errors: Invalid for each bad field;
// Conflict user.taken; NotFound if there is no such customer.
func (s *Service) AddUser(ctx context.Context, v Viewer, n NewUser) (*models.User, error) {
	if _, err := permit(v, manageCustomers); err != nil {
		return nil, err
	}
	u, err := s.prepareUser(ctx, n)
	if err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, func(ctx context.Context) error {
		if u.CustomerID != nil { // so that it is not removed meanwhile
			if err := s.store.LockCustomer(ctx, *u.CustomerID); err != nil {
				return err
			}
		}
		return conflict(s.store.InsertUser(ctx, u), userTaken())
	})
	if err != nil {
		return nil, err
	}
	s.done(v, "user added", "user", u.Email, "role", u.Role)
	return u, nil
}

// SetUserPassword sets somebody's password. For administrators.
func (s *Service) SetUserPassword(ctx context.Context, v Viewer, id models.ID, pw string) error {
	scope, err := permit(v, manageCustomers)
	if err != nil {
		return err
	}
	u, err := s.store.User(ctx, scope, id)
	if err != nil {
		return err
	}
	return s.setUserPassword(ctx, v, u, pw)
}

// SetOwnPassword changes the viewer's password, who proves to know the old one: Denied
// password.wrong, field "old", otherwise.
func (s *Service) SetOwnPassword(ctx context.Context, v Viewer, old, pw string) error {
	if v.IsOwner() {
		return s.setOwnerPassword(ctx, v, old, pw)
	}
	u, err := s.self(ctx, v)
	if err != nil {
		return err
	}
	if err := s.config.Verify(ctx, u.PasswordHash, old); err != nil {
		return on(err, "old")
	}
	return s.setUserPassword(ctx, v, u, pw)
}

func (s *Service) setUserPassword(ctx context.Context, v Viewer, u *models.User, pw string) error {
	email, err := address.Parse(u.Email)
	if err != nil {
		return err
	}
	if err := s.checkPassword(pw, email); err != nil {
		return err
	}
	hash, err := s.config.Hash(ctx, pw)
	if err != nil {
		return err
	}
	err = s.changeUser(ctx, u.ID, func(u *models.User) {
		u.PasswordHash, u.PasswordAt = hash, s.now()
	})
	if err == nil {
		s.done(v, "user password changed", "user", u.Email)
	}
	return err
}

// self returns the viewer's own user; NotFound on the command line.
func (s *Service) self(ctx context.Context, v Viewer) (*models.User, error) {
	scope, err := permit(v, see)
	if err != nil {
		return nil, err
	}
	return s.store.User(ctx, scope, v.UserID)
}

func (s *Service) changeUser(ctx context.Context, id models.ID, fn func(*models.User)) error {
	return s.store.Write(ctx, func(ctx context.Context) error {
		u, err := s.store.User(ctx, models.Everything(), id)
		if err != nil {
			return err
		}
		fn(u)
		u.UpdatedAt = s.now()
		return s.store.UpdateUser(ctx, u)
	})
}

// SetLanguage sets the viewer's language of the panel; "" is the browser's.
func (s *Service) SetLanguage(ctx context.Context, v Viewer, language string) error {
	if err := models.ValidateLanguage(language); err != nil {
		return err
	}
	if v.IsOwner() {
		return s.setOwnerLanguage(ctx, v, language)
	}
	u, err := s.self(ctx, v)
	if err != nil {
		return err
	}
	return s.changeUser(ctx, u.ID, func(u *models.User) { u.Language = language })
}

// RemoveUser removes a user. For administrators. Conflict user.last_admin for the last
// administrator, user.self for the viewer.
func (s *Service) RemoveUser(ctx context.Context, v Viewer, id models.ID) error {
	scope, err := permit(v, manageCustomers)
	if err != nil {
		return err
	}
	if id == v.UserID && id != 0 {
		return models.Errorf(models.Conflict, "user.self", "You cannot remove yourself.")
	}
	var email string
	err = s.store.Write(ctx, func(ctx context.Context) error {
		u, err := s.store.User(ctx, scope, id)
		if err != nil {
			return err
		}
		email = u.Email
		if u.Role == models.RoleAdmin {
			admins, err := s.store.LockAdmins(ctx)
			if err != nil {
				return err
			}
			if len(admins) <= 1 {
				return models.Errorf(models.Conflict, "user.last_admin", "This is the last administrator.")
			}
		}
		return s.store.DeleteUser(ctx, id)
	})
	if err == nil {
		s.done(v, "user removed", "user", email)
	}
	return err
}
