package store

import (
	"context"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

func (f *fixture) placeAlias(d *models.Domain, local string, targets ...string) *models.Alias {
	f.t.Helper()
	a := &models.Alias{ID: f.NewID(), CustomerID: d.CustomerID, DomainID: d.ID, Address: local + "@" + d.Name, Kind: models.AliasPlain, CreatedAt: 1, UpdatedAt: 1}
	f.ok(f.Write(f.ctx, func(ctx context.Context) error {
		if err := f.InsertAddress(ctx, &models.Address{ID: f.NewID(), DomainID: d.ID, Local: local, Kind: models.AddressAlias, AliasID: &a.ID, CreatedAt: 1}); err != nil {
			return err
		}
		for _, to := range targets {
			if err := f.InsertTarget(ctx, &models.Target{ID: f.NewID(), OwnerID: a.ID, CustomerID: d.CustomerID, Address: to, CreatedAt: 1}); err != nil {
				return err
			}
		}
		return f.InsertAlias(ctx, a)
	}))
	return a
}

func TestAliases(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		sara := f.addMailbox(f.domain, "sara", nil)
		info := f.placeAlias(f.domain, "info", "sara@example.com", "omid@example.com")
		f.placeAlias(f.domain, "sales", "info@example.com")
		other := f.addCustomer("Other")
		theirs := f.placeAlias(f.addDomain(other, "example.net", true), "info", "x@example.net")

		mine := models.OfCustomer(f.customer.ID)
		row, err := f.Alias(f.ctx, mine, "info@example.com")
		if err != nil || row.Domain != "example.com" || row.Customer != "Example" || len(row.Targets) != 2 || row.Targets[0].Address != "sara@example.com" {
			t.Fatalf("%+v %v", row, err)
		}
		if _, err := f.AliasByID(f.ctx, mine, theirs.ID); !models.Is(err, models.NotFound) {
			t.Errorf("another's alias: %v", err)
		}
		list, err := f.Aliases(f.ctx, mine, models.Query{})
		if err != nil || list.Total != 2 || list.Items[0].Address != "info@example.com" || len(list.Items[1].Targets) != 1 {
			t.Errorf("%+v %v", list, err)
		}
		info.Kind, info.Name, info.Off = models.AliasGroup, "Front desk", true
		f.ok(f.UpdateAlias(f.ctx, info, []string{"sara@example.com"}))
		for search, n := range map[string]int64{"": 2, "front": 1, "sara": 1, "100%": 0} {
			if list, err := f.Aliases(f.ctx, mine, models.Query{Search: search}); err != nil || list.Total != n {
				t.Errorf("%q: %d %v", search, list.Total, err)
			}
		}
		states, err := f.AddressStates(f.ctx, f.customer.ID, []string{"sara@example.com", "info@example.com", "sales@example.com", "info@example.net", "none@example.com"})
		if err != nil || len(states) != 3 || states["sara@example.com"] != "mailbox" || states["info@example.com"] != "off" || states["sales@example.com"] != "alias" {
			t.Errorf("%v %v", states, err)
		}
		if held, err := f.AliasHolding(f.ctx, f.domain.ID, "info"); !held || err != nil {
			t.Errorf("%v %v", held, err)
		}
		if held, err := f.AliasHolding(f.ctx, f.domain.ID, "sara"); held || err != nil {
			t.Errorf("%v %v", held, err)
		}
		to, err := f.TargetsTo(f.ctx, f.customer.ID, "sara@example.com", 10)
		if err != nil || len(to) != 1 || to[0].OwnerID != info.ID {
			t.Errorf("%v %v", to, err)
		}
		if into, err := f.TargetsInto(f.ctx, f.customer.ID, "example.com", 10); err != nil || len(into) != 3 {
			t.Errorf("%v %v", into, err)
		}
		f.ok(f.DeleteAlias(f.ctx, info))
		if left, err := f.Targets(f.ctx, info.ID); err != nil || len(left) != 0 {
			t.Errorf("%v %v", left, err)
		}
		f.placeAlias(f.domain, "info", "sara@example.com") // the address is free again
		f.ok(f.InsertTarget(f.ctx, &models.Target{ID: f.NewID(), OwnerID: sara.ID, CustomerID: f.customer.ID, Address: "out@elsewhere.example", External: true, CreatedAt: 1}))
		f.ok(f.DeleteMailbox(f.ctx, sara.ID))
		if left, err := f.Targets(f.ctx, sara.ID); err != nil || len(left) != 0 {
			t.Errorf("%v %v", left, err)
		}
	})
}

func TestTargetsToVerify(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a := f.placeAlias(f.domain, "info")
		target := &models.Target{ID: f.NewID(), OwnerID: a.ID, CustomerID: f.customer.ID, Address: "out@elsewhere.example", External: true, CreatedAt: 1}
		f.ok(f.InsertTarget(f.ctx, target))
		twice := *target
		twice.ID = f.NewID()
		if err := f.InsertTarget(f.ctx, &twice); !models.Is(err, models.Conflict) {
			t.Errorf("twice: %v", err)
		}
		if ask, err := f.TargetsToAsk(f.ctx, 0, 10); err != nil || len(ask) != 1 {
			t.Errorf("%v %v", ask, err)
		}
		target.TokenHash, target.AskedAt = "abc", 5
		f.ok(f.UpdateTarget(f.ctx, target))
		if ask, err := f.TargetsToAsk(f.ctx, 0, 10); err != nil || len(ask) != 0 {
			t.Errorf("%v %v", ask, err)
		}
		if got, err := f.TargetByToken(f.ctx, "abc"); err != nil || got.ID != target.ID {
			t.Errorf("%v %v", got, err)
		}
		for _, hash := range []string{"", "abd"} {
			if _, err := f.TargetByToken(f.ctx, hash); !models.Is(err, models.NotFound) {
				t.Errorf("%q: %v", hash, err)
			}
		}
	})
}

