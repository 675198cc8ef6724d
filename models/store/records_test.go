package store

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

func TestLoginsAreAggregatedByHour(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		m := f.addMailbox(f.domain, "sara", nil)
		at := func(minute int64) models.Micros { return models.Micros(1000*hour) + models.Micros(minute*60e6) }
		login := func(minute int64, ok bool, reason string) models.Login {
			return models.Login{MailboxID: m.ID, Name: m.Address, Protocol: models.ProtoPOP3, Network: "192.0.2.1", Client: "Thunderbird", OK: ok, Reason: reason, LastAt: at(minute)}
		}
		counted := login(30, true, "")
		counted.FirstAt, counted.Count = at(20), 5
		f.ok(f.RecordLogins(f.ctx, []models.Login{login(1, true, ""), login(2, true, ""), login(3, false, "badpass")}))
		f.ok(f.RecordLogins(f.ctx, []models.Login{counted, login(0, true, ""), login(61, true, "")}))
		f.ok(f.RecordLogins(f.ctx, nil))
		all, err := f.Logins(f.ctx, m.ID, 0)
		if err != nil || len(all) != 3 {
			t.Fatal(all, err)
		}
		if l := all[1]; l.Count != 8 || l.FirstAt != at(0) || l.LastAt != at(30) || !l.OK || l.Client != "Thunderbird" || l.Hour != at(0) {
			t.Errorf("%+v", l)
		}
		if all[0].LastAt != at(61) || all[2].Reason != "badpass" || all[2].OK {
			t.Error(all)
		}
		row, err := f.Mailbox(f.ctx, models.Everything(), m.Address)
		if err != nil || row.LastLogin != at(61) || row.LastProtocol != models.ProtoPOP3 {
			t.Errorf("%+v %v", row, err)
		}
		for n := int64(1); n > 0; {
			n, err = f.PruneLogins(f.ctx, at(60))
			f.ok(err)
		}
		if all, _ = f.Logins(f.ctx, m.ID, 0); len(all) != 1 {
			t.Error(all)
		}
	})
}

func TestLoginsInParallelLoseNoCount(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				batch := make([]models.Login, 0, 150)
				for i := range 150 {
					batch = append(batch, models.Login{Name: "x" + strings.Repeat("y", i%50), Protocol: models.ProtoIMAP, Network: "2001:db8::/64", LastAt: 5})
				}
				if err := f.RecordLogins(context.WithoutCancel(f.ctx), batch); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all, err := f.Logins(f.ctx, 0, 500)
		sum := int64(0)
		for _, l := range all {
			sum += l.Count
		}
		if err != nil || len(all) != 50 || sum != 1200 {
			t.Error(len(all), sum, err)
		}
	})
}

func TestBlocks(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		m := f.addMailbox(f.domain, "sara", nil)
		save := func(network string, mailbox models.ID, until models.Micros) {
			f.ok(f.SaveBlock(f.ctx, models.LoginBlock{Network: network, MailboxID: mailbox, Failures: 3, Until: until, At: 1}))
		}
		save("192.0.2.1", m.ID, 50)
		save("192.0.2.1", m.ID, 100)
		save("192.0.2.2", m.ID, 90)
		save("192.0.2.1", 0, 80)
		save("192.0.2.9", 0, 10)
		all, err := f.Blocks(f.ctx, 20)
		if err != nil || len(all) != 3 || all[0].Until != 100 {
			t.Fatal(all, err)
		}
		if mine, err := f.MailboxBlocks(f.ctx, m.ID, 95); err != nil || len(mine) != 1 || mine[0].Failures != 3 {
			t.Fatal(mine, err)
		}
		if seen, err := f.BlockedMailboxes(f.ctx, models.OfCustomer(f.customer.ID), 20, 10); err != nil || len(seen) != 2 || seen[0].Address != m.Address || seen[0].Until != 100 {
			t.Fatal(seen, err)
		}
		f.ok(f.DeleteBlocks(f.ctx, m.ID, "192.0.2.2"))
		f.ok(f.DeleteBlocks(f.ctx, 0, "192.0.2.1"))
		f.ok(f.PruneBlocks(f.ctx, 20))
		if all, err = f.Blocks(f.ctx, 0); err != nil || len(all) != 0 {
			t.Fatal(all, err)
		}
	})
}

