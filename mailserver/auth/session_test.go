package auth

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// open enters a session and returns where its end is told.
func (w *world) open(a models.Account) (*Session, chan *models.Error) {
	w.t.Helper()
	ended := make(chan *models.Error, 10)
	sess, err := w.Open(SessionInfo{Account: &a, Protocol: models.ProtoIMAP, Remote: home}, func(e *models.Error) { ended <- e })
	if err != nil {
		w.t.Fatal(err)
	}
	return sess, ended
}

func wantEnd(t *testing.T, ended chan *models.Error, kind models.Kind, key string) {
	t.Helper()
	select {
	case e := <-ended:
		wantKey(t, e, kind, key)
	case <-time.After(10 * time.Second):
		t.Error("not ended")
	}
}

func wantOpen(t *testing.T, ended chan *models.Error) {
	t.Helper()
	select {
	case e := <-ended:
		t.Errorf("ended: %v", e)
	default:
	}
}

func TestSessionEnds(t *testing.T) {
	mailbox := db.Change{Kind: db.ChangedMailbox, ID: 1}
	tests := []struct {
		what   string
		edit   func(*models.Account)
		change db.Change
		kind   models.Kind
		key    string // "" = goes on
	}{
		{"password", func(a *models.Account) { a.Hash = hashOf(t, "another", bcrypt.MinCost) }, mailbox, models.Denied, "login.ended_password"},
		{"logged out", func(a *models.Account) { a.Logouts++ }, mailbox, models.Denied, "login.ended_logout"},
		{"log-in off", func(a *models.Account) { a.LoginOff, a.Reason = true, "spam" }, mailbox, models.Suspended, "login.suspended"},
		{"bin", func(a *models.Account) { a.Deleted = true }, mailbox, models.Denied, "login.ended_deleted"},
		{"removed", nil, mailbox, models.Denied, "login.ended_deleted"},
		{"customer", func(a *models.Account) { a.LoginOff = true }, db.Change{Kind: db.ChangedCustomer, ID: 101}, models.Suspended, "login.suspended_bare"},
		{"everything", func(a *models.Account) { a.LoginOff = true }, db.Change{Kind: db.ChangedAll}, models.Suspended, "login.suspended_bare"},
		{"send off", func(a *models.Account) { a.SendOff = true }, mailbox, 0, ""},
		{"quota", func(*models.Account) {}, mailbox, 0, ""},
		{"another customer", func(*models.Account) {}, db.Change{Kind: db.ChangedCustomer, ID: 100}, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			w := newWorld(t)
			w.run()
			_, ended := w.open(w.sara)
			_, second := w.open(w.sara)
			_, omid := w.open(w.omid)
			until(t, "watching", func() bool { w.db.mu.Lock(); defer w.db.mu.Unlock(); return len(w.db.watchers) == 1 })
			if test.edit != nil {
				w.db.change(w.sara, test.edit)
			} else {
				w.db.remove(w.sara)
			}
			w.db.tell(test.change)
			if test.key != "" {
				wantEnd(t, ended, test.kind, test.key)
				wantEnd(t, second, test.kind, test.key)
				w.db.tell(test.change)
			}
			// What follows is told in order: nothing more comes.
			_, admin := w.open(w.admin)
			w.db.change(w.admin, func(a *models.Account) { a.LoginOff = true })
			w.db.tell(db.Change{Kind: db.ChangedUser, ID: 6})
			wantEnd(t, admin, models.Suspended, "login.suspended_bare")
			wantOpen(t, ended)
			wantOpen(t, omid)
		})
	}
}

func TestSessionRowIsReadOncePerChange(t *testing.T) {
	w := newWorld(t)
	for range 50 {
		w.open(w.sara)
	}
	changes := make([]db.Change, 20)
	for i := range changes {
		changes[i] = db.Change{Kind: db.ChangedMailbox, ID: 1}
	}
	w.changes(changes)
	w.run()
	until(t, "read", func() bool { return w.db.readsOf(w.sara) > 0 })
	until(t, "done", func() bool { w.sessions.mu.Lock(); defer w.sessions.mu.Unlock(); return len(w.sessions.dirty) == 0 })
	if n := w.db.readsOf(w.sara); n != 1 {
		t.Errorf("%d reads", n)
	}
}

