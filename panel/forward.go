package panel

import (
	"net/http"
	"net/url"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) forwardRoutes() []route {
	return []route{
		{http.MethodGet, "/mailboxes/:address/forward", users, p.showForward, 0},
		{http.MethodPost, "/mailboxes/:address/forward", users, p.setForward, 0},
		{http.MethodPost, "/mailboxes/:address/forward/ask", users, p.askForwardTarget, 0},
	}
}

// mailboxTab is what the pages of one mailbox have in common.
type mailboxTab struct {
	common
	Row *models.MailboxRow
	Tab string
}

// tab fills in the common part; a mailbox in the bin has no such pages.
func (p *Panel) tab(r *request, name string) (mailboxTab, error) {
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, r.param("address"))
	if err == nil && row.InBin() {
		err = errNotFound()
	}
	if err != nil {
		return mailboxTab{}, err
	}
	t := mailboxTab{Row: row, Tab: name}
	t.Nav, t.Here = "mailboxes", mailboxPath(row.Address)+"/"+name
	return t, nil
}

type forwardPage struct {
	mailboxTab
	Targets []service.TargetView
	Ask     string // where a link is asked for again
	Form    *form
}

func (p *Panel) showForward(r *request) error { return p.forwardPage(r, nil) }

func (p *Panel) forwardPage(r *request, f *form) error {
	tab, err := p.tab(r, "forward")
	if err != nil {
		return err
	}
	page := &forwardPage{mailboxTab: tab, Form: f}
	forward, err := p.Service.Forward(r.ctx(), r.viewer, page.Row.Address)
	if err != nil {
		return err
	}
	page.Targets, page.Ask = forward.Targets, mailboxPath(page.Row.Address)+"/forward/ask"
	if page.Form == nil {
		page.Form = newForm(url.Values{"targets": {targetLines(forward.Targets)}})
		if forward.Keep {
			page.Form.set("keep", "on")
		}
	}
	return r.render(page.Form.status(), "mailbox_forward", page, page.Form)
}

func (p *Panel) setForward(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address := r.param("address")
	if err := p.Service.SetForward(r.ctx(), r.viewer, address, []string{f.raw("targets")}, f.on("keep")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.forwardPage(r, f)
	}
	r.notify("forward.saved")
	return r.redirect(mailboxPath(address) + "/forward")
}

func (p *Panel) askForwardTarget(r *request) error {
	address := r.param("address")
	return p.askTarget(r, address, mailboxPath(address)+"/forward")
}
