package service

import (
	"cmp"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
)

// Story is a message with what became of it.
type Story struct {
	models.Trace
	ID        models.ID     `json:"id"` // of the message, or of the attempt
	At        models.Micros `json:"at"` // of the first step
	Sender    string        `json:"sender"`
	Subject   string        `json:"subject,omitempty"`
	MessageID string        `json:"message_id,omitempty"`
	Direction string        `json:"direction"`
	Size      int64         `json:"size,omitempty"`
	Fates     []Fate        `json:"fates"` // one for each recipient, in the order of their first steps
}

// Fate is how far a message has come on its way to one recipient.
type Fate struct {
	Recipient string       `json:"recipient,omitempty"` // "" = nobody is known yet
	Event     models.Event `json:"-"`                   // the step that decides
	State     string       `json:"state"`               // its kind
}

// deciding are the steps after which a recipient's state is another.
var deciding = map[models.EventKind]bool{
	models.EventDelivered: true, models.EventRefused: true, models.EventQueued: true, models.EventForwarded: true, models.EventDeferred: true,
	models.EventSent: true, models.EventBounced: true, models.EventHeld: true, models.EventReleased: true, models.EventDropped: true,
}

// NewStory reads the steps of a message, of which there is at least one.
func NewStory(t models.Trace) Story {
	first := &t.Events[0]
	s := Story{Trace: t, ID: cmp.Or(t.EnvelopeID, first.ID), At: first.At, Direction: first.Direction}
	at := map[string]int{}
	for _, e := range t.Events {
		s.Sender, s.Subject = cmp.Or(s.Sender, e.Sender), cmp.Or(s.Subject, e.Subject)
		s.MessageID, s.Size = cmp.Or(s.MessageID, e.MessageID), cmp.Or(s.Size, e.Size)
		if !deciding[e.Kind] || e.Sender == "" && s.Sender != "" && e.MessageID != first.MessageID {
			continue // of a report or auto-reply about the message: no fate of its own
		}
		key := strings.ToLower(e.Recipient)
		i, known := at[key]
		if !known {
			i = len(s.Fates)
			at[key] = i
			s.Fates = append(s.Fates, Fate{Recipient: e.Recipient})
		}
		s.Fates[i].Event, s.Fates[i].State = e, string(e.Kind)
	}
	if len(s.Fates) == 0 {
		last := t.Events[len(t.Events)-1]
		s.Fates = []Fate{{Recipient: last.Recipient, Event: last, State: string(last.Kind)}}
	}
	return s
}

// Explained returns what a step means and what to do next, in "fa" or "en"; nil if it needs no
// explanation.
func Explained(e *models.Event, lang string) *explain.Words {
	var w explain.Words
	switch e.Kind {
	case models.EventRefused:
		w, _ = explain.Reason(e.Words, lang)
	case models.EventDeferred:
		w = attempt(e, lang)
	case models.EventBounced:
		w = attempt(e, lang)
		w.Wait = "" // it was given up
	default:
		return nil
	}
	return &w
}

// attempt explains an attempt. What came without an answer has the reason in the key of its words.
func attempt(e *models.Event, lang string) explain.Words {
	_, reason, _ := strings.Cut(e.Words, ".")
	return explain.Attempt(reason, e.Code, e.Enhanced, e.Detail, lang)
}

// Key returns the key of the sentence that tells how far it is. Its values are from, to, host
// (or the remote address), time, next, reason, detail and folder.
func (f *Fate) Key() string {
	e := &f.Event
	switch e.Kind {
	case models.EventDelivered:
		if e.Folder != "" {
			return "track.stored.folder"
		}
		return "track.stored"
	case models.EventSent:
		return "track.delivered"
	case models.EventDeferred:
		if e.Next == 0 {
			return "track.deferred.soon"
		}
		return "track.deferred"
	case models.EventBounced:
		if e.Code >= 500 && e.Host != "" {
			return "track.refused"
		}
		return "track.bounced"
	case models.EventRefused:
		if e.Recipient != "" {
			return "track.refused.rcpt"
		}
		return "track.refused.here"
	case models.EventQueued, models.EventReleased:
		return "track.queued"
	case models.EventForwarded:
		if e.Detail == "" { // not the viewer's to know
			return "track.forwarded.on"
		}
		return "track.forwarded"
	case models.EventHeld:
		return "track.held"
	case models.EventDropped:
		return "track.dropped"
	}
	return "track.accepted"
}

// StepKey returns the key of the sentence that tells of one step, with the values of Fate.Key.
func StepKey(e *models.Event) string {
	key := "event." + string(e.Kind)
	switch {
	case e.Kind == models.EventDelivered && strings.HasSuffix(e.Words, models.OfLetter):
		return key + models.OfLetter
	case e.Kind == models.EventDelivered && e.Folder != "":
		return key + ".folder"
	case e.Kind == models.EventRefused && e.Recipient != "":
		return key + ".rcpt"
	case e.Kind == models.EventForwarded && e.Detail == "":
		return key + ".on"
	case e.Kind == models.EventReturned: // the words say of what the sender was told
		return "event." + e.Words
	}
	return key
}
