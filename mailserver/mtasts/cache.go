package mtasts

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

const (
	// fresh is how long an answer is used without asking DNS and database again.
	fresh = time.Minute

	// failurePause is the time after a failed fetch without another (RFC 8461, section 3.3).
	failurePause = 5 * time.Minute

	// refreshEvery is how often it is looked which policies are to be fetched again.
	refreshEvery = 10 * time.Minute

	// refreshAfter is the age at which a policy is fetched again, if half its life is longer.
	refreshAfter = 24 * time.Hour

	// findTime bounds a look at database, DNS and web server.
	findTime = fetchTime + 30*time.Second

	maxRemembered = 10_000
	maxRefreshed  = 100 // in one round
)

// Config is what a Cache needs. DB and Resolver are required.
type Config struct {
	DB       *db.DB
	Resolver Resolver
	Roots    *x509.CertPool // nil = the system's
	Port     int            // of web servers; 0 = 443
	Private  bool           // web servers may have private addresses
	Now      func() time.Time
	Log      *slog.Logger
}

// Cache finds policies and keeps them. Safe for concurrent use.
type Cache struct {
	config Config
	now    func() time.Time
	log    *slog.Logger
	fetch  func(ctx context.Context, domain string) (*Policy, error)
	flight singleflight.Group

	mu         sync.Mutex
	remembered map[string]answer
	failed     map[string]time.Time
}

type answer struct {
	policy *Policy // nil = none
	at     time.Time
}

// New returns a cache over a database.
func New(c Config) *Cache {
	if c.Port == 0 {
		c.Port = 443
	}
	if c.Now == nil {
		c.Now = c.DB.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Cache{
		config: c, now: c.Now, log: c.Log, fetch: newFetcher(c.Resolver, c.Roots, c.Port, c.Private).fetch,
		remembered: map[string]answer{}, failed: map[string]time.Time{},
	}
}

// Policy is what a domain demands of TLS now; the zero Policy if it demands nothing. Its errors,
// all Unavailable, are failures of the database, and the end of ctx.
func (c *Cache) Policy(ctx context.Context, domain string) (outbound.Policy, error) {
	p, err := c.Find(ctx, domain)
	if err != nil || p == nil || p.Mode != Enforce {
		return outbound.Policy{}, err
	}
	return outbound.Policy{Name: "mta-sts", Enforce: true, Allows: p.Allows}, nil
}

// Find returns the policy that holds for a domain, whatever its mode; nil if there is none.
func (c *Cache) Find(ctx context.Context, domain string) (*Policy, error) {
	if a, ok := c.recall(domain); ok {
		return a.policy, nil
	}
	// Callers share one look. It does not end with the one who began it: what it cannot finish would
	// be "no policy" to the others.
	found := c.flight.DoChan(domain, func() (p any, err error) {
		defer func() {
			if fault := recover(); fault != nil { // of ours: it ends this look, not the process
				err = models.Unavailablef(fmt.Errorf("panic: %v", fault), "The TLS policy of %s is not known yet.", domain)
			}
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), findTime)
		defer cancel()
		return c.look(ctx, domain)
	})
	select {
	case r := <-found:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*Policy), nil
	case <-ctx.Done():
		return nil, models.Unavailablef(ctx.Err(), "The TLS policy of %s is not known yet.", domain)
	}
}

// look finds a policy and remembers it.
func (c *Cache) look(ctx context.Context, domain string) (*Policy, error) {
	p, err := c.find(ctx, domain)
	if err == nil {
		c.remember(domain, p)
	}
	return p, err
}

func (c *Cache) recall(domain string) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.remembered[domain]
	return a, ok && c.now().Sub(a.at) < fresh
}

func (c *Cache) remember(domain string, p *Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.remembered) >= maxRemembered {
		clear(c.remembered)
	}
	c.remembered[domain] = answer{p, c.now()}
}

// find asks database, DNS and the domain's web server, as far as needed. What was fetched and has
// not run out holds, unless a newer one is there (RFC 8461, sections 3.3 and 5.1).
func (c *Cache) find(ctx context.Context, domain string) (*Policy, error) {
	kept, err := c.load(ctx, domain)
	if err != nil {
		return nil, err
	}
	records, err := c.config.Resolver.LookupTXT(ctx, "_mta-sts."+domain)
	var dns *net.DNSError
	if err != nil && !(errors.As(err, &dns) && dns.IsNotFound) {
		c.log.Debug("mta-sts record not known", "domain", domain, "err", err)
	}
	id, announced := ParseRecord(records)
	if !announced || kept != nil && kept.ID == id {
		return kept, nil
	}
	newer, err := c.get(ctx, domain, id)
	if err != nil {
		return kept, nil
	}
	return newer, c.store(ctx, domain, newer)
}

// get fetches a policy, unless that failed a moment ago.
func (c *Cache) get(ctx context.Context, domain, id string) (*Policy, error) {
	c.mu.Lock()
	at, failed := c.failed[domain]
	c.mu.Unlock()
	if failed && c.now().Sub(at) < failurePause {
		return nil, errPolicy
	}
	p, err := c.fetch(ctx, domain)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) { // of the refresh: that says nothing of the domain
			return nil, err
		}
		if len(c.failed) >= maxRemembered {
			clear(c.failed)
		}
		c.failed[domain] = c.now()
		c.log.Info("mta-sts policy not fetched", "domain", domain, "err", err)
		return nil, err
	}
	delete(c.failed, domain)
	p.ID = id
	return p, nil
}

// load reads a policy that holds; nil if there is none.
func (c *Cache) load(ctx context.Context, domain string) (*Policy, error) {
	var p Policy
	var mx string
	var seconds int64
	err := c.config.DB.SQL().QueryRowContext(ctx, "SELECT policy_id, mode, mx, max_age FROM mtasts_policies WHERE domain = ? AND expires_at > ?", domain, models.At(c.now())).
		Scan(&p.ID, &p.Mode, &mx, &seconds)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, db.Failure(fmt.Errorf("read policy of %s: %w", domain, err))
	}
	p.MX, p.MaxAge = strings.Fields(mx), time.Duration(seconds)*time.Second
	return &p, nil
}

// store keeps a policy until it runs out.
func (c *Cache) store(ctx context.Context, domain string, p *Policy) error {
	now := c.now()
	err := c.config.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM mtasts_policies WHERE domain = ?", domain); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO mtasts_policies (domain, policy_id, mode, mx, max_age, fetched_at, expires_at, refresh_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			domain, p.ID, string(p.Mode), strings.Join(p.MX, " "), int64(p.MaxAge/time.Second), models.At(now), models.At(now.Add(p.MaxAge)), models.At(now.Add(min(p.MaxAge/2, refreshAfter))))
		return err
	})
	if err != nil && !db.IsDuplicate(err) { // two nodes at once: either will do
		return fmt.Errorf("keep policy of %s: %w", domain, err)
	}
	return nil
}
