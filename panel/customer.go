package panel

import (
	"net/http"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/password"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) customerRoutes() []route {
	return []route{
		{http.MethodGet, "/customers", admins, p.listCustomers, 0},
		{http.MethodGet, "/customers/new", admins, p.newCustomer, 0},
		{http.MethodPost, "/customers/new", admins, p.addCustomer, 0},
		{http.MethodGet, "/customers/:customer", admins, p.showCustomer, 0},
		{http.MethodPost, "/customers/:customer/limits", admins, p.setCustomerLimits, 0},
		{http.MethodPost, "/customers/:customer/suspend", admins, p.suspendCustomer, 0},
		{http.MethodPost, "/customers/:customer/resume", admins, p.resumeCustomer, 0},
		{http.MethodGet, "/customers/:customer/delete", admins, p.askRemoveCustomer, 0},
		{http.MethodPost, "/customers/:customer/delete", admins, p.removeCustomer, 0},
	}
}

type customerListPage struct {
	common
	All    bool
	Search search
	List   models.Page[models.Customer]
	Pager  pager
}

func (p *Panel) listCustomers(r *request) error {
	q := r.query()
	list, err := p.Service.Customers(r.ctx(), r.viewer, q)
	if err != nil {
		return err
	}
	page := &customerListPage{List: list, Pager: newPager(r.Request().URL, list.Page, list.Pages)}
	page.Nav = "customers"
	page.Search = search{Action: "/customers", Label: "customers.search", Text: q.Search}
	page.All = list.Total > 0 || q.Search != ""
	return r.render(http.StatusOK, "customer_list", page)
}

type customerNewPage struct {
	common
	Form           *form
	Token          string
	UserOpen, More bool // the folded parts are in use
}

func (p *Panel) newCustomer(r *request) error { return p.customerNewPage(r, r.prefilled()) }

func (p *Panel) customerNewPage(r *request, f *form) error {
	page := &customerNewPage{Form: f, Token: token(f), UserOpen: f.text("user_email") != ""}
	page.More = f.text("domains")+f.text("mailboxes")+f.text("storage")+f.text("external_id") != ""
	page.Nav, page.Here, page.Secret = "customers", "/customers/new", true
	f.set("user_password", password.Generate())
	f.set("storage_unit", "GB")
	return r.render(f.status(), "customer_new", page, f)
}

func limitsOf(f *form) models.CustomerLimits {
	return models.CustomerLimits{Domains: f.number("domains"), Mailboxes: f.number("mailboxes"), Storage: f.size("storage")}
}

func (p *Panel) addCustomer(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	n := service.NewCustomer{Name: f.text("name"), ExternalID: f.text("external_id"), Limits: limitsOf(f), User: firstUser(f)}
	refuse := func(err error) error {
		if err := f.take(err); err != nil {
			return err
		}
		f.rename(map[string]string{"email": "user_email", "password": "user_password"})
		return p.customerNewPage(r, f)
	}
	if f.failed() {
		return p.customerNewPage(r, f)
	}
	return p.showOnce(r, f, func() (string, error) {
		c, err := p.Service.AddCustomer(r.ctx(), r.viewer, n)
		if err != nil {
			return "", err
		}
		return c.ID.String(), nil
	}, func(id string, again bool) error {
		if n.User == nil {
			r.notify("customer.added", "name", n.Name)
			return r.redirect("/customers/" + id)
		}
		page := &userReadyPage{Heading: r.lang.HTML("user.ready", "email", i18n.LTR(n.User.Email)), Email: n.User.Email,
			Password: n.User.Password, Back: "/customers/" + id, BackName: n.Name}
		page.Nav = "customers"
		return p.userReady(r, page, again)
	}, refuse)
}

// customerForms are the forms of a customer's page; nil = as the customer is now.
type customerForms struct{ Limits, Person, Suspend *form }

type customerPage struct {
	common
	customerForms
	Token       string
	Customer    *models.Customer
	Users       []models.User
	Domains     []models.DomainRow
	MoreDomains bool
}

func (p *Panel) showCustomer(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	return p.customerPage(r, id, &customerForms{})
}

