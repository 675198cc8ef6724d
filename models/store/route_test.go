package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
)

// Resolve is Route for tests of single mailboxes.
func (f *fixture) Resolve(ctx context.Context, addr address.Address) (*models.Recipient, error) {
	r, err := f.Route(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &r.Local[0], nil
}

// addAlias adds an alias or group with targets: "!a@b" is outside and agreed, "?a@b" outside and
// not agreed yet.
func (f *fixture) addAlias(d *models.Domain, local string, kind models.AliasKind, targets ...string) *models.Alias {
	f.t.Helper()
	a := &models.Alias{ID: f.NewID(), CustomerID: d.CustomerID, DomainID: d.ID, Address: local + "@" + d.Name, Kind: kind}
	f.ok(f.change(f.ctx, db.ChangedDomain, d.ID, func(g *gorm.DB) error {
		row := &models.Address{ID: f.NewID(), DomainID: d.ID, Local: local, Kind: models.AddressAlias, AliasID: &a.ID}
		if err := g.Create(row).Error; err != nil {
			return err
		}
		return g.Create(a).Error
	}))
	f.addTargets(a.ID, d, targets...)
	return a
}

func (f *fixture) addTargets(owner models.ID, d *models.Domain, targets ...string) {
	f.t.Helper()
	for start := 0; start < len(targets); start += 200 {
		var rows []models.Target
		for _, to := range targets[start:min(start+200, len(targets))] {
			t := models.Target{ID: f.NewID(), OwnerID: owner, CustomerID: d.CustomerID, Address: strings.TrimLeft(to, "!?")}
			t.External = t.Address != to
			if to[0] == '!' {
				t.VerifiedAt = 1
			}
			rows = append(rows, t)
		}
		f.ok(f.change(f.ctx, db.ChangedDomain, d.ID, func(g *gorm.DB) error { return g.Create(&rows).Error }))
	}
}

// ends prints where a route ends.
func ends(r *models.Route) string {
	if r == nil {
		return ""
	}
	var all []string
	for _, l := range r.Local {
		s := l.Mailbox
		if l.Spare {
			s += "(spare)"
		}
		if l.Optional {
			s += "(optional)"
		}
		all = append(all, s)
	}
	for _, x := range r.Remote {
		all = append(all, fmt.Sprintf("%s(%s %s)", x.Address, x.Kind, x.Via))
	}
	return strings.Join(all, " ")
}

func TestRoutes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ir := f.addDomain(f.customer, "example.ir", true)
		stranger := f.addDomain(f.addCustomer("Stranger"), "stranger.example", true)
		all := f.addDomain(f.customer, "all.example", true)
		f.addDomain(f.customer, "pending.example", false)
		ir.AliasOf, all.CatchAll, stranger.AliasOf = &f.domain.ID, "sara@example.com", &f.domain.ID
		for _, d := range []*models.Domain{ir, all, stranger} {
			f.ok(f.change(f.ctx, db.ChangedDomain, d.ID, func(g *gorm.DB) error { return g.Save(d).Error }))
		}
		f.addMailbox(f.domain, "sara", nil)
		f.addMailbox(f.domain, "omid", nil)
		f.addMailbox(f.domain, "gone", func(m *models.Mailbox) { m.DeletedAt = 5 })
		f.addMailbox(all, "real", nil)
		f.addMailbox(all, "gone", func(m *models.Mailbox) { m.DeletedAt = 5 })
		for local, to := range map[string][]string{"away": {"!me@gmail.test"}, "hop": {"omid@example.com"}, "waiting": {"?me@gmail.test"}, "selfish": {"selfish@example.com"}} {
			m := f.addMailbox(f.domain, local, func(m *models.Mailbox) { m.ForwardOnly = true })
			f.addTargets(m.ID, f.domain, to...)
		}
		both := f.addMailbox(f.domain, "both", nil)
		f.addTargets(both.ID, f.domain, "!me@gmail.test", "sara@example.com")
		f.addAlias(f.domain, "info", models.AliasPlain, "sara@example.com", "omid@example.com", "sara+x@example.com")
		f.addAlias(f.domain, "nest", models.AliasPlain, "info@example.ir", "gone@example.com", "nobody@example.com")
		f.addAlias(f.domain, "out", models.AliasPlain, "!a@x.test", "?b@x.test", "c@x.test")
		f.addAlias(f.domain, "team", models.AliasGroup, "sara@example.com", "!a@x.test", "away@example.com")
		f.addAlias(f.domain, "self", models.AliasPlain, "self@example.com")
		f.addAlias(f.domain, "ping", models.AliasPlain, "pong@example.com")
		f.addAlias(f.domain, "pong", models.AliasPlain, "ping@example.com", "sara@example.com")
		f.addAlias(f.domain, "empty", models.AliasPlain)
		f.addAlias(f.domain, "void", models.AliasPlain, "?b@x.test", "u@pending.example")
		off := f.addAlias(f.domain, "off", models.AliasPlain, "sara@example.com")
		off.Off = true
		f.ok(f.change(f.ctx, db.ChangedDomain, f.domain.ID, func(g *gorm.DB) error { return g.Save(off).Error }))

		for _, c := range []struct{ to, want, key string }{
			{"info@example.com", "sara@example.com omid@example.com", ""},
			{"info+tag@example.com", "sara@example.com omid@example.com", ""},
			{"sara@example.ir", "sara@example.com", ""},
			{"info@example.ir", "sara@example.com omid@example.com", ""},
			{"sara@stranger.example", "", "recipient.unknown"},
			{"nest@example.com", "sara@example.com omid@example.com", ""},
			{"anything@all.example", "sara@example.com", ""},
			{"gone@all.example", "sara@example.com", ""},
			{"real+x@all.example", "real@all.example", ""},
			{"postmaster@all.example", "real@all.example", ""},
			{"out@example.com", "a@x.test(alias out@example.com)", ""},
			{"team@example.com", "sara@example.com(optional) away@example.com(spare)(optional) a@x.test(group team@example.com) me@gmail.test(forward away@example.com)", ""},
			{"away@example.com", "away@example.com(spare) me@gmail.test(forward away@example.com)", ""},
			{"hop@example.com", "hop@example.com(spare) omid@example.com(optional)", ""},
			{"waiting@example.com", "waiting@example.com", ""},
			{"selfish@example.com", "selfish@example.com", ""},
			{"both@example.com", "both@example.com sara@example.com(optional) me@gmail.test(forward both@example.com)", ""},
			{"self@example.com", "", "recipient.loop"},
			{"ping@example.com", "sara@example.com", ""},
			{"empty@example.com", "", "recipient.nowhere"},
			{"void@example.com", "", "recipient.nowhere"},
			{"off@example.com", "", "recipient.off"},
			{"u@pending.example", "", "recipient.elsewhere"},
		} {
			addr, err := address.Parse(c.to)
			f.ok(err)
			r, err := f.Route(f.ctx, addr)
			key := ""
			if err != nil {
				key = models.Errors(err)[0].Key
			}
			if got := ends(r); got != c.want || key != c.key {
				t.Errorf("%s: %q %v, want %q %q", c.to, got, err, c.want, c.key)
			}
			explained, err2 := f.Explain(f.ctx, addr)
			if (err == nil) != (err2 == nil) || err == nil && ends(explained) != c.want || c.key != "recipient.elsewhere" && len(explained.Steps) == 0 {
				t.Errorf("%s explained: %q %v %+v", c.to, ends(explained), err2, explained.Steps)
			}
		}
		addr, _ := address.Parse("nest@example.com")
		r, err := f.Explain(f.ctx, addr)
		f.ok(err)
		var steps []string
		for _, s := range r.Steps {
			steps = append(steps, fmt.Sprint(s.Depth, " ", s.Address, " ", s.Kind, " ", s.To))
		}
		want := []string{
			"0 nest@example.com alias ", "1 info@example.ir domain_alias info@example.com", "1 info@example.ir alias ",
			"2 sara@example.com mailbox sara@example.com", "2 omid@example.com mailbox omid@example.com", "2 sara+x@example.com seen sara@example.com",
			"1 gone@example.com unknown ", "1 nobody@example.com unknown ",
		}
		if !slices.Equal(steps, want) {
			t.Errorf("%q", steps)
		}
	})
}

