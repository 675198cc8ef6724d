package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// InsertUser adds a user of the panel; Conflict if the e-mail address is taken.
func (s *Store) InsertUser(ctx context.Context, u *models.User) error {
	return s.change(ctx, db.ChangedUser, u.ID, func(g *gorm.DB) error {
		return failed("insert user", g.Create(u).Error)
	})
}

// User returns one user in the scope; NotFound otherwise. Administrators are in nobody's
// scope but their own kind's.
func (s *Store) User(ctx context.Context, scope models.Scope, id models.ID) (*models.User, error) {
	var u models.User
	err := scoped(s.on(ctx), scope, "customer_id").Where("id = ?", id).Take(&u).Error
	return found("user", &u, err)
}

// UserByEmail returns one user in the scope by the normalized address; NotFound otherwise.
func (s *Store) UserByEmail(ctx context.Context, scope models.Scope, email string) (*models.User, error) {
	var u models.User
	err := scoped(s.on(ctx), scope, "customer_id").Where("email = ?", email).Take(&u).Error
	return found("user", &u, err)
}

// Users returns the users in the scope by address, those of one customer if its id is not 0;
// at most 1,000.
func (s *Store) Users(ctx context.Context, scope models.Scope, customer models.ID) ([]models.User, error) {
	g := scoped(s.on(ctx), scope, "customer_id")
	if customer != 0 {
		g = g.Where("customer_id = ?", customer)
	}
	var users []models.User
	return users, failed("users", g.Order("email").Limit(1000).Find(&users).Error)
}

// LockAdmins returns the ids of all administrators; inside Write others that do the same wait
// until the transaction ends.
func (s *Store) LockAdmins(ctx context.Context) ([]models.ID, error) {
	query := "SELECT id FROM users WHERE role = ? ORDER BY id"
	if db.TxOf(ctx) != nil {
		query += s.d.Dialect().ForUpdate()
	}
	var ids []models.ID
	return ids, failed("admins", s.on(ctx).Raw(query, models.RoleAdmin).Scan(&ids).Error)
}

// UpdateUser writes every field but id, role, customer and creation. Conflict if the address
// is taken, NotFound if the user is gone.
func (s *Store) UpdateUser(ctx context.Context, u *models.User) error {
	return s.change(ctx, db.ChangedUser, u.ID, func(g *gorm.DB) error {
		return one("update user", g.Model(&models.User{}).Where("id = ?", u.ID).
			Select("email", "name", "password_hash", "language", "updated_at", "password_at").Updates(u))
	})
}

// DeleteUser removes a user and its sessions.
func (s *Store) DeleteUser(ctx context.Context, id models.ID) error {
	return s.change(ctx, db.ChangedUser, id, func(g *gorm.DB) error {
		if err := g.Exec("DELETE FROM sessions WHERE user_id = ?", id).Error; err != nil {
			return failed("delete sessions", err)
		}
		return one("delete user", g.Where("id = ?", id).Delete(&models.User{}))
	})
}
