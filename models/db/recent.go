package db

import (
	"sync"
	"time"
)

const (
	// recentAge is how long a value of Recent is used at most. What another process has changed
	// is known after Config.PollEvery; this holds even when nothing is told, because the
	// database is slow or a stream was lost.
	recentAge = 500 * time.Millisecond
	// recentSize bounds the values of one Recent.
	recentSize = 10_000
)

// Recent keeps for a moment what was read of the rows of accounts, so that a sender of many
// messages does not have them read for each. A change of such a row in this process, whoever
// makes it, ends all values before Write returns; a change of another process ends them once
// the watchers are told, and recentAge later in any case. Safe for concurrent use.
type Recent[K comparable, V any] struct {
	db *DB
	mu sync.Mutex
	of map[K]recent[V]
}

type recent[V any] struct {
	value   V
	at      time.Time
	version int64
}

// NewRecent returns an empty one.
func NewRecent[K comparable, V any](d *DB) *Recent[K, V] {
	return &Recent[K, V]{db: d, of: map[K]recent[V]{}}
}

// Get returns the value of a key, which read reads if it is not known. An error is not kept.
// The value is shared: it must not be changed. Not for use within Write, whose own changes are
// not told yet.
func (r *Recent[K, V]) Get(key K, read func() (V, error)) (V, error) {
	now, version := r.db.Now(), r.db.watch.accounts.Load()
	r.mu.Lock()
	known, ok := r.of[key]
	r.mu.Unlock()
	if age := now.Sub(known.at); ok && known.version == version && age >= 0 && age < recentAge {
		return known.value, nil
	}
	// The version is from before the reading: a change during it makes the value old at once.
	value, err := read()
	if err != nil {
		return value, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) >= recentSize {
		clear(r.of)
	}
	r.of[key] = recent[V]{value, now, version}
	return value, nil
}

// ofAccounts reports whether a change may concern rows of accounts.
func ofAccounts(changes []Change) bool {
	for _, c := range changes {
		switch c.Kind {
		case ChangedFolder, ChangedFolders, ChangedLimits:
		default:
			return true
		}
	}
	return false
}