func TestRoutesAreBounded(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.addMailbox(f.domain, "sara", nil)
		for i := range models.MaxRouteDepth + 1 {
			to := fmt.Sprintf("n%d@example.com", i-1)
			if i == 0 {
				to = "sara@example.com"
			}
			f.addAlias(f.domain, fmt.Sprintf("n%d", i), models.AliasPlain, to)
		}
		many := make([]string, models.MaxRouteTargets/2)
		for i := range many {
			many[i] = fmt.Sprintf("!u%d@x.test", i)
		}
		f.addAlias(f.domain, "half", models.AliasPlain, many...)
		f.addAlias(f.domain, "more", models.AliasPlain, append(many, "half@example.com")...)
		for to, ok := range map[string]bool{"n9@example.com": true, "n10@example.com": false, "half@example.com": true, "more@example.com": false} {
			addr, _ := address.Parse(to)
			r, err := f.Route(f.ctx, addr)
			if ok != (err == nil) || !ok && models.Errors(err)[0].Key != "recipient.too_much" {
				t.Errorf("%s: %s %v", to, ends(r), err)
			}
		}
	})
}

// A change of an alias holds for the next recipient.
func TestRoutesFollowChanges(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.addMailbox(f.domain, "sara", nil)
		a := f.addAlias(f.domain, "info", models.AliasPlain, "sara@example.com")
		addr, _ := address.Parse("info@example.com")
		if r, err := f.Route(f.ctx, addr); err != nil || len(r.Remote) != 0 {
			t.Fatal(ends(r), err)
		}
		f.addTargets(a.ID, f.domain, "!a@x.test")
		if r, err := f.Route(f.ctx, addr); err != nil || len(r.Remote) != 1 {
			t.Fatal(ends(r), err)
		}
	})
}

