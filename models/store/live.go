package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// LogOut ends every session of a mailbox that has begun, on all servers: they compare the
// number that it raises. NotFound if the mailbox is gone.
func (s *Store) LogOut(ctx context.Context, mailbox models.ID) error {
	return s.change(ctx, db.ChangedMailbox, mailbox, func(g *gorm.DB) error {
		return one("log out", g.Model(&models.Mailbox{}).Where("id = ?", mailbox).UpdateColumn("logouts", gorm.Expr("logouts + 1")))
	})
}

// LastUses returns when each client of a mailbox last logged in over each protocol, newest
// first, as far back as log-ins are kept; limit 0 is models.PageSize.
func (s *Store) LastUses(ctx context.Context, mailbox models.ID, limit int) ([]models.LastUse, error) {
	size, _ := models.Query{Size: limit}.Window()
	var uses []models.LastUse
	err := s.on(ctx).Raw("SELECT protocol, client, MAX(last_at) AS at FROM logins WHERE mailbox_id = ? AND ok = 1 GROUP BY protocol, client ORDER BY at DESC LIMIT ?",
		mailbox, size).Scan(&uses).Error
	return uses, failed("last uses", err)
}
