package service

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

const good = "gk3v-8dq2-xw9m"

// mailbox states stand for the mail store: one row for each mailbox, in the transaction of the
// accounts.
type fakeMail struct {
	d       *db.DB
	mu      sync.Mutex
	fail    error // of the next RemoveMailbox
	removed []models.ID
}

func (m *fakeMail) CreateMailbox(ctx context.Context, id models.ID) error {
	return m.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO mailbox_state (mailbox_id) VALUES (?)", id)
		return err
	})
}

func (m *fakeMail) RemoveMailbox(ctx context.Context, id models.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail; err != nil {
		m.fail = nil
		return err
	}
	m.removed = append(m.removed, id)
	return m.d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM mailbox_state WHERE mailbox_id = ?", id)
		return err
	})
}

func (m *fakeMail) Recount(context.Context, models.ID, bool) (models.Drift, error) {
	return models.Drift{Fixed: true, Folders: 1}, nil
}

type fakeSender struct{ sent []string }

func (f *fakeSender) SendTest(_ context.Context, m *models.Mailbox, language string) error {
	f.sent = append(f.sent, m.Address+" "+language)
	return nil
}

func (f *fakeSender) SendAutoReply(_ context.Context, m *models.Mailbox, a *models.AutoReply, inside bool, language string) error {
	f.sent = append(f.sent, m.Address+" "+language+": "+a.Text(inside))
	return nil
}

// site is a service with a customer "Example", its user, and the domain example.com.
type site struct {
	*Service
	t        testing.TB
	ctx      context.Context
	d        *db.DB
	records  *store.Store
	mail     *fakeMail
	sender   *fakeSender
	clock    time.Time
	admin    Viewer
	owner    Viewer
	customer *models.Customer
	queued   models.ID // a message that waits
}

// noBlobs stands for the store of messages.
type noBlobs struct{}

func (noBlobs) Unref(context.Context, *db.Tx, map[models.ID]int64) error { return nil }

func each(t *testing.T, fn func(t *testing.T, s *site)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { fn(t, newSite(t, d)) })
}

func newSite(t testing.TB, d *db.DB) *site {
	t.Helper()
	records, err := store.New(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, ctx: t.Context(), d: d, records: records, mail: &fakeMail{d: d}, sender: &fakeSender{}, clock: time.Date(2026, 3, 21, 10, 0, 0, 0, time.UTC), admin: Console()}
	s.Service, err = New(Config{
		Store: records, Mail: s.mail, Sender: s.sender, Defaults: Defaults{Quota: 1000},
		Queue: queue.New(queue.Config{DB: d, Blobs: noBlobs{}}),
		Hash:  func(_ context.Context, pw string) (string, error) { return "hash of " + pw, nil },
		Verify: func(_ context.Context, hash, pw string) error {
			if hash != "hash of "+pw {
				return models.Errorf(models.Denied, "password.wrong", "no")
			}
			return nil
		},
		Now: func() time.Time { return s.clock },
		DNS: &zone{}, Keys: noKeys{},
	})
	s.ok(err)
	s.customer, s.owner = s.addCustomer("Example", "owner@example.net")
	s.addDomain("example.com")
	return s
}

// enqueue lets a message of a mailbox wait.
func (s *site) enqueue(from *models.Mailbox, to ...string) models.ID {
	s.t.Helper()
	item := models.QueueItem{Kind: models.QueueSubmitted, BlobID: 1, EnvelopeID: s.records.NewID(), CustomerID: from.CustomerID, MailboxID: from.ID, Sender: from.Address, Subject: "waits"}
	recipients := make([]models.QueueRecipient, len(to))
	for i := range to {
		recipients[i].Address = to[i]
	}
	s.ok(s.d.Write(s.ctx, func(ctx context.Context, tx *db.Tx) error {
		return queue.New(queue.Config{DB: s.d}).Insert(ctx, tx, &item, recipients)
	}))
	return item.ID
}

func (s *site) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// want checks key and kind of an error.
func (s *site) want(err error, kind models.Kind, key string) *models.Error {
	s.t.Helper()
	var e *models.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Key != key {
		s.t.Errorf("%v, want %s %s", err, kind, key)
		return &models.Error{}
	}
	return e
}

func (s *site) addCustomer(name, email string) (*models.Customer, Viewer) {
	s.t.Helper()
	c, err := s.AddCustomer(s.ctx, s.admin, NewCustomer{Name: name, User: &NewUser{Email: email, Password: good}})
	s.ok(err)
	users, err := s.Users(s.ctx, s.admin, c.ID)
	s.ok(err)
	return c, Viewer{UserID: users[0].ID, Role: models.RoleCustomer, CustomerID: c.ID, Name: email}
}

