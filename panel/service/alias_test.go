package service

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

// post keeps the server's own mails.
type post struct {
	fail  error
	mails []string // recipient, subject and text
}

func (p *post) Notice(_ context.Context, to, subject, text, _ string) error {
	if p.fail != nil {
		return p.fail
	}
	p.mails = append(p.mails, to+"\n"+subject+"\n"+text)
	return nil
}

// token returns the token of the last mail's link.
func (p *post) token(t testing.TB) string {
	t.Helper()
	if len(p.mails) == 0 {
		t.Fatal("no mail")
	}
	m := regexp.MustCompile(`https://panel\.example/confirm/([A-Z2-7]+)`).FindStringSubmatch(p.mails[len(p.mails)-1])
	if m == nil {
		t.Fatalf("no link in %s", p.mails[len(p.mails)-1])
	}
	return m[1]
}

func (s *site) withPost() *post {
	p := &post{}
	s.config.Notices, s.config.PublicURL = p, "https://panel.example"
	return p
}

func (s *site) addAlias(local string, targets ...string) *AliasView {
	s.t.Helper()
	a, err := s.AddAlias(s.ctx, s.owner, NewAlias{Local: local, Domain: "example.com", Targets: targets})
	s.ok(err)
	return a
}

// states returns the states of an alias's targets, in order.
func (s *site) states(addr string) []string {
	s.t.Helper()
	a, err := s.Alias(s.ctx, s.owner, addr)
	s.ok(err)
	var all []string
	for _, t := range a.Targets {
		all = append(all, t.Address+" "+t.State)
	}
	return all
}

func TestSplitTargets(t *testing.T) {
	for text, want := range map[string]string{
		"a@x.example, b@x.example;c@x.example":         "a@x.example b@x.example c@x.example",
		"Sara Ahmadi <a@x.example>\r\nomid":            "a@x.example omid@example.com",
		"سارا <a@x.example>، b@x.example؛c@x.example ": "a@x.example b@x.example c@x.example",
		" a@x.example b@x.example\n\n":                 "a@x.example b@x.example",
		"":                                             "", "<>": "", ",;,": "",
	} {
		if got := strings.Join(splitTargets([]string{text}, "example.com"), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzSplitTargets(f *testing.F) {
	for _, text := range []string{"a@x.example, b <c@d>", "<<>>@,;", "سارا <a@x>", "a\x00@b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range splitTargets([]string{text}, "example.com") {
			if a == "" || strings.ContainsAny(a, ",; \n") || !strings.Contains(a, "@") {
				t.Errorf("%q gives %q", text, a)
			}
		}
	})
}

func TestAddAlias(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.addMailbox("gone@example.com")
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "gone@example.com"))
		a := s.addAlias("Info", "Sara <sara@example.com>, omid; SARA@example.com sara+shop@example.com")
		if a.Address != "info@example.com" || a.Kind != models.AliasPlain || len(a.Targets) != 3 || a.Dead() {
			t.Errorf("%+v", a)
		}
		if got := s.states("info@example.com"); !slices.Equal(got, []string{"sara@example.com mailbox", "omid@example.com mailbox", "sara+shop@example.com mailbox"}) {
			t.Error(got)
		}
		s.addAlias("all", "info", "postmaster")
		for _, c := range []struct {
			local, targets, key string
			kind                models.Kind
		}{
			{"info", "sara", "alias.taken", models.Conflict},
			{"sara", "omid", "alias.is_mailbox", models.Conflict},
			{"gone", "omid", "mailbox.in_bin", models.Conflict},
			{"abuse", "omid", "mailbox.reserved", models.Conflict},
			{"x y", "omid", "mailbox.local", models.Invalid},
			{"new", "new", "alias.self", models.Invalid},
			{"new", "nobody", "target.missing", models.Invalid},
			{"new", "gone", "target.bin", models.Invalid},
			{"new", "no@where@", "target.invalid", models.Invalid},
			{"new", " ,", "target.none", models.Invalid},
			{"new", strings.Repeat("x,", 3000), "target.many", models.Invalid},
		} {
			_, err := s.AddAlias(s.ctx, s.owner, NewAlias{Local: c.local, Domain: "example.com", Targets: []string{c.targets}})
			s.want(models.Errors(err)[0], c.kind, c.key)
		}
		_, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: "info", Domain: "example.com", Password: good})
		s.want(err, models.Conflict, "alias.taken")
		_, err = s.AddAlias(s.ctx, s.owner, NewAlias{Local: "", Domain: "example.com", Kind: "x", Targets: nil})
		if len(models.Errors(err)) != 3 {
			t.Errorf("not all bad fields: %v", err)
		}
	})
}

func TestLoopsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.addAlias("a", "sara")
		s.addAlias("b", "a", "omid")
		s.want(s.EditAlias(s.ctx, s.owner, "a@example.com", AliasChange{Kind: models.AliasPlain, Targets: []string{"b"}}), models.Invalid, "alias.loop")
		s.want(s.SetForward(s.ctx, s.owner, "sara@example.com", []string{"b"}, true), models.Invalid, "alias.loop")
		s.want(s.SetForward(s.ctx, s.owner, "sara@example.com", []string{"sara+x"}, true), models.Invalid, "alias.self")
		s.ok(s.SetForward(s.ctx, s.owner, "omid@example.com", []string{"sara"}, false))
		s.want(s.SetForward(s.ctx, s.owner, "sara@example.com", []string{"omid"}, true), models.Invalid, "alias.loop")
		f, err := s.Forward(s.ctx, s.owner, "omid@example.com")
		if err != nil || f.Keep || len(f.Targets) != 1 {
			t.Errorf("%+v %v", f, err)
		}
		s.ok(s.SetForward(s.ctx, s.owner, "omid@example.com", nil, false))
		if f, err = s.Forward(s.ctx, s.owner, "omid@example.com"); err != nil || !f.Keep {
			t.Errorf("a mailbox that forwards nothing keeps nothing: %+v %v", f, err)
		}
	})
}

func TestEditAndRemoveAlias(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.addAlias("info", "sara", "omid")
		s.addAlias("all", "info")
		s.ok(s.EditAlias(s.ctx, s.owner, "info@example.com", AliasChange{Kind: models.AliasGroup, Name: " Desk ", Targets: []string{"omid"}}))
		s.ok(s.SwitchAlias(s.ctx, s.owner, "info@example.com", true))
		a, err := s.Alias(s.ctx, s.owner, "info@example.com")
		if err != nil || a.Kind != models.AliasGroup || a.Name != "Desk" || !a.Off || len(a.Targets) != 1 {
			t.Errorf("%+v %v", a, err)
		}
		if got := s.states("all@example.com"); !slices.Equal(got, []string{"info@example.com off"}) {
			t.Error(got)
		}
		if list, err := s.Aliases(s.ctx, s.owner, Query{Search: "omid"}); err != nil || list.Total != 1 {
			t.Errorf("%+v %v", list, err)
		}
		s.ok(s.SetCatchAll(s.ctx, s.owner, "example.com", "all"))
		e := s.want(s.RemoveAlias(s.ctx, s.owner, "info@example.com"), models.Conflict, "alias.used")
		if e.Args["by"] != "all@example.com" {
			t.Errorf("%+v", e)
		}
		s.ok(s.RemoveAlias(s.ctx, s.owner, "all@example.com"))
		if d, err := s.Domain(s.ctx, s.owner, "example.com"); err != nil || d.CatchAll != "" {
			t.Errorf("the catch-all of an alias that is gone: %+v %v", d, err)
		}
		s.ok(s.RemoveAlias(s.ctx, s.owner, "info@example.com"))
		s.addMailbox("info@example.com")
	})
}

