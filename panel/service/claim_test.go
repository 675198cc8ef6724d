package service

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// exec changes rows behind the rules' back.
func (s *site) exec(query string, args ...any) {
	s.t.Helper()
	s.ok(s.d.Write(s.ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		tx.Changed(db.ChangedAll, 0)
		return err
	}))
}

// A claim that is not proven shows nothing of where the owner's mail goes.
func TestAClaimShowsNobodysWays(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addAlias("ceo", "sara", "private@gmail.example")
		s.ok(s.SetCatchAll(s.ctx, s.owner, "example.com", "sara"))
		_, thief := s.addCustomer("Thief", "thief@example.net")
		_, err := s.AddDomain(s.ctx, s.admin, NewDomain{Name: "thief.example", CustomerID: thief.CustomerID})
		s.ok(err)
		_, err = s.AddDomain(s.ctx, thief, NewDomain{Name: "example.com"})
		s.ok(err)
		for _, addr := range []string{"ceo@example.com", "sara@example.com", "nobody@example.com"} {
			r, err := s.Explain(s.ctx, thief, addr)
			s.want(err, models.Conflict, "recipient.unproven")
			want := models.RouteStep{Address: addr, Kind: models.StepOutside}
			if len(r.Steps) != 1 || r.Steps[0] != want || len(r.Local)+len(r.Remote) != 0 || r.CustomerID != 0 || r.DomainID != 0 {
				t.Errorf("%s: %+v", addr, r)
			}
		}
		// Nor is anything put into the owner's mailboxes.
		_, err = s.AddMailbox(s.ctx, thief, NewMailbox{Local: "sara", Domain: "example.com", Password: good})
		s.ok(err)
		s.want(s.SendTest(s.ctx, thief, "sara@example.com", "en"), models.Conflict, "recipient.unproven")
		if len(s.sender.sent) != 0 {
			t.Error(s.sender.sent)
		}
		s.ok(s.SendTest(s.ctx, s.owner, "sara@example.com", "en"))
		// Nor does an alias of the thief's own that leads there.
		_, err = s.AddAlias(s.ctx, thief, NewAlias{Local: "x", Domain: "thief.example", Targets: []string{"ceo@example.com"}})
		s.ok(err)
		s.exec("UPDATE targets SET verified_at = 1 WHERE address = 'ceo@example.com'")
		r, err := s.Explain(s.ctx, thief, "x@thief.example")
		s.ok(err)
		if len(r.Steps) != 2 || r.Steps[1].Kind != models.StepOutside || len(r.Local)+len(r.Remote) != 0 {
			t.Errorf("%+v", r)
		}
		if r, err := s.Explain(s.ctx, s.owner, "ceo@example.com"); err != nil || len(r.Local) != 1 {
			t.Errorf("%+v %v", r, err)
		}
	})
}

// A domain is the customer's own for targets once it is proven, and no longer than that.
func TestTargetsFollowTheDomain(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		p := s.withPost()
		a, them := s.addCustomer("A", "a@users.example")
		_, err := s.AddDomain(s.ctx, s.admin, NewDomain{Name: "a.example", CustomerID: a.ID})
		s.ok(err)
		_, err = s.AddDomain(s.ctx, them, NewDomain{Name: "example.com"})
		s.ok(err)
		_, err = s.AddMailbox(s.ctx, them, NewMailbox{Local: "sara", Domain: "example.com", Password: good})
		s.ok(err)
		alias := func(local, domain, target string) {
			t.Helper()
			_, err := s.AddAlias(s.ctx, them, NewAlias{Local: local, Domain: domain, Targets: []string{target}})
			s.ok(err)
		}
		state := func(v Viewer, addr, want string) {
			t.Helper()
			got, err := s.Alias(s.ctx, v, addr)
			s.ok(err)
			if len(got.Targets) != 1 || got.Targets[0].State != want {
				t.Errorf("%s: %+v, want %s", addr, got.Targets, want)
			}
		}
		s.addMailbox("sara@example.com")
		third, v3 := s.addCustomer("Third", "third@users.example")
		_, err = s.AddDomain(s.ctx, s.admin, NewDomain{Name: "third.example", CustomerID: third.ID})
		s.ok(err)
		_, err = s.AddAlias(s.ctx, v3, NewAlias{Local: "z", Domain: "third.example", Targets: []string{"sara@example.com"}})
		s.ok(err)
		s.exec("UPDATE targets SET verified_at = 1 WHERE address = 'sara@example.com'")
		s.addDomain("mine.example")
		_, err = s.AddAlias(s.ctx, s.owner, NewAlias{Local: "to", Domain: "mine.example", Targets: []string{"sara@example.com"}})
		s.ok(err)
		p.mails = nil
		alias("out", "a.example", "sara@example.com")
		alias("in", "example.com", "sara")
		state(them, "out@a.example", TargetWaiting)
		state(them, "in@example.com", TargetMailbox)
		if len(p.mails) != 1 || !strings.HasPrefix(p.mails[0], "sara@example.com\n") {
			t.Errorf("%q", p.mails)
		}
		s.want(s.SetCatchAll(s.ctx, them, "a.example", "sara@example.com"), models.Invalid, "catchall.outside")
		s.ok(s.SetCatchAll(s.ctx, them, "example.com", "sara"))

		s.clock = s.clock.Add(25 * time.Hour)
		s.ok(s.TakeDomain(s.ctx, s.admin, "example.com", a.ID))
		state(them, "out@a.example", TargetMailbox)
		state(s.owner, "to@mine.example", TargetUnasked)
		state(v3, "z@third.example", TargetUnasked)
		if _, err := s.SendLinks(s.ctx); err != nil {
			t.Error(err)
		}
		state(v3, "z@third.example", TargetWaiting)
		var to []string
		for _, m := range p.mails[1:] {
			to = append(to, strings.SplitN(m, "\n", 2)[0])
		}
		if !slices.Equal(to, []string{"sara@example.com", "sara@example.com"}) {
			t.Error(to)
		}
	})
}
