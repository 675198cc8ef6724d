package auth

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/postchi/postchi/models"
)

// The bounds of the buffer between attempts and the database.
const (
	maxPending     = 4096 // different records; more are dropped and counted
	recordBatch    = 100  // one transaction of the store: what failed is then told once again, and no more
	maxResolve     = 50   // names looked up for one flush
	maxLoginName   = 255
	maxLoginClient = 100
)

// recorder gathers attempts until they are flushed. Adding never blocks.
type recorder struct {
	dropped atomic.Int64

	mu      sync.Mutex
	pending map[models.Login]*models.Login // by the record without times, count
}

func newRecorder() *recorder { return &recorder{pending: map[models.Login]*models.Login{}} }

// add counts one record, or several when a flush has failed.
func (r *recorder) add(l models.Login) {
	key := l
	key.FirstAt, key.LastAt, key.Count = 0, 0, 0
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.pending[key]; have != nil {
		have.FirstAt = min(have.FirstAt, l.FirstAt)
		have.LastAt = max(have.LastAt, l.LastAt)
		have.Count += l.Count
		return
	}
	if len(r.pending) >= maxPending {
		r.dropped.Add(l.Count)
		return
	}
	r.pending[key] = &l
}

// rename moves one record to a client's name. If it is written already, another is added.
func (r *recorder) rename(l models.Login, client string) {
	key := l
	key.FirstAt, key.LastAt, key.Count = 0, 0, 0
	r.mu.Lock()
	if have := r.pending[key]; have != nil {
		if have.Count--; have.Count == 0 {
			delete(r.pending, key)
		}
	}
	r.mu.Unlock()
	l.Client = client
	r.add(l)
}

// take empties the buffer.
func (r *recorder) take() []models.Login {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.pending) == 0 {
		return nil
	}
	list := make([]models.Login, 0, len(r.pending))
	for _, l := range r.pending {
		list = append(list, *l)
	}
	r.pending = map[models.Login]*models.Login{}
	return list
}

// flush writes what is in the buffer; what could not be written goes back.
func (s *Service) flush(ctx context.Context) error {
	list := s.recorder.take()
	s.attribute(ctx, list)
	for len(list) > 0 {
		n := min(len(list), recordBatch)
		if err := s.config.Accounts.RecordLogins(ctx, list[:n]); err != nil {
			for _, l := range list {
				s.recorder.add(l)
			}
			return err
		}
		list = list[n:]
	}
	return nil
}

// attribute finds whose mailbox it was that a malformed password was sent for, so that the
// owner can be told. At the door nothing was looked up, for the answer must not depend on it.
func (s *Service) attribute(ctx context.Context, list []models.Login) {
	looked := 0
	for i := range list {
		l := &list[i]
		if l.MailboxID != 0 || l.UserID != 0 || l.Reason != reasonTooLong && l.Reason != reasonNUL {
			continue
		}
		if looked++; looked > maxResolve {
			return
		}
		kind := models.AccountMailbox
		if l.Protocol == models.ProtoPanel {
			kind = models.AccountUser
		}
		sub, err := s.lookUp(ctx, kind, l.Name)
		if err == nil && sub.account == nil && kind == models.AccountUser { // owners of mailboxes come to the panel too
			kind = models.AccountMailbox
			sub, err = s.lookUp(ctx, kind, l.Name)
		}
		switch {
		case err != nil:
			return
		case sub.account == nil:
		case kind == models.AccountUser:
			l.UserID = sub.id
		default:
			l.MailboxID = sub.id
		}
	}
}

// clean makes a client's text safe for a row and a page: valid UTF-8 without controls, cut at
// a number of bytes but never within a character.
func clean(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most]
	}
	s = strings.ToValidUTF8(s, "?")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029 {
			return -1
		}
		return r
	}, s)
}
