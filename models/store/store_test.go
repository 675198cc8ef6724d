package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// fixture is a store with one customer and one domain.
type fixture struct {
	*Store
	t        testing.TB
	ctx      context.Context
	customer *models.Customer
	domain   *models.Domain
}

func each(t *testing.T, fn func(t *testing.T, f *fixture)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, newFixture(t, d)) })
}

func newFixture(t testing.TB, d *db.DB) *fixture {
	t.Helper()
	s, err := New(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Store: s, t: t, ctx: t.Context()}
	f.customer = f.addCustomer("Example")
	f.domain = f.addDomain(f.customer, "example.com", true)
	return f
}

func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) addCustomer(name string) *models.Customer {
	f.t.Helper()
	c := &models.Customer{ID: f.NewID(), Name: name, CreatedAt: 1, UpdatedAt: 1}
	f.ok(f.InsertCustomer(f.ctx, c))
	return c
}

func (f *fixture) addDomain(c *models.Customer, name string, active bool) *models.Domain {
	f.t.Helper()
	d := &models.Domain{ID: f.NewID(), CustomerID: c.ID, Name: name, State: models.DomainPending, CreatedAt: 1, UpdatedAt: 1}
	if active {
		d.State, d.ActiveName = models.DomainActive, &d.Name
	}
	f.ok(f.InsertDomain(f.ctx, d))
	return d
}

// addMailbox adds a mailbox with its address; change may be nil.
func (f *fixture) addMailbox(d *models.Domain, local string, change func(*models.Mailbox)) *models.Mailbox {
	f.t.Helper()
	m := &models.Mailbox{ID: f.NewID(), CustomerID: d.CustomerID, DomainID: d.ID, Address: local + "@" + d.Name, PasswordHash: "hash", CreatedAt: 1, UpdatedAt: 1, PasswordAt: 1}
	if change != nil {
		change(m)
	}
	f.ok(f.Write(f.ctx, func(ctx context.Context) error {
		a := &models.Address{ID: f.NewID(), DomainID: d.ID, Local: local, Kind: models.AddressMailbox, MailboxID: &m.ID, CreatedAt: 1}
		if err := f.InsertAddress(ctx, a); err != nil {
			return err
		}
		return f.InsertMailbox(ctx, m)
	}))
	return m
}

func TestCountersCannotPassALimit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.customer.MaxMailboxes, f.customer.MaxStorage, f.customer.MaxDomains = 10, 1000, 3
		f.ok(f.UpdateCustomer(f.ctx, f.customer))
		var wg sync.WaitGroup
		var mu sync.Mutex
		passed := 0
		for range 40 {
			wg.Go(func() {
				ok, err := f.Charge(f.ctx, f.customer.ID, 0, 1, 70)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					passed++
				}
			})
		}
		wg.Wait()
		c, err := f.Customer(f.ctx, models.Everything(), f.customer.ID)
		if err != nil || passed != 10 || c.Mailboxes != 10 || c.Allocated != 700 {
			t.Fatalf("%d passed; %+v, %v", passed, c, err)
		}
		if ok, err := f.Charge(f.ctx, f.customer.ID, 0, 0, 301); ok || err != nil {
			t.Error("storage over its limit", ok, err)
		}
		if ok, err := f.Charge(f.ctx, f.customer.ID, 3, 0, 300); !ok || err != nil {
			t.Error("exactly the limit", ok, err)
		}
		// Lowered below what is given out, nothing more goes out, but all may come back.
		f.customer.MaxStorage = 100
		f.ok(f.UpdateCustomer(f.ctx, f.customer))
		if ok, _ := f.Charge(f.ctx, f.customer.ID, 0, 0, 1); ok {
			t.Error("gave out beyond a lowered limit")
		}
		if ok, _ := f.Charge(f.ctx, f.customer.ID, -3, -10, -1000); !ok {
			t.Error("refused to take back")
		}
		if ok, err := f.Charge(f.ctx, 12345, 0, 1, 0); ok || err != nil {
			t.Error("a customer that is not there", ok, err)
		}
	})
}

