package panel

import (
	"net/http"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) relayRoutes() []route {
	return []route{
		{http.MethodGet, "/relays", admins, p.listRelays, 0},
		{http.MethodPost, "/relays/new", admins, p.setRelay, 0},
		{http.MethodPost, "/relays/delete", admins, p.removeRelay, 0},
	}
}

type relayPage struct {
	common
	Form     *form
	Security string // chosen
	Relays   []models.RelayRow
}

func (p *Panel) listRelays(r *request) error {
	f := r.prefilled()
	f.set("security", string(models.RelayStartTLS))
	return p.relayPage(r, f)
}

func (p *Panel) relayPage(r *request, f *form) error {
	page := &relayPage{Form: f, Security: f.text("security")}
	page.Nav, page.Here = "relays", "/relays"
	var err error
	if page.Relays, err = p.Service.Relays(r.ctx(), r.viewer); err != nil {
		return err
	}
	return r.render(f.status(), "relay_list", page, f)
}

func (p *Panel) setRelay(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	n := service.NewRelay{Owner: f.text("owner"), Host: f.text("host"), Port: int(min(f.number("port"), 1<<20)),
		Security: models.RelaySecurity(f.text("security")), Username: f.text("username"), Password: f.raw("password"), Clear: f.on("clear")}
	if f.failed() {
		return p.relayPage(r, f)
	}
	if err := p.Service.SetRelay(r.ctx(), r.viewer, n); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.relayPage(r, f)
	}
	r.notify("relay.saved")
	return r.redirect("/relays")
}

func (p *Panel) removeRelay(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	if err := p.Service.RemoveRelay(r.ctx(), r.viewer, f.text("owner")); err != nil {
		return err
	}
	r.notify("relay.removed")
	return r.redirect("/relays")
}
