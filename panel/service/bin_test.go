package service

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

func (s *site) binned() []string {
	s.t.Helper()
	page, err := s.Mailboxes(s.ctx, s.owner, Query{Bin: true})
	s.ok(err)
	var all []string
	for _, r := range page.Items {
		all = append(all, r.Address)
	}
	return all
}

func TestBinAndRestore(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.ok(s.SetMailboxSwitches(s.ctx, s.owner, "sara@example.com", Switches{SendOff: true, Reason: "x"}))
		before, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.ok(err)
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "sara@example.com"))
		s.ok(s.DeleteMailbox(s.ctx, s.admin, "sara@example.com")) // again: nothing changes
		in, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.ok(err)
		if !in.InBin() || in.DeletedBy != "owner@example.net" || len(s.binned()) != 1 {
			t.Errorf("%+v", in)
		}
		if list, _ := s.Mailboxes(s.ctx, s.owner, Query{}); list.Total != 0 {
			t.Error("still in the list")
		}
		if a, err := s.records.MailboxAccount(s.ctx, "sara@example.com"); err != nil || !a.Deleted {
			t.Error(a, err)
		}
		s.expect(1, 1, 1000)
		for _, err := range []error{
			s.SetMailboxPassword(s.ctx, s.owner, "sara@example.com", good), s.SetMailboxQuota(s.ctx, s.owner, "sara@example.com", 1, 0),
			s.RenameMailbox(s.ctx, s.owner, "sara@example.com", "x"), s.SetMailboxSwitches(s.ctx, s.owner, "sara@example.com", Switches{}),
		} {
			s.want(err, models.Conflict, "mailbox.in_bin")
		}
		s.ok(s.RestoreMailbox(s.ctx, s.owner, "sara@example.com"))
		s.ok(s.RestoreMailbox(s.ctx, s.owner, "sara@example.com"))
		after, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.ok(err)
		if after.Mailbox != before.Mailbox || len(s.mail.removed) != 0 {
			t.Errorf("not whole:\n%+v\n%+v", before.Mailbox, after.Mailbox)
		}
		s.expect(1, 1, 1000)
	})
}

func TestPurgeFreesEverything(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		m := s.addMailbox("sara@example.com")
		s.ok(s.SetDomainRoles(s.ctx, s.owner, "example.com", "sara@example.com", ""))
		s.ok(s.PurgeMailbox(s.ctx, s.owner, "sara@example.com"))
		s.expect(1, 0, 0)
		if len(s.mail.removed) != 1 || s.mail.removed[0] != m.ID {
			t.Error(s.mail.removed)
		}
		_, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.want(err, models.NotFound, "not_found")
		s.want(s.PurgeMailbox(s.ctx, s.owner, "sara@example.com"), models.NotFound, "not_found")
		if again := s.addMailbox("sara@example.com"); again.ID == m.ID {
			t.Error("an id came again")
		}
		if d, err := s.Domain(s.ctx, s.owner, "example.com"); err != nil || d.PostmasterID != nil {
			t.Error(d, err)
		}
	})
}

func TestAPurgeCutShortIsFinishedLater(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.mail.fail = errors.New("killed")
		if err := s.PurgeMailbox(s.ctx, s.owner, "sara@example.com"); err == nil {
			t.Fatal("no error")
		}
		// Half removed, it is nobody's: not shown, not restored, its address not given away.
		_, err := s.Mailbox(s.ctx, s.owner, "sara@example.com")
		s.want(err, models.NotFound, "not_found")
		s.want(s.RestoreMailbox(s.ctx, s.owner, "sara@example.com"), models.NotFound, "not_found")
		s.want(s.DeleteMailbox(s.ctx, s.owner, "sara@example.com"), models.NotFound, "not_found")
		s.want(s.CheckAddress(s.ctx, s.owner, "sara", "example.com"), models.Conflict, "mailbox.taken")
		if a, err := s.records.MailboxAccount(s.ctx, "sara@example.com"); err != nil || !a.Deleted {
			t.Error(a, err)
		}
		s.expect(1, 1, 1000)
		n, err := s.PurgeExpired(s.ctx)
		if n != 1 || err != nil {
			t.Error(n, err)
		}
		s.expect(1, 0, 0)
		s.ok(s.CheckAddress(s.ctx, s.owner, "sara", "example.com"))
	})
}

func TestTwoPurgesAtOnceGiveBackOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.addMailbox("sara@example.com")
		s.addMailbox("omid@example.com")
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "sara@example.com"))
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if err := s.PurgeMailbox(s.ctx, s.owner, "sara@example.com"); err != nil && !models.Is(err, models.NotFound) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s.expect(1, 1, 1000)
	})
}

func TestTheBinIsEmptiedAfter30Days(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		for _, addr := range []string{"old@example.com", "young@example.com", "live@example.com"} {
			s.addMailbox(addr)
		}
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "old@example.com"))
		s.clock = s.clock.Add(24 * time.Hour)
		s.ok(s.DeleteMailbox(s.ctx, s.owner, "young@example.com"))
		s.clock = s.clock.Add(29 * 24 * time.Hour)
		if n, err := s.PurgeExpired(s.ctx); n != 0 || err != nil {
			t.Error("before its time", n, err)
		}
		s.clock = s.clock.Add(time.Minute)
		s.mail.fail = errors.New("disk")
		if n, err := s.PurgeExpired(s.ctx); n != 0 || err == nil {
			t.Error(n, err)
		}
		if n, err := s.PurgeExpired(s.ctx); n != 1 || err != nil {
			t.Error(n, err)
		}
		if left := s.binned(); len(left) != 1 || left[0] != "young@example.com" {
			t.Error(left)
		}
		s.expect(1, 2, 2000)
	})
}

// lateStore lets something happen between finding the mailboxes to purge and purging them.
type lateStore struct {
	Store
	meanwhile func()
}

func (l *lateStore) MailboxesToPurge(ctx context.Context, before models.Micros, after models.ID, limit int) ([]models.ID, error) {
	ids, err := l.Store.MailboxesToPurge(ctx, before, after, limit)
	if l.meanwhile != nil {
		l.meanwhile()
		l.meanwhile = nil
	}
	return ids, err
}

func TestAMailboxRestoredInTimeIsNotPurged(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		m := s.addMailbox("sara@example.com")
		s.ok(s.DeleteMailbox(s.ctx, s.owner, m.Address))
		s.clock = s.clock.Add(31 * 24 * time.Hour)
		s.store = &lateStore{Store: s.store, meanwhile: func() { s.ok(s.RestoreMailbox(s.ctx, s.owner, m.Address)) }}
		n, err := s.PurgeExpired(s.ctx)
		if n != 0 || err != nil || len(s.mail.removed) != 0 {
			t.Error(n, err, s.mail.removed)
		}
		if row, err := s.Mailbox(s.ctx, s.owner, m.Address); err != nil || row.InBin() {
			t.Error(row, err)
		}
		s.expect(1, 1, 1000)
	})
}

// HolderOf is asked before the transaction of AddMailbox.
func (l *lateStore) HolderOf(ctx context.Context, domain models.ID, local string) (*models.MailboxRow, error) {
	if l.meanwhile != nil {
		l.meanwhile()
		l.meanwhile = nil
	}
	return l.Store.HolderOf(ctx, domain, local)
}

func TestAMailboxIsNotAddedToADomainJustRemoved(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.store = &lateStore{Store: s.store, meanwhile: func() { s.ok(s.RemoveDomain(s.ctx, s.owner, "example.com", false)) }}
		_, err := s.AddMailbox(s.ctx, s.owner, NewMailbox{Local: "sara", Domain: "example.com", Password: good})
		s.want(err, models.NotFound, "not_found")
		s.expect(0, 0, 0)
		for _, table := range []string{"mailboxes", "addresses", "mailbox_state"} {
			var n int
			s.ok(s.d.SQL().QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n))
			if n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
	})
}