// A database that is away ends nobody; what had changed meanwhile is found when it is back.
func TestSessionDatabaseAway(t *testing.T) {
	w := newWorld(t)
	w.run()
	_, ended := w.open(w.sara)
	until(t, "watching", func() bool { w.db.mu.Lock(); defer w.db.mu.Unlock(); return len(w.db.watchers) == 1 })
	w.db.setAway(errAway)
	w.db.tell(db.Change{Kind: db.ChangedAll})
	until(t, "tried twice", func() bool { return w.db.readsOf(w.sara) >= 2 })
	wantOpen(t, ended)
	w.db.change(w.sara, func(a *models.Account) { a.Deleted = true })
	w.db.setAway(nil)
	wantEnd(t, ended, models.Denied, "login.ended_deleted")
}

// A change that is told between a log-in and its session must not be missed.
func TestSessionOpenRace(t *testing.T) {
	w := newWorld(t)
	w.run()
	then := w.sara
	w.db.change(w.sara, func(a *models.Account) { a.LoginOff = true })
	w.changes([]db.Change{{Kind: db.ChangedMailbox, ID: 1}})
	_, ended := w.open(then)
	wantEnd(t, ended, models.Suspended, "login.suspended_bare")
}

func TestSessionCaps(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerMailbox, c.PerNetwork = 3, 5 })
	add := func(a models.Account, from netip.Addr) (*Session, error) {
		return w.Open(SessionInfo{Account: &a, Remote: from}, nil)
	}
	var first *Session
	for i := range 3 {
		sess, err := add(w.sara, host6)
		wantKey(t, err, 0, "")
		if i == 0 {
			first = sess
		}
	}
	_, err := add(w.sara, away)
	wantKey(t, err, models.Limited, "login.sessions")
	for range 2 {
		_, err = add(w.omid, other6) // of the same /64
		wantKey(t, err, 0, "")
	}
	_, err = add(w.admin, host6)
	wantKey(t, err, models.Limited, "login.sessions_network")
	first.Close()
	first.Close()
	if n := w.Stats().Sessions; n != 4 {
		t.Errorf("%d sessions", n)
	}
	_, err = add(w.sara, host6)
	wantKey(t, err, 0, "")
	_, err = add(w.sara, host6)
	wantKey(t, err, models.Limited, "login.sessions")
	if n := len(w.Live(1)); n != 3 {
		t.Errorf("%d live", n)
	}
}

func TestSessionClosed(t *testing.T) {
	w := newWorld(t)
	w.run()
	gone, ended := w.open(w.sara)
	_, still := w.open(w.sara)
	gone.Close()
	w.db.change(w.sara, func(a *models.Account) { a.Deleted = true })
	w.changes([]db.Change{{Kind: db.ChangedMailbox, ID: 1}})
	wantEnd(t, still, models.Denied, "login.ended_deleted")
	wantOpen(t, ended)
}

func TestSessionAccount(t *testing.T) {
	w := newWorld(t)
	sess, _ := w.open(w.sara)
	w.db.change(w.sara, func(a *models.Account) { a.SendOff, a.Reason = true, "spam" })
	a, err := sess.Account(context.Background())
	if err != nil || !a.SendOff || a.Reason != "spam" {
		t.Errorf("%+v, %v", a, err)
	}
	w.db.setAway(errAway)
	_, err = sess.Account(context.Background())
	wantKey(t, err, models.Unavailable, "unavailable")
	w.db.setAway(nil)
	w.db.change(w.sara, func(a *models.Account) { a.Deleted = true })
	_, err = sess.Account(context.Background())
	wantKey(t, err, models.Denied, "login.ended_deleted")
}
