package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func (f *fixture) use(m *models.Mailbox, bytes, messages int64) {
	f.t.Helper()
	f.ok(f.d.Write(f.ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO mailbox_state (mailbox_id, bytes, messages) VALUES (?, ?, ?)", m.ID, bytes, messages)
		return err
	}))
}

func TestMailboxList(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		second := f.addDomain(f.customer, "second.example", true)
		f.use(f.addMailbox(f.domain, "sara", func(m *models.Mailbox) { m.Name, m.QuotaBytes = "سارا كريمي", 100 }), 100, 3)
		f.use(f.addMailbox(f.domain, "omid", func(m *models.Mailbox) { m.Name, m.SendOff = "Omid_100%", true }), 300, 1)
		f.use(f.addMailbox(f.domain, "bahar", func(m *models.Mailbox) { m.QuotaMessages = 5 }), 200, 4)
		f.addMailbox(second, "ali", nil)
		f.addMailbox(f.domain, "gone", func(m *models.Mailbox) { m.DeletedAt = 9 })
		f.addMailbox(f.domain, "going", func(m *models.Mailbox) { m.DeletedAt, m.Purging = 8, true })
		f.addMailbox(f.addDomain(f.addCustomer("Other"), "other.example", true), "zed", nil)

		tests := []struct {
			name string
			q    models.Query
			want string
		}{
			{"all", models.Query{}, "ali bahar omid sara zed"},
			{"one customer", models.Query{CustomerID: f.customer.ID}, "ali bahar omid sara"},
			{"one domain", models.Query{DomainID: f.domain.ID}, "bahar omid sara"},
			{"backwards", models.Query{DomainID: f.domain.ID, Desc: true}, "sara omid bahar"},
			{"by use", models.Query{Sort: "used", DomainID: f.domain.ID, Desc: true}, "omid bahar sara"},
			{"by quota", models.Query{Sort: "quota", DomainID: f.domain.ID, Desc: true}, "sara bahar omid"},
			{"an order that is not known", models.Query{Sort: "password_hash; DROP TABLE users"}, "ali bahar omid sara zed"},
			{"page 2", models.Query{Size: 2, Page: 2}, "omid sara"},
			{"page 9", models.Query{Size: 2, Page: 9}, ""},
			{"bin", models.Query{Bin: true}, "gone"},
			{"search part of address", models.Query{Search: "AR"}, "bahar sara"},
			{"search folded", models.Query{Search: "کریمی سارا"}, "sara"},
			{"search is literal", models.Query{Search: "d_1"}, "omid"},
			{"percent is literal", models.Query{Search: "0%"}, "omid"},
			{"underscore is no wildcard", models.Query{Search: "om_d"}, ""},
			{"search in the domain", models.Query{Search: "second"}, "ali"},
			{"all words", models.Query{Search: "sara second"}, ""},
			{"suspended", models.Query{State: models.StateSuspended}, "omid"},
			{"active", models.Query{State: models.StateActive}, "ali bahar sara zed"},
			{"full", models.Query{State: models.StateFull}, "sara"},
			{"nonsense", models.Query{State: "x"}, ""},
		}
		for _, tt := range tests {
			list, err := f.Mailboxes(f.ctx, models.Everything(), tt.q)
			var got []string
			for _, r := range list.Items {
				got = append(got, strings.Split(r.Address, "@")[0])
			}
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("%s: %q %v, want %q", tt.name, got, err, tt.want)
			}
			if tt.q.Page == 0 && list.Total != int64(len(got)) {
				t.Errorf("%s: total %d of %d", tt.name, list.Total, len(got))
			}
		}
		list, err := f.Mailboxes(f.ctx, models.OfCustomer(f.customer.ID), models.Query{Search: "sara"})
		if err != nil || len(list.Items) != 1 {
			t.Fatal(list, err)
		}
		r := list.Items[0]
		if r.Usage != (models.MailboxUsage{Bytes: 100, Messages: 3}) || !r.Full() || r.Domain != "example.com" || r.Customer != "Example" || r.Name != "سارا كريمي" {
			t.Errorf("%+v", r)
		}
		near, err := f.NearlyFull(f.ctx, models.OfCustomer(f.customer.ID), 95, 10)
		if err != nil || len(near) != 1 || near[0].Address != "sara@example.com" {
			t.Error(near, err)
		}
	})
}

func TestDomainList(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		idn := f.addDomain(f.addCustomer("Other"), "xn--mgbh0fb.xn--mgba3a4f16a", false)
		f.use(f.addMailbox(f.domain, "sara", func(m *models.Mailbox) { m.QuotaBytes = 100 }), 40, 1)
		f.use(f.addMailbox(f.domain, "omid", func(m *models.Mailbox) { m.QuotaBytes, m.DeletedAt = 10, 5 }), 7, 1)
		list, err := f.Domains(f.ctx, models.Everything(), models.Query{})
		if err != nil || len(list.Items) != 2 || list.Total != 2 {
			t.Fatal(list, err)
		}
		if d := list.Items[0]; d.Name != "example.com" || d.Customer != "Example" || d.Mailboxes != 1 || d.Used != 40 || d.Allocated != 110 || d.State != models.DomainActive {
			t.Errorf("%+v", d)
		}
		list, err = f.Domains(f.ctx, models.Everything(), models.Query{Search: "مثال", Sort: "customer"})
		if err != nil || len(list.Items) != 1 || list.Items[0].ID != idn.ID || list.Items[0].Mailboxes != 0 {
			t.Error("a name is found as people write it", list, err)
		}
		waiting, err := f.Waiting(f.ctx, models.Everything(), 10)
		if err != nil || len(waiting) != 1 || waiting[0].ID != idn.ID {
			t.Error(waiting, err)
		}
		customers, err := f.Customers(f.ctx, models.Everything(), models.Query{Search: "oth", Sort: "mailboxes"})
		if err != nil || customers.Total != 1 || customers.Items[0].Name != "Other" {
			t.Error(customers, err)
		}
		totals, err := f.Totals(f.ctx, models.OfCustomer(f.customer.ID))
		if err != nil || totals.Mailboxes != 1 || totals.Bin != 1 || totals.Used != 47 || totals.Customers != 1 {
			t.Errorf("%+v %v", totals, err)
		}
		if totals, err = f.Totals(f.ctx, models.Everything()); err != nil || totals.Customers != 2 || totals.Used != 47 {
			t.Errorf("%+v %v", totals, err)
		}
	})
}

