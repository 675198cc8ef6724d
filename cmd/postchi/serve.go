package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/postchi/postchi/mailserver"
	"github.com/postchi/postchi/mailserver/certs"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/panel"
	"github.com/postchi/postchi/panel/clientsetup"
	"github.com/postchi/postchi/panel/session"
)

// shutdownTime is how long running transactions may take after SIGTERM: the program is to be
// gone after 10 s, and what is left then is cut and closed.
const shutdownTime = 8 * time.Second

func (c *cli) serveCommand() *cobra.Command {
	return &cobra.Command{Use: "serve", Short: "Run the panel and the mail server", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		config, err := c.loadConfig()
		if err != nil {
			return err
		}
		return serve(cmd.Context(), config, newLogger(config, c.stderr), c.stdout)
	}}
}

// server is the running program.
type server struct {
	*base
	bound    bound
	certs    *certs.Source
	mailer   *mailserver.Server
	panel    *panel.Panel
	web      *web
	registry *prometheus.Registry

	firstPassword string // of the administrator that this start made under --dev
}

// serve runs until ctx ends, then lets what runs finish for shutdownTime.
func serve(ctx context.Context, config *Config, log *slog.Logger, stdout io.Writer) error {
	began := time.Now()
	ports, err := listen(config.Listen)
	if err != nil {
		return err
	}
	defer ports.close()
	if err := makeDataDir(config.DataDir, config.User); err != nil {
		return err
	}
	if err := become(config.User); err != nil {
		return err
	}
	s := &server{bound: ports}
	if s.base, err = openBase(ctx, config, log, "server"); err != nil {
		return err
	}
	defer func() {
		if err := s.base.close(); err != nil {
			log.Error("close", "err", err)
		}
	}()
	if err := s.alone(ctx); err != nil {
		return err
	}
	if err := s.assemble(ctx); err != nil {
		return err
	}
	return s.run(ctx, time.Since(began), stdout)
}

// alone refuses a second server where messages lie in segment files that it could not read.
func (s *server) alone(ctx context.Context) error {
	peers, err := s.db.Peers(ctx, "server")
	if err != nil {
		return err
	}
	for _, peer := range peers {
		switch {
		case !peer.SameFolder:
			return models.Errorf(models.Conflict, "node.second", "Another Postchi server (on %s) uses this database with another data folder. With blob.driver = \"seg\" several nodes need one shared folder (blob.shared = true).", peer.Host)
		case !s.config.Blob.Shared || s.db.Dialect() == db.SQLite:
			return models.Errorf(models.Conflict, "node.twice", "Another Postchi server (on %s) runs on this data folder already.", peer.Host)
		}
	}
	return nil
}

func (s *server) assemble(ctx context.Context) error {
	var err error
	if s.certs, err = s.openCerts(ctx, s.bound.port("http"), s.bound.port("https")); err != nil {
		return err
	}
	s.registry = prometheus.NewRegistry()
	config, err := s.mailConfig(ctx)
	if err != nil {
		return err
	}
	if s.mailer, err = mailserver.New(config); err != nil {
		return err
	}
	s.hasher = s.mailer.Auth().Hash
	s.sessions = liveSessions{s.mailer.Auth(), s.db}
	s.notices, s.outbound, s.publicURL = s.mailer, s.mailer.Queue(), s.panelURL()
	covers := func(host string) bool { return s.certs.Covers(host, roots(s.config.TLS.Authority)) == nil }
	if err := s.openDNS(s.bound.port, covers); err != nil {
		return err
	}
	if err := s.openService(s.mailer); err != nil {
		return err
	}
	if err := s.firstAdmin(ctx); err != nil {
		return err
	}
	s.panel, err = panel.New(s.panelConfig())
	return err
}

func (s *server) mailConfig(ctx context.Context) (mailserver.Config, error) {
	c := s.config
	srs, err := s.srsKey(ctx)
	if err != nil {
		return mailserver.Config{}, err
	}
	config := mailserver.Config{
		Hostname: c.Hostname, DataDir: c.DataDir, TLS: s.certs.TLSConfig(),
		DB: s.db, Blobs: s.blobs, Store: s.mail, Accounts: s.store,
		Listeners: mailserver.Listeners{
			MX: s.bound["mx"], Submission: s.bound["submission"], Submissions: s.bound["submissions"],
			IMAP: s.bound["imap"], IMAPS: s.bound["imaps"], POP3: s.bound["pop3"], POP3S: s.bound["pop3s"],
		},
		MaxMessage: int64(c.SMTP.MaxMessage), MaxRecipients: c.SMTP.MaxRecipients, ShowClientAddress: c.SMTP.ShowClientAddress,
		Outbound:   s.outboundConfig(),
		BcryptCost: c.Auth.BcryptCost, BcryptWorkers: c.Auth.Workers,
		NetworkConnections: c.Limits.NetworkConnections, MailboxSessions: c.Limits.MailboxSessions, NetworkSessions: c.Limits.NetworkSessions,
		Idle: c.Limits.Idle, LoginIdle: c.Limits.LoginIdle, MinRate: c.Limits.MinRate, MinRateOver: c.Limits.MinRateOver,
		FullGrace: c.SMTP.FullGrace, SendingLimits: c.sendingLimits(), Signer: s.signer, SRSKey: srs,
		Metrics: s.registry, Log: s.log,
	}
	if c.SMTP.Verify {
		config.Resolver = s.resolver
	}
	config.Filters, err = c.filterChain(s.resolver, s.log)
	return config, err
}

