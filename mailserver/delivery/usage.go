package delivery

import (
	"sync"
	"time"

	"github.com/postchi/postchi/models"
)

const (
	usageAge  = 500 * time.Millisecond // how long a mailbox is believed to have room
	usageSize = 10_000                 // mailboxes that are remembered
)

// usage remembers what mailboxes held a moment ago. The zero value is empty.
type usage struct {
	mu sync.Mutex
	of map[models.ID]held
}

type held struct {
	models.MailboxUsage
	at time.Time
}

func (u *usage) get(id models.ID, now time.Time) (models.MailboxUsage, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h, ok := u.of[id]
	age := now.Sub(h.at)
	return h.MailboxUsage, ok && age >= 0 && age < usageAge
}

func (u *usage) put(id models.ID, used models.MailboxUsage, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of == nil || len(u.of) >= usageSize {
		u.of = map[models.ID]held{}
	}
	u.of[id] = held{used, now}
}

// delivered counts a message in, so that a mailbox that fills up is seen to be full.
func (u *usage) delivered(id models.ID, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if h, ok := u.of[id]; ok {
		h.Bytes += size
		h.Messages++
		u.of[id] = h
	}
}

// forget drops what is known of the mailboxes of an envelope that found no room: the retry is to
// be told which of them it was.
func (u *usage) forget(copies []copyTo) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range copies {
		delete(u.of, copies[i].MailboxID)
	}
}