// saving writes a record as it is.
func saving(record any) func(*gorm.DB) error {
	return func(g *gorm.DB) error { return g.Save(record).Error }
}

// What was the customer's own when it was chosen goes nowhere without consent once the domain is
// another's, catch-alls and aliases of aliases included.
func TestNobodyIsLedToAnotherCustomer(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		bank := f.addDomain(f.addCustomer("Bank"), "bank.example", true)
		f.addMailbox(bank, "boss", nil)
		f.addMailbox(f.addDomain(f.customer, "bank.example", false), "boss", nil)
		sara := f.addMailbox(f.domain, "sara", nil)
		f.addAlias(f.domain, "direct", models.AliasPlain, "boss@bank.example")
		f.addAlias(f.domain, "both", models.AliasPlain, "direct@example.com", "sara@example.com", "boss@bank.example")
		f.addAlias(f.domain, "agreed", models.AliasPlain, "!boss@bank.example")
		f.addAlias(f.domain, "asked", models.AliasPlain, "?boss@bank.example")
		f.addTargets(sara.ID, f.domain, "boss@bank.example")
		f.domain.CatchAll = "boss@bank.example"
		f.ok(f.UpdateDomain(f.ctx, f.domain))
		for local, want := range map[string]string{
			"direct": "", "both": "sara@example.com", "agreed": "boss@bank.example", "asked": "", "sara": "sara@example.com", "nobody": "",
		} {
			r, err := f.Route(f.ctx, address.Address{Local: local, Domain: "example.com"})
			if got := ends(r); got != want || want == "" && !models.Is(err, models.NotFound) {
				t.Errorf("%s: %q %v, want %q", local, got, err, want)
			}
		}
	})
}

// Keys sign for whose domain it is now, and for the server itself.
func TestSigningKeysAreTheCustomersOwn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		thief := f.addCustomer("Thief")
		claim := f.addDomain(thief, "example.com", false)
		for _, d := range []*models.Domain{f.domain, claim} {
			f.ok(f.InsertKeys(f.ctx, []models.DKIMKey{{ID: f.NewID(), DomainID: d.ID, Algorithm: models.DKIMRSA, Selector: "p1r", State: models.DKIMActive, Public: "x", Sealed: "x"}}))
		}
		sign := func(customer models.ID, want int) {
			t.Helper()
			if keys, err := f.SigningKeys(f.ctx, "example.com", customer); err != nil || len(keys) != want {
				t.Errorf("%v: %d keys, %v", customer, len(keys), err)
			}
		}
		sign(f.customer.ID, 1)
		sign(thief.ID, 0)
		sign(0, 1)
		f.domain.ActiveName, f.domain.State = nil, models.DomainPending
		f.ok(f.UpdateDomain(f.ctx, f.domain))
		claim.ActiveName, claim.State = &claim.Name, models.DomainActive
		f.ok(f.UpdateDomain(f.ctx, claim))
		sign(f.customer.ID, 0)
		sign(thief.ID, 1)
	})
}
