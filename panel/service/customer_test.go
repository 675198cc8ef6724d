package service

import (
	"testing"

	"github.com/postchi/postchi/models"
)

func TestAddDomain(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		add := func(v Viewer, n NewDomain) (*models.Domain, error) { return s.AddDomain(s.ctx, v, n) }
		d, err := add(s.admin, NewDomain{Name: "https://www.Two.example/", CustomerID: s.customer.ID})
		s.ok(err)
		if d.Name != "two.example" || d.State != models.DomainActive || d.CustomerID != s.customer.ID {
			t.Errorf("%+v", d)
		}
		_, err = add(s.admin, NewDomain{Name: "two.example", CustomerID: s.customer.ID})
		s.want(err, models.Conflict, "domain.taken")
		_, err = add(s.admin, NewDomain{Name: "nonsense", CustomerID: s.customer.ID})
		if e := s.want(err, models.Invalid, "address.domain_short"); e.Field != "name" {
			t.Error(e.Field)
		}
		_, err = add(s.admin, NewDomain{Name: "three.example"})
		s.want(err, models.Invalid, "domain.customer")
		_, err = add(s.admin, NewDomain{Name: "three.example", CustomerID: 99})
		s.want(err, models.NotFound, "not_found")
		all := models.Errors(func() error { _, err := add(s.admin, NewDomain{Name: "192.0.2.1"}); return err }())
		if len(all) != 2 || all[0].Field != "name" || all[1].Field != "customer" {
			t.Error(all)
		}

		// A customer's own is pending, and stands in nobody's way.
		other, viewer := s.addCustomer("Other", "other@example.net")
		d, err = add(viewer, NewDomain{Name: "two.example"})
		s.ok(err)
		if d.State != models.DomainPending || d.ActiveName != nil || d.CustomerID != other.ID {
			t.Errorf("%+v", d)
		}
		_, err = add(viewer, NewDomain{Name: "two.example"})
		s.want(err, models.Conflict, "domain.taken")
		_, err = add(viewer, NewDomain{Name: "x.example", CustomerID: s.customer.ID})
		s.want(err, models.NotFound, "not_found")
		_, err = add(viewer, NewDomain{Name: "x.example", NewCustomerName: "Mine"})
		s.want(err, models.NotFound, "not_found")
		s.want(s.ActivateDomain(s.ctx, s.admin, "two.example", other.ID), models.Conflict, "domain.taken")
		_, err = add(viewer, NewDomain{Name: "own.example"})
		s.ok(err)
		s.want(s.ActivateDomain(s.ctx, viewer, "own.example", 0), models.NotFound, "not_found")
		s.ok(s.ActivateDomain(s.ctx, s.admin, "own.example", 0))
		row, err := s.Domain(s.ctx, viewer, "OWN.example")
		if err != nil || row.State != models.DomainActive || row.Customer != "Other" {
			t.Error(row, err)
		}
	})
}

func TestProofIsASetting(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.config.Proof = "none"
		d, err := s.AddDomain(s.ctx, s.owner, NewDomain{Name: "a.example"})
		s.ok(err)
		s.config.Proof, s.config.DevMode = "required", true
		e, err := s.AddDomain(s.ctx, s.owner, NewDomain{Name: "b.example"})
		s.ok(err)
		if d.State != models.DomainActive || e.State != models.DomainActive {
			t.Error(d.State, e.State)
		}
	})
}

func TestADomainWithANewCustomer(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		n := NewDomain{Name: "new.example", NewCustomerName: "New", FirstUser: &NewUser{Email: "U@new.example", Password: good, Language: "fa"}}
		d, err := s.AddDomain(s.ctx, s.admin, n)
		s.ok(err)
		c, err := s.CustomerByName(s.ctx, s.admin, "New")
		s.ok(err)
		users, err := s.Users(s.ctx, s.admin, c.ID)
		if err != nil || d.CustomerID != c.ID || c.Domains != 1 || len(users) != 1 || users[0].Email != "u@new.example" || users[0].Role != models.RoleCustomer {
			t.Error(c, users, err)
		}
		// All or nothing.
		_, err = s.AddDomain(s.ctx, s.admin, NewDomain{Name: "new.example", NewCustomerName: "Newer"})
		s.want(err, models.Conflict, "domain.taken")
		_, err = s.CustomerByName(s.ctx, s.admin, "Newer")
		s.want(err, models.NotFound, "not_found")
		_, err = s.AddDomain(s.ctx, s.admin, NewDomain{Name: "x.example", NewCustomerName: "New"})
		if e := s.want(err, models.Conflict, "customer.taken"); e.Field != "customer" {
			t.Error(e.Field)
		}
	})
}

