package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/postchi/postchi/mailserver/certs"
	"github.com/postchi/postchi/mailserver/dkim"
	"github.com/postchi/postchi/mailserver/dnsinfo"
	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/models"
)

// openDNS makes what knows the records of domains; port gives a service's port, covers says
// whether clients accept the server's certificate for a host. It asks with a resolver of its
// own that keeps nothing: people look again right after a change.
func (b *base) openDNS(port func(name string) int, covers func(host string) bool) error {
	asking, err := resolver.New(resolver.Config{Servers: b.resolver.Servers(), Cache: -1, Log: b.log})
	if err != nil {
		return err
	}
	services := make([]dnsinfo.Service, 0, 6)
	for _, name := range []string{"submissions", "imaps", "pop3s", "submission", "imap", "pop3"} {
		services = append(services, dnsinfo.Service{Name: name, Port: port(name)})
	}
	b.dns = dnsinfo.New(dnsinfo.Config{
		Hostname: b.config.Hostname, Resolver: asking, Covers: covers, STSMode: b.config.Domains.MTASTS, KeepKeys: b.config.keepKeys(), CA: b.config.issuer(), Log: b.log,
		Services: func() []dnsinfo.Service { return services }, Source: b.config.Outbound.source(), Relay: b.relayOf,
	})
	return nil
}

// issuer is who certificates for domains' names come from, as CAA records have it; "" if that is
// not known, as with files that somebody else renews.
func (c *Config) issuer() string {
	if c.TLS.Mode != "acme" {
		return ""
	}
	return certs.Issuer(c.TLS.ACMEDirectory)
}

// keepKeys is how long the record of a DKIM key is needed after its last signature: as long as
// a message may wait in the queue, and 9 days.
func (c *Config) keepKeys() time.Duration {
	return max(dkim.KeepPublished, c.Queue.Lifetime+9*24*time.Hour)
}

// covered reports, for commands, whether a certificate is valid for a host; it is opened at the
// first question. That of the trial authority counts for nothing.
func (b *base) covered() func(host string) bool {
	open := sync.OnceValues(func() (*certs.Source, error) {
		ports := configuredPort(b.config)
		return b.openCerts(context.Background(), ports("http"), ports("https"))
	})
	return func(host string) bool {
		if b.config.TLS.Mode == "dev" {
			return false
		}
		source, err := open()
		return err == nil && source.Covers(host, roots(b.config.TLS.Authority)) == nil
	}
}

// dnsEvery is the pause between two rounds of looks at domains that are due.
const dnsEvery = 15 * time.Second

// watchDNS looks at the DNS of domains whose time has come, until ctx ends; of several servers
// one does.
func (s *server) watchDNS(ctx context.Context) {
	tick := time.NewTicker(dnsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.lookAtDNS(ctx); err != nil && ctx.Err() == nil && !models.Is(err, models.Conflict) {
			s.log.Warn("job failed", "job", "check DNS", "err", err)
		}
	}
}

func (s *server) lookAtDNS(ctx context.Context) error {
	lease, err := s.db.Leases().Acquire(ctx, "dns-checks", 10*time.Minute)
	if err != nil {
		return err
	}
	defer lease.Release(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, 9*time.Minute)
	defer cancel()
	_, err = pieces(func() (int64, error) { return s.service.CheckDue(ctx) })
	return err
}

const (
	stsPrefix = "mta-sts."
	stsPath   = "/.well-known/mta-sts.txt"
)

// stsPolicies answers for the policy hosts of active domains here (RFC 8461, section 3.3), by
// http as well: senders ask by https alone, and who looks for a fault asks by both. Everything
// else is next's.
func (s *server) stsPolicies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		domain, is := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(host, ".")), stsPrefix)
		if !is || r.URL.Path != stsPath || r.Method != http.MethodGet && r.Method != http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		d, err := s.store.Domain(r.Context(), models.Everything(), domain)
		switch {
		case models.Is(err, models.NotFound) || err == nil && d.State != models.DomainActive:
			writePlain(w, http.StatusNotFound, "no policy\n")
		case err != nil:
			writePlain(w, http.StatusServiceUnavailable, "try later\n")
		default:
			writePlain(w, http.StatusOK, s.dns.STSPolicy())
		}
	})
}
