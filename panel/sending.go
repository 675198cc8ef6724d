package panel

import (
	"net/http"

	"github.com/postchi/postchi/models"
)

func (p *Panel) sendingRoutes() []route {
	return []route{
		{http.MethodGet, "/mailboxes/:address/sending", users, p.showSending, 0},
		{http.MethodPost, "/mailboxes/:address/hold", users, p.holdSending, 0},
		{http.MethodPost, "/mailboxes/:address/release", users, p.releaseSending, 0},
		{http.MethodPost, "/mailboxes/:address/lift", users, p.liftSuppression, 0},
	}
}

type sendingPage struct {
	mailboxTab
	Form         *form
	Uses         []models.LimitUse
	Suppressions models.Page[models.Suppression]
	Pager        pager
}

func (p *Panel) showSending(r *request) error { return p.sendingPage(r, newForm(nil)) }

func (p *Panel) sendingPage(r *request, f *form) error {
	tab, err := p.tab(r, "sending")
	if err != nil {
		return err
	}
	page := &sendingPage{mailboxTab: tab, Form: f}
	if page.Uses, err = p.Service.SendingUse(r.ctx(), r.viewer, page.Row.Address); err != nil {
		return err
	}
	page.Suppressions, err = p.Service.Suppressions(r.ctx(), r.viewer, page.Row.Address, models.Query{Page: r.page()})
	if err != nil {
		return err
	}
	page.Pager = newPager(r.Request().URL, page.Suppressions.Page, page.Suppressions.Pages)
	return r.render(f.status(), "mailbox_sending", page, f)
}

func (p *Panel) holdSending(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address := r.param("address")
	if err := p.Service.HoldSending(r.ctx(), r.viewer, address, f.text("reason")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.sendingPage(r, f)
	}
	r.notify("sending.held.done")
	return r.redirect(mailboxPath(address) + "/sending")
}

func (p *Panel) releaseSending(r *request) error {
	address := r.param("address")
	if err := p.Service.ReleaseSending(r.ctx(), r.viewer, address); err != nil {
		return err
	}
	r.notify("sending.released")
	return r.redirect(mailboxPath(address) + "/sending")
}

func (p *Panel) liftSuppression(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address, target := r.param("address"), f.text("target")
	if err := p.Service.LiftSuppression(r.ctx(), r.viewer, address, target); err != nil {
		return err
	}
	r.notify("suppression.lifted", "address", target)
	return r.redirect(mailboxPath(address) + "/sending")
}