// TestBinKeepsAliases: SCREENS 8.9. A mailbox comes back from the bin with what led to it.
func TestBinKeepsAliases(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.addAlias("info", "sara", "omid")
		s.addAlias("boss", "sara")
		s.addAlias("top", "boss")
		s.ok(s.SetForward(s.ctx, s.owner, "omid@example.com", []string{"sara"}, false))
		s.ok(s.SetForward(s.ctx, s.owner, "sara@example.com", []string{"out@elsewhere.example"}, true))
		s.ok(s.SetCatchAll(s.ctx, s.owner, "example.com", "top"))
		s.ok(s.SetAutoReply(s.ctx, s.owner, "sara@example.com", models.AutoReply{Enabled: true, Body: "away"}))
		before := s.dump()
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "sara@example.com"))
		if got := s.states("info@example.com"); !slices.Equal(got, []string{"sara@example.com bin", "omid@example.com mailbox"}) {
			t.Error(got)
		}
		s.ok(s.RestoreMailbox(s.ctx, s.owner, "sara@example.com"))
		if after := s.dump(); after != before {
			t.Errorf("not as it was:\n%s\n%s", before, after)
		}

		s.ok(s.PurgeMailbox(s.ctx, s.owner, "sara@example.com"))
		if got := s.states("info@example.com"); !slices.Equal(got, []string{"omid@example.com mailbox"}) {
			t.Error(got)
		}
		for _, gone := range []string{"boss@example.com", "top@example.com"} {
			if _, err := s.Alias(s.ctx, s.owner, gone); !models.Is(err, models.NotFound) {
				t.Errorf("%s leads nowhere and is still there: %v", gone, err)
			}
		}
		if f, err := s.Forward(s.ctx, s.owner, "omid@example.com"); err != nil || !f.Keep || len(f.Targets) != 0 {
			t.Errorf("%+v %v", f, err)
		}
		if d, err := s.Domain(s.ctx, s.owner, "example.com"); err != nil || d.CatchAll != "" {
			t.Errorf("%+v %v", d, err)
		}
		if left := s.dump(); strings.Contains(left, "sara@") || strings.Contains(left, "elsewhere") || strings.Contains(left, "away") {
			t.Errorf("something is left:\n%s", left)
		}
	})
}

func TestRemovedDomainTakesItsAliases(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addDomain("second.example")
		_, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: "omid", Domain: "second.example", Password: good})
		s.ok(err)
		_, err = s.AddAlias(s.ctx, s.owner, NewAlias{Local: "info", Domain: "second.example", Targets: []string{"omid", "sara@example.com"}})
		s.ok(err)
		s.addAlias("all", "sara", "info@second.example", "postmaster@second.example")
		s.addAlias("them", "info@second.example")
		s.ok(s.SetForward(s.ctx, s.owner, "sara@example.com", []string{"omid@second.example"}, false))
		s.ok(s.SetCatchAll(s.ctx, s.owner, "example.com", "info@second.example"))
		s.addDomain("third.example")
		s.ok(s.SetAliasOf(s.ctx, s.owner, "third.example", "second.example"))
		s.want(s.RemoveDomain(s.ctx, s.owner, "second.example", false), models.Conflict, "domain.not_empty")
		s.ok(s.RemoveDomain(s.ctx, s.owner, "second.example", true))
		if left := s.dump(); strings.Contains(left, "second.example") {
			t.Errorf("something is left:\n%s", left)
		}
		if got := s.states("all@example.com"); !slices.Equal(got, []string{"sara@example.com mailbox"}) {
			t.Error(got)
		}
		if of, err := s.AliasOf(s.ctx, s.owner, "third.example"); of != "" || err != nil {
			t.Error(of, err)
		}
		s.ok(s.RemoveCustomer(s.ctx, s.admin, s.customer.ID, true))
		if left := s.dump(); strings.Contains(left, "@example.com") {
			t.Errorf("something is left:\n%s", left)
		}
	})
}