func TestAutoReplyIsOneOfAMailbox(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		sara := f.addMailbox(f.domain, "sara", nil)
		if _, err := f.AutoReply(f.ctx, sara.ID); !models.Is(err, models.NotFound) {
			t.Errorf("%v", err)
		}
		a := &models.AutoReply{MailboxID: sara.ID, Enabled: true, Subject: "Away", Body: "until\nMonday", Outside: "away", StartsAt: 5, EndsAt: 9, UpdatedAt: 1}
		f.ok(f.SaveAutoReply(f.ctx, a, false))
		f.ok(f.d.Write(f.ctx, func(ctx context.Context, tx *db.Tx) error {
			for _, q := range []string{"UPDATE auto_replies SET answered = 7", "INSERT INTO auto_replied (mailbox_id, sender, at) VALUES (" + sara.ID.String() + ", 'x@x.example', 1)"} {
				if _, err := tx.ExecContext(ctx, q); err != nil {
					return err
				}
			}
			return nil
		}))
		a.Body = "until Tuesday"
		f.ok(f.SaveAutoReply(f.ctx, a, false))
		if got, err := f.AutoReply(f.ctx, sara.ID); err != nil || got.Answered != 7 || got.Body != a.Body || got.Outside != "away" || got.EndsAt != 9 {
			t.Errorf("%+v %v", got, err)
		}
		f.ok(f.SaveAutoReply(f.ctx, a, true))
		if got, err := f.AutoReply(f.ctx, sara.ID); err != nil || got.Answered != 0 {
			t.Errorf("%+v %v", got, err)
		}
		for _, want := range []int64{1, 0} {
			if n, err := f.ForgetAnswered(f.ctx, sara.ID); n != want || err != nil {
				t.Errorf("%d %v", n, err)
			}
		}
	})
}

func TestRelayForTheNearest(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		sara := f.addMailbox(f.domain, "sara", nil)
		host := func() string {
			t.Helper()
			r, err := f.RelayFor(f.ctx, sara.ID, f.domain.ID)
			if models.Is(err, models.NotFound) {
				return ""
			}
			f.ok(err)
			return r.Host
		}
		if host() != "" {
			t.Error("one from nowhere")
		}
		for _, r := range []models.Relay{{OwnerKind: models.RelayOfServer, Host: "server"}, {OwnerID: f.domain.ID, OwnerKind: models.RelayOfDomain, Host: "domain"}, {OwnerID: sara.ID, OwnerKind: models.RelayOfMailbox, Host: "mailbox"}} {
			r.Port, r.Security = 587, models.RelayStartTLS
			f.ok(f.SaveRelay(f.ctx, &r))
			if got := host(); got != r.Host {
				t.Errorf("%s, want %s", got, r.Host)
			}
		}
		if r, err := f.RelayFor(f.ctx, 0, 7); err != nil || r.Host != "server" {
			t.Errorf("%+v %v", r, err)
		}
		all, err := f.Relays(f.ctx)
		if err != nil || len(all) != 3 || all[0].Owner != "" || all[1].Owner != "example.com" || all[2].Owner != "sara@example.com" {
			t.Errorf("%+v %v", all, err)
		}
		f.ok(f.DeleteMailbox(f.ctx, sara.ID))
		if got := host(); got != "domain" {
			t.Error(got)
		}
		f.ok(f.DeleteDomain(f.ctx, f.domain.ID))
		if got := host(); got != "server" {
			t.Error(got)
		}
		f.ok(f.DeleteRelay(f.ctx, 0))
		if err := f.DeleteRelay(f.ctx, 0); !models.Is(err, models.NotFound) {
			t.Error(err)
		}
	})
}

func TestSuppressionsAreTheViewers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		sara, omid := f.addMailbox(f.domain, "sara", nil), f.addMailbox(f.domain, "omid", nil)
		for i, m := range []models.ID{sara.ID, sara.ID, omid.ID} {
			f.ok(f.d.Write(f.ctx, func(ctx context.Context, tx *db.Tx) error {
				return f.on(ctx).Create(&models.Suppression{MailboxID: m, CustomerID: f.customer.ID, Address: string(rune('a'+i)) + "@x.example", Code: 550, At: models.Micros(i + 1)}).Error
			}))
		}
		for name, c := range map[string]struct {
			scope   models.Scope
			mailbox models.ID
			n       int64
		}{"customer": {models.OfCustomer(f.customer.ID), 0, 3}, "one": {models.OfCustomer(f.customer.ID), omid.ID, 1}, "owner": {models.OfMailbox(sara.ID), 0, 2},
			"owner of another": {models.OfMailbox(omid.ID), sara.ID, 0}, "nobody": {models.Scope{}, 0, 0}} {
			if list, err := f.Suppressions(f.ctx, c.scope, c.mailbox, models.Query{}); err != nil || list.Total != c.n {
				t.Errorf("%s: %+v %v", name, list, err)
			}
		}
		f.ok(f.DeleteSuppression(f.ctx, sara.ID, "a@x.example"))
		if err := f.DeleteSuppression(f.ctx, sara.ID, "a@x.example"); !models.Is(err, models.NotFound) {
			t.Error(err)
		}
		if n, err := f.ForgetSuppressions(f.ctx, sara.ID); n != 1 || err != nil {
			t.Errorf("%d %v", n, err)
		}
	})
}
