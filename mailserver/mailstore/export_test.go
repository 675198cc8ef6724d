package mailstore

import (
	"sync"
	"time"
)

// DeliverTogether writes arrivals in one group, as if they had come in one moment, and returns
// what each was told and after how long.
func (s *Store) DeliverTogether(arrivals []Arrival) (said []error, after []time.Duration) {
	said, after = make([]error, len(arrivals)), make([]time.Duration, len(arrivals))
	began := time.Now()
	var group []*item
	var waits sync.WaitGroup
	for i := range arrivals {
		l, err := arrivals[i].letter()
		if err != nil {
			said[i] = err
			continue
		}
		it := newItem([]letter{l})
		group = append(group, it)
		waits.Go(func() {
			<-it.done
			after[i] = time.Since(began)
			said[i] = it.err
			s.settle(it.err, arrivals[i].Blob)
		})
	}
	s.commit(group, 1)
	waits.Wait()
	return said, after
}
