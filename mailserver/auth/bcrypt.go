package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/models"
)

// Hash returns the bcrypt hash of a password with the configured cost, computed by the workers
// that log-ins wait for too. Errors: password.long (arg max) and password.nul of kind Invalid,
// login.busy of kind Unavailable, or ctx's error.
func (s *Service) Hash(ctx context.Context, password string) (string, error) {
	switch {
	case len(password) > MaxPassword:
		return "", models.Errorf(models.Invalid, "password.long", "The password is longer than %d bytes.", MaxPassword).With("max", MaxPassword)
	case strings.IndexByte(password, 0) >= 0:
		return "", models.Errorf(models.Invalid, "password.nul", "A password cannot hold a NUL character.")
	}
	if err := s.workers.acquire(ctx, netip.Prefix{}, true); err != nil {
		return "", err
	}
	defer s.workers.release()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), s.config.Cost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return string(hash), nil
}

// bcryptAlphabet is the base 64 of bcrypt.
const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// dummyHash returns a hash in bcrypt's form, made up of random characters: comparing with it
// takes as long as with a real one, and no password is known that has it.
func dummyHash(cost int) string {
	random := make([]byte, 53) // 22 of salt, 31 of hash
	rand.Read(random)
	for i, b := range random {
		random[i] = bcryptAlphabet[b%64]
	}
	return hashPrefix(cost) + string(random)
}

func hashPrefix(cost int) string { return fmt.Sprintf("$2a$%02d$", cost) }

// matches compares at the expense of the configured cost. A hash with a lower cost that does
// not match is followed by dummies of that cost and each one above it, which together take as
// long as one of the configured cost: c + c + (c+1) + ... in powers of two. Otherwise the time
// would tell which names exist for as long as their hashes wait to be raised.
func (s *Service) matches(hash, password string) bool {
	s.compared.Add(1)
	if s.compare([]byte(hash), []byte(password)) == nil {
		return true
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return false
	}
	for ; cost < s.config.Cost; cost++ {
		_ = s.compare([]byte(hashPrefix(cost)+s.dummy[len(hashPrefix(0)):]), []byte(password))
	}
	return false
}

// flights lets attempts with the same password for the same account share one comparison, as
// when a client opens five connections at once. The zero value is ready.
type flights struct {
	mu   sync.Mutex
	open map[sum]*flight
}

type flight struct {
	done chan struct{}
	ok   bool
	err  error // of who flew
}

// join returns the open flight of key, or a new one that the caller must land.
func (f *flights) join(key sum) (fl *flight, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl = f.open[key]; fl != nil {
		return fl, false
	}
	if f.open == nil {
		f.open = map[sum]*flight{}
	}
	fl = &flight{done: make(chan struct{})}
	f.open[key] = fl
	return fl, true
}

func (f *flights) land(key sum, fl *flight) {
	f.mu.Lock()
	delete(f.open, key)
	f.mu.Unlock()
	close(fl.done)
}

// verify compares a password with a hash, once for all who ask at the same time. key is the
// sum of both.
func (s *Service) verify(ctx context.Context, key sum, hash, password string, from netip.Prefix, familiar bool) (bool, error) {
	for {
		fl, mine := s.flights.join(key)
		if mine {
			fl.ok, fl.err = s.work(ctx, hash, password, from, familiar)
			s.flights.land(key, fl)
			return fl.ok, fl.err
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if fl.err == nil {
			return fl.ok, nil
		}
		// Who flew was turned away or has hung up, which says nothing about us.
		if models.Is(fl.err, models.Unavailable) {
			return false, fl.err
		}
	}
}

func (s *Service) work(ctx context.Context, hash, password string, from netip.Prefix, familiar bool) (bool, error) {
	if err := s.workers.acquire(ctx, from, familiar); err != nil {
		return false, err
	}
	defer s.workers.release()
	return s.matches(hash, password), nil
}

// rehashed remembers which new hash is of the same password as an old one, so that sessions
// opened under the old one are not taken for sessions with a changed password.
type rehashed struct {
	slot chan struct{} // for the one that is being made; Run takes it for good at its end
	mu   sync.Mutex
	news *lru[string, string]
}

func newRehashed() *rehashed {
	return &rehashed{slot: make(chan struct{}, 1), news: newLRU[string, string](10_000)}
}

func (r *rehashed) note(oldHash, newHash string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.news.put(oldHash, newHash)
}

// same reports whether both hashes are known to be of one password.
func (r *rehashed) same(oldHash, newHash string) bool {
	if oldHash == newHash {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.news.get(oldHash)
	return ok && known == newHash
}

// rehash raises the cost of a password that was just proved, without making anybody wait: one
// at a time, and if another is being made this one has its turn at a later log-in.
func (s *Service) rehash(account *models.Account, password string) {
	if cost, err := bcrypt.Cost([]byte(account.Hash)); err != nil || cost >= s.config.Cost {
		return
	}
	select {
	case s.rehashed.slot <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-s.rehashed.slot }()
		ctx, cancel := context.WithTimeout(s.life, 30*time.Second)
		defer cancel()
		if err := s.raise(ctx, account, password); err != nil {
			s.log.Warn("password not rehashed", "mailbox", account.Name, "err", err)
		}
	}()
}

func (s *Service) raise(ctx context.Context, account *models.Account, password string) error {
	if err := s.workers.acquire(ctx, netip.Prefix{}, false); err != nil {
		return err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), s.config.Cost)
	s.workers.release()
	if err != nil {
		return err
	}
	// Noted first: sessions may be checked against the new hash before Rehash returns.
	s.rehashed.note(account.Hash, string(hash))
	if err := s.config.Accounts.Rehash(ctx, account.Kind, account.ID, account.Hash, string(hash)); err != nil {
		return err
	}
	s.cache.add(s.passwordSum(account.Kind, account.ID, string(hash), password), s.now())
	return nil
}
