package auth

import (
	"testing"

	"github.com/postchi/postchi/models"
)

func TestEndOneSession(t *testing.T) {
	w := newWorld(t)
	_, first := w.open(w.sara)
	_, second := w.open(w.sara)
	live := w.Live(w.sara.ID)
	if len(live) != 2 || live[0].ID == live[1].ID || live[0].Account.Hash != "" {
		t.Fatalf("live: %+v", live)
	}
	if w.EndSession(w.omid.ID, live[0].ID) {
		t.Error("a session was ended by another mailbox")
	}
	if !w.EndSession(w.sara.ID, live[0].ID) {
		t.Error("not found")
	}
	wantEnd(t, first, models.Denied, "login.ended_logout")
	wantOpen(t, second)
}

// A client that says its name after its log-in is known by it.
func TestNamed(t *testing.T) {
	w := newWorld(t)
	names := func() (all []string) {
		for _, l := range w.recorder.take() {
			if l.Count != 1 || !l.OK || l.MailboxID != w.sara.ID {
				t.Errorf("record %+v", l)
			}
			all = append(all, l.Client)
		}
		return all
	}
	login := func() *Session {
		account, err := w.Login(t.Context(), Attempt{Kind: models.AccountMailbox, Protocol: models.ProtoIMAP, Remote: home, Name: w.sara.Name, Password: saraPassword})
		if err != nil {
			t.Fatal(err)
		}
		sess, err := w.Open(SessionInfo{Account: account, Protocol: models.ProtoIMAP, Remote: home}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return sess
	}
	sess := login()
	sess.Named("K-9\x00 Mail")
	if live := w.Live(w.sara.ID); live[0].Client != "K-9 Mail" {
		t.Errorf("live: %+v", live)
	}
	if got := names(); len(got) != 1 || got[0] != "K-9 Mail" {
		t.Errorf("records of %q", got)
	}
	sess = login()
	if got := names(); len(got) != 1 || got[0] != "" {
		t.Errorf("records of %q", got)
	}
	sess.Named("late")
	sess.Named("late")
	if got := names(); len(got) != 1 || got[0] != "late" {
		t.Errorf("records of %q", got)
	}
}
