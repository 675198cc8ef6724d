package resolver

import (
	"container/list"
	"sync"
	"time"
)

const (
	defaultCache = 8 << 20
	// entryCost is what an entry costs beside its records: key, list, map.
	entryCost = 256
	// maxEntry is the size of the largest answer kept, so that a few cannot empty the cache.
	maxEntry = 16 << 10
)

// cache keeps answers until their time is up, the least recently used giving way. A nil cache
// keeps nothing.
type cache struct {
	mu      sync.Mutex
	max     int // bytes
	size    int
	now     func() time.Time
	entries map[question]*list.Element
	recent  list.List // of *entry, the most recently used in front
}

type entry struct {
	key     question
	answer  *Answer
	expires time.Time
	size    int
}

func newCache(size int, now func() time.Time) *cache {
	if size == 0 {
		size = defaultCache
	}
	if now == nil {
		now = time.Now
	}
	return &cache{max: size, now: now, entries: map[question]*list.Element{}}
}

func (c *cache) get(key question) (*Answer, bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return nil, false
	}
	known := e.Value.(*entry)
	if !c.now().Before(known.expires) {
		c.drop(e)
		return nil, false
	}
	c.recent.MoveToFront(e)
	return known.answer, true
}

func (c *cache) put(key question, a *Answer) {
	// A parsed record takes about three times the room of its bytes.
	size := entryCost + 2*len(key.name) + 3*a.size
	if c == nil || a.TTL <= 0 || size > maxEntry {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		c.drop(e)
	}
	c.entries[key] = c.recent.PushFront(&entry{key, a, c.now().Add(a.TTL), size})
	c.size += size
	for c.size > c.max {
		c.drop(c.recent.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	known := c.recent.Remove(e).(*entry)
	delete(c.entries, known.key)
	c.size -= known.size
}

func (c *cache) clear() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.size = map[question]*list.Element{}, 0
	c.recent.Init()
}