func TestCatchAllAndAliasDomains(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		other, _ := s.addCustomer("Other", "other@example.net")
		_, err := s.AddDomain(s.ctx, s.admin, NewDomain{Name: "theirs.example", CustomerID: other.ID})
		s.ok(err)
		s.addMailbox("sara@example.com")
		s.ok(s.SetCatchAll(s.ctx, s.owner, "example.com", "sara"))
		s.want(s.SetCatchAll(s.ctx, s.owner, "example.com", "x@theirs.example"), models.Invalid, "catchall.outside")
		s.want(s.SetCatchAll(s.ctx, s.owner, "example.com", "x@example.com"), models.Invalid, "catchall.missing")
		s.addDomain("second.example")
		s.addDomain("third.example")
		s.want(s.SetAliasOf(s.ctx, s.owner, "second.example", "theirs.example"), models.Invalid, "domain.alias_unknown")
		s.want(s.SetAliasOf(s.ctx, s.owner, "second.example", "second.example"), models.Invalid, "domain.alias_self")
		s.want(s.SetAliasOf(s.ctx, s.owner, "example.com", "second.example"), models.Invalid, "domain.alias_full")
		s.ok(s.SetAliasOf(s.ctx, s.owner, "second.example", "example.com"))
		s.want(s.SetAliasOf(s.ctx, s.owner, "third.example", "second.example"), models.Invalid, "domain.alias_chain")
		s.ok(s.RemoveDomain(s.ctx, s.owner, "third.example", false))
		_, err = s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: "x", Domain: "second.example", Password: good})
		s.want(err, models.Invalid, "domain.is_alias")
		_, err = s.AddAlias(s.ctx, s.owner, NewAlias{Local: "x", Domain: "second.example", Targets: []string{"sara@example.com"}})
		s.want(models.Errors(err)[0], models.Invalid, "domain.is_alias")
		s.addAlias("info", "sara@second.example")
		if got := s.states("info@example.com"); !slices.Equal(got, []string{"sara@second.example mailbox"}) {
			t.Error(got)
		}
		s.ok(s.SetAliasOf(s.ctx, s.owner, "second.example", ""))
	})
}

func TestTargetsElsewhereAreAskedFirst(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		p := s.withPost()
		s.addMailbox("sara@example.com")
		s.addAlias("info", "sara", "out@elsewhere.example")
		if got := s.states("info@example.com"); !slices.Equal(got, []string{"sara@example.com mailbox", "out@elsewhere.example waiting"}) {
			t.Error(got)
		}
		if len(p.mails) != 1 || !strings.HasPrefix(p.mails[0], "out@elsewhere.example\n") || !strings.Contains(p.mails[0], "info@example.com") ||
			!strings.Contains(p.mails[0], "موافقید") || !strings.Contains(p.mails[0], "do you agree") {
			t.Fatal(p.mails)
		}
		token := p.token(t)
		if dump := s.dump(); strings.Contains(dump, token) {
			t.Error("the token itself is in the database")
		}
		r, err := s.LinkRequest(s.ctx, token)
		if err != nil || r.From != "info@example.com" || r.To != "out@elsewhere.example" || r.Already {
			t.Fatalf("%+v %v", r, err)
		}
		for _, wrong := range []string{"", token[1:], token[1:] + "A", strings.ToLower(token)} {
			if wrong == token {
				continue
			}
			_, err := s.AgreeTo(s.ctx, wrong)
			s.want(err, models.NotFound, "not_found")
		}
		s.want(s.AskAgain(s.ctx, s.owner, "info@example.com", "out@elsewhere.example"), models.Limited, "target.soon")
		s.clock = s.clock.Add(2 * time.Hour)
		s.ok(s.AskAgain(s.ctx, s.owner, "info@example.com", "out@elsewhere.example"))
		_, err = s.LinkRequest(s.ctx, token) // replaced
		s.want(err, models.NotFound, "not_found")
		s.clock = s.clock.Add(8 * 24 * time.Hour)
		_, err = s.AgreeTo(s.ctx, p.token(t)) // too late
		s.want(err, models.NotFound, "not_found")
		if got := s.states("info@example.com"); got[1] != "out@elsewhere.example expired" {
			t.Error(got)
		}
		s.ok(s.AskAgain(s.ctx, s.owner, "info@example.com", "out@elsewhere.example"))
		token = p.token(t)
		if r, err = s.AgreeTo(s.ctx, token); err != nil || !r.Already {
			t.Errorf("%+v %v", r, err)
		}
		if r, err = s.LinkRequest(s.ctx, token); err != nil || !r.Already {
			t.Errorf("%+v %v", r, err)
		}
		s.ok(s.EditAlias(s.ctx, s.owner, "info@example.com", AliasChange{Kind: models.AliasPlain, Targets: []string{"out@elsewhere.example"}}))
		if got := s.states("info@example.com"); !slices.Equal(got, []string{"out@elsewhere.example verified"}) {
			t.Error(got)
		}
		s.want(s.AskAgain(s.ctx, s.owner, "info@example.com", "out@elsewhere.example"), models.NotFound, "not_found")
	})
}

