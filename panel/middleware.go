package panel

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/session"
)

// policy lets a page load scripts, styles, pictures and the font from the panel alone, and
// nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// requestTime bounds the work for one request, the wait for a place to hash a password included.
const requestTime = 20 * time.Second

// protect sets the headers of every answer and bounds the time for its making, that of an
// error's page included: such a page saves the session too.
func (p *Panel) protect(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// Not "no-referrer": browsers would then send "Origin: null" with our own forms.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if p.secure(c.Request()) && !p.Dev {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), requestTime)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		if err := p.contain(next, c); err != nil {
			c.Error(err)
		}
		return nil
	}
}

// contain turns a panic into an error of this request.
func (p *Panel) contain(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error("panel panic", "err", v, "stack", string(debug.Stack()))
			err = models.Errorf(models.Internal, "internal", "Something went wrong on our side.").Because(fmt.Errorf("panic: %v", v))
		}
	}()
	return next(c)
}

// secure reports whether the request came by https as far as cookies are concerned. Outside
// of development always: without TLS the browser then keeps no session at all.
func (p *Panel) secure(r *http.Request) bool { return !p.Dev || r.TLS != nil }

// wrap makes the handler of a route: body cap, session, token, who it is, and only then the
// route's own work.
func (p *Panel) wrap(rt route) echo.HandlerFunc {
	limit := rt.body
	if limit == 0 {
		limit = maxForm
	}
	return func(c echo.Context) error {
		req := c.Request()
		req.Body = http.MaxBytesReader(c.Response(), req.Body, limit)
		r, err := p.open(c)
		if err != nil {
			return err
		}
		if err := r.checkForm(); err != nil {
			return err
		}
		if err := r.identify(); err != nil {
			return err
		}
		switch {
		case rt.access != anyone && r.user == nil:
			return r.askLogin()
		case rt.access == admins && !r.isAdmin(), rt.access == users && r.isOwner(), rt.access == owners && !r.isOwner():
			return errNotFound()
		}
		return rt.handle(r)
	}
}

// open reads the session and the language of a request.
func (p *Panel) open(c echo.Context) (*request, error) {
	r := &request{Context: c, p: p, secure: p.secure(c.Request())}
	c.Set(requestKey, r)
	r.lang = r.chooseLanguage()
	var err error
	if r.sess, err = p.sessions.Open(c.Request().Context(), c.Request(), r.secure); err != nil {
		return nil, models.Unavailablef(err, "The session cannot be read right now.")
	}
	r.forms = session.OpenForms(c.Request(), r.sess, r.secure)
	c.Response().Before(func() {
		if err := r.sess.Save(c.Response()); err != nil {
			p.Log.Warn("session not saved", "err", err)
		}
	})
	return r, nil
}

// requestKey is where open leaves the request for the error handler.
const requestKey = "postchi.request"

// checkForm refuses a changing request that does not come from a page of ours.
func (r *request) checkForm() error {
	req := r.Request()
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	}
	if !session.SameOrigin(req, r.p.public.Host) {
		return errForm()
	}
	token := req.Header.Get(session.HeaderName)
	if token == "" {
		if err := req.ParseForm(); err != nil {
			return badForm(err)
		}
		token = req.PostForm.Get(session.FieldName)
	}
	if !r.forms.Valid(token) {
		return errForm()
	}
	return nil
}

// identify finds the user of the session as the row is now; a session whose user is gone,
// suspended or has another password ends here.
func (r *request) identify() error {
	id := r.sess.UserID()
	if id == 0 {
		r.ended = r.sess.Ended()
		return nil
	}
	u, v, err := r.p.viewer(r.ctx(), id, r.sess.Owner())
	if err == nil && r.sess.Fits(u) {
		r.user, r.viewer = u, v
		r.lang = r.chooseLanguage()
		return nil
	}
	if err != nil && !models.Is(err, models.NotFound) && !models.Is(err, models.Suspended) {
		return err
	}
	r.ended = true
	return r.sess.LogOut()
}
