package panel

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
	"github.com/postchi/postchi/models/password"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) domainRoutes() []route {
	return []route{
		{http.MethodGet, "/domains", users, p.listDomains, 0},
		{http.MethodGet, "/domains/new", users, p.newDomain, 0},
		{http.MethodPost, "/domains/new", users, p.addDomain, 0},
		{http.MethodGet, "/domains/:domain", users, p.showDomain, 0},
		{http.MethodPost, "/domains/:domain/roles", users, p.setDomainRoles, 0},
		{http.MethodGet, "/domains/:domain/delete", users, p.askRemoveDomain, 0},
		{http.MethodPost, "/domains/:domain/delete", users, p.removeDomain, 0},
	}
}

// unicodeDomain returns a domain as people read it: in Unicode where it is written so.
func unicodeDomain(name string) string { return address.Unicode(name) }

type domainListPage struct {
	common
	All    bool // the viewer has any domain at all
	Search search
	List   models.Page[models.DomainRow]
	Pager  pager
}

func (p *Panel) listDomains(r *request) error {
	q := r.query()
	if r.isAdmin() {
		q.CustomerID, _ = models.ParseID(r.QueryParam("customer")) // anything else is no filter
	}
	list, err := p.Service.Domains(r.ctx(), r.viewer, q)
	if err != nil {
		return err
	}
	page := &domainListPage{List: list, Pager: newPager(r.Request().URL, list.Page, list.Pages)}
	page.Nav = "domains"
	page.Search = search{Action: "/domains", Label: "domains.search", Text: q.Search}
	if q.CustomerID != 0 {
		page.Search.Hidden = []option{{Name: "customer", Value: q.CustomerID.String()}}
	}
	page.All = list.Total > 0 || q.Search != "" || q.CustomerID != 0 || q.Page > 1
	return r.render(http.StatusOK, "domain_list", page)
}

// domainForm is the form that adds a domain; on an empty server it stands on Home.
type domainForm struct {
	Form          *form
	CSRF, Token   string
	Admin         bool
	Customers     []models.Customer
	Chosen        models.ID
	MoreCustomers bool
	UserOpen      bool // the fields of the first user are in use
}

type domainNewPage struct {
	common
	Add *domainForm
}

func (p *Panel) newDomain(r *request) error {
	return p.domainNewPage(r, r.prefilled())
}

func (p *Panel) domainNewPage(r *request, f *form) error {
	add, err := p.domainForm(r, f)
	if err != nil {
		return err
	}
	page := &domainNewPage{Add: add}
	page.Secret = true
	page.Nav, page.Here = "domains", "/domains/new"
	return r.render(f.status(), "domain_new", page, f)
}

// maxChoices is how many customers or domains a select offers. Who is not among them is
// reached from their own page, which leads here with the choice made.
const maxChoices = models.MaxPageSize

func (p *Panel) domainForm(r *request, f *form) (*domainForm, error) {
	d := &domainForm{Form: f, CSRF: r.forms.Token(r.Response(), r.secure), Admin: r.isAdmin(), Token: token(f)}
	if !d.Admin {
		return d, nil
	}
	list, err := p.Service.Customers(r.ctx(), r.viewer, models.Query{Size: maxChoices})
	if err != nil {
		return nil, err
	}
	d.Customers, d.MoreCustomers = list.Items, list.Pages > 1
	if d.Chosen, _ = models.ParseID(f.text("customer")); d.Chosen != 0 {
		if d.Customers, err = p.withCustomer(r, d.Customers, d.Chosen); err != nil {
			return nil, err
		}
	}
	d.UserOpen = f.text("user_email") != ""
	f.set("user_password", password.Generate())
	return d, nil
}

// withCustomer returns a list that has the chosen customer in it.
func (p *Panel) withCustomer(r *request, list []models.Customer, id models.ID) ([]models.Customer, error) {
	for _, c := range list {
		if c.ID == id {
			return list, nil
		}
	}
	c, err := p.Service.Customer(r.ctx(), r.viewer, id)
	if err != nil {
		return nil, err
	}
	return append([]models.Customer{*c}, list...), nil
}

// token returns the name of this showing of the form: a form that is shown again with its
// errors keeps it.
func token(f *form) string {
	if t := f.text(formToken); t != "" && len(t) <= 100 && f.failed() {
		return t
	}
	return newFormToken()
}

// addDomain adds a domain. If the customer's first user came with it, their password is
// shown in the answer; otherwise the domain's page follows.
func (p *Panel) addDomain(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	n := service.NewDomain{Name: f.text("domain")}
	if r.isAdmin() {
		if n.CustomerID, _ = models.ParseID(f.text("customer")); n.CustomerID == 0 {
			n.NewCustomerName, n.FirstUser = p.customerName(r, f), firstUser(f)
		}
	}
	refuse := func(err error) error {
		if err := f.take(err); err != nil {
			return err
		}
		f.rename(map[string]string{"name": "domain", "customer": "customer_name", "email": "user_email", "password": "user_password"})
		return p.domainNewPage(r, f)
	}
	return p.showOnce(r, f, func() (string, error) {
		d, err := p.Service.AddDomain(r.ctx(), r.viewer, n)
		if err != nil {
			return "", err
		}
		return d.Name, nil
	}, func(name string, again bool) error {
		back := "/domains/" + url.PathEscape(name)
		if n.FirstUser == nil {
			r.notify("domain.added", "domain", unicodeDomain(name))
			return r.redirect(back)
		}
		page := &userReadyPage{Heading: r.lang.HTML("domain.user.ready"), Email: n.FirstUser.Email, Password: n.FirstUser.Password,
			Domain: name, Back: back, BackName: unicodeDomain(name)}
		page.Nav = "domains"
		return p.userReady(r, page, again)
	}, refuse)
}

