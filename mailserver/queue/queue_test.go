package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// fakeSender answers attempts as its function says and notes them.
type fakeSender struct {
	answer  func(m *outbound.Message, to string) outbound.Result
	byRelay *outbound.Result // instead, for what goes by a relay

	mu       sync.Mutex
	attempts []string // "domain address,address"
	sent     map[string]int
}

var (
	taken   = outbound.Result{Status: outbound.Delivered, Code: 250, Enhanced: "2.0.0", Text: "taken", Host: "mx.there.example"}
	later   = outbound.Result{Status: outbound.Deferred, Code: 451, Enhanced: "4.7.1", Text: "later", Reason: "451 4.7.1", Host: "mx.there.example"}
	never   = outbound.Result{Status: outbound.Failed, Code: 550, Enhanced: "5.1.1", Text: "no such user", Reason: "550 5.1.1", Host: "mx.there.example"}
	nobody  = outbound.Result{Status: outbound.Deferred, Enhanced: "4.4.1", Text: "nothing answers", Reason: outbound.ReasonConnect}
	refused = outbound.Result{Status: outbound.Failed, Code: 554, Enhanced: "5.7.1", Text: "spam", Reason: "554 5.7.1"}
)

func (s *fakeSender) Send(_ context.Context, m *outbound.Message) *outbound.Attempt {
	a := &outbound.Attempt{}
	var names []string
	for _, r := range m.Recipients {
		if m.Route.Relay != nil && s.byRelay != nil {
			a.Results = append(a.Results, *s.byRelay)
		} else {
			a.Results = append(a.Results, s.answer(m, r.Address))
		}
		names = append(names, r.Address)
	}
	a.Unreached = a.Results[0].Status == outbound.Deferred && a.Results[0].Code == 0
	if m.Hold != nil && m.Hold() != nil {
		for i := range a.Results {
			a.Results[i] = outbound.Result{Reason: outbound.ReasonAbandoned, Enhanced: "4.3.0"}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil {
		s.sent = map[string]int{}
	}
	s.attempts = append(s.attempts, m.Domain+" "+strings.Join(names, ","))
	for i, r := range m.Recipients {
		if a.Results[i].Status == outbound.Delivered {
			s.sent[r.Address]++
		}
	}
	return a
}

func (s *fakeSender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.attempts)
}

// text is a Message of memory.
type text struct{ *bytes.Reader }

func (text) Close() error  { return nil }
func (t text) Size() int64 { return t.Reader.Size() }

// site is a queue with everything around it.
type site struct {
	t      testing.TB
	db     *db.DB
	q      *Queue
	sender *fakeSender
	gone   *counter

	mu      sync.Mutex
	clock   time.Time
	letters []Letter
	events  []models.Event
	failed  int64
	postErr error
}

func open(t testing.TB, d *db.DB, change func(*Config)) *site {
	s := &site{t: t, db: d, sender: &fakeSender{answer: func(*outbound.Message, string) outbound.Result { return taken }}, gone: &counter{}, clock: time.Now().Truncate(time.Microsecond)}
	c := Config{
		DB: d, Blobs: s.gone, Send: s.sender, Events: s, Post: s.post, Now: s.now, Hostname: "mail.ours.example",
		Open: func(context.Context, models.ID) (Message, error) {
			return text{bytes.NewReader([]byte("Subject: hello\r\n\r\nhello\r\n"))}, nil
		},
		OnFailure: func(_ context.Context, _ *db.Tx, _ *models.QueueItem, n int64) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.failed += n
			return nil
		},
	}
	if change != nil {
		change(&c)
	}
	s.q = New(c)
	return s
}

// run lets the queue work until the test ends.
func (s *site) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.q.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			s.t.Error("Run does not end")
		}
	})
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *site) advance(d time.Duration) {
	s.mu.Lock()
	s.clock = s.clock.Add(d)
	s.mu.Unlock()
	select {
	case s.q.lookAll <- struct{}{}:
	default:
	}
}

func (s *site) post(ctx context.Context, l Letter) error {
	s.mu.Lock()
	err := s.postErr
	s.mu.Unlock()
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error { return l.Also(ctx, tx) })
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.letters = append(s.letters, l)
	}
	return err
}

func (s *site) Record(e models.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *site) kinds(to string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.events {
		if e.Recipient == to {
			out = append(out, string(e.Kind))
		}
	}
	return strings.Join(out, " ")
}

