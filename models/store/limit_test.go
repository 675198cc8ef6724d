package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// sentToday checks what domain 7 and one beside it have sent, whose is what.
func (f *fixture) sentToday(want int64) {
	f.t.Helper()
	if _, err := f.DomainByID(f.ctx, models.Everything(), 7); err != nil {
		for id := models.ID(7); id < 9; id++ {
			name := fmt.Sprintf("d%d.example", id)
			f.ok(f.InsertDomain(f.ctx, &models.Domain{ID: id, CustomerID: id, Name: name, State: models.DomainPending}))
		}
		f.ok(f.CountSending(f.ctx, models.SendingLimits{}, 13, 8, 20))
	}
	other := int64(20)
	if want == 0 {
		other = 0
	}
	for scope, sent := range map[models.Scope]models.Sent{models.Everything(): {Today: want + other, Busiest: max(want, other)}, models.OfCustomer(7): {Today: want, Busiest: want},
		models.OfCustomer(8): {Today: other, Busiest: other}, models.OfCustomer(9): {}} {
		if got, err := f.SentToday(f.ctx, scope); err != nil || got != sent {
			f.t.Errorf("%+v: %+v, want %+v, %v", scope, got, sent, err)
		}
	}
}

// Two processes count at once: the limit is reached and never passed.
func TestSendingLimitsAreExact(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		now := time.Date(2026, 3, 14, 9, 30, 0, 0, time.UTC)
		config.Now = func() time.Time { return now }
		var stores []*fixture
		for range 2 {
			d := dbtest.Open(t, config)
			s, err := New(d, nil)
			if err != nil {
				t.Fatal(err)
			}
			stores = append(stores, &fixture{Store: s, t: t, ctx: t.Context()})
		}
		limits := models.SendingLimits{MailboxHour: 30, DomainDay: 50}
		var wg sync.WaitGroup
		var passed [2]atomic.Int64
		for i := range 80 {
			mailbox := i % 2
			wg.Go(func() {
				err := stores[i/2%2].CountSending(t.Context(), limits, models.ID(10+mailbox), 7, 1)
				switch {
				case err == nil:
					passed[mailbox].Add(1)
				case !models.Is(err, models.Limited):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		a, b := passed[0].Load(), passed[1].Load()
		if a > 30 || b > 30 || a+b != 50 {
			t.Errorf("%d and %d passed", a, b)
		}
		f := stores[0]
		uses, err := f.SendingUse(t.Context(), limits, 10, 7)
		if err != nil || uses[0].Used != a || uses[1].Used != a || uses[2].Used != 50 || uses[3].Used != 50 || uses[3].Room(1) || !uses[1].Room(1000) {
			t.Errorf("%+v %v", uses, err)
		}
		err = f.CountSending(t.Context(), limits, 12, 7, 1)
		if e := models.Errors(err); len(e) != 1 || e[0].Key != "limit.domain_day" || e[0].Msg != "The domain of this mailbox may write to 50 recipients outside this server in one day; 50 are counted already. Try again after 00:00 on 15 March (UTC)." {
			t.Errorf("%v", err)
		}
		// What did not fit left no trace in the counters that had room.
		if uses, err := f.SendingUse(t.Context(), limits, 12, 7); err != nil || uses[0].Used != 0 {
			t.Errorf("%+v %v", uses, err)
		}
		f.sentToday(a + b)
		now = now.Add(24 * time.Hour)
		f.sentToday(0)
		f.ok(f.CountSending(t.Context(), limits, 12, 7, 30))
		if n, err := f.PruneSending(t.Context(), models.At(now.Add(-10*time.Hour))); err != nil || n != 10 {
			t.Errorf("%d pruned, %v", n, err)
		}
		f.ok(f.Write(t.Context(), func(ctx context.Context) error {
			for i := range 450 { // all of one hour
				if err := f.CountSending(ctx, models.SendingLimits{}, models.ID(100+i), 7, 1); err != nil {
					return err
				}
			}
			return nil
		}))
		now = now.Add(48 * time.Hour)
		var pieces []int64
		for n := int64(1); n > 0; {
			var err error
			n, err = f.PruneSending(t.Context(), models.At(now.Add(-time.Hour)))
			f.ok(err)
			pieces = append(pieces, n)
		}
		if len(pieces) != 3 || pieces[0]+pieces[1] != 904 || pieces[0] > 502 {
			t.Error(pieces)
		}
	})
}

func TestBouncesHoldAMailbox(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		m := f.addMailbox(f.domain, "sara", nil)
		now := models.At(f.d.Now())
		f.ok(f.CountSending(f.ctx, models.SendingLimits{}, m.ID, f.domain.ID, 60))
		for want := int64(3); want < 10; want += 3 {
			recipients, bounced, err := f.CountBounces(f.ctx, m.ID, now, 3)
			if err != nil || recipients != 60 || bounced != want {
				t.Fatal(recipients, bounced, err)
			}
		}
		for _, want := range []bool{true, false} {
			if held, err := f.HoldSending(f.ctx, m.ID, "too many bounces"); err != nil || held != want {
				t.Error(held, err)
			}
		}
		if a, err := f.MailboxAccount(f.ctx, m.Address); err != nil || !a.Held || a.SendOff {
			t.Errorf("%+v %v", a, err)
		}
		for _, since := range []models.Micros{5, 9, 0, 7} {
			f.ok(f.SetFullSince(f.ctx, m.ID, since))
			row, err := f.Mailbox(f.ctx, models.Everything(), m.Address)
			if err != nil || row.FullSince != min(since, max(5, since%9)) {
				t.Error(since, row.FullSince, err)
			}
		}
	})
}

