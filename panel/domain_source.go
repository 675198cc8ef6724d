package panel

import (
	"net/http"
	"net/url"
)

func (p *Panel) domainSourceRoutes() []route {
	return []route{{http.MethodPost, "/domains/:domain/source", admins, p.setDomainSource, 0}}
}

// fillSource fills the form for the address that a domain's mail leaves from.
func (p *Panel) fillSource(page *domainPage) {
	if page.Source == nil {
		page.Source = newForm(url.Values{"source": {page.Row.SourceIP}})
	}
	page.SourceElsewhere = p.Service.SourceElsewhere(&page.Row.Domain)
}

func (p *Panel) setDomainSource(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	name := r.param("domain")
	if err := p.Service.SetDomainSource(r.ctx(), r.viewer, name, f.text("source")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.domainPage(r, &domainForms{Source: f})
	}
	r.notify("domain.source.saved")
	return r.redirect("/domains/" + url.PathEscape(name))
}
