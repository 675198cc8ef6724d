package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// secret keys every sum over a password. It lives and dies with the process: sums found in a
// memory dump cannot be searched for without it, and none is ever written anywhere.
type secret [32]byte

func newSecret() (s secret) {
	rand.Read(s[:]) // never fails: crypto/rand ends the process instead
	return s
}

// sum is an HMAC-SHA-256.
type sum [sha256.Size]byte

// short is enough of a sum to tell passwords of one account apart.
func (s sum) short() uint64 { return binary.LittleEndian.Uint64(s[:]) }

// sum returns the sum over parts, each with its length before it.
func (s *secret) sum(parts ...string) (out sum) {
	mac := hmac.New(sha256.New, s[:])
	buf := make([]byte, 0, 512)
	for _, p := range parts {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(p)))
		buf = append(buf, p...)
	}
	mac.Write(buf)
	clear(buf)
	mac.Sum(out[:0])
	return out
}

// cache remembers passwords that were proved, by their sums. Nothing is ever taken out for a
// changed password: the stored hash is part of the sum, so the old entry is just not found.
type cache struct {
	keep time.Duration

	mu   sync.Mutex
	sums *lru[sum, time.Time] // when last used
}

func newCache(size int, keep time.Duration) *cache {
	return &cache{keep: keep, sums: newLRU[sum, time.Time](size)}
}

// has reports whether key was added or asked for within the time kept.
func (c *cache) has(key sum, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	used, ok := c.sums.get(key)
	if !ok {
		return false
	}
	if now.Sub(used) > c.keep {
		c.sums.remove(key)
		return false
	}
	c.sums.put(key, now)
	return true
}

func (c *cache) add(key sum, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sums.put(key, now)
}