func TestUpdateCustomerLeavesCountersAlone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if ok, err := f.Charge(f.ctx, f.customer.ID, 1, 2, 3); !ok {
			t.Fatal(err)
		}
		f.customer.Name = "Renamed"
		f.ok(f.UpdateCustomer(f.ctx, f.customer))
		c, err := f.CustomerByName(f.ctx, models.Everything(), "Renamed")
		if err != nil || c.Domains != 1 || c.Mailboxes != 2 || c.Allocated != 3 {
			t.Fatal(c, err)
		}
	})
}

func TestUniqueIndexesAnswerConflict(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.addMailbox(f.domain, "sara", nil)
		other := f.addCustomer("Other")
		again := models.Domain{ID: f.NewID(), CustomerID: other.ID, Name: "example.com", ActiveName: &f.domain.Name, State: models.DomainActive}
		user := models.User{ID: f.NewID(), Email: "u@example.com", Role: models.RoleAdmin}
		f.ok(f.InsertUser(f.ctx, &user))
		twice := user
		twice.ID = f.NewID()
		for what, err := range map[string]error{
			"customer": f.InsertCustomer(f.ctx, &models.Customer{ID: f.NewID(), Name: "Example"}),
			"rename":   f.UpdateCustomer(f.ctx, &models.Customer{ID: other.ID, Name: "Example"}),
			"domain":   f.InsertDomain(f.ctx, &again),
			"address":  f.InsertAddress(f.ctx, &models.Address{ID: f.NewID(), DomainID: f.domain.ID, Local: "sara", Kind: models.AddressMailbox}),
			"user":     f.InsertUser(f.ctx, &twice),
		} {
			if !models.Is(err, models.Conflict) {
				t.Errorf("%s: %v", what, err)
			}
		}
		again.ActiveName = nil
		f.ok(f.InsertDomain(f.ctx, &again)) // any number of unproven claims
		d, err := f.Domain(f.ctx, models.Everything(), "example.com")
		if err != nil || d.ID != f.domain.ID {
			t.Error("the active claim is the one meant", d, err)
		}
		d, err = f.Domain(f.ctx, models.OfCustomer(other.ID), "example.com")
		if err != nil || d.ID != again.ID {
			t.Error("a customer's own claim", d, err)
		}
	})
}

func TestWriteIsAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		err := f.Write(f.ctx, func(ctx context.Context) error {
			if ok, err := f.Charge(ctx, f.customer.ID, 0, 5, 5); !ok || err != nil {
				return fmt.Errorf("charge: %v %v", ok, err)
			}
			c, err := f.Customer(ctx, models.Everything(), f.customer.ID)
			if err != nil || c.Mailboxes != 5 {
				return fmt.Errorf("own write not seen: %+v %v", c, err)
			}
			return models.Errorf(models.Invalid, "x", "no")
		})
		if !models.Is(err, models.Invalid) {
			t.Fatal(err)
		}
		if c, _ := f.Customer(f.ctx, models.Everything(), f.customer.ID); c.Mailboxes != 0 {
			t.Error("half of it stayed", c)
		}
	})
}

func TestChangesAreAnnounced(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		heard := make(chan db.Change, 100)
		stop := f.d.Watch(func(changes []db.Change) {
			for _, c := range changes {
				heard <- c
			}
		})
		defer stop()
		m := f.addMailbox(f.domain, "sara", nil)
		m.LoginOff = true
		f.ok(f.UpdateMailbox(f.ctx, m))
		f.ok(f.DeleteBlocks(f.ctx, 0, "192.0.2.1"))
		want := map[db.Change]bool{{Kind: db.ChangedMailbox, ID: m.ID}: true, {Kind: db.ChangedLimits}: true}
		for deadline := time.After(10 * time.Second); len(want) > 0; {
			select {
			case c := <-heard:
				delete(want, c)
			case <-deadline:
				t.Fatal("not told of", want)
			}
		}
	})
}

