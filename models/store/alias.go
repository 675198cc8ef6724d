package store

import (
	"context"
	"strings"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// aliasRow is the record with the text that search looks in.
type aliasRow struct {
	models.Alias
	Folded string `gorm:"column:folded"`
}

// InsertAlias adds an alias; its address row is InsertAddress's, its targets InsertTarget's.
func (s *Store) InsertAlias(ctx context.Context, a *models.Alias) error {
	row := aliasRow{Alias: *a, Folded: models.Clip(models.Fold(a.Address+" "+a.Name), 768)}
	return s.change(ctx, db.ChangedDomain, a.DomainID, func(g *gorm.DB) error {
		return failed("insert alias", g.Create(&row).Error)
	})
}

// UpdateAlias writes kind, name, whether it is off, and what search finds it by: the targets
// are in it. NotFound if the alias is gone.
func (s *Store) UpdateAlias(ctx context.Context, a *models.Alias, targets []string) error {
	row := aliasRow{Alias: *a, Folded: models.Clip(models.Fold(a.Address+" "+a.Name+" "+strings.Join(targets, " ")), 768)}
	return s.change(ctx, db.ChangedDomain, a.DomainID, func(g *gorm.DB) error {
		return one("update alias", g.Model(&aliasRow{}).Where("id = ?", a.ID).Select("kind", "name", "folded", "off", "updated_at").Updates(&row))
	})
}

// DeleteAlias removes an alias with its address and its targets.
func (s *Store) DeleteAlias(ctx context.Context, a *models.Alias) error {
	return s.change(ctx, db.ChangedDomain, a.DomainID, func(g *gorm.DB) error {
		for _, query := range []string{"DELETE FROM addresses WHERE alias_id = ?", "DELETE FROM targets WHERE owner_id = ?"} {
			if err := g.Exec(query, a.ID).Error; err != nil {
				return failed("delete alias", err)
			}
		}
		return one("delete alias", g.Where("id = ?", a.ID).Delete(&models.Alias{}))
	})
}

func (s *Store) aliases(ctx context.Context, scope models.Scope) *gorm.DB {
	return scoped(s.on(ctx).Table("aliases"), scope, "aliases.customer_id").
		Select("aliases.*, domains.name AS domain, customers.name AS customer").
		Joins("JOIN domains ON domains.id = aliases.domain_id").
		Joins("JOIN customers ON customers.id = aliases.customer_id")
}

// Alias returns one alias in the scope by its normalized address, with its targets; NotFound
// otherwise. Of several, which only unproven claims of one domain can have, it is the active
// domain's, else the oldest.
func (s *Store) Alias(ctx context.Context, scope models.Scope, address string) (*models.AliasRow, error) {
	var row models.AliasRow
	err := s.aliases(ctx, scope).Where("aliases.address = ?", address).
		Order("CASE WHEN domains.active_name IS NULL THEN 1 ELSE 0 END, aliases.id").Limit(1).Take(&row).Error
	if err != nil {
		return nil, failed("alias", err)
	}
	row.Targets, err = s.Targets(ctx, row.ID)
	return &row, err
}

// AliasByID is Alias by id.
func (s *Store) AliasByID(ctx context.Context, scope models.Scope, id models.ID) (*models.AliasRow, error) {
	var row models.AliasRow
	if err := s.aliases(ctx, scope).Where("aliases.id = ?", id).Take(&row).Error; err != nil {
		return nil, failed("alias", err)
	}
	var err error
	row.Targets, err = s.Targets(ctx, row.ID)
	return &row, err
}

var aliasSorts = map[string]string{"": "aliases.address", "address": "aliases.address", "name": "aliases.name", "created": "aliases.created_at"}

// Aliases returns a page of the aliases in the scope with their targets.
func (s *Store) Aliases(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.AliasRow], error) {
	g := s.aliases(ctx, scope)
	if q.CustomerID != 0 {
		g = g.Where("aliases.customer_id = ?", q.CustomerID)
	}
	if q.DomainID != 0 {
		g = g.Where("aliases.domain_id = ?", q.DomainID)
	}
	for _, like := range terms(q.Search) {
		g = g.Where("aliases.folded LIKE ? ESCAPE '!'", like)
	}
	list, err := page[models.AliasRow](g, q, order(aliasSorts, q, "aliases.id"))
	if err != nil || len(list.Items) == 0 {
		return list, err
	}
	ids := make([]models.ID, len(list.Items))
	for i, a := range list.Items {
		ids[i] = a.ID
	}
	all, err := s.Targets(ctx, ids...)
	of := map[models.ID][]models.Target{}
	for _, t := range all {
		of[t.OwnerID] = append(of[t.OwnerID], t)
	}
	for i := range list.Items {
		list.Items[i].Targets = of[list.Items[i].ID]
	}
	return list, err
}

// CountAliases counts the aliases of a domain.
func (s *Store) CountAliases(ctx context.Context, domain models.ID) (n int64, err error) {
	return n, failed("count aliases", s.on(ctx).Model(&models.Alias{}).Where("domain_id = ?", domain).Count(&n).Error)
}
