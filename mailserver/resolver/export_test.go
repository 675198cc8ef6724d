package resolver

// Waiting returns how many callers wait for questions that are under way.
func (r *Resolver) Waiting() (n int) {
	r.flight.mu.Lock()
	defer r.flight.mu.Unlock()
	for _, a := range r.flight.now {
		n += a.callers
	}
	return n
}