// customerName returns the name typed for a new customer; an empty one is named after its
// domain: "Example" for example.com, or if somebody has that name already "example.com".
func (p *Panel) customerName(r *request, f *form) string {
	if name := f.text("customer_name"); name != "" {
		return name
	}
	name, err := address.ParseDomain(f.text("domain"))
	if err != nil {
		return "?" // the domain is refused first, and nothing is made
	}
	name = unicodeDomain(name)
	label, _, _ := strings.Cut(name, ".")
	first, size := utf8.DecodeRuneInString(label)
	short := string(unicode.ToUpper(first)) + label[size:]
	if _, err := p.Service.CustomerByName(r.ctx(), r.viewer, short); err == nil {
		return name
	}
	return short
}

type domainPage struct {
	common
	Row *models.DomainRow
	domainForms
	domainRouting
	Addresses       []string
	SourceElsewhere bool // the address that its mail leaves from is not this machine's
}

// domainForms are the forms of a domain's page; nil = as the domain is now.
type domainForms struct{ Roles, CatchAll, AliasOf, Source *form }

func (p *Panel) showDomain(r *request) error {
	return p.domainPage(r, &domainForms{})
}

// maxProposed is how many addresses a text field proposes.
const maxProposed = 100

func (p *Panel) domainPage(r *request, forms *domainForms) error {
	row, err := p.Service.Domain(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	page := &domainPage{Row: row, domainForms: *forms}
	page.Nav, page.Here = "domains", "/domains/"+url.PathEscape(row.Name)
	list, err := p.Service.Mailboxes(r.ctx(), r.viewer, models.Query{DomainID: row.ID, Size: maxProposed})
	if err != nil {
		return err
	}
	for _, m := range list.Items {
		page.Addresses = append(page.Addresses, m.Address)
	}
	if page.Roles == nil {
		page.Roles = newForm(nil)
		for name, id := range map[string]*models.ID{"postmaster": row.PostmasterID, "abuse": row.AbuseID} {
			address, err := p.roleAddress(r, row, list.Items, id)
			if err != nil {
				return err
			}
			page.Roles.set(name, address)
		}
	}
	if err := p.fillRouting(r, page); err != nil {
		return err
	}
	p.fillSource(page)
	status := http.StatusOK
	for _, f := range []*form{page.Roles, page.CatchAll, page.AliasOf, page.Source} {
		if f.failed() {
			status = f.status()
		}
	}
	return r.render(status, "domain_show", page, page.Roles, page.CatchAll, page.AliasOf, page.Source)
}

// roleAddress returns the address of the mailbox that reads a role's mail, "" for the default.
// It is nearly always among those that are proposed.
func (p *Panel) roleAddress(r *request, row *models.DomainRow, proposed []models.MailboxRow, id *models.ID) (string, error) {
	if id == nil {
		return "", nil
	}
	for page := 1; ; page++ {
		for _, m := range proposed {
			if m.ID == *id {
				return m.Address, nil
			}
		}
		list, err := p.Service.Mailboxes(r.ctx(), r.viewer, models.Query{DomainID: row.ID, Size: models.MaxPageSize, Page: page})
		if err != nil || len(list.Items) == 0 { // in the bin
			return "", err
		}
		proposed = list.Items
	}
}

func (p *Panel) setDomainRoles(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	name := r.param("domain")
	if err := p.Service.SetDomainRoles(r.ctx(), r.viewer, name, f.text("postmaster"), f.text("abuse")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.domainPage(r, &domainForms{Roles: f})
	}
	r.notify("domain.roles.saved")
	return r.redirect("/domains/" + url.PathEscape(name))
}

func (p *Panel) askRemoveDomain(r *request) error { return p.domainDeletePage(r, newForm(nil)) }

func (p *Panel) domainDeletePage(r *request, f *form) error {
	row, err := p.Service.Domain(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	back := "/domains/" + url.PathEscape(row.Name)
	return p.deletePage(r, &deletePage{Form: f, Heading: "domain.delete", Text: "domain.delete.confirm", Purge: "domain.delete.purge",
		Name: unicodeDomain(row.Name), Technical: true, Count: row.Mailboxes, Back: back, Action: back + "/delete", common: common{Nav: "domains"}})
}

func (p *Panel) removeDomain(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	row, err := p.Service.Domain(r.ctx(), r.viewer, r.param("domain"))
	if err != nil {
		return err
	}
	if !f.typed(unicodeDomain(row.Name), row.Name) {
		return p.domainDeletePage(r, f)
	}
	if err := p.Service.RemoveDomain(r.ctx(), r.viewer, row.Name, f.on("purge")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.domainDeletePage(r, f)
	}
	r.notify("domain.removed", "domain", unicodeDomain(row.Name))
	return r.redirect("/domains")
}
