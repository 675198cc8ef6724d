package store

import (
	"errors"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

func TestResolve(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.addDomain(f.customer, "other.example", true)
		empty := f.addDomain(f.customer, "empty.example", true)
		pending := f.addDomain(f.customer, "pending.example", false)
		f.addMailbox(pending, "sara", nil)
		quiet := f.addCustomer("Quiet")
		quiet.Suspended, quiet.SuspendReceive, quiet.Reason = true, true, "not paid"
		f.ok(f.UpdateCustomer(f.ctx, quiet))
		f.addMailbox(f.addDomain(quiet, "quiet.example", true), "sara", nil)
		late := f.addCustomer("Late")
		late.Suspended, late.Reason = true, "not paid"
		f.ok(f.UpdateCustomer(f.ctx, late))
		f.addMailbox(f.addDomain(late, "late.example", true), "sara", nil)

		sara := f.addMailbox(f.domain, "sara", func(m *models.Mailbox) { m.QuotaBytes, m.QuotaMessages = 7, 8 })
		f.addMailbox(f.domain, "omid", func(m *models.Mailbox) { m.ReceiveOff, m.Reason = true, "left us" })
		f.addMailbox(f.domain, "silent", func(m *models.Mailbox) { m.SendOff, m.Reason = true, "private" })
		f.addMailbox(f.domain, "gone", func(m *models.Mailbox) { m.DeletedAt = 5 })
		reza := f.addMailbox(f.domain, "reza", nil)
		f.addMailbox(other, "sara", nil)
		f.domain.AbuseID = &reza.ID
		f.ok(f.UpdateDomain(f.ctx, f.domain))

		tests := []struct{ to, mailbox, key, reason string }{
			{"sara@example.com", "sara@example.com", "", ""},
			{"SARA@example.com", "sara@example.com", "", ""},
			{"sara+news@example.com", "sara@example.com", "", ""},
			{"sara@other.example", "sara@other.example", "", ""},
			{"omid@example.com", "omid@example.com", "", "left us"},
			{"silent@example.com", "silent@example.com", "", ""},
			{"sara@quiet.example", "sara@quiet.example", "", "not paid"},
			{"sara@late.example", "sara@late.example", "", ""},
			{"postmaster@example.com", "sara@example.com", "", ""},
			{"Postmaster+x@example.com", "sara@example.com", "", ""},
			{"abuse@example.com", "reza@example.com", "", ""},
			{"abuse@other.example", "sara@other.example", "", ""},
			{"postmaster@" + empty.Name, "", "recipient.nobody_yet", ""},
			{"nobody@" + empty.Name, "", "recipient.unknown", ""},
			{"nobody@example.com", "", "recipient.unknown", ""},
			{"nobody+sara@example.com", "", "recipient.unknown", ""},
			{"mailer-daemon@example.com", "", "recipient.unknown", ""},
			{"gone@example.com", "", "recipient.unknown", ""},
			{"gone+x@example.com", "", "recipient.unknown", ""},
			{"sara%other.example@example.com", "", "recipient.unknown", ""},
			{"sara@elsewhere.example", "", "recipient.elsewhere", ""},
			{"postmaster@elsewhere.example", "", "recipient.elsewhere", ""},
			{"sara@pending.example", "", "recipient.elsewhere", ""},
			{"sara@sub.example.com", "", "recipient.elsewhere", ""},
		}
		for _, tt := range tests {
			addr, err := address.Parse(tt.to)
			f.ok(err)
			r, err := f.Resolve(f.ctx, addr)
			var e *models.Error
			if errors.As(err, &e); (e == nil) != (tt.key == "") || e != nil && e.Key != tt.key {
				t.Errorf("%s: %v, want %q", tt.to, err, tt.key)
				continue
			}
			if err != nil {
				continue
			}
			if r.Mailbox != tt.mailbox || r.Reason != tt.reason || r.ReceiveOff != (tt.reason != "") || r.Address != addr.String() {
				t.Errorf("%s: %+v", tt.to, r)
			}
		}
		addr, _ := address.Parse("sara+x@example.com")
		r, err := f.Resolve(f.ctx, addr)
		if err != nil || r.MailboxID != sara.ID || r.CustomerID != f.customer.ID || r.DomainID != f.domain.ID || r.QuotaBytes != 7 || r.QuotaMessages != 8 || r.Address != "sara+x@example.com" {
			t.Errorf("%+v %v", r, err)
		}
	})
}

func TestResolveKinds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for to, kind := range map[string]models.Kind{"x@example.com": models.NotFound, "x@elsewhere.example": models.Denied, "abuse@example.com": models.Unavailable} {
			addr, _ := address.Parse(to)
			if _, err := f.Resolve(f.ctx, addr); !models.Is(err, kind) {
				t.Errorf("%s: %v", to, err)
			}
		}
	})
}