func (s *site) addDomain(name string) *models.Domain {
	s.t.Helper()
	d, err := s.AddDomain(s.ctx, s.admin, NewDomain{Name: name, CustomerID: s.customer.ID})
	s.ok(err)
	return d
}

func (s *site) addMailbox(addr string) *models.Mailbox {
	s.t.Helper()
	local, domain, _ := strings.Cut(addr, "@")
	m, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: local, Domain: domain, Password: good})
	s.ok(err)
	return m
}

// counters reads what the customer is charged.
func (s *site) counters() (domains, mailboxes, bytes int64) {
	s.t.Helper()
	c, err := s.Customer(s.ctx, s.admin, s.customer.ID)
	s.ok(err)
	return c.Domains, c.Mailboxes, c.Allocated
}

func (s *site) expect(domains, mailboxes, bytes int64) {
	s.t.Helper()
	if d, m, b := s.counters(); d != domains || m != mailboxes || b != bytes {
		s.t.Errorf("counters %d %d %d, want %d %d %d", d, m, b, domains, mailboxes, bytes)
	}
}

func TestAddMailbox(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		m := s.addMailbox(" Sara@example.com")
		if m.Address != "sara@example.com" || m.QuotaBytes != 1000 || m.PasswordHash != "hash of "+good || m.CustomerID != s.customer.ID {
			t.Errorf("%+v", m)
		}
		s.expect(1, 1, 1000)
		zero := int64(0)
		other, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: "omid@EXAMPLE.com", Domain: "Example.COM.", Password: good, Name: " Omid ", QuotaBytes: &zero, QuotaMessages: 7})
		s.ok(err)
		if other.Address != "omid@example.com" || other.QuotaBytes != 0 || other.Name != "Omid" || other.QuotaMessages != 7 {
			t.Errorf("%+v", other)
		}
		row, err := s.Mailbox(s.ctx, s.owner, "OMID@example.com")
		s.ok(err)
		if row.ID != other.ID || row.Domain != "example.com" || row.Customer != "Example" {
			t.Errorf("%+v", row)
		}
		add := func(n NewMailbox) error { _, err := s.AddMailbox(s.ctx, s.owner, n); return err }
		box := func(local, pw string) NewMailbox {
			return NewMailbox{Local: local, Domain: "example.com", Password: pw}
		}
		s.want(add(box("postmaster", good)), models.Conflict, "mailbox.reserved")
		s.want(add(box("Abuse", good)), models.Conflict, "mailbox.reserved")
		s.want(add(box("mailer-daemon", good)), models.Conflict, "mailbox.reserved")
		s.want(add(box("", good)), models.Invalid, "address.nolocal")
		s.want(add(box("سارا", good)), models.Invalid, "address.eai")
		s.want(add(box("ѕara", good)), models.Invalid, "address.eai")
		s.want(add(box("a+b", good)), models.Invalid, "mailbox.tag")
		s.want(add(box("a b", good)), models.Invalid, "mailbox.local")
		s.want(add(box("x@other.example", good)), models.Invalid, "mailbox.other_domain")
		s.want(add(box("x", "short")), models.Invalid, "password.short")
		s.want(add(box("x", strings.Repeat("gk3v8dq2", 10))), models.Invalid, "password.long")
		s.want(add(box("averylonglocalpart", "AveryLongLocalpart")), models.Invalid, "password.is_address")
		s.want(add(NewMailbox{Local: "x", Domain: "nowhere.example", Password: good}), models.NotFound, "not_found")
		all := models.Errors(add(NewMailbox{Local: "a b", Domain: "example.com", Password: "x", Name: "a\nb"}))
		if len(all) != 3 || all[0].Field != "local" || all[1].Field != "name" || all[2].Field != "password" {
			t.Error("each bad field is named", all)
		}
		s.expect(1, 2, 1000)
		for _, local := range []string{"info", "admin", "support", "root"} {
			s.ok(add(box(local, good)))
		}
	})
}

