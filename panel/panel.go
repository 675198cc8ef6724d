// Package panel is the web panel: pages and forms over panel/service for administrators and
// for the people of hosting customers. Everything works as plain HTML; scripts only add to it.
//
// Invariants: no inline script or style, no request to another host; each changing request
// carries a token bound to the browser; the user's row is read at each request, so that a
// suspension or a changed password ends a session at once; a password is shown only in the
// direct answer to the form that set it and is kept nowhere.
package panel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/clientsetup"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
	"github.com/postchi/postchi/panel/session"
	"github.com/postchi/postchi/static"
)

// Login checks who logs in to the panel.
type Login interface {
	// Login returns the user with this name and password; the owner of a mailbox as
	// service.Owner gives them. Errors are those of every log-in door: Denied for unknown and wrong alike, Suspended after the right password, Limited
	// with the arguments "until" (models.Micros or time.Time) or "minutes" for the wait.
	Login(ctx context.Context, remote netip.Addr, userAgent, name, password string) (*models.User, error)
}

// Config is what a Panel needs. Service, Login, Sessions and ClientSetup must be set.
type Config struct {
	Service     *service.Service
	Login       Login
	Sessions    session.Store
	ClientSetup func(ctx context.Context) clientsetup.Server // what the mail server offers now
	OfferTest   bool                                         // the service has a sender of test messages
	Ready       func(ctx context.Context) error              // for /readyz; nil = always ready

	PublicURL      string         // how people reach the panel, for example "https://mail.example.net"; "" = as asked
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed; none = nobody's
	Dev            bool           // plain http allowed with a plain cookie, no HSTS
	Version        string
	Zone           *time.Location // of the times shown; nil = of the system

	DefaultQuota   int64         // bytes, proposed for a new mailbox; 0 = no limit
	BinDays        int           // how long the bin keeps a mailbox; 0 = 30
	Idle, Lifetime time.Duration // of sessions; 0 = 2 h and 24 h
	Now            func() time.Time
	Log            *slog.Logger
}

// Panel answers the web.
type Panel struct {
	Config
	echo     *echo.Echo
	public   *url.URL // of PublicURL; its Host is "" without one
	sessions *session.Manager
	words    *i18n.Catalogues
	files    *static.Files
	pages    *pages
	once     *once
}

// New returns a panel with all its templates and catalogues read; an error is a mistake in
// those or in the configuration.
func New(c Config) (*Panel, error) {
	if c.Service == nil || c.Login == nil || c.Sessions == nil || c.ClientSetup == nil {
		return nil, errors.New("panel: Service, Login, Sessions and ClientSetup must be set")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.BinDays == 0 {
		c.BinDays = 30
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	p := &Panel{Config: c, once: newOnce(c.Now)}
	p.sessions = session.New(session.Config{Store: c.Sessions, Idle: c.Idle, Lifetime: c.Lifetime, Now: c.Now})
	var err error
	if p.public, err = url.Parse(c.PublicURL); err != nil {
		return nil, fmt.Errorf("panel: public URL: %w", err)
	}
	if p.words, err = i18n.Load(); err != nil {
		return nil, fmt.Errorf("panel: %w", err)
	}
	if p.files, err = static.New(); err != nil {
		return nil, fmt.Errorf("panel: static files: %w", err)
	}
	if p.pages, err = p.parsePages(); err != nil {
		return nil, fmt.Errorf("panel: templates: %w", err)
	}
	p.echo = p.newEcho()
	return p, nil
}

// Handler returns the panel as a handler for any number of listeners.
func (p *Panel) Handler() http.Handler { return p.echo }

// Server returns an http.Server with the panel's handler and deadlines for slow clients; the
// caller sets Addr or calls Serve, adds TLS and shuts it down.
func (p *Panel) Server() *http.Server {
	return &http.Server{
		Handler:           p.echo,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
	}
}