func (s *site) posted() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter(nil), s.letters...)
}

// left is how many recipients are in the queue.
func (s *site) left() (n int) {
	s.t.Helper()
	if err := s.db.SQL().QueryRow("SELECT COUNT(*) FROM queue_recipients").Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *site) row(to string) (r models.QueueRow) {
	s.t.Helper()
	page, err := s.q.Rows(s.t.Context(), models.Everything(), models.QueueFilter{Address: to}, models.Query{})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(page.Items) == 1 {
		r = page.Items[0]
	}
	return r
}

func within(t testing.TB, limit time.Duration, what string, fn func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * limit); !fn(); time.Sleep(5 * time.Millisecond) { // machines may be slow
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", 10*limit, what)
		}
	}
}

// insertMany queues n messages in few transactions.
func insertMany(t testing.TB, q *Queue, n int, to func(i int) string) {
	t.Helper()
	for start := 0; start < n; start += 100 {
		var all []models.QueueRecipient
		err := q.config.DB.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			all = nil
			for i := start; i < min(start+100, n); i++ {
				item, r := submitted(models.ID(i+1)), []models.QueueRecipient{{Address: to(i)}}
				if err := q.Insert(ctx, tx, &item, r); err != nil {
					return err
				}
				all = append(all, r...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		q.Committed(all)
	}
}

func submitted(blob models.ID) models.QueueItem {
	return models.QueueItem{Kind: models.QueueSubmitted, BlobID: blob, EnvelopeID: blob, CustomerID: 1, MailboxID: 5, Sending: true, Sender: "a@ours.example", Subject: "hello", MessageID: "id@ours.example"}
}

// TestQueue is what becomes of messages, one after the other on one database.
func TestQueue(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for _, test := range []struct {
			name string
			run  func(*testing.T, *db.DB)
		}{
			{"admin", testAdmin}, {"delivered", testDelivered}, {"results", testResults}, {"plan", testPlan}, {"report later", testReportLater},
			{"drop with notice", testDropWithNotice}, {"held is left", testHeldIsLeft}, {"held mailbox", testHeldMailbox},
			{"drop and tell later", testDropAndTellLater}, {"drop while tried", testDropWhileTried}, {"relay", testRelayFails}, {"warning", testWarning},
		} {
			t.Run(test.name, func(t *testing.T) {
				for _, table := range []string{"queue", "queue_recipients", "suppressions"} {
					if err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
						_, err := tx.ExecContext(ctx, "DELETE FROM "+table)
						return err
					}); err != nil {
						t.Fatal(err)
					}
				}
				test.run(t, d)
			})
		}
	})
}

func testDelivered(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	s.run()
	insert(t, s.q, submitted(1), "x@there.example", "y@there.example", "z@else.example")
	within(t, 5*time.Second, "sent", func() bool {
		return s.left() == 0 && s.kinds("z@else.example") != "" && s.kinds("y@there.example") != ""
	})
	if s.sender.count() != 2 || s.gone.of(1) != 1 || len(s.letters) != 0 {
		t.Errorf("attempts %v, blobs %d", s.sender.attempts, s.gone.all())
	}
	if got := s.kinds("x@there.example"); got != "sent" {
		t.Errorf("events %q", got)
	}
}

// testResults has one message whose recipients fare differently.
func testResults(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	s.sender.answer = func(_ *outbound.Message, to string) outbound.Result {
		return map[byte]outbound.Result{'n': never, 'l': later, 't': taken, 'r': refused}[to[0]]
	}
	s.run()
	insert(t, s.q, submitted(1), "never@there.example", "later@there.example", "taken@there.example", "refused@there.example")
	within(t, 5*time.Second, "settled", func() bool {
		return s.left() == 1 && s.row("later@there.example").Attempts == 1 && len(s.posted()) == 1
	})
	row := s.row("later@there.example")
	if row.Code != 451 || row.Enhanced != "4.7.1" || row.Detail != "later" || row.Reason != "451 4.7.1" || row.Host != "mx.there.example" || row.LastAt == 0 || row.Trying {
		t.Errorf("%+v", row)
	}
	if pause := row.NextAt.Time().Sub(s.now()); pause < 5*time.Minute || pause > 6*time.Minute {
		t.Errorf("tried again in %v", pause)
	}
	l := s.posted()[0]
	if l.To != "a@ours.example" || l.Kind != models.QueueBounce || l.EnvelopeID != 1 || l.MailboxID != 5 || !bytes.Contains(l.Body, []byte("Action: failed\r\nStatus: 5.1.1")) ||
		!bytes.Contains(l.Body, []byte("Status: 5.7.1")) || bytes.Contains(l.Body, []byte("later@")) || !bytes.Contains(l.Body, []byte("Subject: hello")) {
		t.Errorf("%+v\n%s", l, l.Body)
	}
	within(t, time.Second, "events", func() bool {
		return s.kinds("never@there.example") == "bounced returned" && s.kinds("later@there.example") == "deferred"
	})
	if s.failed != 2 || s.gone.all() != 0 {
		t.Errorf("%d failed, blobs %d", s.failed, s.gone.all())
	}
	var suppressed string
	if err := d.SQL().QueryRow("SELECT address FROM suppressions WHERE mailbox_id = 5").Scan(&suppressed); err != nil || suppressed != "never@there.example" {
		t.Errorf("suppressed %q, %v", suppressed, err)
	}
}