func TestRoleAddressesFollowTheLiving(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, second, third := f.addMailbox(f.domain, "first", nil), f.addMailbox(f.domain, "second", nil), f.addMailbox(f.domain, "third", nil)
		f.domain.PostmasterID = &third.ID
		f.ok(f.UpdateDomain(f.ctx, f.domain))
		addr, _ := address.Parse("postmaster@example.com")
		expect := func(want *models.Mailbox) {
			t.Helper()
			r, err := f.Resolve(f.ctx, addr)
			if err != nil || r.MailboxID != want.ID {
				t.Fatalf("%+v %v, want %s", r, err, want.Address)
			}
		}
		expect(third)
		third.DeletedAt = 9
		f.ok(f.UpdateMailboxBin(f.ctx, third))
		expect(first)
		first.ReceiveOff = true
		f.ok(f.UpdateMailbox(f.ctx, first))
		expect(second)
		f.ok(f.DeleteMailbox(f.ctx, second.ID))
		expect(first)
		third.DeletedAt = 0
		f.ok(f.UpdateMailboxBin(f.ctx, third))
		expect(third)
		f.ok(f.DeleteMailbox(f.ctx, third.ID))
		if d, err := f.DomainByID(f.ctx, models.Everything(), f.domain.ID); err != nil || d.PostmasterID != nil {
			t.Error(d, err)
		}
	})
}

func TestAccounts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		sara := f.addMailbox(f.domain, "sara", func(m *models.Mailbox) { m.SendOff, m.Reason = true, "spam" })
		id := f.customer.ID
		user := &models.User{ID: f.NewID(), Email: "u@example.com", Role: models.RoleCustomer, CustomerID: &id, PasswordHash: "uh"}
		admin := &models.User{ID: f.NewID(), Email: "admin@localhost", Role: models.RoleAdmin, PasswordHash: "ah"}
		f.ok(f.InsertUser(f.ctx, user))
		f.ok(f.InsertUser(f.ctx, admin))

		a, err := f.MailboxAccount(f.ctx, "sara@example.com")
		if err != nil || a.ID != sara.ID || a.Hash != "hash" || a.LoginOff || !a.SendOff || a.Reason != "spam" || a.Deleted || a.CustomerID != id || a.DomainID != f.domain.ID {
			t.Fatalf("%+v %v", a, err)
		}
		f.customer.Suspended, f.customer.Reason = true, "not paid"
		f.ok(f.UpdateCustomer(f.ctx, f.customer))
		a, err = f.AccountByID(f.ctx, models.AccountMailbox, sara.ID)
		if err != nil || !a.LoginOff || !a.SendOff || a.Reason != "not paid" {
			t.Fatalf("%+v %v", a, err)
		}
		a, err = f.UserAccount(f.ctx, "u@example.com")
		if err != nil || a.Kind != models.AccountUser || !a.LoginOff || a.Reason != "not paid" || a.CustomerID != id || a.Role != models.RoleCustomer {
			t.Fatalf("%+v %v", a, err)
		}
		a, err = f.AccountByID(f.ctx, models.AccountUser, admin.ID)
		if err != nil || a.LoginOff || a.CustomerID != 0 || a.Name != "admin@localhost" || a.Hash != "ah" {
			t.Fatalf("%+v %v", a, err)
		}
		f.customer.Suspended = false
		f.ok(f.UpdateCustomer(f.ctx, f.customer))
		a, err = f.MailboxAccount(f.ctx, "sara@example.com")
		if err != nil || a.LoginOff || !a.SendOff || a.Reason != "spam" {
			t.Fatalf("own switches are back: %+v %v", a, err)
		}
		sara.DeletedAt = 3
		f.ok(f.UpdateMailboxBin(f.ctx, sara))
		if a, err = f.MailboxAccount(f.ctx, "sara@example.com"); err != nil || !a.Deleted {
			t.Fatalf("%+v %v", a, err)
		}
		for _, missing := range []func() (*models.Account, error){
			func() (*models.Account, error) { return f.MailboxAccount(f.ctx, "x@example.com") },
			func() (*models.Account, error) { return f.UserAccount(f.ctx, "' OR 1=1 --") },
			func() (*models.Account, error) { return f.AccountByID(f.ctx, models.AccountMailbox, 4) },
		} {
			if _, err := missing(); !models.Is(err, models.NotFound) {
				t.Error(err)
			}
		}
	})
}

func TestAnActiveDomainsMailboxComesBeforeAClaims(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		thief := f.addCustomer("Thief")
		f.addMailbox(f.addDomain(thief, "victim.example", false), "sara", nil)
		real := f.addMailbox(f.addDomain(f.customer, "victim.example", true), "sara", nil)
		if a, err := f.MailboxAccount(f.ctx, "sara@victim.example"); err != nil || a.ID != real.ID {
			t.Error(a, err)
		}
		if m, err := f.Mailbox(f.ctx, models.Everything(), "sara@victim.example"); err != nil || m.ID != real.ID {
			t.Error(m, err)
		}
	})
}

func TestRehashComparesAndSwaps(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		m := f.addMailbox(f.domain, "sara", nil)
		f.ok(f.Rehash(f.ctx, models.AccountMailbox, m.ID, "other", "new"))
		if a, _ := f.MailboxAccount(f.ctx, m.Address); a.Hash != "hash" {
			t.Error("a changed password was overwritten")
		}
		f.ok(f.Rehash(f.ctx, models.AccountMailbox, m.ID, "hash", "new"))
		if a, _ := f.MailboxAccount(f.ctx, m.Address); a.Hash != "new" {
			t.Error(a.Hash)
		}
	})
}
