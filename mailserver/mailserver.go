// Package mailserver assembles the mail server from its parts: what checks log-ins, what
// stores and delivers, and the listeners of each protocol with their life.
package mailserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postchi/postchi/mailserver/auth"
	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/conn"
	"github.com/postchi/postchi/mailserver/delivery"
	"github.com/postchi/postchi/mailserver/filter"
	"github.com/postchi/postchi/mailserver/imapd"
	"github.com/postchi/postchi/mailserver/imapd/entry"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mtasts"
	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/mailserver/pop3d"
	"github.com/postchi/postchi/mailserver/pop3d/inbox"
	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/mailserver/smtpd"
	"github.com/postchi/postchi/mailserver/srs"
	"github.com/postchi/postchi/mailserver/trace"
	"github.com/postchi/postchi/mailserver/verify"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
)

// Accounts is all that the mail server asks of the account database.
type Accounts interface {
	auth.Accounts
	delivery.Resolver
	delivery.Records
	SenderAddresses(ctx context.Context, a *models.Account) ([]string, error)
	trace.Events
}

// Listeners are the open listeners of each service; none = off. The server closes them.
type Listeners struct {
	MX, Submission, Submissions, IMAP, IMAPS, POP3, POP3S []net.Listener
}

// Config is all that a Server needs. Numbers of 0 mean the default of the part they are for.
type Config struct {
	Hostname string
	DataDir  string // messages wait in its folder "spool" until they are stored
	TLS      *tls.Config

	DB       *db.DB
	Blobs    *blob.Blobs
	Store    *mailstore.Store
	Accounts Accounts

	Listeners Listeners

	MaxMessage        int64 // bytes
	MaxRecipients     int
	ShowClientAddress bool
	FullGrace         time.Duration // how long a full mailbox is asked for again

	Resolver verify.Resolver // nil = mail of other servers is not verified
	Filters  *filter.Chain   // nil = none
	Signer   delivery.Signer // nil = nothing is signed
	SRSKey   []byte          // of senders of forwarded mail; nil = they stay as they are

	SendingLimits models.SendingLimits
	Outbound      *Outbound // nil = nothing is sent to other servers

	BcryptCost, BcryptWorkers        int
	NetworkConnections               int // not logged in, from one network
	MailboxSessions, NetworkSessions int
	Idle, LoginIdle                  time.Duration
	MinRate                          int64 // bytes a second
	MinRateOver                      time.Duration

	Metrics *prometheus.Registry // nil = none
	Log     *slog.Logger         // nil = none
}

// Server is the mail server.
type Server struct {
	config   Config
	log      *slog.Logger
	auth     *auth.Service
	trace    *trace.Recorder
	delivery *delivery.Delivery
	queue    *queue.Queue
	outbound *outbound.Client
	policies *mtasts.Cache
	gate     *conn.Gate
	smtp     map[smtpd.Mode]*smtpd.Server
	imap     *imapd.Server
	pop3     *pop3d.Server
	panics   prometheus.Counter
}

// New assembles a server; Run serves.
func New(c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: c, log: c.Log, smtp: map[smtpd.Mode]*smtpd.Server{}}
	s.panics = prometheus.NewCounter(prometheus.CounterOpts{Name: "postchi_panics_total", Help: "Sessions ended by a fault of ours."})
	s.auth = auth.New(auth.Config{
		Accounts: c.Accounts, Watch: c.DB, Cost: c.BcryptCost, Workers: c.BcryptWorkers,
		PerMailbox: c.MailboxSessions, PerNetwork: c.NetworkSessions, Now: c.DB.Now, Log: c.Log,
	})
	s.trace = trace.New(trace.Config{Events: c.Accounts, Now: c.DB.Now, Log: c.Log})
	s.openQueue()
	s.delivery = delivery.New(s.deliveryConfig())
	s.gate = conn.NewGate(conn.Limits{
		PerNetwork: c.NetworkConnections, Idle: c.Idle, BeforeLogin: c.LoginIdle, MinRate: c.MinRate, MinRateOver: c.MinRateOver,
	}, nil, c.Log)
	for _, mode := range []smtpd.Mode{smtpd.ModeMX, smtpd.ModeSubmission, smtpd.ModeSubmissions} {
		server, err := smtpd.New(s.smtpConfig(mode))
		if err != nil {
			return nil, err
		}
		s.smtp[mode] = server
	}
	s.imap = imapd.New(imapd.Config{
		Hostname: c.Hostname, TLS: c.TLS, Accounts: entry.Accounts(s.auth), Mechanisms: entry.Mechanisms(),
		Store: c.Store, Blobs: c.Blobs, Watch: c.DB, MaxMessage: c.MaxMessage, SpoolDir: filepath.Join(c.DataDir, "spool"),
		BeforeLogin: c.LoginIdle, Now: c.DB.Now, Log: c.Log, Panicked: s.panics.Inc,
	})
	s.pop3 = pop3d.New(pop3d.Config{
		Hostname: c.Hostname, TLS: c.TLS, Accounts: inbox.Accounts(s.auth), Maildrops: inbox.New(c.Store, c.DB, c.Log),
		Mechanisms: inbox.Mechanisms(), Idle: max(c.Idle, 10*time.Minute), BeforeLogin: c.LoginIdle, Log: c.Log,
	})
	if c.Metrics != nil {
		s.register(c.Metrics)
	}
	return s, nil
}

