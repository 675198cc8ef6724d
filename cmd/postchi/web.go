package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// web is the HTTP servers of the process.
type web struct {
	servers []*http.Server
	log     *slog.Logger
	failed  chan error
}

// serve serves handler on the listeners until close; Go's own defaults have no time limits.
func (w *web) serve(listeners []net.Listener, handler http.Handler, tlsConfig *tls.Config) {
	if len(listeners) == 0 {
		return
	}
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		TLSConfig:         tlsConfig,
		ErrorLog:          slog.NewLogLogger(w.log.Handler(), slog.LevelDebug),
	}
	w.servers = append(w.servers, s)
	for _, ln := range listeners {
		go func() {
			var err error
			if tlsConfig != nil {
				err = s.ServeTLS(ln, "", "")
			} else {
				err = s.Serve(ln)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				w.failed <- err
			}
		}()
	}
}

// shutdown lets running requests finish until ctx ends.
func (w *web) shutdown(ctx context.Context) {
	for _, s := range w.servers {
		if err := s.Shutdown(ctx); err != nil {
			s.Close()
		}
	}
}

// health answers /healthz (the process lives) and /readyz (it can do its work), and leaves
// everything else to next.
func health(ready func(context.Context) error, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			writePlain(w, http.StatusOK, "ok\n")
		case "/readyz":
			if err := ready(r.Context()); err != nil {
				writePlain(w, http.StatusServiceUnavailable, "not ready\n") // why is in the log
				return
			}
			writePlain(w, http.StatusOK, "ok\n")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write([]byte(text))
}

// redirect sends plain http to the panel's address.
func redirect(publicURL string) http.Handler {
	base := strings.TrimSuffix(publicURL, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			// A form sent in clear has shown its contents already; sending it on would hide that.
			http.Error(w, "Use https.", http.StatusForbidden)
			return
		}
		http.Redirect(w, r, base+r.URL.RequestURI(), http.StatusMovedPermanently)
	})
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}