func TestPurgeCandidates(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.addMailbox(f.domain, "live", nil)
		old := f.addMailbox(f.domain, "old", func(m *models.Mailbox) { m.DeletedAt = 10 })
		f.addMailbox(f.domain, "young", func(m *models.Mailbox) { m.DeletedAt = 30 })
		begun := f.addMailbox(f.domain, "begun", func(m *models.Mailbox) { m.DeletedAt, m.Purging = 30, true })
		ids, err := f.MailboxesToPurge(f.ctx, 20, 0, 10)
		if err != nil || !slices.Equal(ids, []models.ID{old.ID, begun.ID}) {
			t.Error(ids, err)
		}
		n, err := f.CountMailboxes(f.ctx, f.customer.ID, f.domain.ID)
		all, err2 := f.MailboxIDs(f.ctx, f.customer.ID, 0, 2)
		free, err3 := f.CountUnlimited(f.ctx, f.customer.ID)
		if n != 4 || len(all) != 2 || free != 4 || err != nil || err2 != nil || err3 != nil {
			t.Error(n, all, free, err, err2, err3)
		}
		taken, err := f.TakenLocals(f.ctx, f.domain.ID, []string{"old", "live", "x"})
		if err != nil || len(taken) != 2 || !taken["old"] {
			t.Error(taken, err)
		}
		holder, err := f.HolderOf(f.ctx, f.domain.ID, "old")
		if err != nil || holder.ID != old.ID || !holder.InBin() {
			t.Error(holder, err)
		}
		if _, err = f.HolderOf(f.ctx, f.domain.ID, "x"); !models.Is(err, models.NotFound) {
			t.Error(err)
		}
	})
}

// BenchmarkMailboxPage is the query behind the page of mailboxes, with 10,000 of them.
func BenchmarkMailboxPage(b *testing.B) {
	for _, kind := range []string{"sqlite", "mysql"} {
		b.Run(kind, func(b *testing.B) {
			config := dbtest.SQLite
			if kind == "mysql" {
				config = dbtest.MySQL
			}
			f := newFixture(b, dbtest.Open(b, config(b)))
			f.fill(10000)
			for name, q := range map[string]models.Query{
				"first": {}, "last": {Page: 200}, "search": {Search: "sara 77"}, "none": {Search: "nowhere"}, "domain": {DomainID: f.domain.ID, Page: 100},
				"used": {Sort: "used", Desc: true}, "login": {Sort: "last_login", Desc: true}, "full": {State: models.StateFull},
			} {
				for who, scope := range map[string]models.Scope{"admin": models.Everything(), "customer": models.OfCustomer(f.customer.ID)} {
					b.Run(name+"/"+who, func(b *testing.B) {
						for b.Loop() {
							if _, err := f.Mailboxes(f.ctx, scope, q); err != nil {
								b.Fatal(err)
							}
						}
					})
				}
			}
			b.Run("account", func(b *testing.B) {
				for b.Loop() {
					if _, err := f.MailboxAccount(f.ctx, "sara5000@example.com"); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("resolve", func(b *testing.B) {
				for b.Loop() {
					if _, err := f.Resolve(f.ctx, address.Address{Local: "sara5000", Domain: "example.com"}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// fill adds n mailboxes in few transactions.
func (f *fixture) fill(n int) {
	f.t.Helper()
	for start := 0; start < n; start += 500 {
		var boxes []mailboxRow
		var addresses []models.Address
		var states []map[string]any
		for i := start; i < min(start+500, n); i++ {
			local := fmt.Sprintf("sara%d", i)
			m := mailboxRow{Mailbox: models.Mailbox{ID: f.NewID(), CustomerID: f.customer.ID, DomainID: f.domain.ID, Address: local + "@example.com", Name: "Sara Azadi", PasswordHash: strings.Repeat("h", 60), QuotaBytes: 1 << 30}}
			m.fold()
			boxes = append(boxes, m)
			addresses = append(addresses, models.Address{ID: f.NewID(), DomainID: f.domain.ID, Local: local, Kind: models.AddressMailbox, MailboxID: &boxes[len(boxes)-1].ID})
			states = append(states, map[string]any{"mailbox_id": m.ID, "bytes": i * 1000, "messages": i})
		}
		f.ok(f.Write(f.ctx, func(ctx context.Context) error {
			g := f.on(ctx)
			for _, err := range []error{g.Create(&boxes).Error, f.on(ctx).Create(&addresses).Error, f.on(ctx).Table("mailbox_state").Create(states).Error} {
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
}
