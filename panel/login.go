package panel

import (
	"context"
	"html/template"
	"net/http"
	"strconv"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) loginRoutes() []route {
	return []route{
		{http.MethodGet, "/login", anyone, p.showLogin, 0},
		{http.MethodPost, "/login", anyone, p.login, 8 << 10},
		{http.MethodPost, "/logout", anyone, p.logout, 0},
		{http.MethodPost, "/language", anyone, p.language, 0},
	}
}

type loginPage struct {
	common
	Form  *form
	Next  string
	Ended template.HTML // why the person stands here again
}

func (p *Panel) showLogin(r *request) error {
	next := localPath(r.QueryParam("next"))
	if r.user != nil {
		return r.redirect(next)
	}
	return r.loginPage(newForm(nil), next)
}

func (r *request) loginPage(f *form, next string) error {
	page := &loginPage{Form: f, Next: next}
	page.Here = withQuery(r.Request().URL, "next", next)
	if r.ended || r.QueryParam("ended") != "" {
		page.Ended = r.lang.HTML("login.ended")
	}
	return r.render(f.status(), "login", page, f)
}

// login takes name and password. Unknown and wrong answer alike; the wait after too many
// failures is shown.
func (p *Panel) login(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	next := localPath(f.raw("next"))
	u, err := p.Login.Login(r.ctx(), r.remote(), r.Request().UserAgent(), f.text("name"), f.raw("password"))
	if err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		if wait, ok := retryAfter(f.errs[0], p.Now()); ok {
			r.Response().Header().Set("Retry-After", strconv.Itoa(wait))
		}
		return r.loginPage(f, next)
	}
	if err := r.sess.LogIn(u); err != nil {
		return models.Unavailablef(err, "The session cannot be kept right now.")
	}
	if err := r.sess.Save(r.Response()); err != nil {
		return models.Unavailablef(err, "The session cannot be kept right now.")
	}
	return r.redirect(next)
}

func (p *Panel) logout(r *request) error {
	if err := r.sess.LogOut(); err != nil {
		return models.Unavailablef(err, "The session cannot be ended right now.")
	}
	return r.redirect("/login")
}

// language keeps the choice of a language: with the user, and in the browser for the time
// before log-in.
func (p *Panel) language(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	code := f.raw("language")
	if p.words.Lang(code) != nil {
		r.keepLanguage(code)
		if r.user != nil {
			if err := p.Service.SetLanguage(r.ctx(), r.viewer, code); err != nil {
				return err
			}
		}
	}
	return r.redirect(localPath(f.raw("next")))
}

// keepLanguage keeps the choice in the browser; "" forgets it.
func (r *request) keepLanguage(code string) {
	c := &http.Cookie{Name: languageCookie, Value: code, Path: "/", MaxAge: 365 * 24 * 3600,
		Secure: r.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if code == "" {
		c.MaxAge = -1
	}
	r.SetCookie(c)
}

// viewer returns the user with this id, or the owner of the mailbox with it, and what they may
// see, as it is now. Suspended says that the user's customer, or the mailbox, is.
func (p *Panel) viewer(ctx context.Context, id models.ID, owner bool) (*models.User, service.Viewer, error) {
	if owner {
		return p.Service.Owner(ctx, id)
	}
	u, err := p.Service.User(ctx, service.Console(), id)
	if err != nil {
		return nil, service.Viewer{}, err
	}
	v := service.Viewer{UserID: u.ID, Role: u.Role, Name: u.Email}
	if u.CustomerID == nil {
		return u, v, nil
	}
	v.CustomerID = *u.CustomerID
	c, err := p.Service.Customer(ctx, service.Console(), v.CustomerID)
	if err != nil {
		return nil, service.Viewer{}, err
	}
	if c.Suspended {
		return nil, service.Viewer{}, models.Errorf(models.Suspended, "login.suspended", "The account is suspended.").With("reason", c.Reason)
	}
	return u, v, nil
}
