package panel

import (
	"net/http"

	"github.com/postchi/postchi/models"
)

func (p *Panel) accountRoutes() []route {
	return []route{
		{http.MethodGet, "/account", everyone, p.account, 0},
		{http.MethodPost, "/account/language", everyone, p.setLanguage, 0},
		{http.MethodPost, "/account/password", everyone, p.setOwnPassword, 0},
	}
}

type accountPage struct {
	common
	Form *form
}

func (p *Panel) account(r *request) error { return p.accountPage(r, newForm(nil)) }

func (p *Panel) accountPage(r *request, f *form) error {
	page := &accountPage{Form: f}
	page.Nav, page.Here = "account", "/account"
	return r.render(f.status(), "account", page, f)
}

func (p *Panel) setLanguage(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	code := f.raw("language")
	if code != "" && p.words.Lang(code) == nil {
		return badForm(models.Errorf(models.Invalid, "user.language", "The panel does not speak this language."))
	}
	if err := p.Service.SetLanguage(r.ctx(), r.viewer, code); err != nil {
		return err
	}
	r.keepLanguage(code)
	r.notify("account.saved")
	return r.redirect("/account")
}

// setOwnPassword changes the viewer's password. This session goes on under a new token, all
// others end since the password they were begun with is gone.
func (p *Panel) setOwnPassword(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	if err := p.Service.SetOwnPassword(r.ctx(), r.viewer, f.raw("old"), f.raw("password")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.accountPage(r, f)
	}
	u, _, err := p.viewer(r.ctx(), r.user.ID, r.isOwner())
	if err != nil {
		return err
	}
	if err := r.sess.LogIn(u); err != nil {
		return models.Unavailablef(err, "The session cannot be kept right now.")
	}
	r.notify("account.password.changed")
	return r.redirect("/account")
}
