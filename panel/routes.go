package panel

import (
	"net"
	"net/http"

	"github.com/labstack/echo/v4"
)

// access says who may ask for a route.
type access int

const (
	anyone   access = iota
	everyone        // who is logged in, a mailbox's owner too
	users           // administrators and customers' users; for owners the route does not exist
	admins          // administrators; for others the route does not exist
	owners          // owners of mailboxes; for others the route does not exist
)

// route is one line of the table that the panel answers.
type route struct {
	method, path string
	access       access
	handle       func(*request) error
	body         int64 // largest body in bytes; 0 = maxForm
}

// maxForm is enough for every form of the panel.
const maxForm = 64 << 10

// routes returns the whole table. Tests walk it.
func (p *Panel) routes() []route {
	var all []route
	for _, part := range [][]route{
		p.loginRoutes(), p.homeRoutes(), p.accountRoutes(), p.customerRoutes(), p.userRoutes(),
		p.deliveryRoutes(), p.queueRoutes(), p.aliasRoutes(), p.forwardRoutes(), p.autoReplyRoutes(), p.sendingRoutes(), p.relayRoutes(), p.confirmRoutes(), p.domainRoutingRoutes(), p.domainSourceRoutes(),
		p.domainRoutes(), p.dnsRoutes(), p.mailboxRoutes(), p.mailboxNewRoutes(), p.mailboxEditRoutes(), p.binRoutes(), p.helpRoutes(),
	} {
		all = append(all, part...)
	}
	return all
}

// Routes returns everything that the panel answers as its router knows it: methods and
// patterns of paths, ":name" standing for a part that varies. Tests of the whole program walk it.
func Routes() []*echo.Route { return new(Panel).newEcho().Routes() }

func (p *Panel) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = p.ipExtractor()
	e.HTTPErrorHandler = p.handleError
	e.Use(p.protect)
	e.GET("/static/*", echo.WrapHandler(p.files))
	e.HEAD("/static/*", echo.WrapHandler(p.files))
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", p.ready)
	e.GET("/robots.txt", func(c echo.Context) error { return c.String(http.StatusOK, "User-agent: *\nDisallow: /\n") })
	e.GET("/favicon.ico", func(c echo.Context) error {
		return c.Redirect(http.StatusMovedPermanently, p.files.URL("img/logo.svg"))
	})
	for _, r := range p.routes() {
		e.Add(r.method, r.path, p.wrap(r))
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, p.wrap(r))
		}
	}
	return e
}

// ipExtractor says whose word is taken for a client's address. Echo's default believes any
// client's header.
func (p *Panel) ipExtractor() echo.IPExtractor {
	if len(p.TrustedProxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, prefix := range p.TrustedProxies {
		addr, bits := prefix.Addr().AsSlice(), prefix.Bits()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: addr, Mask: net.CIDRMask(bits, len(addr)*8)}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

func (p *Panel) ready(c echo.Context) error {
	if p.Ready == nil {
		return c.String(http.StatusOK, "ready\n")
	}
	if err := p.Ready(c.Request().Context()); err != nil {
		p.Log.Warn("not ready", "err", err)
		return c.String(http.StatusServiceUnavailable, "not ready\n")
	}
	return c.String(http.StatusOK, "ready\n")
}
