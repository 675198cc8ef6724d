package service

import (
	"context"

	"github.com/postchi/postchi/models"
)

// Queue is what people do with messages that wait for other servers. Each method acts within a
// scope; the counts are of recipients.
type Queue interface {
	Groups(ctx context.Context, scope models.Scope) ([]models.QueueGroup, error)
	Rows(ctx context.Context, scope models.Scope, f models.QueueFilter, q models.Query) (models.Page[models.QueueRow], error)
	Retry(ctx context.Context, scope models.Scope, f models.QueueFilter) (int64, error)
	Hold(ctx context.Context, scope models.Scope, f models.QueueFilter) (int64, error)
	Release(ctx context.Context, scope models.Scope, f models.QueueFilter) (int64, error)
	Drop(ctx context.Context, scope models.Scope, f models.QueueFilter, notice bool) (int64, error)
}

// QueueAction is what is done with what a filter chooses.
type QueueAction string

// The actions.
const (
	QueueRetry   QueueAction = "retry"   // try now what is not held
	QueueHold    QueueAction = "hold"    // try nothing until released
	QueueRelease QueueAction = "release" // end a hold
	QueueDrop    QueueAction = "drop"    // take out; nobody is told
	QueueReturn  QueueAction = "return"  // take out and tell the senders
)

// QueueGroup is what waits for one destination for one reason.
type QueueGroup struct {
	models.QueueGroup
	Sample *models.QueueRow `json:"sample,omitempty"` // one of them, with the last answer; of the largest groups only
}

// sampledGroups is for how many groups the last answer is read.
const sampledGroups = 25

// queue returns the queue and what the viewer may see of it; for who must not, and where there
// is none, it is not there.
func (s *Service) queue(v Viewer, a action) (Queue, models.Scope, error) {
	scope, err := permit(v, a)
	if err == nil && s.config.Queue == nil {
		err = notFound()
	}
	return s.config.Queue, scope, err
}

// HasQueue reports whether messages may wait for other servers at all.
func (s *Service) HasQueue() bool { return s.config.Queue != nil }

// QueueGroups returns what waits, by destination and reason, the largest group first.
func (s *Service) QueueGroups(ctx context.Context, v Viewer) ([]QueueGroup, error) {
	queue, scope, err := s.queue(v, see)
	if err != nil {
		return nil, err
	}
	groups, err := queue.Groups(ctx, scope)
	if err != nil {
		return nil, err
	}
	all := make([]QueueGroup, len(groups))
	for i, g := range groups {
		all[i].QueueGroup = g
		if i >= sampledGroups || g.Reason == "" {
			continue
		}
		page, err := queue.Rows(ctx, scope, models.QueueFilter{Domain: g.Domain, Reason: g.Reason}, models.Query{Size: 1})
		if err != nil {
			return nil, err
		}
		if len(page.Items) > 0 {
			all[i].Sample = &page.Items[0]
		}
	}
	return all, nil
}

// QueueRows returns a page of what a filter chooses.
func (s *Service) QueueRows(ctx context.Context, v Viewer, f models.QueueFilter, q models.Query) (models.Page[models.QueueRow], error) {
	queue, scope, err := s.queue(v, see)
	if err != nil {
		return models.Page[models.QueueRow]{}, err
	}
	return queue.Rows(ctx, scope, f, q)
}

// QueueItem returns the recipients of one message that wait; NotFound if none does.
func (s *Service) QueueItem(ctx context.Context, v Viewer, id models.ID) ([]models.QueueRow, error) {
	page, err := s.QueueRows(ctx, v, models.QueueFilter{QueueID: id}, models.Query{Size: models.MaxPageSize})
	if err == nil && (id == 0 || len(page.Items) == 0) {
		err = notFound()
	}
	return page.Items, err
}

// ActOnQueue does something with what a filter chooses, and returns with how many recipients.
// A message of which nothing waits is NotFound.
func (s *Service) ActOnQueue(ctx context.Context, v Viewer, do QueueAction, f models.QueueFilter) (n int64, err error) {
	queue, scope, err := s.queue(v, manageMailboxes)
	if err != nil {
		return 0, err
	}
	if f.QueueID != 0 {
		if _, err := s.QueueItem(ctx, v, f.QueueID); err != nil {
			return 0, err
		}
	}
	switch do {
	case QueueRetry:
		n, err = queue.Retry(ctx, scope, f)
	case QueueHold:
		n, err = queue.Hold(ctx, scope, f)
	case QueueRelease:
		n, err = queue.Release(ctx, scope, f)
	case QueueDrop, QueueReturn:
		n, err = queue.Drop(ctx, scope, f, do == QueueReturn)
	default:
		return 0, models.Errorf(models.Invalid, "queue.action", "There is no such action.")
	}
	if n > 0 {
		s.done(v, "queue: "+string(do), "recipients", n, "domain", f.Domain, "reason", f.Reason, "queue_id", f.QueueID)
	}
	return n, err
}
