package panel

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) aliasRoutes() []route {
	return []route{
		{http.MethodGet, "/aliases", users, p.listAliases, 0},
		{http.MethodGet, "/aliases/new", users, p.newAlias, 0},
		{http.MethodPost, "/aliases/new", users, p.addAlias, 0},
		{http.MethodGet, "/aliases/test", users, p.testAlias, 0},
		{http.MethodGet, "/aliases/:alias", users, p.showAlias, 0},
		{http.MethodPost, "/aliases/:alias/edit", users, p.editAlias, 0},
		{http.MethodPost, "/aliases/:alias/switch", users, p.switchAlias, 0},
		{http.MethodPost, "/aliases/:alias/ask", users, p.askAliasTarget, 0},
		{http.MethodPost, "/aliases/:alias/delete", users, p.removeAlias, 0},
	}
}

func aliasPath(address string) string { return "/aliases/" + url.PathEscape(address) }

type aliasListPage struct {
	common
	All     bool   // there is any alias, or something is looked for
	Domain  string // the filter
	Search  search
	List    models.Page[service.AliasView]
	Columns []column
	Pager   pager
	Test    *form
	Tab     string
}

func (p *Panel) listAliases(r *request) error {
	q := r.query()
	page := &aliasListPage{Domain: r.QueryParam("domain"), Test: newForm(nil), Tab: "aliases"}
	if page.Domain != "" {
		d, err := p.Service.Domain(r.ctx(), r.viewer, page.Domain)
		if err != nil {
			return err
		}
		q.DomainID, page.Domain = d.ID, d.Name
	}
	var err error
	if page.List, err = p.Service.Aliases(r.ctx(), r.viewer, q); err != nil {
		return err
	}
	page.All = page.List.Total > 0 || q.Search != "" || page.Domain != ""
	u := r.Request().URL
	page.Nav, page.Pager = "mailboxes", newPager(u, page.List.Page, page.List.Pages)
	page.Columns = []column{newColumn(u, q, "address", "address", true), newColumn(u, q, "alias.targets", "", false), newColumn(u, q, "state", "", false)}
	page.Search = search{Action: "/aliases", Label: "aliases.search", Text: q.Search, Hidden: keepOrder(q)}
	if page.Domain != "" {
		page.Search.Choices = []choice{{Name: "domain", Label: "domain", Value: page.Domain, Options: []option{
			{Value: "", Key: "mailboxes.all"}, {Value: page.Domain, Text: unicodeDomain(page.Domain)}}}}
	}
	return r.render(http.StatusOK, "alias_list", page)
}

type aliasNewPage struct {
	common
	Form    *form
	Domains []string
	Domain  string // the chosen one
	Several bool
	Mailbox string // has the address: it can forward instead
	InBin   string
}

func (p *Panel) newAlias(r *request) error {
	f := r.prefilled()
	f.set("kind", string(models.AliasPlain))
	return p.aliasNewPage(r, f)
}

func (p *Panel) aliasNewPage(r *request, f *form) error {
	list, err := p.Service.Domains(r.ctx(), r.viewer, models.Query{Size: maxChoices})
	if err != nil {
		return err
	}
	if list.Total == 0 {
		return r.redirect("/domains/new")
	}
	page := &aliasNewPage{Form: f}
	page.Nav, page.Here = "mailboxes", "/aliases/new"
	for _, d := range list.Items {
		page.Domains = append(page.Domains, d.Name)
	}
	if page.Domain, page.Domains, err = p.amongDomains(r, f.text("domain"), page.Domains); err != nil {
		return err
	}
	page.Several = len(page.Domains) > 1
	for _, e := range f.errs {
		switch e.Key {
		case "alias.is_mailbox":
			page.Mailbox, _ = e.Args["address"].(string)
		case "mailbox.in_bin":
			page.InBin, _ = e.Args["address"].(string)
		}
	}
	return r.render(f.status(), "alias_new", page, f)
}