func TestSuppressed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.ok(f.Write(f.ctx, func(ctx context.Context) error {
			return f.on(ctx).Create(&models.Suppression{MailboxID: 5, Address: "x@there.test"}).Error
		}))
		for address, want := range map[string]bool{"x@there.test": true, "y@there.test": false} {
			if got, err := f.Suppressed(f.ctx, 5, address); err != nil || got != want {
				t.Error(address, got, err)
			}
		}
	})
}

// Of many that answer the same sender at once, one does.
func TestRepliesOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		m := f.addMailbox(f.domain, "sara", nil)
		f.ok(f.Write(f.ctx, func(ctx context.Context) error {
			return f.on(ctx).Create(&models.AutoReply{MailboxID: m.ID, Enabled: true, Body: "Away."}).Error
		}))
		round := func(now, notAfter models.Micros) (n int64) {
			var firsts atomic.Int64
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					first, err := f.TakeReply(f.ctx, m.ID, "x@there.test", now, notAfter)
					if err != nil {
						t.Error(err)
					}
					if first {
						firsts.Add(1)
					}
				})
			}
			wg.Wait()
			return firsts.Load()
		}
		if a, b, c := round(100, 50), round(120, 70), round(200, 150); a != 1 || b != 0 || c != 1 {
			t.Error(a, b, c)
		}
		a, err := f.Answering(f.ctx, m.ID)
		if err != nil || !a.Enabled || a.Body != "Away." {
			t.Errorf("%+v %v", a, err)
		}
		if n, err := f.PruneReplied(f.ctx, 300); err != nil || n != 1 {
			t.Error(n, err)
		}
	})
}

func TestSenderAddresses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ir := f.addDomain(f.customer, "example.ir", true)
		ir.AliasOf = &f.domain.ID
		f.ok(f.change(f.ctx, db.ChangedDomain, ir.ID, saving(ir)))
		stranger := f.addDomain(f.addCustomer("Stranger"), "stranger.example", true)
		f.addMailbox(f.domain, "sara", nil)
		f.addAlias(f.domain, "info", models.AliasPlain, "sara@example.com")
		f.addAlias(f.domain, "nest", models.AliasPlain, "info@example.ir")
		f.addAlias(f.domain, "round", models.AliasPlain, "nest@example.com", "round@example.com")
		f.addAlias(f.domain, "team", models.AliasGroup, "sara@example.com")
		f.addAlias(stranger, "ceo", models.AliasPlain, "sara@example.com")
		bank := f.addDomain(f.customer, "bank.example", false) // claimed, not proven
		f.addAlias(bank, "ceo", models.AliasPlain, "sara@example.com")
		other := f.addDomain(f.customer, "other.example", true)
		other.AliasOf = &bank.ID
		f.ok(f.change(f.ctx, db.ChangedDomain, other.ID, saving(other)))
		off := f.addAlias(f.domain, "off", models.AliasPlain, "sara@example.com")
		off.Off = true
		f.ok(f.change(f.ctx, db.ChangedDomain, f.domain.ID, saving(off)))
		a, err := f.MailboxAccount(f.ctx, "sara@example.com")
		f.ok(err)
		got, err := f.SenderAddresses(f.ctx, a)
		slices.Sort(got)
		want := []string{"info@example.com", "info@example.ir", "nest@example.com", "nest@example.ir", "round@example.com", "round@example.ir", "sara@example.ir"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q %v", got, err)
		}
		// Who loses a domain loses its names; a mailbox in it has none but its own.
		f.domain.ActiveName, f.domain.State = nil, models.DomainPending
		f.ok(f.UpdateDomain(f.ctx, f.domain))
		f.addAlias(other, "x", models.AliasPlain, "ceo@bank.example")
		if got, err := f.SenderAddresses(f.ctx, a); err != nil || len(got) != 0 {
			t.Errorf("%q %v", got, err)
		}
	})
}
