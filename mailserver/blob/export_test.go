package blob

// SweepAt sets how many staged blobs make Put look for rows.
func (b *Blobs) SweepAt(n int) { b.sweep = n }

// Underway is the number of staged blobs that are not settled.
func (b *Blobs) Underway() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.staged)
}