func TestTakenAddressesComeWithFreeOnes(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("sara1@example.com")
		_, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: "SARA", Domain: "example.com", Password: good})
		e := s.want(err, models.Conflict, "mailbox.taken")
		if e.Args["a"] != "sara2@example.com" || e.Args["b"] != "sara.mail@example.com" || e.Field != "local" {
			t.Errorf("%+v", e)
		}
		s.ok(s.CheckAddress(s.ctx, s.owner, "sara2", "example.com"))
		s.want(s.CheckAddress(s.ctx, s.owner, "sara1", "example.com"), models.Conflict, "mailbox.taken")
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "sara@example.com"))
		e = s.want(s.CheckAddress(s.ctx, s.owner, "sara", "example.com"), models.Conflict, "mailbox.in_bin")
		if e.Args["address"] != "sara@example.com" {
			t.Error(e.Args)
		}
		long := strings.Repeat("a", 64)
		s.addMailbox(long + "@example.com")
		e = s.want(s.CheckAddress(s.ctx, s.owner, long, "example.com"), models.Conflict, "mailbox.taken")
		s.ok(s.CheckAddress(s.ctx, s.owner, e.Args["a"].(string), "example.com"))
		s.addMailbox("_@example.com")
		e = s.want(s.CheckAddress(s.ctx, s.owner, "_", "example.com"), models.Conflict, "mailbox.taken")
		s.ok(s.CheckAddress(s.ctx, s.owner, e.Args["b"].(string), "example.com"))
	})
}

func TestLimitsOfACustomer(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.ok(s.SetCustomerLimits(s.ctx, s.admin, s.customer.ID, CustomerLimits{Domains: 1, Mailboxes: 3, Storage: 2500}))
		_, err := s.AddDomain(s.ctx, s.owner, NewDomain{Name: "two.example"})
		if e := s.want(err, models.Full, "limit.domains"); e.Args["n"] != int64(1) || e.Args["max"] != int64(1) {
			t.Error(e.Args)
		}
		s.addMailbox("a@example.com")
		s.addMailbox("b@example.com")
		add := func(local string, quota int64) error {
			_, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: local, Domain: "example.com", Password: good, QuotaBytes: &quota})
			return err
		}
		if e := s.want(add("c", 501), models.Full, "limit.storage"); e.Args["max"] != int64(2500) || e.Args["n"] != int64(2000) || e.Field != "quota" {
			t.Error(e.Args)
		}
		s.want(add("c", 0), models.Invalid, "limit.quota_needed")
		s.ok(add("c", 400))
		s.want(add("d", 1), models.Full, "limit.mailboxes")
		s.expect(1, 3, 2400)
		s.want(s.SetMailboxQuota(s.ctx, s.owner, "a@example.com", 1101, 0), models.Full, "limit.storage")
		s.want(s.SetMailboxQuota(s.ctx, s.owner, "a@example.com", 0, 0), models.Invalid, "limit.quota_needed")
		s.want(s.SetMailboxQuota(s.ctx, s.owner, "a@example.com", -1, 0), models.Invalid, "number.range")
		s.ok(s.SetMailboxQuota(s.ctx, s.owner, "a@example.com", 1100, 5))
		s.ok(s.SetMailboxQuota(s.ctx, s.owner, "b@example.com", 10, 0))
		s.expect(1, 3, 1510)
		// The bin counts; purging gives back.
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "a@example.com"))
		s.want(add("d", 1), models.Full, "limit.mailboxes")
		s.ok(s.PurgeMailbox(s.ctx, s.owner, "a@example.com"))
		s.expect(1, 2, 410)
		s.ok(add("a", 1))
		// Nobody escapes a new limit by an old mailbox without quota.
		s.ok(s.SetCustomerLimits(s.ctx, s.admin, s.customer.ID, CustomerLimits{}))
		s.ok(add("free", 0))
		e := s.want(s.SetCustomerLimits(s.ctx, s.admin, s.customer.ID, CustomerLimits{Storage: 5000}), models.Conflict, "limit.unlimited_exist")
		if e.Args["n"] != int64(1) {
			t.Error(e.Args)
		}
		s.want(s.SetCustomerLimits(s.ctx, s.admin, s.customer.ID, CustomerLimits{Mailboxes: -1}), models.Invalid, "number.range")
	})
}

