package auth_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
)

var _ auth.Accounts = (*store.Store)(nil)

// process is one process of the real parts over a database.
type process struct {
	*auth.Service
	store *store.Store
}

func start(t testing.TB, d *db.DB) *process {
	t.Helper()
	st, err := store.New(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := auth.New(auth.Config{Accounts: st, Watch: d, Cost: bcrypt.MinCost, Limits: auth.Limits{FirstDelay: -1}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return &process{s, st}
}

func (p *process) addMailbox(t testing.TB, password string) *models.Mailbox {
	t.Helper()
	hash, err := p.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	c := &models.Customer{ID: p.store.NewID(), Name: "Example", CreatedAt: 1, UpdatedAt: 1}
	d := &models.Domain{ID: p.store.NewID(), CustomerID: c.ID, Name: "example.com", State: models.DomainActive, CreatedAt: 1, UpdatedAt: 1}
	d.ActiveName = &d.Name
	m := &models.Mailbox{ID: p.store.NewID(), CustomerID: c.ID, DomainID: d.ID, Address: "sara@example.com", PasswordHash: hash, CreatedAt: 1, UpdatedAt: 1, PasswordAt: 1}
	for _, err := range []error{p.store.InsertCustomer(t.Context(), c), p.store.InsertDomain(t.Context(), d), p.store.InsertMailbox(t.Context(), m)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (p *process) login(password string) (*models.Account, error) {
	return p.Login(context.Background(), auth.Attempt{
		Kind: models.AccountMailbox, Protocol: models.ProtoPOP3, Remote: netip.MustParseAddr("192.0.2.1"), Client: "test", Name: "Sara@example.com", Password: password,
	})
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	begin := time.Now()
	for time.Since(begin) < 10*time.Second {
		if ok() {
			t.Logf("%s: after %v", what, time.Since(begin).Round(time.Millisecond))
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s: not within 10 s", what)
}

// The whole way over a real database and two processes: log-ins are recorded, a block of one
// holds in the other and is lifted by it, and a change made by one ends the sessions of the
// other.
func TestTwoProcesses(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		first, second := start(t, dbtest.Open(t, config)), start(t, dbtest.Open(t, config))
		m := first.addMailbox(t, "correct horse battery")
		account, err := first.login("correct horse battery")
		if err != nil || account.ID != m.ID {
			t.Fatal(account, err)
		}
		poll(t, "last log-in", func() bool {
			list, err := second.store.Logins(t.Context(), m.ID, 10)
			return err == nil && len(list) == 1 && list[0].OK && list[0].Count == 1 && list[0].Network == "192.0.2.1"
		})
		for i := range 10 {
			if _, err := first.login(fmt.Sprint("guess ", i)); !models.Is(err, models.Denied) {
				t.Fatal(err)
			}
		}
		poll(t, "block elsewhere", func() bool { return len(second.Blocks(m.ID)) == 1 })
		if _, err := second.login("correct horse battery"); !models.Is(err, models.Limited) {
			t.Error(err)
		}
		if _, err := first.login("correct horse battery"); err != nil {
			t.Errorf("the owner is locked out: %v", err)
		}
		// As a command does: by the store alone.
		if err := second.store.DeleteBlocks(t.Context(), m.ID, ""); err != nil {
			t.Fatal(err)
		}
		poll(t, "lifted", func() bool { return len(first.Blocks(m.ID)) == 0 && len(second.Blocks(m.ID)) == 0 })
		if _, err := second.login("correct horse battery"); err != nil {
			t.Error(err)
		}

		ended := make(chan *models.Error, 1)
		sess, err := first.Open(auth.SessionInfo{Account: account, Protocol: models.ProtoPOP3}, func(e *models.Error) { ended <- e })
		if err != nil {
			t.Fatal(err)
		}
		defer sess.Close()
		m.LoginOff, m.Reason = true, "unpaid"
		if err := second.store.UpdateMailbox(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		poll(t, "session ended", func() bool { return len(ended) == 1 })
		if e := <-ended; e.Key != "login.suspended" || e.Args["reason"] != "unpaid" {
			t.Errorf("ended: %v", e)
		}
		if _, err := first.login("correct horse battery"); !models.Is(err, models.Suspended) {
			t.Error(err)
		}
	})
}

// BenchmarkLoginRepeatedRow is a repeated log-in with the row read from a real database each
// time. "x-bcrypt" says how many of them there are for one bcrypt check at the default cost,
// measured beside it; the aim is 300.
func BenchmarkLoginRepeatedRow(b *testing.B) {
	for _, base := range []struct {
		name   string
		config func(testing.TB) db.Config
	}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}} {
		b.Run(base.name, func(b *testing.B) {
			p := start(b, dbtest.Open(b, base.config(b)))
			p.addMailbox(b, "correct horse battery")
			check := bcryptTime(b)
			for b.Loop() {
				if _, err := p.login("correct horse battery"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(check.Seconds()*float64(b.N)/b.Elapsed().Seconds(), "x-bcrypt")
		})
	}
}

func bcryptTime(b *testing.B) time.Duration {
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse battery"), bcrypt.DefaultCost)
	if err != nil {
		b.Fatal(err)
	}
	const rounds = 8
	began := time.Now()
	for range rounds {
		if bcrypt.CompareHashAndPassword(hash, []byte("correct horse battery")) != nil {
			b.Fatal("no match")
		}
	}
	return time.Since(began) / rounds
}
