package mailstore_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

const (
	poisonRounds = 25  // transactions with each kind of poison
	poisonGroup  = 12  // arrivals in each
	poisonWait   = 100 // ms that nobody should wait longer for it
)

// poisoned is a run of TestPoison.
type poisoned struct {
	*mailstoretest.Instance
	t     *testing.T
	good  []models.ID // mailboxes
	bad   models.ID
	inbox models.ID // of bad
	there mailstore.Arrival
	sent  int // messages that must be in the good mailboxes
}

// TestPoison puts one bad arrival into each of 100 transactions of arrivals: it fails alone, and
// the others do not wait for it.
func TestPoison(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		p := newPoisoned(t, config)
		clean := p.rounds(func(int) (mailstore.Arrival, func(error)) { return p.arrival(p.good[0]), p.stored })
		for _, kind := range []struct {
			name string
			make func(round int) (mailstore.Arrival, func(error))
		}{
			{"constraint", p.constraint},
			{"over-long value", p.overlong},
			{"quota", p.quota},
			{"conflict", p.conflict},
		} {
			p.report(kind.name, clean, p.rounds(kind.make))
		}
		if config.URL != "sqlite" {
			p.report("deadlock", clean, p.deadlocks(config))
		}
		p.end()
	})
}

func newPoisoned(t *testing.T, config db.Config) *poisoned {
	p := &poisoned{Instance: mailstoretest.Seg(t, config), t: t}
	for range 8 {
		p.good = append(p.good, p.Mailbox(t))
	}
	p.bad = p.Mailbox(t)
	f, err := p.Store.Folder(t.Context(), p.bad, mailstore.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	p.inbox = f.ID
	p.there = p.arrival(p.bad)
	if err := p.Store.Deliver(t.Context(), p.there); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *poisoned) arrival(mailbox models.ID) mailstore.Arrival {
	return p.Arrival(p.t, mailstoretest.Message(1, 400), mailbox)
}

// rounds writes groups with one arrival of make among good ones and returns how long those
// waited at most in each.
func (p *poisoned) rounds(make func(round int) (mailstore.Arrival, func(error))) (waits []time.Duration) {
	for round := range poisonRounds {
		group := p.group(poisonGroup - 1)
		bad, check := make(round)
		at := round % poisonGroup
		said, after := p.Store.DeliverTogether(slices.Insert(group, at, bad))
		check(said[at])
		waits = append(waits, p.others(slices.Delete(said, at, at+1), slices.Delete(after, at, at+1)))
	}
	return waits
}

// group makes the bytes of n good arrivals durable.
func (p *poisoned) group(n int) []mailstore.Arrival {
	group := make([]mailstore.Arrival, n)
	var puts sync.WaitGroup // they share the syncs
	for i := range group {
		puts.Go(func() { group[i] = p.arrival(p.good[i%len(p.good)]) })
	}
	puts.Wait()
	return group
}

// others checks that all of them were stored, and returns the longest wait.
func (p *poisoned) others(said []error, after []time.Duration) time.Duration {
	p.t.Helper()
	for _, err := range said {
		p.stored(err)
	}
	return slices.Max(after)
}

func (p *poisoned) stored(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Errorf("a good arrival failed: %v", err)
		return
	}
	p.sent++
}

// constraint is an arrival whose blob has a row already.
func (p *poisoned) constraint(int) (mailstore.Arrival, func(error)) { return p.there, p.refused }

func (p *poisoned) refused(err error) {
	p.t.Helper()
	if !models.Is(err, models.Unavailable) {
		p.t.Errorf("a bad arrival: %v, want Unavailable", err)
	}
}

// overlong has a text that no column of MySQL holds; SQLite has no limit.
func (p *poisoned) overlong(int) (mailstore.Arrival, func(error)) {
	a := p.arrival(p.good[0])
	a.Contents.BaseSubject = strings.Repeat("long", 20_000)
	if p.DB.Dialect() == db.SQLite {
		return a, p.stored
	}
	return a, p.refused
}

func (p *poisoned) quota(int) (mailstore.Arrival, func(error)) {
	a := p.arrival(p.bad)
	a.Targets[0].QuotaMessages = 1
	return a, func(err error) {
		if !models.Is(err, models.Full) {
			p.t.Errorf("over quota: %v", err)
		}
	}
}