func TestParallelAddsCannotPassALimit(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.ok(s.SetCustomerLimits(s.ctx, s.admin, s.customer.ID, CustomerLimits{Mailboxes: 5, Storage: 5000}))
		var wg sync.WaitGroup
		var mu sync.Mutex
		added, full := 0, 0
		for i := range 20 {
			wg.Go(func() {
				// Pairs want the same address, so taken ones are among them.
				_, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: "m" + string(rune('a'+i/2)), Domain: "example.com", Password: good})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					added++
				case models.Is(err, models.Full):
					full++
				case !models.Is(err, models.Conflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		list, err := s.Mailboxes(s.ctx, s.owner, Query{})
		s.ok(err)
		if added != 5 || list.Total != 5 || full == 0 {
			t.Errorf("%d added, %d there, %d refused for the limit", added, list.Total, full)
		}
		s.expect(1, 5, 5000)
		var states int
		s.ok(s.d.SQL().QueryRow("SELECT COUNT(*) FROM mailbox_state").Scan(&states))
		if states != 5 {
			t.Errorf("%d mailboxes in the mail store", states)
		}
	})
}

func TestPasswordsOfMailboxes(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		before, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.ok(err)
		s.clock = s.clock.Add(time.Hour)
		s.want(s.SetMailboxPassword(s.ctx, s.owner, "sara@example.com", "sara@example.com"), models.Invalid, "password.is_address")
		s.want(s.SetMailboxPassword(s.ctx, s.owner, "sara@example.com", "a\x00"+good), models.Invalid, "password.nul")
		s.ok(s.SetMailboxPassword(s.ctx, s.owner, "sara@example.com", "  "+good+"\n"))
		after, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.ok(err)
		if after.PasswordHash != "hash of   "+good+"\n" || after.PasswordAt <= before.PasswordAt {
			t.Errorf("%+v", after)
		}
	})
}

func TestSwitches(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		addr := "sara@example.com"
		read := func() *MailboxRow {
			t.Helper()
			row, err := s.Mailbox(s.ctx, s.owner, addr)
			s.ok(err)
			return row
		}
		s.ok(s.SetMailboxSwitches(s.ctx, s.owner, addr, Switches{SendOff: true, Reason: " away "}))
		if m := read(); !m.SendOff || m.LoginOff || m.Reason != "away" {
			t.Errorf("%+v", m)
		}
		s.ok(s.SetMailboxSwitches(s.ctx, s.owner, addr, Switches{Reason: "kept by nobody"}))
		if m := read(); m.SendOff || m.Reason != "" || m.SwitchedBy != "" {
			t.Errorf("%+v", m)
		}
		s.ok(s.SetMailboxSwitches(s.ctx, s.admin, addr, Switches{SendOff: true, Reason: "spam"}))
		s.want(s.SetMailboxSwitches(s.ctx, s.owner, addr, Switches{}), models.Denied, "mailbox.held")
		s.want(s.SetMailboxSwitches(s.ctx, s.owner, addr, Switches{LoginOff: true}), models.Denied, "mailbox.held")
		s.ok(s.SetMailboxSwitches(s.ctx, s.owner, addr, Switches{SendOff: true, LoginOff: true}))
		s.want(s.SetMailboxSwitches(s.ctx, s.owner, addr, Switches{LoginOff: true}), models.Denied, "mailbox.held")
		s.want(s.SetMailboxSwitches(s.ctx, s.admin, addr, Switches{LoginOff: true, Reason: "a\nb"}), models.Invalid, "text.control")
		s.ok(s.SetMailboxSwitches(s.ctx, s.admin, addr, Switches{}))
		s.ok(s.RenameMailbox(s.ctx, s.owner, addr, "Sara"))
		if m := read(); m.Name != "Sara" || m.SendOff {
			t.Errorf("%+v", m)
		}
	})
}

func TestASuspendedCustomerKeepsEachMailboxesSwitches(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.ok(s.SetMailboxSwitches(s.ctx, s.owner, "omid@example.com", Switches{SendOff: true, Reason: "own"}))
		s.ok(s.SuspendCustomer(s.ctx, s.admin, s.customer.ID, "not paid", false))
		account := func(addr string) *models.Account {
			t.Helper()
			a, err := s.records.MailboxAccount(s.ctx, addr)
			s.ok(err)
			return a
		}
		if a := account("sara@example.com"); !a.LoginOff || !a.SendOff || a.Reason != "not paid" {
			t.Errorf("%+v", a)
		}
		if u, err := s.records.UserAccount(s.ctx, s.owner.Name); err != nil || !u.LoginOff {
			t.Errorf("%+v %v", u, err)
		}
		s.ok(s.ResumeCustomer(s.ctx, s.admin, s.customer.ID))
		if a := account("sara@example.com"); a.LoginOff || a.SendOff {
			t.Errorf("%+v", a)
		}
		if a := account("omid@example.com"); a.LoginOff || !a.SendOff || a.Reason != "own" {
			t.Errorf("%+v", a)
		}
	})
}