// TestLinksThatCannotBeMailed wait for the next round, and nobody is flooded.
func TestLinksThatCannotBeMailed(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.ok(s.SetForward(s.ctx, s.owner, "sara@example.com", []string{"out@elsewhere.example"}, true)) // as a command, without mail
		p := s.withPost()
		p.fail = errors.New("no")
		if _, err := s.SendLinks(s.ctx); err == nil {
			t.Error("no error")
		}
		p.fail = nil
		s.clock = s.clock.Add(askAgainAfter[0])
		if n, err := s.SendLinks(s.ctx); n != 1 || err != nil {
			t.Error(n, err)
		}
		if n, err := s.SendLinks(s.ctx); n != 0 || err != nil {
			t.Error(n, err)
		}
		for range 4 { // added and removed again and again
			s.ok(s.SetForward(s.ctx, s.owner, "sara@example.com", nil, true))
			if err := s.SetForward(s.ctx, s.owner, "sara@example.com", []string{"out@elsewhere.example"}, true); err != nil {
				s.want(err, models.Limited, "target.often")
			}
		}
		if len(p.mails) != linksOfADay {
			t.Errorf("%d mails to one address in a day", len(p.mails))
		}
		var many []string
		for i := range maxWaiting + 1 {
			many = append(many, strings.Repeat("x", i+1)+"@elsewhere.example")
		}
		_, err := s.AddAlias(s.ctx, s.owner, NewAlias{Local: "all", Domain: "example.com", Targets: many})
		s.want(err, models.Limited, "target.waiting")
	})
}

// TestOthersMailboxesAreElsewhere: an address of another customer of this server is asked like
// any other, and whether it exists is not told.
func TestOthersMailboxesAreElsewhere(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		p := s.withPost()
		other, them := s.addCustomer("Other", "other@example.net")
		_, err := s.AddDomain(s.ctx, s.admin, NewDomain{Name: "theirs.example", CustomerID: other.ID})
		s.ok(err)
		_, err = s.AddMailbox(s.ctx, s.admin, NewMailbox{Local: "box", Domain: "theirs.example", Password: good})
		s.ok(err)
		_, err = s.AddAlias(s.ctx, them, NewAlias{Local: "secret", Domain: "theirs.example", Targets: []string{"box"}})
		s.ok(err)
		s.addAlias("info", "secret@theirs.example", "nobody@theirs.example")
		for range 2 {
			if got := s.states("info@example.com"); !strings.HasSuffix(got[0], "waiting") || !strings.HasSuffix(got[1], "waiting") {
				t.Error(got)
			}
		}
		for i := range 2 {
			if strings.HasPrefix(p.mails[i], "secret@") {
				p.mails = p.mails[i : i+1]
				break
			}
		}
		_, err = s.AgreeTo(s.ctx, p.token(t))
		s.ok(err)
		mine, err := s.Explain(s.ctx, s.owner, "info@example.com")
		s.ok(err)
		for _, step := range mine.Steps {
			if strings.Contains(step.Address+step.To, "box@") {
				t.Errorf("a step at another customer's: %+v", step)
			}
		}
		if len(mine.Local) != 0 {
			t.Errorf("%+v", mine.Local)
		}
		all, err := s.Explain(s.ctx, s.admin, "info@example.com")
		if err != nil || len(all.Local) != 1 {
			t.Errorf("%+v %v", all, err)
		}
	})
}