func (s *server) panelConfig() panel.Config {
	c := s.config
	var proxies []netip.Prefix
	for _, p := range c.TrustedProxies {
		prefix, _ := parsePrefix(p) // checked
		proxies = append(proxies, prefix)
	}
	return panel.Config{
		Service: s.service, Login: panelLogin{s.mailer.Auth(), s.store, s.service}, Sessions: s.store.Sessions(session.User),
		ClientSetup: func(context.Context) clientsetup.Server { return s.offered() }, OfferTest: true,
		Ready:        s.ready,
		DefaultQuota: int64(c.Defaults.Quota), BinDays: int(c.Keep.Bin / (24 * time.Hour)),
		PublicURL: s.publicURL, TrustedProxies: proxies, Dev: c.Dev, Version: version, Log: s.log,
	}
}

// panelURL is the configured one, with the real port where --dev listens on port 0.
func (s *server) panelURL() string {
	if port := s.bound.port("http"); s.config.Dev && port != 0 {
		return "http://" + net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	}
	return s.config.PublicURL
}

// ready reports whether mail can be received and read.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := errors.Join(s.db.Ping(ctx), s.mailer.Ready(ctx)); err != nil {
		s.log.Warn("not ready", "err", err)
		return err
	}
	return nil
}

func (s *server) run(ctx context.Context, took time.Duration, stdout io.Writer) error {
	s.web = &web{log: s.log, failed: make(chan error, 8)}
	pages := health(s.ready, s.panel.Handler())
	plain := health(s.ready, redirect(s.config.PublicURL))
	if s.config.Dev {
		plain = pages // loopback only
	}
	s.web.serve(s.bound["http"], s.certs.Challenges(s.stsPolicies(plain)), nil)
	s.web.serve(s.bound["https"], s.stsPolicies(pages), s.certs.WebTLSConfig())
	s.web.serve(s.bound["metrics"], health(s.ready, metricsHandler(s.registry)), nil)

	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	mail := make(chan error, 1)
	go func() { mail <- s.mailer.Run(life) }()
	jobs := make(chan struct{})
	go func() { defer close(jobs); s.jobs(life) }()
	s.log.Info("serving", "version", version, "hostname", s.config.Hostname, "took", took.Round(time.Millisecond))
	s.welcome(stdout)

	var err error
	select {
	case <-ctx.Done():
	case err = <-s.web.failed:
	case err = <-mail:
		mail <- nil
	}
	s.log.Info("stopping")
	limit, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	s.web.shutdown(limit)
	err = errors.Join(err, s.mailer.Shutdown(limit))
	stop()
	<-mail
	<-jobs
	return err
}

// offered is what the mail server offers to clients now: the one source of every set-up page.
func (s *server) offered() clientsetup.Server {
	return offered(s.config, func(name string) int { return s.bound.port(name) }, s.certs)
}

// offered describes the listeners; port gives a service's port, 0 = off.
func offered(c *Config, port func(name string) int, source *certs.Source) clientsetup.Server {
	out := clientsetup.Server{Host: c.Hostname, Trust: clientsetup.TrustPublic}
	if c.TLS.Mode == "dev" {
		out.Trust, out.CAFile = clientsetup.TrustTrial, shortPath(filepath.Join(c.DataDir, "ca.pem"))
	} else if source == nil || source.Covers(c.Hostname, roots(c.TLS.Authority)) != nil {
		out.Trust = clientsetup.TrustBroken
	}
	for _, l := range []struct {
		name     string
		protocol clientsetup.Protocol
		security clientsetup.Security
	}{
		{"imaps", clientsetup.IMAP, clientsetup.TLS}, {"imap", clientsetup.IMAP, clientsetup.StartTLS},
		{"pop3s", clientsetup.POP3, clientsetup.TLS}, {"pop3", clientsetup.POP3, clientsetup.StartTLS},
		{"submissions", clientsetup.SMTP, clientsetup.TLS}, {"submission", clientsetup.SMTP, clientsetup.StartTLS},
	} {
		if p := port(l.name); p != 0 {
			out.Listeners = append(out.Listeners, clientsetup.Listener{Protocol: l.protocol, Security: l.security, Port: p})
		}
	}
	return out
}

// roots reads the authority that the certificate's chain must end at; nil is the system's.
func roots(file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(file); err == nil {
		pool.AppendCertsFromPEM(pem)
	}
	return pool
}

// shortPath prints a file relative to the current folder where it lies below it.
func shortPath(file string) string {
	dir, err := os.Getwd()
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return file
}
