package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// batch is the number of rows of one INSERT of events or log-ins.
const batch = 100

// eventColumns are those of models.Event, in the order of eventArgs, and the keys.
const eventColumns = "id, at, kind, customer_id, mailbox_id, envelope_id, direction, message_id, sender, recipient, subject, remote, code, enhanced, words, " +
	"detail, size, queue_id, host, tls, next_at, folder, subject_folded, sender_key, recipient_key, message_key"

const eventWidth = 26

func eventArgs(dst []any, e *models.Event, k eventKeys) []any {
	return append(dst, e.ID, e.At, string(e.Kind), e.CustomerID, e.MailboxID, e.EnvelopeID, e.Direction, e.MessageID, e.Sender, e.Recipient, e.Subject, e.Remote,
		e.Code, e.Enhanced, e.Words, e.Detail, e.Size, e.QueueID, e.Host, e.TLS, e.Next, e.Folder,
		foldedSubject(e.Subject), k.sender, k.recipient, k.message)
}

// foldedSubject is a subject as it is searched.
func foldedSubject(s string) string {
	return models.Clip(strings.Join(strings.Fields(models.Fold(s)), " "), 255)
}

// InsertEvents writes lines of the trace, texts cut to the width of their columns; an id of 0
// is given one. What was refused before anybody was known is given to the customer of the
// recipient's domain, if that is served here. Each 100 lines are one transaction.
func (s *Store) InsertEvents(ctx context.Context, events []models.Event) error {
	for start := 0; start < len(events); start += batch {
		rows := make([]models.Event, 0, batch)
		for _, e := range events[start:min(start+batch, len(events))] {
			rows = append(rows, clipped(e))
		}
		if err := s.adopt(ctx, rows); err != nil {
			return failed("owners of events", err)
		}
		err := s.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			return failed("insert events", s.insertEvents(ctx, tx, slices.Clone(rows)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// insertEvents inserts rows in few statements of few lengths: SQLite keeps each prepared.
func (s *Store) insertEvents(ctx context.Context, tx *db.Tx, rows []models.Event) error {
	args := make([]any, 0, len(rows)*eventWidth)
	keys := make([]eventKeys, len(rows))
	for i := range rows {
		if rows[i].ID == 0 { // given here: see digestAfter
			rows[i].ID = s.NewID()
		}
		keys[i] = keysOf(&rows[i])
	}
	for from := 0; from < len(rows); {
		n := len(rows) - from
		if tx.Dialect() == db.SQLite {
			if n = 1; len(rows)-from >= 10 {
				n = 10
			}
		}
		args = args[:0]
		for i := from; i < from+n; i++ {
			args = eventArgs(args, &rows[i], keys[i])
		}
		from += n
		one := "(?" + strings.Repeat(",?", eventWidth-1) + ")"
		if _, err := tx.ExecContext(ctx, "INSERT INTO events ("+eventColumns+") VALUES "+one+strings.Repeat(","+one, n-1), args...); err != nil {
			return err
		}
	}
	return s.digestLate(ctx, tx, rows, keys)
}

// adopt finds whose the refused attempts are that nobody has yet.
func (s *Store) adopt(ctx context.Context, rows []models.Event) error {
	domains, locals := map[string][]int{}, map[string]bool{}
	for i := range rows {
		e := &rows[i]
		if e.Kind != models.EventRefused || e.Direction != "in" || e.CustomerID != 0 || e.Recipient == "" {
			continue
		}
		local, domain := plainAddress(e.Recipient)
		domains[domain], locals[local] = append(domains[domain], i), true
	}
	if len(domains) == 0 {
		return nil
	}
	var owners []models.Domain
	err := s.on(ctx).Select("id, name, customer_id").Where("active_name IN ?", slices.Collect(maps.Keys(domains))).Find(&owners).Error
	if err != nil || len(owners) == 0 {
		return err
	}
	ids := make([]models.ID, len(owners))
	for i, d := range owners {
		ids[i] = d.ID
		for _, row := range domains[d.Name] {
			rows[row].CustomerID = d.CustomerID
		}
	}
	var addresses []models.Address
	err = s.on(ctx).Where("domain_id IN ? AND local_part IN ? AND mailbox_id IS NOT NULL", ids, slices.Collect(maps.Keys(locals))).Find(&addresses).Error
	for _, a := range addresses {
		for _, row := range domains[owners[slices.Index(ids, a.DomainID)].Name] {
			if local, _ := plainAddress(rows[row].Recipient); local == a.Local && a.MailboxID != nil {
				rows[row].MailboxID = *a.MailboxID
			}
		}
	}
	return err
}

func clipped(e models.Event) models.Event {
	e.MessageID, e.Subject = messageID(e.MessageID), models.Clip(e.Subject, 255)
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

// PruneEvents removes up to 500 lines of before a moment, or up to 50 digests of such, and returns
// how many; call it again until it returns 0.
func (s *Store) PruneEvents(ctx context.Context, before models.Micros) (int64, error) {
	if n, err := s.pruneDigests(ctx, before); err != nil || n > 0 {
		return n, err
	}
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