func (p *Panel) customerPage(r *request, id models.ID, forms *customerForms) error {
	c, err := p.Service.Customer(r.ctx(), r.viewer, id)
	if err != nil {
		return err
	}
	page := &customerPage{Customer: c, customerForms: *forms, Token: newFormToken()}
	page.Nav, page.Here, page.Secret = "customers", "/customers/"+id.String(), true
	if page.Users, err = p.Service.Users(r.ctx(), r.viewer, id); err != nil {
		return err
	}
	list, err := p.Service.Domains(r.ctx(), r.viewer, models.Query{CustomerID: id, Size: 20})
	if err != nil {
		return err
	}
	page.Domains, page.MoreDomains = list.Items, list.Pages > 1
	status := page.fill(c)
	return r.render(status, "customer_show", page, page.Limits, page.Person, page.Suspend)
}

// fill makes the forms that were not posted, and returns the status of the one that was.
func (page *customerPage) fill(c *models.Customer) int {
	status := http.StatusOK
	for _, f := range []**form{&page.Limits, &page.Person, &page.Suspend} {
		if *f == nil {
			*f = newForm(nil)
		} else {
			status = (*f).status()
		}
	}
	page.Limits.set("name", c.Name)
	page.Limits.set("domains", plainNumber(c.MaxDomains))
	page.Limits.set("mailboxes", plainNumber(c.MaxMailboxes))
	page.Limits.setSize("storage", c.MaxStorage)
	page.Person.set("user_password", password.Generate())
	page.Suspend.Prefix = "suspend-"
	return status
}

func (p *Panel) setCustomerLimits(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	f, err := r.form()
	if err != nil {
		return err
	}
	limits := limitsOf(f)
	if !f.failed() {
		err = p.changeCustomer(r, id, f.text("name"), limits)
		if err == nil {
			r.notify("customer.saved")
			return r.redirect("/customers/" + id.String())
		}
		if err := f.take(err); err != nil {
			return err
		}
	}
	return p.customerPage(r, id, &customerForms{Limits: f})
}

func (p *Panel) changeCustomer(r *request, id models.ID, name string, limits models.CustomerLimits) error {
	c, err := p.Service.Customer(r.ctx(), r.viewer, id)
	if err != nil {
		return err
	}
	if name != c.Name {
		if err := p.Service.RenameCustomer(r.ctx(), r.viewer, id, name, c.ExternalID); err != nil {
			return err
		}
	}
	return p.Service.SetCustomerLimits(r.ctx(), r.viewer, id, limits)
}

func (p *Panel) suspendCustomer(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	f, err := r.form()
	if err != nil {
		return err
	}
	if f.text("reason") == "" {
		f.fail(models.Errorf(models.Invalid, "reason.empty", "The reason is missing.").On("reason"))
		return p.customerPage(r, id, &customerForms{Suspend: f})
	}
	if err := p.Service.SuspendCustomer(r.ctx(), r.viewer, id, f.text("reason"), f.on("receive")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.customerPage(r, id, &customerForms{Suspend: f})
	}
	return p.customerDone(r, id, "customer.suspended.done")
}

func (p *Panel) resumeCustomer(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	if err := p.Service.ResumeCustomer(r.ctx(), r.viewer, id); err != nil {
		return err
	}
	return p.customerDone(r, id, "customer.resumed")
}

// customerDone leads back to the customer's page with a notice.
func (p *Panel) customerDone(r *request, id models.ID, key string) error {
	c, err := p.Service.Customer(r.ctx(), r.viewer, id)
	if err != nil {
		return err
	}
	r.notify(key, "name", c.Name)
	return r.redirect("/customers/" + id.String())
}

func (p *Panel) askRemoveCustomer(r *request) error { return p.customerDeletePage(r, newForm(nil)) }

func (p *Panel) customerDeletePage(r *request, f *form) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	c, err := p.Service.Customer(r.ctx(), r.viewer, id)
	if err != nil {
		return err
	}
	back := "/customers/" + id.String()
	return p.deletePage(r, &deletePage{Form: f, Heading: "customer.delete", Text: "customer.delete.confirm", Purge: "customer.delete.purge",
		Name: c.Name, Count: c.Mailboxes, Back: back, Action: back + "/delete", common: common{Nav: "customers"}})
}

func (p *Panel) removeCustomer(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	f, err := r.form()
	if err != nil {
		return err
	}
	c, err := p.Service.Customer(r.ctx(), r.viewer, id)
	if err != nil {
		return err
	}
	if !f.typed(c.Name) {
		return p.customerDeletePage(r, f)
	}
	if err := p.Service.RemoveCustomer(r.ctx(), r.viewer, id, f.on("purge")); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.customerDeletePage(r, f)
	}
	r.notify("customer.removed", "name", c.Name)
	return r.redirect("/customers")
}
