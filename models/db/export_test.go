package db

// Prune does what happens every minute.
func (d *DB) Prune() { d.watch.prune() }
