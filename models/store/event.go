package store

import (
	"context"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// batch is the number of rows of one INSERT of events or log-ins.
const batch = 100

// InsertEvents writes lines of the trace, texts cut to the width of their columns; an id of 0
// is given one. Each 100 lines are one transaction.
func (s *Store) InsertEvents(ctx context.Context, events []models.Event) error {
	for start := 0; start < len(events); start += batch {
		rows := make([]models.Event, 0, batch)
		for _, e := range events[start:min(start+batch, len(events))] {
			rows = append(rows, s.clipped(e))
		}
		err := s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
			return failed("insert events", s.on(ctx).Create(&rows).Error)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) clipped(e models.Event) models.Event {
	if e.ID == 0 {
		e.ID = s.NewID()
	}
	e.MessageID, e.Subject = models.Clip(e.MessageID, 255), models.Clip(e.Subject, 255)
	e.Sender, e.Recipient = models.Clip(e.Sender, 320), models.Clip(e.Recipient, 320)
	e.Remote, e.Enhanced, e.Words = models.Clip(e.Remote, 64), models.Clip(e.Enhanced, 64), models.Clip(e.Words, 64)
	e.Detail = models.Clip(e.Detail, 2000)
	e.Host, e.TLS, e.Folder = models.Clip(e.Host, 255), models.Clip(e.TLS, 64), models.Clip(e.Folder, 64)
	return e
}

// Events returns lines of the trace in the scope, newest first.
func (s *Store) Events(ctx context.Context, scope models.Scope, q models.EventQuery) ([]models.Event, error) {
	g := scopedMailbox(s.on(ctx), scope, "customer_id", "mailbox_id")
	if q.MailboxID != 0 {
		g = g.Where("mailbox_id = ?", q.MailboxID)
	}
	if q.Before != 0 {
		g = g.Where("at < ?", q.Before)
	}
	size, _ := models.Query{Size: q.Limit}.Window()
	var events []models.Event
	return events, failed("events", g.Order("at DESC, id DESC").Limit(size).Find(&events).Error)
}

// PruneEvents removes up to 500 lines of before a moment and returns how many; call it again
// until it returns 0.
func (s *Store) PruneEvents(ctx context.Context, before models.Micros) (int64, error) {
	return s.prune(ctx, "events", "at", before)
}

// PruneLogins is PruneEvents for the log-ins whose last attempt was before a moment.
func (s *Store) PruneLogins(ctx context.Context, before models.Micros) (int64, error) {
	return s.prune(ctx, "logins", "last_at", before)
}

func (s *Store) prune(ctx context.Context, table, column string, before models.Micros) (n int64, err error) {
	err = s.d.Write(ctx, func(ctx context.Context, _ *db.Tx) error {
		var ids []models.ID
		if err := s.on(ctx).Raw("SELECT id FROM "+table+" WHERE "+column+" < ? ORDER BY "+column+" LIMIT 500", before).Scan(&ids).Error; err != nil {
			return failed("prune "+table, err)
		}
		if n = int64(len(ids)); n == 0 {
			return nil
		}
		return failed("prune "+table, s.on(ctx).Exec("DELETE FROM "+table+" WHERE id IN ?", ids).Error)
	})
	return n, err
}