func TestLastUsesAndLogOut(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		m := f.addMailbox(f.domain, "sara", nil)
		login := func(p models.Protocol, client string, ok bool, at models.Micros) models.Login {
			return models.Login{MailboxID: m.ID, Name: m.Address, Protocol: p, Network: "192.0.2.1", Client: client, OK: ok, LastAt: at}
		}
		f.ok(f.RecordLogins(f.ctx, []models.Login{login(models.ProtoIMAP, "K-9", true, 10), login(models.ProtoIMAP, "K-9", true, 2*3600*1e6), login(models.ProtoIMAP, "K-9", false, 9*3600*1e6),
			login(models.ProtoPOP3, "", true, 20), login(models.ProtoIMAP, "mutt", true, 30)}))
		uses, err := f.LastUses(f.ctx, m.ID, 0)
		want := []models.LastUse{{Protocol: models.ProtoIMAP, Client: "K-9", At: 2 * 3600 * 1e6}, {Protocol: models.ProtoIMAP, Client: "mutt", At: 30}, {Protocol: models.ProtoPOP3, At: 20}}
		if err != nil || !slices.Equal(uses, want) {
			t.Errorf("%+v, %v", uses, err)
		}
		f.ok(f.LogOut(f.ctx, m.ID))
		f.ok(f.LogOut(f.ctx, m.ID))
		if a, err := f.AccountByID(f.ctx, models.AccountMailbox, m.ID); err != nil || a.Logouts != 2 {
			t.Errorf("%+v, %v", a, err)
		}
		if err := f.LogOut(f.ctx, 1); !models.Is(err, models.NotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var events []models.Event
		for i := range 230 {
			events = append(events, models.Event{At: models.Micros(i), Kind: models.EventAccepted, CustomerID: models.ID(1 + i%2), MailboxID: models.ID(i % 10), Direction: "in"})
		}
		events[229].Subject, events[229].Detail, events[229].Sender = strings.Repeat("س", 400), "a\x00b\xff", strings.Repeat("x", 1000)
		f.ok(f.InsertEvents(f.ctx, events))
		got, err := f.Events(f.ctx, models.Everything(), models.EventQuery{Limit: 500})
		if err != nil || len(got) != 230 || got[0].At != 229 || got[0].ID == 0 || len([]rune(got[0].Subject)) != 255 {
			t.Fatal(len(got), err)
		}
		got, err = f.Events(f.ctx, models.OfCustomer(1), models.EventQuery{MailboxID: 4, Before: 100})
		if err != nil || len(got) != 10 || got[0].At != 94 {
			t.Error(len(got), err)
		}
		if got, err = f.Events(f.ctx, models.OfCustomer(2), models.EventQuery{MailboxID: 4}); err != nil || len(got) != 0 {
			t.Error("another customer's trace", got, err)
		}
		n, err := f.PruneEvents(f.ctx, 200)
		if err != nil || n != 200 {
			t.Error(n, err)
		}
	})
}

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		type key struct{}
		sessions := f.Sessions(func(ctx context.Context) models.ID { id, _ := ctx.Value(key{}).(models.ID); return id })
		sara := context.WithValue(f.ctx, key{}, models.ID(7))
		later := f.d.Now().Add(time.Hour)
		f.ok(sessions.Commit("anonymous", []byte("a"), later))
		f.ok(sessions.CommitCtx(sara, "one", []byte{0, 1, 255}, later))
		f.ok(sessions.CommitCtx(sara, "two", []byte("x"), later))
		f.ok(sessions.CommitCtx(sara, "two", []byte("y"), later))
		f.ok(sessions.CommitCtx(sara, "old", []byte("x"), f.d.Now().Add(-time.Second)))
		expect := func(token, want string, found bool) {
			t.Helper()
			data, ok, err := sessions.Find(token)
			if err != nil || ok != found || string(data) != want {
				t.Errorf("%s: %q %v %v", token, data, ok, err)
			}
		}
		expect("one", "\x00\x01\xff", true)
		expect("two", "y", true)
		expect("old", "", false)
		expect("none", "", false)
		var plain int
		f.ok(f.d.SQL().QueryRow("SELECT COUNT(*) FROM sessions WHERE token_hash IN ('one', 'two') OR LENGTH(token_hash) <> 64").Scan(&plain))
		if plain != 0 {
			t.Error("a token is in the database")
		}
		f.ok(sessions.Sweep(f.ctx))
		f.ok(sessions.DeleteUser(f.ctx, 7, "two"))
		expect("one", "", false)
		expect("two", "y", true)
		expect("anonymous", "a", true)
		f.ok(sessions.Delete("two"))
		expect("two", "", false)
		var rows int
		f.ok(f.d.SQL().QueryRow("SELECT COUNT(*) FROM sessions").Scan(&rows))
		if rows != 1 {
			t.Error(rows, "rows")
		}
	})
}