func TestNotFoundOutsideTheScope(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.addMailbox(f.domain, "sara", nil)
		id := f.customer.ID
		u := &models.User{ID: f.NewID(), Email: "u@example.com", Role: models.RoleCustomer, CustomerID: &id}
		admin := &models.User{ID: f.NewID(), Email: "a@example.com", Role: models.RoleAdmin}
		f.ok(f.InsertUser(f.ctx, u))
		f.ok(f.InsertUser(f.ctx, admin))
		for name, scope := range map[string]models.Scope{"other": models.OfCustomer(f.addCustomer("Other").ID), "none": {}} {
			_, errs := f.Customer(f.ctx, scope, id)
			_, err2 := f.Domain(f.ctx, scope, "example.com")
			_, err3 := f.DomainByID(f.ctx, scope, f.domain.ID)
			_, err4 := f.Mailbox(f.ctx, scope, "sara@example.com")
			_, err5 := f.User(f.ctx, scope, u.ID)
			_, err6 := f.User(f.ctx, scope, admin.ID)
			_, err7 := f.UserByEmail(f.ctx, scope, "u@example.com")
			_, err8 := f.CustomerByName(f.ctx, scope, "Example")
			for i, err := range []error{errs, err2, err3, err4, err5, err6, err7, err8} {
				if !models.Is(err, models.NotFound) {
					t.Errorf("%s %d: %v", name, i, err)
				}
			}
			domains, err := f.Domains(f.ctx, scope, models.Query{CustomerID: id})
			mailboxes, err2 := f.Mailboxes(f.ctx, scope, models.Query{DomainID: f.domain.ID})
			users, err3 := f.Users(f.ctx, scope, 0)
			totals, err4 := f.Totals(f.ctx, scope)
			if err != nil || err2 != nil || err3 != nil || err4 != nil || domains.Total+mailboxes.Total+int64(len(users))+totals.Mailboxes != 0 {
				t.Errorf("%s: %v %v %v %v %v", name, domains, mailboxes, users, totals, err)
			}
		}
		own := models.OfCustomer(id)
		if _, err := f.User(f.ctx, own, admin.ID); !models.Is(err, models.NotFound) {
			t.Error("an administrator is no customer's", err)
		}
		if users, _ := f.Users(f.ctx, own, 0); len(users) != 1 {
			t.Error(users)
		}
	})
}

func TestUsersAndSettings(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		u := &models.User{ID: f.NewID(), Email: "a@example.com", Role: models.RoleAdmin, PasswordHash: "x"}
		f.ok(f.InsertUser(f.ctx, u))
		u.Language, u.PasswordHash, u.Role = "fa", "y", models.RoleCustomer
		f.ok(f.UpdateUser(f.ctx, u))
		got, err := f.UserByEmail(f.ctx, models.Everything(), "a@example.com")
		if err != nil || got.Language != "fa" || got.PasswordHash != "y" || got.Role != models.RoleAdmin {
			t.Error("the role is not an update's business", got, err)
		}
		ids, err := f.LockAdmins(f.ctx)
		if err != nil || len(ids) != 1 {
			t.Error(ids, err)
		}
		f.ok(f.Write(f.ctx, func(ctx context.Context) error { ids, err = f.LockAdmins(ctx); return err }))
		f.ok(f.DeleteUser(f.ctx, u.ID))
		if err := f.DeleteUser(f.ctx, u.ID); !models.Is(err, models.NotFound) {
			t.Error(err)
		}
		if _, err := f.Setting(f.ctx, "x"); !models.Is(err, models.NotFound) {
			t.Error(err)
		}
		f.ok(f.SetSetting(f.ctx, "x", "1"))
		f.ok(f.SetSetting(f.ctx, "x", "2"))
		if v, err := f.Setting(f.ctx, "x"); v != "2" || err != nil {
			t.Error(v, err)
		}
	})
}

func TestAClosedDatabaseIsUnavailable(t *testing.T) {
	f := newFixture(t, dbtest.Open(t, dbtest.SQLite(t)))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	if _, err := f.Customer(ctx, models.Everything(), 1); !models.Is(err, models.Unavailable) {
		t.Error(err)
	}
	if err := f.SetSetting(ctx, "a", "b"); !models.Is(err, models.Unavailable) {
		t.Error(err)
	}
}
