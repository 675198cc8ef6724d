package mailserver

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// register adds the server's numbers; none carries an address.
func (s *Server) register(r *prometheus.Registry) {
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), s.panics)
	counter := func(name, help string, read func() float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
	}
	gauge := func(name, help string, read func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
	}
	counter("postchi_auth_compared_total", "Passwords compared by bcrypt.", func() float64 { return float64(s.auth.Stats().Compared) })
	counter("postchi_auth_cached_total", "Log-ins the cache answered.", func() float64 { return float64(s.auth.Stats().Cached) })
	counter("postchi_auth_refused_total", "Attempts refused because too many waited.", func() float64 { return float64(s.auth.Stats().Refused) })
	counter("postchi_auth_dropped_total", "Records of attempts that found no room.", func() float64 { return float64(s.auth.Stats().Dropped) })
	gauge("postchi_sessions", "Sessions that are logged in.", func() float64 { return float64(s.auth.Stats().Sessions) })
	counter("postchi_events_dropped_total", "Events of the trace that found no room.", func() float64 { return float64(s.trace.Dropped()) })
	counter("postchi_connections_refused_total", "Connections over the limit of their network.", func() float64 { return float64(s.gate.Refused()) })
	if s.queue != nil {
		counter("postchi_queue_sent_total", "Recipients whose server has taken the message.", func() float64 { return float64(s.queue.Stats().Sent) })
		counter("postchi_queue_deferred_total", "Attempts that are to be made again.", func() float64 { return float64(s.queue.Stats().Deferred) })
		counter("postchi_queue_bounced_total", "Recipients that were given up.", func() float64 { return float64(s.queue.Stats().Bounced) })
		gauge("postchi_queue_trying", "Recipients that are being tried.", func() float64 { return float64(s.queue.Trying()) })
	}
}