func TestAutoReply(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		sara := s.ownerOf("sara@example.com")
		a, err := s.AutoReply(s.ctx, sara, "sara@example.com")
		if err != nil || a.State != models.AutoReplyOff {
			t.Errorf("%+v %v", a, err)
		}
		now := s.now()
		day := models.Micros(24 * time.Hour / time.Microsecond)
		s.want(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Enabled: true}), models.Invalid, "autoreply.empty")
		s.want(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Enabled: true, Body: "x", StartsAt: now + day, EndsAt: now}), models.Invalid, "autoreply.order")
		s.want(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Enabled: true, Body: strings.Repeat("x", 5001)}), models.Invalid, "text.long")
		s.ok(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Enabled: true, Subject: " Away ", Body: "until\r\nMonday", StartsAt: now + day, EndsAt: now + 3*day}))
		for _, want := range []models.AutoReplyState{models.AutoReplyPlanned, models.AutoReplyOn, models.AutoReplyOn, models.AutoReplyEnded} {
			if a, err = s.AutoReply(s.ctx, sara, "sara@example.com"); err != nil || a.State != want || a.Body != "until\nMonday" || a.Subject != "Away" {
				t.Errorf("%+v %v, want %s", a, err, want)
			}
			s.clock = s.clock.Add(24 * time.Hour)
		}
	})
}

func TestAutoReplyIsSentToItself(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		sara := s.ownerOf("sara@example.com")
		send := func(want ...string) {
			t.Helper()
			s.sender.sent = nil
			n, err := s.SendAutoReply(s.ctx, sara, "sara@example.com", "fa")
			if err != nil || n != int64(len(want)) || !slices.Equal(s.sender.sent, want) {
				t.Errorf("%d %v %q", n, err, s.sender.sent)
			}
		}
		_, err := s.SendAutoReply(s.ctx, sara, "sara@example.com", "fa")
		s.want(err, models.Invalid, "autoreply.empty")
		s.want(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Enabled: true, Outside: "only this"}), models.Invalid, "autoreply.empty")
		s.want(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Body: "x", Outside: strings.Repeat("x", 5001)}), models.Invalid, "text.long")
		s.ok(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Body: "back on Monday"}))
		send("sara@example.com fa: back on Monday")
		s.ok(s.SetAutoReply(s.ctx, sara, "sara@example.com", models.AutoReply{Body: "back on Monday", Outside: " away\r\nfor now "}))
		send("sara@example.com fa: back on Monday", "sara@example.com fa: away\nfor now")
	})
}

// fakeQueue notes what is asked of the queue.
type fakeQueue struct {
	Queue
	asked []string
}

func (q *fakeQueue) Hold(_ context.Context, _ models.Scope, f models.QueueFilter) (int64, error) {
	q.asked = append(q.asked, "hold "+f.MailboxID.String())
	return 1, nil
}

func (q *fakeQueue) Release(_ context.Context, _ models.Scope, f models.QueueFilter) (int64, error) {
	q.asked = append(q.asked, "release "+f.MailboxID.String())
	return 1, nil
}