func (s *Server) deliveryConfig() delivery.Config {
	c := s.config
	config := delivery.Config{
		Hostname: c.Hostname, Resolver: c.Accounts, Records: c.Accounts, Blobs: c.Blobs, Mailboxes: c.Store, Signer: c.Signer,
		Events: s.trace, Report: s.reports, Limits: c.SendingLimits, FullGrace: c.FullGrace, Now: c.DB.Now, Log: c.Log,
	}
	if s.queue != nil {
		config.Queue = s.queue
	}
	if c.SRSKey != nil {
		config.SRS = &srs.Rewriter{Key: c.SRSKey, Now: c.DB.Now}
	}
	return config
}

func (s *Server) smtpConfig(mode smtpd.Mode) smtpd.Config {
	c := s.config
	config := smtpd.Config{
		Mode: mode, Hostname: c.Hostname, TLS: c.TLS, Delivery: s.delivery, Events: s.trace, IDs: c.DB.IDs(),
		MaxMessage: c.MaxMessage, MaxRecipients: c.MaxRecipients, ClientAddress: c.ShowClientAddress,
		SpoolDir: filepath.Join(c.DataDir, "spool", mode.String()),
		Now:      c.DB.Now, Log: c.Log, Panicked: s.panics.Inc,
	}
	if mode != smtpd.ModeMX {
		config.Accounts, config.Mechanisms = smtpAccounts{s.auth, c.Accounts}, smtpMechanisms()
	} else if checks := s.checks(); checks != nil {
		config.Checks = checks
	}
	return config
}

// checks returns what judges mail of other servers; nil if nothing is configured to.
func (s *Server) checks() *smtpChecks {
	c := s.config
	if c.Resolver == nil && c.Filters == nil {
		return nil
	}
	checks := &smtpChecks{hostname: c.Hostname, filters: c.Filters}
	if c.Resolver != nil {
		checks.verify = verify.New(verify.Config{Resolver: c.Resolver, Hostname: c.Hostname, Now: c.DB.Now, Log: c.Log})
	}
	return checks
}

// Auth is the one door of log-ins, which the panel uses too.
func (s *Server) Auth() *auth.Service { return s.auth }

// Ready reports whether the parts beside the database can do their work: messages can be
// spooled and stored. A full disk is no reason to be not ready, since reading goes on.
func (s *Server) Ready(context.Context) error {
	for _, folder := range []string{"segments", "spool"} {
		if _, err := os.ReadDir(filepath.Join(s.config.DataDir, folder)); err != nil {
			return models.Unavailablef(err, "The data folder cannot be read.")
		}
	}
	return nil
}

// Run serves until ctx ends or Shutdown is called; an error of a listener ends it too.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts, listeners sync.WaitGroup
	errs := make(chan error, 64)
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	parts.Go(func() { note(errs, s.auth.Run(life)) })
	parts.Go(func() { s.trace.Run(life) })
	parts.Go(func() { s.delivery.Run(life) })
	sending := make(chan struct{})
	go func() { defer close(sending); s.runQueue(ctx) }()
	serve := func(all []net.Listener, options conn.Options, fn func(context.Context, net.Listener) error) {
		for _, ln := range all {
			listeners.Go(func() {
				if err := fn(ctx, s.gate.Listener(ln, options)); err != nil {
					note(errs, err)
					cancel()
				}
			})
		}
	}
	l := s.config.Listeners
	for mode, all := range map[smtpd.Mode][]net.Listener{smtpd.ModeMX: l.MX, smtpd.ModeSubmission: l.Submission, smtpd.ModeSubmissions: l.Submissions} {
		serve(all, smtpd.ListenOptions(mode), s.smtp[mode].Serve)
	}
	serve(l.IMAP, imapd.ListenOptions(false), func(ctx context.Context, ln net.Listener) error { return s.imap.Serve(ctx, ln, false) })
	serve(l.IMAPS, imapd.ListenOptions(true), func(ctx context.Context, ln net.Listener) error { return s.imap.Serve(ctx, ln, true) })
	serve(l.POP3, pop3d.ListenOptions(false), func(ctx context.Context, ln net.Listener) error { return s.pop3.Serve(ctx, ln, false) })
	serve(l.POP3S, pop3d.ListenOptions(true), func(ctx context.Context, ln net.Listener) error { return s.pop3.Serve(ctx, ln, true) })
	<-ctx.Done()
	listeners.Wait()
	<-sending
	// What was accepted until now is still recorded.
	stop()
	parts.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func note(errs chan<- error, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		select {
		case errs <- err:
		default:
		}
	}
}

// Shutdown stops accepting and lets running transactions finish until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make(chan error, len(s.smtp)+2)
	for _, server := range s.smtp {
		all.Go(func() { errs <- server.Shutdown(ctx) })
	}
	all.Go(func() { errs <- s.imap.Shutdown(ctx) })
	all.Go(func() { errs <- s.pop3.Shutdown(ctx) })
	if s.queue != nil {
		all.Go(func() { s.queue.Shutdown(ctx) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return nil
}