// testPlan follows a recipient that is always put off through its whole life, on a clock that is
// moved.
func testPlan(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	s.sender.answer = func(*outbound.Message, string) outbound.Result { return later }
	began := s.now()
	s.run()
	insert(t, s.q, submitted(1), "x@there.example")
	var pauses []time.Duration
	for s.q.Plan().Lifetime > s.now().Sub(began) {
		n := int64(len(pauses)) + 1
		within(t, 5*time.Second, "attempt", func() bool { return s.row("x@there.example").Attempts == n })
		pause := s.row("x@there.example").NextAt.Time().Sub(s.now())
		pauses = append(pauses, pause)
		if n == 10 {
			within(t, 5*time.Second, "delay warning", func() bool { return len(s.posted()) == 1 })
		}
		s.advance(pause)
	}
	within(t, 5*time.Second, "given up", func() bool { return s.left() == 0 && len(s.posted()) == 2 })
	for i, want := range []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour} {
		if pauses[i] < want || pauses[i] > want*11/10 {
			t.Errorf("pause %d is %v", i, pauses[i])
		}
	}
	short := 0 // before the delay warning
	for i, p := range pauses[4 : len(pauses)-1] {
		if p < 2*time.Hour {
			short++
		}
		if p < 30*time.Minute || p > 4*time.Hour || short > 1 {
			t.Errorf("pause %d is %v", i+4, p)
		}
	}
	if n := len(pauses); n < 33 || n > 66 {
		t.Errorf("%d attempts", n)
	}
	letters := s.posted()
	if !bytes.Contains(letters[0].Body, []byte("Action: delayed")) || !bytes.Contains(letters[1].Body, []byte("Action: failed\r\nStatus: 4.7.1")) {
		t.Errorf("%s\n%s", letters[0].Body, letters[1].Body)
	}
	if s.gone.of(1) != 1 {
		t.Errorf("blobs %d", s.gone.all())
	}
}