func TestHold(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		q := &fakeQueue{}
		s.config.Queue = q
		m := s.addMailbox("sara@example.com")
		s.want(s.HoldSending(s.ctx, s.owner, m.Address, " "), models.Invalid, "reason.empty")
		s.ok(s.HoldSending(s.ctx, s.owner, m.Address, "a virus"))
		row, err := s.Mailbox(s.ctx, s.owner, m.Address)
		if err != nil || row.HeldAt == 0 || row.HeldReason != "a virus" || row.SendOff {
			t.Errorf("%+v %v", row, err)
		}
		if a, err := s.records.AccountByID(s.ctx, models.AccountMailbox, m.ID); err != nil || !a.Held {
			t.Errorf("%+v %v", a, err)
		}
		s.ok(s.ReleaseSending(s.ctx, s.owner, m.Address))
		s.ok(s.HoldSending(s.ctx, s.admin, m.Address, "spam"))
		s.want(s.ReleaseSending(s.ctx, s.owner, m.Address), models.Denied, "mailbox.held")
		s.ok(s.HoldSending(s.ctx, s.owner, m.Address, "me too"))
		s.want(s.ReleaseSending(s.ctx, s.owner, m.Address), models.Denied, "mailbox.held")
		s.ok(s.ReleaseSending(s.ctx, s.admin, m.Address))
		id := m.ID.String()
		if want := []string{"hold " + id, "release " + id, "hold " + id, "hold " + id, "release " + id}; !slices.Equal(q.asked, want) {
			t.Error(q.asked)
		}
	})
}

// seal stands in for the server's key.
type seal struct{}

func (seal) Seal(plain []byte, context string) (string, error) {
	return "sealed for " + context + " of length " + string(rune('0'+len(plain))), nil
}

func TestRelays(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.config.Secrets = seal{}
		m := s.addMailbox("sara@example.com")
		relay := NewRelay{Owner: m.Address, Host: "SMTP.example", Security: models.RelayStartTLS, Username: "sara", Password: "secret"}
		for key, change := range map[string]func(*NewRelay){
			"relay.host": func(n *NewRelay) { n.Host = "a b" }, "relay.port": func(n *NewRelay) { n.Port = 70000 },
			"relay.security": func(n *NewRelay) { n.Security = "x" }, "relay.clear": func(n *NewRelay) { n.Security, n.Clear = models.RelayNone, true },
			"relay.unread": func(n *NewRelay) { n.Host, n.Security = "10.0.0.25", models.RelayNone },
			"relay.owner":  func(n *NewRelay) { n.Owner = "none.example" }, "relay.password": func(n *NewRelay) { n.Password = "" },
		} {
			n := relay
			change(&n)
			s.want(s.SetRelay(s.ctx, s.admin, n), models.Invalid, key)
		}
		s.ok(s.SetRelay(s.ctx, s.admin, relay))
		again := relay
		again.Password = "" // stays
		s.ok(s.SetRelay(s.ctx, s.admin, again))
		again.Host = "evil.example" // but goes to nobody else
		s.want(s.SetRelay(s.ctx, s.admin, again), models.Invalid, "relay.password")
		s.ok(s.SetRelay(s.ctx, s.admin, NewRelay{Host: "relay.example", Security: models.RelayNone, Clear: true}))
		all, err := s.Relays(s.ctx, s.admin)
		if err != nil || len(all) != 2 || all[0].Owner != "" || all[0].Port != 25 || all[1].Host != "smtp.example" || all[1].Port != 587 ||
			all[1].Secret != "sealed for relay:"+m.ID.String()+" of length 6" {
			t.Errorf("%+v %v", all, err)
		}
		if r, err := s.records.RelayFor(s.ctx, m.ID, m.DomainID); err != nil || r.Host != "smtp.example" {
			t.Errorf("%+v %v", r, err)
		}
		inner := NewRelay{Owner: m.Address, Host: "10.0.0.25", Security: models.RelayStartTLS, Username: "sara", Password: "secret"}
		s.ok(s.SetRelay(s.ctx, s.admin, inner))
		inner.Security, inner.Clear, inner.Password = models.RelayNone, true, "" // a password that went over TLS is not sent in clear unless it is typed again
		s.want(s.SetRelay(s.ctx, s.admin, inner), models.Invalid, "relay.password")
		inner.Password = "secret"
		s.ok(s.SetRelay(s.ctx, s.admin, inner))
		s.ok(s.RemoveRelay(s.ctx, s.admin, m.Address))
		s.want(s.RemoveRelay(s.ctx, s.admin, m.Address), models.NotFound, "not_found")
	})
}
