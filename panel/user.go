package panel

import (
	"html/template"
	"net/http"
	"net/url"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/password"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) userRoutes() []route {
	return []route{
		{http.MethodPost, "/customers/:customer/users/new", admins, p.addUser, 0},
		{http.MethodPost, "/customers/:customer/users/:user/password", admins, p.newUserPassword, 0},
		{http.MethodPost, "/customers/:customer/users/:user/delete", admins, p.removeUser, 0},
	}
}

// userReadyPage shows what somebody needs to log in, the password for the only time.
type userReadyPage struct {
	common
	Heading        template.HTML
	Email          string
	Password       string // "" = was shown before
	URL            string // of the panel
	Again          string // key of why there is no password
	Domain         string // that waits for its first mailbox; "" = none
	Back, BackName string
}

func (p *Panel) userReady(r *request, page *userReadyPage, again bool) error {
	if again {
		page.Password, page.Again = "", "once.user"
	}
	page.URL = r.panelURL()
	page.Secret = page.Password != ""
	page.Here = page.Back
	return r.render(http.StatusOK, "user_ready", page)
}

// panelURL returns the address people use for the panel.
func (r *request) panelURL() string {
	if r.p.public.Host != "" {
		return r.p.PublicURL
	}
	u := url.URL{Scheme: "https", Host: r.Request().Host, Path: "/"}
	if !r.secure {
		u.Scheme = "http"
	}
	return u.String()
}

// firstUser reads the optional user of a form, nil if there is none.
func firstUser(f *form) *service.NewUser {
	if f.text("user_email") == "" {
		return nil
	}
	return &service.NewUser{Email: f.text("user_email"), Name: f.text("user_name"), Password: f.raw("user_password"), Role: models.RoleCustomer}
}

func (p *Panel) addUser(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	f, err := r.form()
	if err != nil {
		return err
	}
	n := service.NewUser{Email: f.text("user_email"), Name: f.text("user_name"), Password: f.raw("user_password"), Role: models.RoleCustomer, CustomerID: id}
	return p.showOnce(r, f, func() (string, error) {
		u, err := p.Service.AddUser(r.ctx(), r.viewer, n)
		if err != nil {
			return "", err
		}
		return u.ID.String(), nil
	}, func(made string, again bool) error {
		return p.showUser(r, id, made, "user.ready", n.Password, again)
	}, func(err error) error {
		if err := f.take(err); err != nil {
			return err
		}
		f.rename(map[string]string{"email": "user_email", "name": "user_name", "password": "user_password"})
		return p.customerPage(r, id, &customerForms{Person: f})
	})
}

// showUser shows a user of a customer whose password was set just now.
func (p *Panel) showUser(r *request, customer models.ID, id, heading, pw string, again bool) error {
	u, err := p.customerUser(r, customer, id)
	if err != nil {
		return err
	}
	c, err := p.Service.Customer(r.ctx(), r.viewer, customer)
	if err != nil {
		return err
	}
	page := &userReadyPage{Heading: r.lang.HTML(heading, "email", i18n.LTR(u.Email)), Email: u.Email, Password: pw,
		Back: "/customers/" + customer.String(), BackName: c.Name}
	page.Nav = "customers"
	return p.userReady(r, page, again)
}

// customerUser returns a user if it is one of the customer in the address.
func (p *Panel) customerUser(r *request, customer models.ID, id string) (*models.User, error) {
	n, err := models.ParseID(id)
	if err != nil {
		return nil, err
	}
	u, err := p.Service.User(r.ctx(), r.viewer, n)
	if err != nil {
		return nil, err
	}
	if u.CustomerID == nil || *u.CustomerID != customer {
		return nil, errNotFound()
	}
	return u, nil
}

// newUserPassword gives a user a password that was made here and shows it.
func (p *Panel) newUserPassword(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	f, err := r.form()
	if err != nil {
		return err
	}
	u, err := p.customerUser(r, id, r.param("user"))
	if err != nil {
		return err
	}
	pw := password.Generate()
	return p.showOnce(r, f, func() (string, error) {
		return u.ID.String(), p.Service.SetUserPassword(r.ctx(), r.viewer, u.ID, pw)
	}, func(what string, again bool) error {
		return p.showUser(r, id, what, "user.password.ready", pw, again)
	}, func(err error) error { return err })
}

func (p *Panel) removeUser(r *request) error {
	id, err := r.id("customer")
	if err != nil {
		return err
	}
	u, err := p.customerUser(r, id, r.param("user"))
	if err != nil {
		return err
	}
	if err := p.Service.RemoveUser(r.ctx(), r.viewer, u.ID); err != nil {
		return err
	}
	r.notify("user.removed", "email", u.Email)
	return r.redirect("/customers/" + id.String())
}
