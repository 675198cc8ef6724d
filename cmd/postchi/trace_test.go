package main

import (
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

// The command says what a sender was told, and by what fault of ours a message was held up.
func TestTraceSaysWhatTheSenderWasTold(t *testing.T) {
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	line := models.Event{Sender: "sara@example.com", Recipient: "omid@example.net", EnvelopeID: 7}
	var events []models.Event
	for _, e := range []models.Event{
		{Kind: models.EventReturned, Words: "returned.delayed"}, {Kind: models.EventSent, Words: "sent"}, {Kind: models.EventReturned, Words: "returned.relayed"},
		{Kind: models.EventBounced, Words: "bounced.route", Enhanced: "4.3.0"},
	} {
		line.Kind, line.Words, line.Enhanced = e.Kind, e.Words, e.Enhanced
		events = append(events, line)
	}
	s := service.NewStory(models.Trace{EnvelopeID: 7, Events: events})
	var b strings.Builder
	printStory(&b, words.Lang("en"), &s)
	for _, want := range []string{"it takes longer for <omid@example.net>", "handed on to the server of <omid@example.net>", "Tell the administrator of your mail server"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "did not get it") {
		t.Error(b.String())
	}
}
