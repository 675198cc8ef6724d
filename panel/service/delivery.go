package service

import (
	"context"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

// Find is what a person asks of "where is my message". The zero value asks for the latest.
type Find struct {
	Text      string // an address, a domain, a Message-ID, an id, or a part of the subject
	Mailbox   string // address of the mailbox whose messages they must be; "" = all
	Direction string // "in", "out" or "" = both
	From, To  models.Micros
	Before    models.Micros // goes on where an earlier answer ended
	Limit     int
}

// FindKind says how a text was understood.
type FindKind string

// The ways to understand a text.
const (
	FindLatest    FindKind = ""
	FindAddress   FindKind = "address"
	FindDomain    FindKind = "domain"
	FindMessageID FindKind = "message_id"
	FindID        FindKind = "id"
	FindSubject   FindKind = "subject"
)

// Found is the answer.
type Found struct {
	Stories []Story       `json:"messages"`
	Kind    FindKind      `json:"kind,omitempty"`
	Until   models.Micros `json:"until,omitempty"` // how far back was looked; 0 = to the end
	OneDay  bool          `json:"one_day,omitempty"`
}

// subjectDay is how far back the subjects of all customers are searched if no day is named.
const subjectDay = 24 * 3600 * 1e6

// Traces finds messages and refused attempts, the latest first, each with the steps that the
// viewer may see. A search for subjects over all customers is bound to one day.
func (s *Service) Traces(ctx context.Context, v Viewer, f Find) (*Found, error) {
	scope, err := permit(v, seeMailbox)
	if err != nil {
		return nil, err
	}
	q := models.TraceQuery{Direction: f.Direction, From: f.From, To: f.To, Before: f.Before, Limit: f.Limit}
	if f.Mailbox != "" {
		row, err := s.store.Mailbox(ctx, scope, f.Mailbox)
		if err != nil {
			return nil, err
		}
		q.MailboxID = row.ID
	}
	for _, kind := range understand(f.Text) {
		found, err := s.tracesAs(ctx, scope, kind, f.Text, q)
		if err != nil || len(found.Stories) > 0 || found.Until != 0 {
			return found, err
		}
		if kind == FindSubject || kind == FindID || kind == FindLatest {
			return found, nil
		}
	}
	return &Found{Kind: understand(f.Text)[0]}, nil
}

func (s *Service) tracesAs(ctx context.Context, scope models.Scope, kind FindKind, text string, q models.TraceQuery) (*Found, error) {
	found := &Found{Kind: kind}
	text = strings.TrimSpace(text)
	switch kind {
	case FindAddress:
		q.Address = text
	case FindDomain:
		q.Domain, _ = address.NormalizeDomain(strings.TrimPrefix(text, "@"))
	case FindMessageID:
		q.MessageID = text
	case FindID:
		q.ID, _ = models.ParseID(models.Fold(text))
	case FindSubject:
		q.Subject = text
		if scope.All() && q.From == 0 && q.MailboxID == 0 {
			q.From, found.OneDay = s.now()-subjectDay, true
			if q.Before != 0 {
				q.From = q.Before - subjectDay
			}
		}
	}
	all, err := s.store.Traces(ctx, scope, q)
	if err != nil {
		return nil, err
	}
	if found.Until = all.Until; found.OneDay && found.Until == 0 && all.Oldest < q.From && all.Oldest != 0 {
		found.Until = q.From // the day before was not looked at
	}
	for _, t := range all.Items {
		found.Stories = append(found.Stories, NewStory(t))
	}
	return found, nil
}

// understand returns what a text may be, the likeliest first.
func understand(text string) []FindKind {
	text = strings.TrimSpace(text)
	switch at := strings.Contains(text, "@"); {
	case text == "":
		return []FindKind{FindLatest}
	case len(models.Fold(text)) >= 15 && strings.Trim(models.Fold(text), "0123456789") == "":
		return []FindKind{FindID}
	case strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">") && at:
		return []FindKind{FindMessageID, FindAddress}
	case strings.ContainsAny(text, " \t"):
		return []FindKind{FindSubject}
	case isDomain(strings.TrimPrefix(text, "@")):
		return []FindKind{FindDomain, FindSubject}
	case at:
		if _, err := address.Parse(text); err == nil {
			return []FindKind{FindAddress, FindMessageID}
		}
		return []FindKind{FindMessageID, FindSubject}
	}
	return []FindKind{FindSubject}
}

// isDomain reports whether a text is a domain and nothing else: address.ParseDomain would find
// one in an address as well.
func isDomain(s string) bool {
	_, err := address.NormalizeDomain(s)
	return err == nil && strings.Contains(s, ".")
}

// Trace returns one message with all steps that the viewer may see, or one refused attempt.
func (s *Service) Trace(ctx context.Context, v Viewer, id models.ID) (*Story, error) {
	scope, err := permit(v, seeMailbox)
	if err != nil {
		return nil, err
	}
	t, err := s.store.Trace(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	story := NewStory(*t)
	return &story, nil
}
