package models

import (
	"sync"
	"time"
)

// idEpoch is the first millisecond an id can carry: 2025-01-01 UTC. 41 bits of milliseconds
// reach 2094.
const idEpoch = 1735689600000

// MaxNode is the highest node number an id can carry.
const MaxNode = 1<<10 - 1

// IDs makes ids: 41 bits of milliseconds, 10 of node number, 12 of counter. When the clock
// steps back, or 4096 ids were made within a millisecond, it runs ahead of the clock rather
// than repeat one. Safe for concurrent use.
type IDs struct {
	node int64
	now  func() time.Time

	mu    sync.Mutex
	milli int64
	count int64
}

// NewIDs returns the generator of one process; no other living process on the same database
// may have the same node number (0 to MaxNode). A nil now is time.Now.
func NewIDs(node int64, now func() time.Time) *IDs {
	if node < 0 || node > MaxNode {
		panic("models: node number out of range")
	}
	if now == nil {
		now = time.Now
	}
	return &IDs{node: node, now: now}
}

// Time returns when the id was made, to the millisecond and if its maker's clock was right.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id)>>22 + idEpoch).UTC() }

// FirstID returns the least id that can be made at a moment or later.
func FirstID(t time.Time) ID { return ID((t.UnixMilli() - idEpoch) << 22) }

// Node returns the generator's node number.
func (g *IDs) Node() int64 { return g.node }

// New returns the next id.
func (g *IDs) New() ID {
	milli := g.now().UnixMilli() - idEpoch
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case milli > g.milli:
		g.milli, g.count = milli, 0
	case g.count < 1<<12-1:
		g.count++
	default:
		g.milli, g.count = g.milli+1, 0
	}
	return ID(g.milli<<22 | g.node<<12 | g.count)
}