// amongDomains returns the domain that is wanted, or the first; one that did not fit into the
// list is put in front.
func (p *Panel) amongDomains(r *request, want string, domains []string) (string, []string, error) {
	if want == "" {
		return domains[0], domains, nil
	}
	d, err := p.Service.Domain(r.ctx(), r.viewer, want)
	if err != nil {
		return "", nil, err
	}
	for _, name := range domains {
		if name == d.Name {
			return name, domains, nil
		}
	}
	return d.Name, append([]string{d.Name}, domains...), nil
}

func (p *Panel) addAlias(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	a, err := p.Service.AddAlias(r.ctx(), r.viewer, service.NewAlias{Local: f.text("local"), Domain: f.text("domain"),
		Kind: models.AliasKind(f.text("kind")), Name: f.text("name"), Targets: []string{f.raw("targets")}})
	if err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.aliasNewPage(r, f)
	}
	r.notify("alias.added", "address", unicodeAddress(a.Address))
	return r.redirect(aliasPath(a.Address))
}

type aliasPage struct {
	common
	Alias   *service.AliasView
	Targets []service.TargetView
	Ask     string // where a link is asked for again
	Form    *form
}

func (p *Panel) showAlias(r *request) error { return p.aliasPage(r, nil) }

func (p *Panel) aliasPage(r *request, f *form) error {
	a, err := p.Service.Alias(r.ctx(), r.viewer, r.param("alias"))
	if err != nil {
		return err
	}
	page := &aliasPage{Alias: a, Targets: a.Targets, Ask: aliasPath(a.Address) + "/ask", Form: f}
	page.Nav, page.Here = "mailboxes", aliasPath(a.Address)
	if page.Form == nil {
		page.Form = newForm(url.Values{"kind": {string(a.Kind)}, "name": {a.Name}, "targets": {targetLines(a.Targets)}})
	}
	return r.render(page.Form.status(), "alias_show", page, page.Form)
}

// targetLines is the list of targets as it is edited.
func targetLines(targets []service.TargetView) string {
	lines := make([]string, len(targets))
	for i, t := range targets {
		lines[i] = unicodeAddress(t.Address)
	}
	return strings.Join(lines, "\n")
}

func (p *Panel) editAlias(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address := r.param("alias")
	err = p.Service.EditAlias(r.ctx(), r.viewer, address, service.AliasChange{
		Kind: models.AliasKind(f.text("kind")), Name: f.text("name"), Targets: []string{f.raw("targets")}})
	if err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.aliasPage(r, f)
	}
	r.notify("alias.saved")
	return r.redirect(aliasPath(address))
}

func (p *Panel) switchAlias(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address := r.param("alias")
	if err := p.Service.SwitchAlias(r.ctx(), r.viewer, address, !f.on("on")); err != nil {
		return err
	}
	r.notify("alias.saved")
	return r.redirect(aliasPath(address))
}

func (p *Panel) askAliasTarget(r *request) error {
	address := r.param("alias")
	return p.askTarget(r, address, aliasPath(address))
}

// askTarget mails a target's link again and leads back.
func (p *Panel) askTarget(r *request, owner, back string) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	target := f.text("target")
	if err := p.Service.AskAgain(r.ctx(), r.viewer, owner, target); err != nil {
		if err := r.warnOf(err); err != nil {
			return err
		}
		return r.redirect(back)
	}
	r.notify("target.asked", "address", unicodeAddress(target))
	return r.redirect(back)
}

func (p *Panel) removeAlias(r *request) error {
	address := r.param("alias")
	if err := p.Service.RemoveAlias(r.ctx(), r.viewer, address); err != nil {
		f := newForm(nil)
		if err := f.take(err); err != nil {
			return err
		}
		a, err := p.Service.Alias(r.ctx(), r.viewer, address)
		if err != nil {
			return err
		}
		for name, v := range map[string]string{"kind": string(a.Kind), "name": a.Name, "targets": targetLines(a.Targets)} {
			f.set(name, v)
		}
		return p.aliasPage(r, f)
	}
	r.notify("alias.removed", "address", unicodeAddress(address))
	return r.redirect("/aliases")
}
