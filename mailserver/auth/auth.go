// Package auth is the one door of every log-in: SMTP, IMAP, POP3 and the panel ask it.
//
// The account's row is read at each attempt, so a changed password or a suspension holds at
// once. bcrypt is computed by a bounded number of workers, and once for each password in use:
// after that a cache answers, keyed by an HMAC over the account, its stored hash and the
// password. Names nobody has take the same steps as names somebody has, down to one bcrypt
// comparison, the delays and the blocks.
//
// Wrong passwords are counted for a network (an IPv4 address, an IPv6 /64) and for a pair of
// account and network. They make further attempts wait, without a worker, and then block for
// at most 15 minutes. A password found in the cache is asked for none of that: strangers
// cannot lock an owner out.
//
// Attempts are told to the database through a bounded buffer; open sessions are ended when
// their account's row no longer lets them in.
package auth

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// The lengths of what a client may send, in bytes.
const (
	MaxName     = 320 // 64, @ and 255: RFC 5321, section 4.5.3.1
	MaxPassword = 72  // bcrypt reads no more, so what is longer is refused instead of cut
)

// Accounts is what a log-in asks of the account database. Names are normalized addresses. An
// error of kind NotFound means that there is no such account; any other is taken for a failure
// that will pass.
type Accounts interface {
	// MailboxAccount returns the mailbox of an address; in the bin it has Deleted set.
	MailboxAccount(ctx context.Context, address string) (*models.Account, error)
	// UserAccount returns the user of the panel with an e-mail address.
	UserAccount(ctx context.Context, email string) (*models.Account, error)
	// AccountByID reads an account again.
	AccountByID(ctx context.Context, kind models.AccountKind, id models.ID) (*models.Account, error)
	// Rehash replaces oldHash by newHash, of the same password, if oldHash is still there.
	Rehash(ctx context.Context, kind models.AccountKind, id models.ID, oldHash, newHash string) error
	// RecordLogins adds to the aggregates of attempts: Count is added, LastAt moves on. The
	// ids of new rows are the store's to give. At most 100 at once.
	RecordLogins(ctx context.Context, logins []models.Login) error
	// SaveBlock inserts or replaces a block, and announces db.ChangedLimits.
	SaveBlock(ctx context.Context, block models.LoginBlock) error
	// DeleteBlocks removes the blocks of a mailbox from a network, and announces
	// db.ChangedLimits; 0 is any mailbox, "" any network.
	DeleteBlocks(ctx context.Context, mailbox models.ID, network string) error
	// Blocks returns the blocks that end after now.
	Blocks(ctx context.Context, now models.Micros) ([]models.LoginBlock, error)
}

// Watcher tells what has changed in the database, also by other processes; *db.DB is one.
type Watcher interface {
	Watch(fn func([]db.Change)) (stop func())
}

// Config is what a Service needs. Only Accounts must be set.
type Config struct {
	Accounts Accounts
	Watch    Watcher // nil: sessions are never ended, blocks of other processes not seen

	Cost    int // of bcrypt for new hashes, 4 to 31; default 10. A lower stored one is raised at the next log-in
	Workers int // bcrypt computations at once; default GOMAXPROCS
	Queue   int // attempts waiting for a worker; default 64 for each. Above it the network with most waiting gives way

	CacheSize int           // passwords proved; default 10,000
	CacheFor  time.Duration // since the last use; default 15 min

	Limits Limits

	PerMailbox int // open sessions of one mailbox; default 50, negative = no limit
	PerNetwork int // open sessions of one network; default 1,000, negative = no limit

	Now   func() time.Time                                 // nil = time.Now
	Sleep func(ctx context.Context, d time.Duration) error // waits, or returns ctx's error; nil = with a timer
	Log   *slog.Logger                                     // nil discards
}

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	def := func(n *int, to int) {
		if *n == 0 {
			*n = to
		}
	}
	def(&c.Cost, bcrypt.DefaultCost)
	def(&c.Workers, runtime.GOMAXPROCS(0))
	def(&c.Queue, 64*c.Workers)
	def(&c.CacheSize, 10_000)
	def(&c.PerMailbox, 50)
	def(&c.PerNetwork, 1000)
	if c.CacheFor == 0 {
		c.CacheFor = 15 * time.Minute
	}
	c.Limits = c.Limits.withDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Attempt is one try to log in.
type Attempt struct {
	Kind     models.AccountKind
	Protocol models.Protocol
	Remote   netip.Addr
	Client   string // what the client calls itself; may be empty
	Name     string // as the client sent it
	Password string
}

// Service is safe for concurrent use.
type Service struct {
	config Config
	secret secret
	dummy  string // a hash that no password has
	now    func() time.Time
	log    *slog.Logger

	workers  *workers
	cache    *cache
	flights  flights
	guard    *guard
	recorder *recorder
	sessions *sessions
	rehashed *rehashed

	persist sync.Mutex // held from reading or writing blocks in the database until the guard agrees
	reload  chan struct{}
	life    context.Context // of the work nobody waits for
	stop    context.CancelFunc

	compare  func(hash, password []byte) error // bcrypt; tests count its calls
	compared atomic.Int64
	cached   atomic.Int64
}

// New returns a service that can check and hash passwords at once. Blocks, records and the end
// of sessions reach and come from the database while Run runs.
func New(config Config) *Service {
	config = config.withDefaults()
	life, stop := context.WithCancel(context.Background())
	s := &Service{
		config: config, secret: newSecret(), now: config.Now, log: config.Log,
		workers:  newWorkers(config.Workers, config.Queue),
		cache:    newCache(config.CacheSize, config.CacheFor),
		guard:    newGuard(config.Limits),
		recorder: newRecorder(),
		sessions: newSessions(config.PerMailbox, config.PerNetwork),
		rehashed: newRehashed(),
		reload:   make(chan struct{}, 1),
		life:     life, stop: stop,
		compare: bcrypt.CompareHashAndPassword,
	}
	s.dummy = dummyHash(config.Cost)
	return s
}

// Stats counts since the start.
type Stats struct {
	Compared int64 // bcrypt comparisons
	Cached   int64 // log-ins the cache answered
	Refused  int64 // attempts turned away because too many waited for a worker
	Dropped  int64 // records of attempts that found no room in the buffer
	Sessions int   // open now
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	return Stats{
		Compared: s.compared.Load(), Cached: s.cached.Load(), Refused: s.workers.refused.Load(),
		Dropped: s.recorder.dropped.Load(), Sessions: s.sessions.len(),
	}
}
