package service

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

// stuck mails to everybody but those it is told of.
type stuck struct {
	mails []string
	fail  map[string]error
}

func (p *stuck) Notice(_ context.Context, to, _, _, _ string) error {
	if err := p.fail[to]; err != nil {
		return err
	}
	p.mails = append(p.mails, to)
	return nil
}

// What cannot be mailed holds nobody else's link up, is tried less and less often, and ends.
func TestOneAddressHoldsNoLinksUp(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.config.Notices = nil
		_, v := s.addCustomer("Evil", "evil@example.net")
		_, err := s.AddDomain(s.ctx, s.admin, NewDomain{Name: "evil.example", CustomerID: v.CustomerID})
		s.ok(err)
		_, err = s.AddAlias(s.ctx, v, NewAlias{Local: "x", Domain: "evil.example", Targets: []string{"postmaster@empty.example", "slow@away.example", "no@away.example"}})
		s.ok(err)
		s.addAlias("honest", "me@gmail.example")
		p := &stuck{fail: map[string]error{
			"postmaster@empty.example": models.Errorf(models.Unavailable, "recipient.nobody_yet", "x"),
			"slow@away.example":        models.Errorf(models.Unavailable, "unavailable", "x"),
			"no@away.example":          models.Errorf(models.Denied, "recipient.off", "x"),
		}}
		s.config.Notices = p
		if n, err := s.SendLinks(s.ctx); n != 1 || err == nil {
			t.Error(n, err)
		}
		if len(p.mails) != 1 || p.mails[0] != "me@gmail.example" {
			t.Error(p.mails)
		}
		state := func(want ...string) {
			t.Helper()
			a, err := s.Alias(s.ctx, v, "x@evil.example")
			s.ok(err)
			for i, x := range a.Targets {
				if x.State != want[i] {
					t.Errorf("%s: %s, want %s", x.Address, x.State, want[i])
				}
			}
		}
		state(TargetCannot, TargetUnasked, TargetCannot)
		if n, err := s.SendLinks(s.ctx); n != 0 || err != nil { // its time has not come
			t.Error(n, err)
		}
		tries := 0
		for range 100 {
			s.clock = s.clock.Add(time.Hour)
			if _, err := s.SendLinks(s.ctx); err != nil {
				tries++
			}
		}
		if tries != len(askAgainAfter) {
			t.Errorf("tried %d times more", tries)
		}
		state(TargetCannot, TargetCannot, TargetCannot)
		p.fail = nil
		s.ok(s.AskAgain(s.ctx, v, "x@evil.example", "slow@away.example"))
		state(TargetCannot, TargetWaiting, TargetCannot)
	})
}

// A customer's links are counted for a day, also those of targets that are gone, and by all
// processes.
func TestLinksOfADay(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		p := s.withPost()
		added := 0
		var refused error
		for i := range 10 {
			var list []string
			for j := range 12 {
				list = append(list, fmt.Sprintf("v%d-%d@stranger.example", i, j))
			}
			if _, err := s.AddAlias(s.ctx, s.owner, NewAlias{Local: "x", Domain: "example.com", Targets: list}); err != nil {
				refused = err
				continue
			}
			s.ok(s.RemoveAlias(s.ctx, s.owner, "x@example.com"))
			added += 12
		}
		s.want(refused, models.Limited, "target.daily")
		_, err := s.AddAlias(s.ctx, s.owner, NewAlias{Local: "z", Domain: "example.com", Targets: []string{"a@stranger.example", "b@stranger.example"}})
		s.ok(err)
		s.want(s.SetForward(s.ctx, s.owner, s.addMailbox("sara@example.com").Address, []string{"c@stranger.example"}, true), models.Limited, "target.daily")
		if added != linksOfCustomer-2 || len(p.mails) != linksOfCustomer {
			t.Errorf("%d asked for, %d mailed", added, len(p.mails))
		}
		s.ok(s.RemoveAlias(s.ctx, s.owner, "z@example.com"))
		// A command does not mail; what it adds waits for the next day as well.
		other, v := s.addCustomer("Other", "other@example.net")
		_, err = s.AddDomain(s.ctx, s.admin, NewDomain{Name: "other.example", CustomerID: other.ID})
		s.ok(err)
		_, err = s.AddAlias(s.ctx, v, NewAlias{Local: "x", Domain: "other.example", Targets: []string{"fresh@stranger.example"}})
		s.ok(err)
		s.exec("UPDATE links_sent SET customer_id = ?", other.ID)
		s.exec("UPDATE targets SET asked_at = 0")
		if n, err := s.SendLinks(s.ctx); n != 0 || err != nil {
			t.Error(n, err)
		}
		s.clock = s.clock.Add(25 * time.Hour)
		if n, err := s.SendLinks(s.ctx); n != 1 || err != nil {
			t.Error(n, err)
		}
		s.addAlias("y", "v0-0@stranger.example")
		if dump := s.dump(); !strings.Contains(dump, "v0-0@stranger.example") {
			t.Error("not there")
		}
	})
}
