package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// *db.DB is the Watcher of the real server.
var _ Watcher = (*db.DB)(nil)

// memory is an account database in memory, which tells its watchers like the real one.
type memory struct {
	mu       sync.Mutex
	accounts map[accountKey]models.Account
	logins   []models.Login
	blocks   map[string]models.LoginBlock
	watchers map[int]func([]db.Change)
	watched  int
	reads    map[accountKey]int // by AccountByID
	saves    int
	away     error // what every method returns
}

func newMemory() *memory {
	return &memory{
		accounts: map[accountKey]models.Account{}, blocks: map[string]models.LoginBlock{},
		watchers: map[int]func([]db.Change){}, reads: map[accountKey]int{},
	}
}

func (m *memory) find(match func(models.Account) bool) (*models.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, m.away
	}
	for _, a := range m.accounts {
		if match(a) {
			return &a, nil
		}
	}
	return nil, models.Errorf(models.NotFound, "not_found", "Not found.")
}

func (m *memory) MailboxAccount(_ context.Context, name string) (*models.Account, error) {
	return m.find(func(a models.Account) bool { return a.Kind == models.AccountMailbox && a.Name == name })
}

func (m *memory) UserAccount(_ context.Context, name string) (*models.Account, error) {
	return m.find(func(a models.Account) bool { return a.Kind == models.AccountUser && a.Name == name })
}

func (m *memory) AccountByID(_ context.Context, kind models.AccountKind, id models.ID) (*models.Account, error) {
	m.mu.Lock()
	m.reads[accountKey{kind, id}]++
	m.mu.Unlock()
	return m.find(func(a models.Account) bool { return a.Kind == kind && a.ID == id })
}

func (m *memory) Rehash(_ context.Context, kind models.AccountKind, id models.ID, oldHash, newHash string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.accounts[accountKey{kind, id}]; a.Hash == oldHash {
		a.Hash = newHash
		m.accounts[keyOf(&a)] = a
	}
	return m.away
}

func (m *memory) RecordLogins(_ context.Context, logins []models.Login) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return m.away
	}
	m.logins = append(m.logins, logins...)
	return nil
}

func (m *memory) SaveBlock(_ context.Context, b models.LoginBlock) error {
	m.mu.Lock()
	if m.away != nil {
		m.mu.Unlock()
		return m.away
	}
	m.saves++
	m.blocks[fmt.Sprint(b.Network, b.MailboxID)] = b
	m.mu.Unlock()
	m.tell(db.Change{Kind: db.ChangedLimits, ID: b.MailboxID})
	return nil
}

func (m *memory) DeleteBlocks(_ context.Context, mailbox models.ID, network string) error {
	m.mu.Lock()
	if m.away != nil {
		m.mu.Unlock()
		return m.away
	}
	for key, b := range m.blocks {
		if (mailbox == 0 || b.MailboxID == mailbox) && (network == "" || b.Network == network) {
			delete(m.blocks, key)
		}
	}
	m.mu.Unlock()
	m.tell(db.Change{Kind: db.ChangedLimits, ID: mailbox})
	return nil
}

func (m *memory) Blocks(_ context.Context, now models.Micros) (list []models.LoginBlock, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.blocks {
		if b.Until > now {
			list = append(list, b)
		}
	}
	return list, m.away
}

func (m *memory) Watch(fn func([]db.Change)) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.watched
	m.watched++
	m.watchers[id] = fn
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, id)
	}
}

func (m *memory) tell(changes ...db.Change) {
	m.mu.Lock()
	var all []func([]db.Change)
	for _, fn := range m.watchers {
		all = append(all, fn)
	}
	m.mu.Unlock()
	for _, fn := range all {
		fn(changes)
	}
}

// change edits an account without telling anybody.
func (m *memory) change(a models.Account, edit func(*models.Account)) models.Account {
	m.mu.Lock()
	defer m.mu.Unlock()
	a = m.accounts[keyOf(&a)]
	edit(&a)
	m.accounts[keyOf(&a)] = a
	return a
}

