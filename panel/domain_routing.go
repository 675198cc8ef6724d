package panel

import (
	"net/http"
	"net/url"

	"github.com/postchi/postchi/models"
)

func (p *Panel) domainRoutingRoutes() []route {
	return []route{
		{http.MethodPost, "/domains/:domain/catchall", users, p.setCatchAll, 0},
		{http.MethodPost, "/domains/:domain/aliasof", users, p.setAliasOf, 0},
	}
}

// domainRouting is the part of a domain's page about mail to addresses that do not exist and
// about its being another name.
type domainRouting struct {
	Aliases int64    // of the domain
	Of      string   // the domain it is another name of
	Others  []string // that it could be another name of
}

func (p *Panel) fillRouting(r *request, page *domainPage) error {
	row := page.Row
	if page.CatchAll == nil {
		page.CatchAll = newForm(url.Values{"catch_all": {row.CatchAll}})
	}
	var err error
	if page.Of, err = p.Service.AliasOf(r.ctx(), r.viewer, row.Name); err != nil {
		return err
	}
	if page.AliasOf == nil {
		page.AliasOf = newForm(url.Values{"alias_of": {page.Of}})
	}
	aliases, err := p.Service.Aliases(r.ctx(), r.viewer, models.Query{DomainID: row.ID, Size: 1})
	if err != nil {
		return err
	}
	page.Aliases = aliases.Total
	list, err := p.Service.Domains(r.ctx(), r.viewer, models.Query{CustomerID: row.CustomerID, Size: maxChoices})
	if err != nil {
		return err
	}
	for _, d := range list.Items {
		if d.ID != row.ID && d.AliasOf == nil {
			page.Others = append(page.Others, d.Name)
		}
	}
	return nil
}

func (p *Panel) setCatchAll(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	name := r.param("domain")
	if err := p.Service.SetCatchAll(r.ctx(), r.viewer, name, f.text("catch_all")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.domainPage(r, &domainForms{CatchAll: f})
	}
	r.notify("domain.catchall.saved")
	return r.redirect("/domains/" + url.PathEscape(name))
}

func (p *Panel) setAliasOf(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	name := r.param("domain")
	if err := p.Service.SetAliasOf(r.ctx(), r.viewer, name, f.text("alias_of")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.domainPage(r, &domainForms{AliasOf: f})
	}
	r.notify("domain.alias.saved")
	return r.redirect("/domains/" + url.PathEscape(name))
}
