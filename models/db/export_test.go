package db

// Prune does what happens every minute.
func (d *DB) Prune() { d.watch.prune() }

// BeatOn renews the lease of the node's number again and again until the end of d, as a goroutine
// that Close waits for.
func (d *DB) BeatOn() {
	d.done.Go(func() {
		for {
			select {
			case <-d.closing:
				return
			default:
				d.node.beat()
			}
		}
	})
}