func TestDomainRoles(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addDomain("two.example")
		s.addMailbox("sara@example.com")
		s.addMailbox("gone@example.com")
		s.addMailbox("far@two.example")
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "gone@example.com"))
		s.ok(s.SetDomainRoles(s.ctx, s.owner, "example.com", "Sara@example.com", ""))
		all := models.Errors(s.SetDomainRoles(s.ctx, s.owner, "example.com", "gone@example.com", "far@two.example"))
		if len(all) != 2 || all[0].Key != "domain.role" || all[0].Field != "postmaster" || all[1].Field != "abuse" {
			t.Error(all)
		}
		s.want(s.SetDomainRoles(s.ctx, s.owner, "example.com", "nobody@example.com", ""), models.Invalid, "domain.role")
		d, err := s.Domain(s.ctx, s.owner, "example.com")
		if err != nil || d.PostmasterID == nil || d.AbuseID != nil {
			t.Error(d, err)
		}
		s.ok(s.SetDomainRoles(s.ctx, s.owner, "example.com", "", ""))
	})
}

func TestRemoveDomainAndCustomer(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addDomain("empty.example")
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "omid@example.com"))
		if e := s.want(s.RemoveDomain(s.ctx, s.owner, "example.com", false), models.Conflict, "domain.not_empty"); e.Args["n"] != int64(2) {
			t.Error(e.Args)
		}
		s.ok(s.RemoveDomain(s.ctx, s.owner, "empty.example", false))
		s.want(s.RemoveCustomer(s.ctx, s.admin, s.customer.ID, false), models.Conflict, "customer.not_empty")
		s.want(s.RemoveCustomer(s.ctx, s.owner, s.customer.ID, true), models.NotFound, "not_found")
		s.ok(s.PurgeMailbox(s.ctx, s.owner, "sara@example.com"))
		s.want(s.RemoveDomain(s.ctx, s.owner, "example.com", false), models.Conflict, "domain.not_empty") // the bin counts
		s.mail.fail = models.Unavailablef(nil, "away")
		s.want(s.RemoveDomain(s.ctx, s.owner, "example.com", true), models.Unavailable, "unavailable")
		s.ok(s.RemoveDomain(s.ctx, s.owner, "example.com", true))
		s.expect(0, 0, 0)
		_, err := s.Domain(s.ctx, s.owner, "example.com")
		s.want(err, models.NotFound, "not_found")

		s.addDomain("again.example")
		s.addMailbox("sara@again.example")
		s.ok(s.RemoveCustomer(s.ctx, s.admin, s.customer.ID, true))
		for table, want := range map[string]int{"customers": 0, "users": 0, "domains": 0, "mailboxes": 0, "addresses": 0, "mailbox_state": 0} {
			var n int
			s.ok(s.d.SQL().QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n))
			if n != want {
				t.Errorf("%d rows left in %s", n, table)
			}
		}
	})
}

func TestCustomers(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		_, err := s.AddCustomer(s.ctx, s.admin, NewCustomer{Name: " Example "})
		s.want(err, models.Conflict, "customer.taken")
		_, err = s.AddCustomer(s.ctx, s.admin, NewCustomer{Name: "  "})
		s.want(err, models.Invalid, "name.empty")
		_, err = s.AddCustomer(s.ctx, s.admin, NewCustomer{Name: "X", User: &NewUser{Email: "owner@example.net", Password: good}})
		s.want(err, models.Conflict, "user.taken")
		_, err = s.CustomerByName(s.ctx, s.admin, "X")
		s.want(err, models.NotFound, "not_found")
		s.addCustomer("Second", "second@example.net")
		s.want(s.RenameCustomer(s.ctx, s.admin, s.customer.ID, "Second", ""), models.Conflict, "customer.taken")
		s.ok(s.RenameCustomer(s.ctx, s.admin, s.customer.ID, "First", "whmcs-7"))
		page, err := s.Customers(s.ctx, s.admin, Query{Search: "WHMCS"})
		if err != nil || page.Total != 1 || page.Items[0].Name != "First" || page.Items[0].Domains != 1 {
			t.Error(page, err)
		}
		s.want(s.SuspendCustomer(s.ctx, s.admin, 5, "x", true), models.NotFound, "not_found")
	})
}