// conflict goes to a folder whose next UID is taken, as after a bug or by foreign hands.
func (p *poisoned) conflict(int) (mailstore.Arrival, func(error)) {
	p.foreign("INSERT INTO messages (folder_id, uid, modseq, flags, keywords, internal_date, save_date, size, email_id, blob_id, prefix)"+
		" SELECT folder_id, 2, modseq, flags, keywords, internal_date, save_date, size, email_id, blob_id, prefix FROM messages WHERE folder_id = ? AND uid = 1", int64(p.inbox))
	return p.arrival(p.bad), func(err error) {
		p.t.Helper()
		p.refused(err)
		p.foreign("DELETE FROM messages WHERE folder_id = ? AND uid = 2", int64(p.inbox))
	}
}

func (p *poisoned) foreign(query string, args ...any) {
	p.t.Helper()
	err := p.DB.Write(p.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// deadlocks has another program lock rows against our order, so that the database ends one of
// the two transactions. If it is ours it is run again, and nothing fails.
func (p *poisoned) deadlocks(config db.Config) (waits []time.Duration) {
	pool, _, err := db.OpenPool(config)
	if err != nil {
		p.t.Fatal(err)
	}
	defer pool.Close()
	before := metric(p.t, pool, "lock_deadlocks")
	defer func() {
		n := metric(p.t, pool, "lock_deadlocks") - before
		p.t.Logf("%d deadlocks in %d transactions", n, poisonRounds)
		if n == 0 {
			p.t.Error("no deadlock came about")
		}
	}()
	for round := range poisonRounds {
		group := append(p.group(poisonGroup-1), p.arrival(p.bad))
		tx, err := pool.BeginTx(p.t.Context(), nil)
		if err != nil {
			p.t.Fatal(err)
		}
		// Rows it has changed make a transaction dear: then the other one is the victim.
		if _, err := tx.Exec("UPDATE messages SET save_date = save_date + 1 WHERE folder_id IN (SELECT id FROM folders WHERE mailbox_id = ?)", int64(p.good[0])); err != nil {
			p.t.Fatal(err)
		}
		if _, err := tx.Exec("UPDATE folders SET subscribed = 1 - subscribed WHERE id = ?", int64(p.inbox)); err != nil {
			p.t.Fatal(err)
		}
		other := make(chan error, 1)
		go func() { other <- against(tx, p.bad, time.Duration(5+round%4*10)*time.Millisecond) }()
		said, after := p.Store.DeliverTogether(group)
		if err := <-other; err != nil && !db.IsConflict(err) {
			p.t.Error(err)
		}
		if err := said[len(said)-1]; err != nil {
			p.t.Errorf("an arrival in a deadlock: %v", err)
		}
		waits = append(waits, p.others(said[:len(said)-1], after[:len(after)-1]))
	}
	return waits
}

func metric(t *testing.T, pool *sql.DB, name string) (n int64) {
	t.Helper()
	if err := pool.QueryRow("SELECT count FROM information_schema.INNODB_METRICS WHERE name = ?", name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// against takes the mailbox after the folder, a while after: the group should have it by then.
func against(tx *sql.Tx, mailbox models.ID, after time.Duration) error {
	time.Sleep(after)
	var n int64
	err := tx.QueryRow("SELECT modseq FROM mailbox_state WHERE mailbox_id = ? FOR UPDATE", int64(mailbox)).Scan(&n)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (p *poisoned) report(kind string, clean, waits []time.Duration) {
	p.t.Helper()
	slices.Sort(clean)
	slices.Sort(waits)
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	longest := waits[len(waits)-1]
	p.t.Logf("%s: others wait %v (median), %v at most; without poison %v, %v; bound %d ms", kind, round(waits[len(waits)/2]), round(longest),
		round(clean[len(clean)/2]), round(clean[len(clean)-1]), poisonWait)
	// A machine that is busy with other things lets arrivals without poison wait as well.
	if longest > max(10*poisonWait*time.Millisecond, 3*clean[len(clean)-1]) {
		p.t.Errorf("%s: others waited %v", kind, longest)
	}
}

// end checks that everything good is there once and counted.
func (p *poisoned) end() {
	t := p.t
	for _, mailbox := range append(p.good, p.bad) {
		d, err := p.Store.Recount(t.Context(), mailbox, false)
		if err != nil || d.Any() {
			t.Errorf("%+v %v", d, err)
		}
	}
	usage, err := p.Store.Usage(t.Context(), p.good...)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, u := range usage {
		n += int(u.Messages)
	}
	if n != p.sent {
		t.Errorf("%d messages, want %d", n, p.sent)
	}
	refs, err := p.Store.RecountBlobs(t.Context(), false)
	if err != nil || len(refs) > 0 {
		t.Errorf("%+v %v", refs, err)
	}
}
