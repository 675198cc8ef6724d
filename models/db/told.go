package db

import (
	"context"
	"time"
)

// Told waits, if this process has changed rows of accounts and a server is running beside it,
// until that server uses nothing any more that it had read before: what a command has changed
// then holds everywhere when the command returns.
func (d *DB) Told(ctx context.Context) {
	if d.watch.accounts.Load() == 0 {
		return
	}
	if peers, err := d.Peers(ctx, "server"); err != nil || len(peers) == 0 {
		return // who cannot be asked starts anew, and reads
	}
	select {
	case <-time.After(recentAge):
	case <-ctx.Done():
	}
}
