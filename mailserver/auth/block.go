package auth

import (
	"context"
	"net/netip"
	"time"

	"github.com/postchi/postchi/models"
)

// maxBlocks bounds the blocks in force; at the bound the one that ends first is lifted.
const maxBlocks = 100_000

// block is a pair that is kept out.
type block struct {
	until    time.Time
	at       time.Time
	failures int
	saved    bool // has its row in the database; without one later, it was lifted
}

// count adds points to a tally, and blocks its pair for the limit of failures. After a block
// half of them are held against it still, so guessing goes on more slowly each time.
func (g *guard) count(p pair, t *tally, points, limit int, now time.Time) {
	t.points += points
	if t.failures() < limit {
		return
	}
	length := g.limits.Block
	if t.blocks < 10 {
		length = min(g.limits.FirstBlock<<t.blocks, g.limits.Block)
	}
	g.put(p, &block{until: now.Add(length), at: now, failures: t.failures()}, now)
	t.blocks++
	t.points = limit / 2 * pointsEach
	t.since = now
	if p.account < 0 { // nobody's: there is no page to show it on
		return
	}
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

func (g *guard) put(p pair, b *block, now time.Time) {
	if len(g.blocks) >= maxBlocks || now.Sub(g.swept) > time.Minute {
		g.sweep(now)
	}
	g.blocks[p] = b
}

// sweep takes out blocks that are over, or else the one that ends first.
func (g *guard) sweep(now time.Time) {
	g.swept = now
	var first pair
	var end time.Time
	for p, b := range g.blocks {
		if !now.Before(b.until) {
			delete(g.blocks, p)
		} else if end.IsZero() || b.until.Before(end) {
			first, end = p, b.until
		}
	}
	if len(g.blocks) >= maxBlocks {
		delete(g.blocks, first)
	}
}

// blocked returns until when the pair is kept out. A block of the whole network does not hold
// for those who have logged in from it before: others may have caused it.
func (g *guard) blocked(p pair, familiar bool, now time.Time) (time.Time, bool) {
	if b := g.blocks[p]; b != nil && now.Before(b.until) {
		return b.until, true
	}
	if b := g.blocks[pair{0, p.network}]; b != nil && now.Before(b.until) && !familiar {
		return b.until, true
	}
	return time.Time{}, false
}

func (p pair) block(b *block) models.LoginBlock {
	return models.LoginBlock{
		Network: models.NetworkName(p.network), MailboxID: p.account, Failures: int64(b.failures),
		Until: models.At(b.until), At: models.At(b.at),
	}
}

// list returns the blocks in force that pick takes.
func (g *guard) list(now time.Time, pick func(pair, *block) bool) (list []models.LoginBlock) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p, b := range g.blocks {
		if now.Before(b.until) && pick(p, b) {
			list = append(list, p.block(b))
		}
	}
	return list
}

// saved marks a block as stored, unless it was replaced meanwhile.
func (g *guard) saved(stored models.LoginBlock, network netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.blocks[pair{stored.MailboxID, network}]; b != nil && models.At(b.until) == stored.Until {
		b.saved = true
	}
}

// lift ends blocks and forgets what led to them.
func (g *guard) lift(match func(pair) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.blocks {
		if match(p) {
			delete(g.blocks, p)
		}
	}
	for _, e := range g.pairs.items {
		if it := e.Value.(*item[pair, *tally]); match(it.key) {
			it.value.points, it.value.blocks, it.value.seen = 0, 0, nil
		}
	}
	for _, e := range g.nets.items {
		if it := e.Value.(*item[netip.Prefix, *tally]); match(pair{0, it.key}) {
			it.value.points, it.value.blocks, it.value.seen = 0, 0, nil
		}
	}
}

// agree takes over what the database says: blocks of other processes come in, blocks that had
// a row and have none now were lifted.
func (g *guard) agree(rows []models.LoginBlock, now time.Time) {
	in := map[pair]models.LoginBlock{}
	for _, row := range rows {
		if network, err := models.ParseNetwork(row.Network); err == nil || row.Network == "" {
			in[pair{row.MailboxID, network}] = row
		}
	}
	lifted := map[pair]bool{}
	g.mu.Lock()
	for p, b := range g.blocks {
		if _, ok := in[p]; b.saved && !ok && now.Before(b.until) {
			lifted[p] = true
		}
	}
	for p, row := range in {
		if b := g.blocks[p]; b == nil || b.saved {
			// Never longer than our own blocks, whoever wrote the row with whatever clock.
			until := row.Until.Time()
			if latest := now.Add(g.limits.Block); until.After(latest) {
				until = latest
			}
			g.put(p, &block{until: until, at: row.At.Time(), failures: int(row.Failures), saved: true}, now)
		}
	}
	g.mu.Unlock()
	if len(lifted) > 0 {
		g.lift(func(p pair) bool { return lifted[p] })
	}
}

// Blocks returns the blocks in force of one mailbox (or user), or with 0 those of networks
// whatever the name.
func (s *Service) Blocks(mailbox models.ID) []models.LoginBlock {
	return s.guard.list(s.now(), func(p pair, _ *block) bool { return p.account == mailbox })
}

// Unblock lifts blocks here and, through the database, in every process, and forgets the
// failures that led to them. mailbox 0 is any, network "" is any; a network is written as
// models.NetworkName does. Errors: network.invalid of kind Invalid, else of kind Unavailable.
func (s *Service) Unblock(ctx context.Context, mailbox models.ID, network string) error {
	var only netip.Prefix
	if network != "" {
		var err error
		if only, err = models.ParseNetwork(network); err != nil {
			return err
		}
		network = models.NetworkName(only)
	}
	s.persist.Lock()
	defer s.persist.Unlock()
	if err := s.config.Accounts.DeleteBlocks(ctx, mailbox, network); err != nil {
		return unavailable(err)
	}
	s.guard.lift(func(p pair) bool {
		return (mailbox == 0 || p.account == mailbox) && (network == "" || p.network == only)
	})
	return nil
}

// saveBlocks stores the blocks that have no row yet.
func (s *Service) saveBlocks(ctx context.Context) error {
	s.persist.Lock()
	defer s.persist.Unlock()
	for _, b := range s.guard.list(s.now(), func(p pair, b *block) bool { return !b.saved && p.account >= 0 }) {
		if err := s.config.Accounts.SaveBlock(ctx, b); err != nil {
			return err
		}
		network, _ := models.ParseNetwork(b.Network)
		s.guard.saved(b, network)
	}
	return nil
}

// loadBlocks makes the guard agree with the database.
func (s *Service) loadBlocks(ctx context.Context) error {
	s.persist.Lock()
	defer s.persist.Unlock()
	now := s.now()
	rows, err := s.config.Accounts.Blocks(ctx, models.At(now))
	if err != nil {
		return err
	}
	s.guard.agree(rows, now)
	return nil
}
