package panel

import (
	"net/http"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) confirmRoutes() []route {
	return []route{
		{http.MethodGet, service.ConfirmPath + ":token", anyone, p.showConfirm, 0},
		{http.MethodPost, service.ConfirmPath + ":token", anyone, p.confirm, 0},
	}
}

// confirmPage is where a mailed link leads. It is for whoever has the link, so it stands alone,
// also for somebody who is logged in.
type confirmPage struct {
	common
	Request *service.Request // nil = the link is over
	Path    string
}

// showConfirm changes nothing: programs that look at the links of a message must not agree for
// its reader.
func (p *Panel) showConfirm(r *request) error {
	req, err := p.Service.LinkRequest(r.ctx(), r.param("token"))
	return p.confirmPage(r, req, err)
}

func (p *Panel) confirm(r *request) error {
	req, err := p.Service.AgreeTo(r.ctx(), r.param("token"))
	return p.confirmPage(r, req, err)
}

func (p *Panel) confirmPage(r *request, req *service.Request, err error) error {
	page := &confirmPage{Request: req, Path: r.Request().URL.Path}
	page.Here = page.Path
	switch {
	case models.Is(err, models.NotFound):
		page.Request = nil
		return r.render(http.StatusNotFound, "confirm", page)
	case err != nil:
		return err
	}
	return r.render(http.StatusOK, "confirm", page)
}
