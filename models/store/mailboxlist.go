package store

import (
	"context"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
)

// mailboxSorts are the columns the list may be sorted by. Those of mailbox_state need a join
// while sorting; address goes by an index, bin and all.
var mailboxSorts = map[string]string{
	"": "mailboxes.address", "address": "mailboxes.address", "name": "mailboxes.name", "quota": "mailboxes.quota_bytes",
	"used": "used", "created": "mailboxes.created_at", "last_login": "mailboxes.last_login_at", "deleted": "mailboxes.deleted_at",
}

// Mailboxes returns a page of the mailboxes in the scope, with usage and last log-in. Those
// being purged are in no list.
//
// It asks for the ids of the page first: sorting and skipping then read an index, and only
// the rows shown are read whole.
func (s *Store) Mailboxes(ctx context.Context, scope models.Scope, q models.Query) (models.Page[models.MailboxRow], error) {
	if q.DomainID != 0 && !scope.All() {
		// A domain of the scope has mailboxes of the scope alone, so its index is enough.
		switch _, err := s.DomainByID(ctx, scope, q.DomainID); {
		case models.Is(err, models.NotFound):
			return models.NewPage[models.MailboxRow](q, nil, 0), nil
		case err != nil:
			return models.Page[models.MailboxRow]{}, err
		}
		scope = models.Everything()
	}
	ids, total, err := s.mailboxPage(ctx, scope, q)
	if err != nil || len(ids) == 0 {
		return models.NewPage[models.MailboxRow](q, nil, total), err
	}
	items, err := s.mailboxRows(ctx, ids)
	return models.NewPage(q, items, total), err
}

// selection is the list without order and pages.
func (s *Store) selection(ctx context.Context, scope models.Scope, q models.Query) *gorm.DB {
	g := scoped(s.on(ctx).Table("mailboxes"), scope, "mailboxes.customer_id")
	switch {
	case q.Bin: // purging only exists there, so the other lists can do without reading the rows
		g = g.Where("mailboxes.deleted_at > 0 AND mailboxes.purging = 0")
	default:
		g = g.Where("mailboxes.deleted_at = 0")
	}
	if q.CustomerID != 0 {
		g = g.Where("mailboxes.customer_id = ?", q.CustomerID)
	}
	if q.DomainID != 0 {
		g = g.Where("mailboxes.domain_id = ?", q.DomainID)
	}
	for _, like := range terms(q.Search) {
		g = g.Where("mailboxes.folded LIKE ? ESCAPE '!'", like)
	}
	return inState(g, q.State)
}

func inState(g *gorm.DB, state models.MailboxState) *gorm.DB {
	const join = "JOIN mailbox_state ON mailbox_state.mailbox_id = mailboxes.id"
	switch state {
	case "":
		return g
	case models.StateActive:
		return g.Where("mailboxes.login_off = 0 AND mailboxes.send_off = 0 AND mailboxes.receive_off = 0")
	case models.StateSuspended:
		return g.Where("(mailboxes.login_off = 1 OR mailboxes.send_off = 1 OR mailboxes.receive_off = 1)")
	case models.StateFull:
		return g.Joins(join).Where(`(mailboxes.quota_bytes > 0 AND mailbox_state.bytes >= mailboxes.quota_bytes
			OR mailboxes.quota_messages > 0 AND mailbox_state.messages >= mailboxes.quota_messages)`)
	}
	return g.Where("1 = 0")
}

// mailboxPage returns the ids of a page and the number of all. An index counts all of a scope
// quickly; what a filter leaves over is counted while the rows are looked at.
func (s *Store) mailboxPage(ctx context.Context, scope models.Scope, q models.Query) (ids []models.ID, total int64, err error) {
	size, offset := q.Window()
	indexed := q.Search == "" && q.State == ""
	columns := "mailboxes.id AS id"
	if q.Sort == "used" {
		columns += ", (SELECT mailbox_state.bytes FROM mailbox_state WHERE mailbox_state.mailbox_id = mailboxes.id) AS used"
	}
	if !indexed {
		columns += ", COUNT(*) OVER () AS total"
	}
	var found []struct {
		ID    models.ID
		Total int64
	}
	g := s.selection(ctx, scope, q).Select(columns).Order(order(mailboxSorts, q, "mailboxes.id"))
	if err := g.Limit(size).Offset(offset).Scan(&found).Error; err != nil {
		return nil, 0, failed("list mailboxes", err)
	}
	for _, f := range found {
		ids, total = append(ids, f.ID), f.Total
	}
	if indexed || len(found) == 0 && offset > 0 {
		err = s.selection(ctx, scope, q).Count(&total).Error
	}
	return ids, total, failed("count mailboxes", err)
}

// mailboxRows reads the rows of a page and puts them in its order.
func (s *Store) mailboxRows(ctx context.Context, ids []models.ID) ([]models.MailboxRow, error) {
	var read []mailboxRead
	if err := s.rows(ctx).Where("mailboxes.id IN ?", ids).Find(&read).Error; err != nil {
		return nil, failed("list mailboxes", err)
	}
	at := make(map[models.ID]*mailboxRead, len(read))
	for i := range read {
		at[read[i].ID] = &read[i]
	}
	items := make([]models.MailboxRow, 0, len(ids))
	for _, id := range ids {
		if r := at[id]; r != nil { // gone between the two queries
			items = append(items, *r.row())
		}
	}
	return items, nil
}