func TestDecide(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	s := open(t, d, nil)
	now := s.now()
	item := submitted(1)
	item.CreatedAt, item.ExpiresAt = models.At(now.Add(-5*time.Hour)), models.At(now.Add(time.Hour))
	bounce, forward := item, item
	bounce.Kind, bounce.Sender = models.QueueBounce, ""
	forward.Kind, forward.Sending = models.QueueForward, false
	notice := item
	notice.Kind = models.QueueNotice
	old := item
	old.ExpiresAt = models.At(now)
	dsn := taken
	dsn.DSN = true
	for _, test := range []struct {
		name   string
		item   models.QueueItem
		notify string
		result outbound.Result
		want   string // status, state, warn
	}{
		{"taken", item, "", taken, "delivered  false"},
		{"taken, success wanted", item, "SUCCESS,FAILURE", taken, "delivered relayed false"},
		{"taken, the other side reports", item, "SUCCESS", dsn, "delivered  false"},
		{"taken, success wanted of a bounce", bounce, "SUCCESS", taken, "delivered  false"},
		{"never", item, "", never, "failed failed false"},
		{"never, failure not wanted", item, "SUCCESS", never, "failed  false"},
		{"never, nothing wanted", item, "NEVER", never, "failed  false"},
		{"never, a bounce", bounce, "", never, "failed  false"},
		{"never, a notice", notice, "", never, "failed  false"},
		{"never, a forward", forward, "", never, "failed failed false"},
		{"later", item, "", later, "deferred  true"},
		{"later, delay not wanted", item, "FAILURE", later, "deferred  false"},
		{"later, a forward", forward, "", later, "deferred  false"},
		{"later, a bounce", bounce, "", later, "deferred  false"},
		{"later, too old", old, "", later, "failed failed false"},
	} {
		o := s.q.decide(&test.item, &claim{QueueRecipient: models.QueueRecipient{Notify: test.notify}}, test.result, now, 0)
		if got := fmt.Sprintf("%v %s %v", o.status, o.state, o.warn); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// testReportLater keeps what is to be told until it can be.
func testReportLater(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	s.sender.answer = func(*outbound.Message, string) outbound.Result { return never }
	s.postErr = models.Errorf(models.Full, "mailbox.full", "full")
	s.run()
	insert(t, s.q, submitted(1), "x@there.example")
	within(t, 5*time.Second, "failed", func() bool { r := s.row("x@there.example"); return r.State == models.RecipientFailed && !r.Trying })
	s.mu.Lock()
	s.postErr = nil
	s.mu.Unlock()
	s.advance(reportPause)
	within(t, 5*time.Second, "told", func() bool { return s.left() == 0 && len(s.posted()) == 1 })
	if s.sender.count() != 1 || s.failed != 1 {
		t.Errorf("%d attempts, %d failed", s.sender.count(), s.failed)
	}
	// A sender that is gone cannot be told.
	s.postErr = models.Errorf(models.NotFound, "recipient.unknown", "gone")
	insert(t, s.q, submitted(2), "x@there.example")
	within(t, 5*time.Second, "dropped", func() bool { return s.left() == 0 && s.gone.of(2) == 1 })
}

// testDropWithNotice tells the sender.
func testDropWithNotice(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	s.sender.answer = func(*outbound.Message, string) outbound.Result { return later }
	s.run()
	insert(t, s.q, submitted(1), "x@there.example")
	within(t, 5*time.Second, "deferred", func() bool { return s.row("x@there.example").Attempts == 1 })
	command := New(Config{DB: d, Blobs: s.gone, Now: s.now})
	if n, err := command.Drop(t.Context(), models.Everything(), models.QueueFilter{Domain: "there.example"}, true); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	within(t, 5*time.Second, "told", func() bool { return s.left() == 0 && len(s.posted()) == 1 })
	if !strings.Contains(string(s.posted()[0].Body), "Status: 5.7.1") {
		t.Errorf("%s", s.posted()[0].Body)
	}
}

// testDropAndTellLater drops what was never tried, while reports cannot be posted; who does not want
// to hear of failures is not told.
func testDropAndTellLater(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	item := submitted(1)
	item.Held = true
	never, null := item, item
	null.Sender = ""
	insert(t, s.q, item, "x@there.example")
	recipients := []models.QueueRecipient{{Address: "y@there.example", Notify: "NEVER"}}
	if err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error { return s.q.Insert(ctx, tx, &never, recipients) }); err != nil {
		t.Fatal(err)
	}
	insert(t, s.q, null, "z@there.example")
	s.postErr = models.Unavailablef(nil, "The database is away.")
	if n, err := s.q.Drop(t.Context(), models.Everything(), models.QueueFilter{Domain: "there.example"}, true); n != 3 || err != nil || s.left() != 1 {
		t.Fatal(n, err, s.left())
	}
	s.run()
	within(t, 5*time.Second, "put off", func() bool {
		return s.row("x@there.example").NextAt > models.At(s.now()) && !s.row("x@there.example").Trying
	})
	s.mu.Lock()
	s.postErr = nil
	s.mu.Unlock()
	s.advance(reportPause)
	within(t, 5*time.Second, "told", func() bool { return s.left() == 0 && len(s.posted()) == 1 })
	if body := string(s.posted()[0].Body); strings.Contains(body, "y@there") || strings.Contains(body, "Remote-MTA") {
		t.Error(body)
	}
}

// testDropWhileTried leaves a recipient alone that another server is about to take.
func testDropWhileTried(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	begun, end := make(chan struct{}), make(chan struct{})
	s.sender.answer = func(*outbound.Message, string) outbound.Result {
		close(begun)
		<-end
		return taken
	}
	s.run()
	insert(t, s.q, submitted(1), "x@there.example")
	<-begun
	if n, err := s.q.Drop(t.Context(), models.Everything(), models.QueueFilter{Address: "x@there.example"}, true); n != 0 || err != nil {
		t.Error(n, err)
	}
	close(end)
	within(t, 5*time.Second, "sent", func() bool { return s.left() == 0 && s.kinds("x@there.example") == "sent" })
	if len(s.posted()) != 0 {
		t.Error("told of what was sent")
	}
}

// routesOf sends the mail of one mailbox by a relay.
type routesOf models.ID

func (r routesOf) Route(_ context.Context, mailbox, _ models.ID) (outbound.Route, error) {
	if mailbox == models.ID(r) {
		return outbound.Route{Relay: &outbound.Relay{Host: "relay.example"}}, nil
	}
	return outbound.Route{}, nil
}

// testRelayFails has a relay of one tenant that cannot be reached: mail of others to the same
// destination goes on, and says nothing of it.
func testRelayFails(t *testing.T, d *db.DB) {
	s := open(t, d, func(c *Config) { c.Routes = routesOf(5) })
	s.sender.byRelay = &nobody
	s.run()
	insert(t, s.q, submitted(1), "x@there.example")
	within(t, 5*time.Second, "put off", func() bool { return s.row("x@there.example").Attempts == 1 })
	other := submitted(2)
	other.MailboxID, other.CustomerID = 6, 2
	insert(t, s.q, other, "y@there.example")
	within(t, 5*time.Second, "sent", func() bool { return s.left() == 1 && s.kinds("y@there.example") == "sent" })
	if row := s.row("x@there.example"); row.Reason != "connect" {
		t.Errorf("%+v", row)
	}
}

// testWarning wants an attempt, and the warning, at the time of the plan, not some hours after; but no
// attempt sooner than half an hour after another.
func testWarning(t *testing.T, d *db.DB) {
	s := open(t, d, func(c *Config) { c.Plan.Retry = []time.Duration{3 * time.Hour} })
	s.sender.answer = func(*outbound.Message, string) outbound.Result { return later }
	began := s.now()
	s.run()
	insert(t, s.q, submitted(1), "x@there.example")
	for n := int64(1); len(s.posted()) == 0; n++ {
		within(t, 5*time.Second, "attempt", func() bool { return s.row("x@there.example").Attempts == n || len(s.posted()) > 0 })
		if s.now().Sub(began) >= 4*time.Hour {
			within(t, 5*time.Second, "warned", func() bool { return len(s.posted()) == 1 })
			break
		}
		s.advance(s.row("x@there.example").NextAt.Time().Sub(s.now()))
	}
	if took := s.now().Sub(began); took < 4*time.Hour || took > 4*time.Hour+30*time.Minute {
		t.Errorf("warned after %v", took)
	}
}

// testHeldIsLeft tries what is held only after its release.
func testHeldIsLeft(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	s.run()
	item := submitted(1)
	item.Held = true
	insert(t, s.q, item, "x@there.example")
	insert(t, s.q, submitted(2), "y@there.example")
	within(t, 5*time.Second, "the other is sent", func() bool { return s.left() == 1 })
	if n, err := s.q.Release(t.Context(), models.Everything(), models.QueueFilter{MailboxID: 5}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	within(t, 5*time.Second, "sent", func() bool { return s.left() == 0 })
}

// testHeldMailbox has mail that nobody has marked, of a mailbox whose sending is held.
func testHeldMailbox(t *testing.T, d *db.DB) {
	s := open(t, d, nil)
	hold := func(at int, by string) {
		err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.ExecContext(ctx, "DELETE FROM mailboxes WHERE id = 5"); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO mailboxes (id, customer_id, domain_id, address, name, password_hash, held_at, held_reason, held_by, created_at, updated_at, password_at)
				VALUES (5, 1, 1, 'a@ours.example', '', '', ?, '', ?, 1, 1, 1)`, at, by)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	defer hold(0, "")
	hold(1, "admin")
	insert(t, s.q, submitted(1), "x@there.example", "y@there.example")
	forward := submitted(2)
	forward.Kind, forward.Sending = models.QueueForward, false
	insert(t, s.q, forward, "z@there.example")
	s.run()
	within(t, 5*time.Second, "held", func() bool {
		return s.row("x@there.example").Held && s.row("y@there.example").Held && s.left() == 2 && s.kinds("x@there.example") == "held"
	})
	if n, err := s.q.Release(t.Context(), models.OfCustomer(1), models.QueueFilter{MailboxID: 5}); n != 0 || err != nil {
		t.Fatal("released by a customer:", n, err)
	}
	if n, err := s.q.Release(t.Context(), models.Everything(), models.QueueFilter{Address: "x@there.example"}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	within(t, 5*time.Second, "what is released by hand is sent", func() bool { return s.left() == 1 && s.sender.sent["x@there.example"] == 1 })
	hold(0, "")
	if n, err := s.q.Release(t.Context(), models.OfCustomer(1), models.QueueFilter{MailboxID: 5}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	within(t, 5*time.Second, "all is sent", func() bool { return s.left() == 0 })
	if s.sender.count() != 3 {
		t.Errorf("attempts %v", s.sender.attempts)
	}
}

// TestDestinationDown asks a destination once, puts off what else is due for it, and does not
// keep others waiting.
func TestDestinationDown(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	s := open(t, d, nil)
	s.sender.answer = func(m *outbound.Message, _ string) outbound.Result {
		if m.Domain == "down.example" {
			time.Sleep(50 * time.Millisecond)
			return nobody
		}
		return taken
	}
	insertMany(t, s.q, 200, func(i int) string { return fmt.Sprintf("x%d@down.example", i) })
	insert(t, s.q, submitted(1000), "y@there.example")
	s.run()
	within(t, 10*time.Second, "all put off", func() bool {
		groups, err := s.q.Groups(t.Context(), models.Everything())
		return err == nil && len(groups) == 1 && groups[0].Count == 200 && groups[0].Reason == "connect"
	})
	asked := 0
	for _, a := range s.sender.attempts {
		if strings.HasPrefix(a, "down") {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("%d attempts", asked)
	}
}

// TestTwoQueues lets two processes work on one database: no message goes twice.
func TestTwoQueues(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		const jobs = 399
		one := open(t, dbtest.Open(t, config), nil)
		two := open(t, dbtest.Open(t, config), nil)
		two.sender = one.sender
		two.q.config.Send = one.sender
		insertMany(t, one.q, jobs, func(i int) string { return fmt.Sprintf("x%d@d%d.example", i, i%20) })
		one.run()
		two.run()
		within(t, 20*time.Second, "all sent", func() bool { return one.left() == 0 })
		for i := range jobs {
			to := fmt.Sprintf("x%d@d%d.example", i, i%20)
			if n := one.sender.sent[to]; n != 1 {
				t.Errorf("%s sent %d times", to, n)
			}
		}
		if refs := one.gone.all() + two.gone.all(); refs != jobs {
			t.Errorf("%d references given back", refs)
		}
	})
}

// TestLostClaim has a claim that runs out and is taken by another process during the attempt:
// nothing is sent, and the result of the first is not written.
func TestLostClaim(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		a := open(t, dbtest.Open(t, config), nil)
		b := open(t, dbtest.Open(t, config), nil)
		insert(t, a.q, submitted(1), "x@there.example")
		a.q.schedule.offer("there.example", 5)
		turn, _ := a.q.schedule.next()
		first, _, err := a.q.take(t.Context(), turn.flow, claimItems)
		if err != nil || len(first) != 1 || !first[0].valid() {
			t.Fatal(first, err)
		}
		if again, _, err := b.q.take(t.Context(), turn.flow, claimItems); err != nil || len(again) != 0 {
			t.Fatalf("taken twice: %v, %v", again, err)
		}
		// Its time runs out, by the database's clock and by ours.
		if err := a.db.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE queue_recipients SET until_time = 1, next_at = 1")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		second, _, err := b.q.take(t.Context(), turn.flow, claimItems)
		if err != nil || len(second) != 1 || second[0].Token != first[0].Token+1 {
			t.Fatal(second, err)
		}
		if err := a.q.renew(t.Context()); err != nil || first[0].valid() {
			t.Errorf("the first claim is valid still; %v", err)
		}
		if err := b.q.renew(t.Context()); err != nil || !second[0].valid() {
			t.Errorf("the second claim is not valid; %v", err)
		}
		item := submitted(1)
		item.ID = first[0].QueueID
		if got := a.q.attempt(t.Context(), &item, &outbound.Route{}, first).Results[0]; got.Reason != outbound.ReasonAbandoned {
			t.Errorf("%+v", got)
		}
		late := &settlement{item: &item, outcomes: []outcome{{claim: first[0], status: outbound.Delivered}}, now: a.now()}
		if err := a.q.settlements.do(&[]*settlement{late}, 1); err != nil || len(late.written) != 0 || a.left() != 1 {
			t.Errorf("the result of a lost claim was written: %v, %v", late.written, err)
		}
		b.q.settle(t.Context(), &item, second, []outbound.Result{taken})
		if b.left() != 0 {
			t.Error("the result of the second claim was not written")
		}
	})
}

// TestClaimOfGoneProcess is free at once for a server that is alone, after its time otherwise.
func TestClaimOfGoneProcess(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		for _, alone := range []bool{true, false} {
			gone, err := db.Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			a := open(t, gone, func(c *Config) { c.Lease = 3 * time.Second })
			insert(t, a.q, submitted(1), "x@there.example")
			a.q.schedule.offer("there.example", 5)
			turn, _ := a.q.schedule.next()
			if first, _, err := a.q.take(t.Context(), turn.flow, claimItems); err != nil || len(first) != 1 {
				t.Fatal(first, err)
			}
			gone.Close()
			b := open(t, dbtest.Open(t, config), func(c *Config) { c.Lease, c.Alone, c.Now = 3*time.Second, alone, time.Now })
			start := time.Now()
			b.run()
			within(t, 10*time.Second, "sent", func() bool { return b.left() == 0 })
			if took := time.Since(start); alone != (took < 2*time.Second) {
				t.Errorf("alone %v: after %v", alone, took)
			}
			b.q.Shutdown(t.Context())
		}
	})
}

// TestShutdown waits for attempts, and cuts what is left.
func TestShutdown(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	s := open(t, d, nil)
	begun, goOn := make(chan struct{}, 10), make(chan struct{})
	s.sender.answer = func(*outbound.Message, string) outbound.Result {
		begun <- struct{}{}
		<-goOn
		return taken
	}
	s.run()
	insert(t, s.q, submitted(1), "x@there.example")
	insert(t, s.q, submitted(2), "y@there.example")
	<-begun
	done := make(chan struct{})
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.q.Shutdown(ctx)
		close(done)
	}()
	<-s.q.stopping
	close(goOn)
	<-done
	if n := s.left(); n > 1 {
		t.Errorf("%d left", n)
	}
	if r := s.row("y@there.example"); r.ID != 0 && r.Trying {
		t.Errorf("its claim was not given back: %+v", r)
	}
}

// TestPanic ends one attempt and nothing else.
func TestPanic(t *testing.T) {
	d := dbtest.Open(t, dbtest.SQLite(t))
	panics := make(chan struct{}, 100)
	s := open(t, d, func(c *Config) { c.Panicked = func() { panics <- struct{}{} } })
	s.sender.answer = func(m *outbound.Message, _ string) outbound.Result {
		if m.Domain == "bad.example" {
			panic(errors.New("bad"))
		}
		return taken
	}
	s.run()
	insert(t, s.q, submitted(1), "x@bad.example")
	insert(t, s.q, submitted(2), "y@there.example")
	<-panics
	within(t, 5*time.Second, "the other is sent", func() bool { return s.left() == 1 })
}

// TestLostCommits cuts every third COMMIT, before, within and after it: what became of each is
// found out, nothing is lost and nothing goes twice.
func TestLostCommits(t *testing.T) {
	const jobs = 60
	var on atomic.Bool
	config, _ := dbtest.NewCutter(t, dbtest.MySQL(t), dbtest.EveryThird(&on))
	s := open(t, dbtest.Open(t, config), nil)
	insertMany(t, s.q, jobs, func(i int) string { return fmt.Sprintf("x%d@d%d.example", i, i%10) })
	on.Store(true)
	s.run()
	within(t, 30*time.Second, "all sent", func() bool {
		var n int
		return s.db.SQL().QueryRow("SELECT COUNT(*) FROM queue_recipients").Scan(&n) == nil && n == 0
	})
	on.Store(false)
	for i := range jobs {
		to := fmt.Sprintf("x%d@d%d.example", i, i%10)
		if n := s.sender.sent[to]; n != 1 {
			t.Errorf("%s sent %d times", to, n)
		}
	}
	if s.gone.all() != jobs {
		t.Errorf("%d references given back", s.gone.all())
	}
}
