package service

import (
	"slices"
	"testing"

	"github.com/postchi/postchi/models"
)

// A report that came back about a message, and an auto-reply to it, are steps of its story and no
// recipients of it.
func TestAStoryHasAFateForEachRecipient(t *testing.T) {
	line := models.Event{Sender: "sara@example.com", MessageID: "1@example.com", Direction: "out", EnvelopeID: 7}
	step := func(kind models.EventKind, to, detail string) models.Event {
		e := line
		e.Kind, e.Recipient, e.Words, e.Detail = kind, to, string(kind), detail
		return e
	}
	letter := step(models.EventDelivered, "sara@example.com", "")
	letter.Words += models.OfLetter
	letter.Sender, letter.MessageID, letter.Direction = "", "r1@mail.example.net", "out"
	nameless := step(models.EventSent, "y@out.test", "") // a forward whose sender had no room in it
	nameless.Sender = ""
	s := NewStory(models.Trace{EnvelopeID: 7, Events: []models.Event{
		step(models.EventAccepted, "", ""), step(models.EventDelivered, "omid@example.com", ""), step(models.EventForwarded, "gate@other.test", ""),
		step(models.EventForwarded, "info@example.com", "y@out.test"), step(models.EventQueued, "x@out.test", ""), step(models.EventBounced, "x@out.test", "no"), letter, nameless,
	}})
	var got []string
	for i := range s.Fates {
		got = append(got, s.Fates[i].Recipient+" "+s.Fates[i].Key())
	}
	want := []string{"omid@example.com track.stored", "gate@other.test track.forwarded.on", "info@example.com track.forwarded", "x@out.test track.bounced", "y@out.test track.delivered"}
	if !slices.Equal(got, want) || len(s.Events) != 8 || StepKey(&letter) != "event.delivered.letter" {
		t.Errorf("%q", got)
	}
}