func (m *memory) remove(a models.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, keyOf(&a))
}

func (m *memory) setAway(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = err
}

func (m *memory) recorded() []models.Login {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.logins)
}

func (m *memory) readsOf(a models.Account) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads[keyOf(&a)]
}

var errAway = errors.New("the database is away")

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// lines is a log that may be written and read at once.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is a service over a memory database with a few accounts, whose bcrypt calls are
// counted and whose delays pass at once.
type world struct {
	*Service
	t      testing.TB
	db     *memory
	clock  *clock
	log    *lines
	costs  chan int // of each comparison
	delays chan time.Duration

	sara, omid, bin, off, silent, admin models.Account
}

const saraPassword = "correct horse battery"

var home = netip.MustParseAddr("192.0.2.1")

// hashOf makes a hash at the lowest cost.
func hashOf(t testing.TB, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func newWorld(t testing.TB, edit ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, db: newMemory(), clock: &clock{at: time.Date(2026, 3, 1, 12, 10, 0, 0, time.UTC)}, log: &lines{},
		costs: make(chan int, 10_000), delays: make(chan time.Duration, 10_000)}
	config := Config{
		Accounts: w.db, Watch: w.db, Cost: bcrypt.MinCost, Now: w.clock.now, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Sleep: func(ctx context.Context, d time.Duration) error {
			w.delays <- d
			return ctx.Err()
		},
	}
	for _, e := range edit {
		e(&config)
	}
	w.Service = New(config)
	w.compare = w.counted
	hash := hashOf(t, saraPassword, bcrypt.MinCost)
	add := func(id models.ID, kind models.AccountKind, name string, edit func(*models.Account)) models.Account {
		a := models.Account{Kind: kind, ID: id, CustomerID: 100 + id%2, Name: name, Hash: hash}
		edit(&a)
		w.db.accounts[keyOf(&a)] = a
		return a
	}
	w.sara = add(1, models.AccountMailbox, "sara@example.com", func(*models.Account) {})
	w.omid = add(2, models.AccountMailbox, "omid@xn--pgba3a37c.example", func(*models.Account) {})
	w.bin = add(3, models.AccountMailbox, "bin@example.com", func(a *models.Account) { a.Deleted = true })
	w.off = add(4, models.AccountMailbox, "off@example.com", func(a *models.Account) { a.LoginOff, a.Reason = true, "unpaid" })
	w.silent = add(5, models.AccountMailbox, "silent@example.com", func(a *models.Account) { a.LoginOff = true })
	w.admin = add(6, models.AccountUser, "admin@localhost", func(a *models.Account) { a.Role = models.RoleAdmin })
	return w
}

func (w *world) counted(hash, password []byte) error {
	cost, err := bcrypt.Cost(hash)
	if err != nil {
		return err
	}
	w.costs <- cost
	return bcrypt.CompareHashAndPassword(hash, password)
}

// comparisons returns the costs of the comparisons since the last call.
func (w *world) comparisons() []int { return drain(w.costs) }

func drain[T any](c chan T) (list []T) {
	for {
		select {
		case v := <-c:
			list = append(list, v)
		default:
			return list
		}
	}
}

func (w *world) try(name, password string, from netip.Addr) error {
	_, err := w.Login(context.Background(), Attempt{Kind: models.AccountMailbox, Protocol: models.ProtoIMAP, Remote: from, Client: "test", Name: name, Password: password})
	return err
}

// run starts Run for the time of the test.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			w.t.Error("Run does not end")
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// until polls.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("%s: not within 10 s", what)
}

func wantKey(t testing.TB, err error, kind models.Kind, key string) {
	t.Helper()
	var e *models.Error
	switch {
	case key == "" && err == nil:
	case !errors.As(err, &e) || e.Kind != kind || e.Key != key:
		t.Errorf("error %v, want %s %q", err, kind, key)
	}
}