func TestUsers(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		has, err := s.HasAdmin(s.ctx)
		if has || err != nil {
			t.Error(has, err)
		}
		u, err := s.AddUser(s.ctx, s.admin, NewUser{Email: "Admin@localhost", Role: models.RoleAdmin, Password: good})
		s.ok(err)
		if u.Email != "admin@localhost" || u.CustomerID != nil || u.PasswordHash != "hash of "+good {
			t.Errorf("%+v", u)
		}
		me := Viewer{UserID: u.ID, Role: models.RoleAdmin, Name: u.Email}
		for _, tt := range []struct {
			n   NewUser
			key string
		}{
			{NewUser{Email: "admin@localhost", Role: models.RoleAdmin, Password: good}, "user.taken"},
			{NewUser{Email: "nonsense", Role: models.RoleAdmin, Password: good}, "address.noat"},
			{NewUser{Email: "a@b.example", Role: "root", Password: good}, "user.role"},
			{NewUser{Email: "a@b.example", Role: models.RoleCustomer, Password: good}, "user.customer"},
			{NewUser{Email: "a@b.example", Role: models.RoleAdmin, Password: "x"}, "password.short"},
			{NewUser{Email: "a@b.example", Role: models.RoleCustomer, CustomerID: 77, Password: good}, "not_found"},
		} {
			_, err := s.AddUser(s.ctx, s.admin, tt.n)
			if all := models.Errors(err); len(all) != 1 || all[0].Key != tt.key {
				t.Errorf("%+v: %v", tt.n, err)
			}
		}
		s.want(s.SetOwnPassword(s.ctx, me, "wrong", good+"2"), models.Denied, "password.wrong")
		s.want(s.SetOwnPassword(s.ctx, me, good, "short"), models.Invalid, "password.short")
		s.ok(s.SetOwnPassword(s.ctx, me, good, good+"2"))
		s.ok(s.SetUserPassword(s.ctx, me, u.ID, good+"3"))
		s.want(s.SetOwnPassword(s.ctx, Console(), good, good+"2"), models.NotFound, "not_found")
		s.ok(s.SetLanguage(s.ctx, me, "fa"))
		s.want(s.SetLanguage(s.ctx, me, "de"), models.Invalid, "user.language")
		if u, err = s.UserByEmail(s.ctx, s.admin, "ADMIN@localhost"); err != nil || u.Language != "fa" || u.PasswordHash != "hash of "+good+"3" {
			t.Error(u, err)
		}
		s.want(s.RemoveUser(s.ctx, me, u.ID), models.Conflict, "user.self")
		s.want(s.RemoveUser(s.ctx, s.admin, u.ID), models.Conflict, "user.last_admin")
		second, err := s.AddUser(s.ctx, me, NewUser{Email: "b@localhost", Role: models.RoleAdmin, Password: good})
		s.ok(err)
		s.ok(s.RemoveUser(s.ctx, me, second.ID))
		s.ok(s.RemoveUser(s.ctx, me, s.owner.UserID))
		if has, err = s.HasAdmin(s.ctx); !has || err != nil {
			t.Error(has, err)
		}
	})
}

func TestHome(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.addDomain("empty.example")
		_, err := s.AddDomain(s.ctx, s.owner, NewDomain{Name: "claim.example"})
		s.ok(err)
		s.use("sara@example.com", 1000)
		s.use("omid@example.com", 960)
		s.ok(s.SetCustomerLimits(s.ctx, s.admin, s.customer.ID, CustomerLimits{Mailboxes: 9}))
		sara, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.ok(err)
		until := models.At(s.clock) + 60e6
		s.ok(s.records.SaveBlock(s.ctx, models.LoginBlock{Network: "192.0.2.1", MailboxID: sara.ID, Until: until}))
		o, err := s.Home(s.ctx, s.owner)
		s.ok(err)
		if o.Totals != (models.Totals{Customers: 1, Domains: 3, Mailboxes: 2, Used: 1960, Allocated: 2000}) || o.Limits.Mailboxes != 9 {
			t.Errorf("%+v", o)
		}
		var got string
		for _, p := range o.Problems {
			got += p.Key + " " + p.Domain + p.Mailbox + "; "
		}
		if want := "no_mailbox empty.example; pending claim.example; full sara@example.com; nearly_full omid@example.com; blocked sara@example.com; "; got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		if o.Problems[3].Args["percent"] != int64(96) {
			t.Error(o.Problems[3].Args)
		}
		if o, err = s.Home(s.ctx, s.admin); err != nil || o.Totals.Customers != 1 || o.Totals.Used != 1960 {
			t.Errorf("%+v %v", o, err)
		}
		s.ok(s.Unblock(s.ctx, s.owner, "sara@example.com", "192.0.2.1"))
		if blocks, err := s.Blocks(s.ctx, s.owner, "sara@example.com"); err != nil || len(blocks) != 0 {
			t.Error(blocks, err)
		}
		s.ok(s.SendTest(s.ctx, s.owner, "sara@example.com", "fa"))
		if len(s.sender.sent) != 1 || s.sender.sent[0] != "sara@example.com fa" {
			t.Error(s.sender.sent)
		}
	})
}
