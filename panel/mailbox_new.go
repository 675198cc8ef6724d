package panel

import (
	"net/http"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/password"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) mailboxNewRoutes() []route {
	return []route{
		{http.MethodGet, "/mailboxes/new", users, p.newMailbox, 0},
		{http.MethodPost, "/mailboxes/new", users, p.addMailbox, 0},
	}
}

type mailboxNewPage struct {
	common
	Form    *form
	Token   string
	Domains []string
	Domain  string // the chosen one
	Several bool
	More    bool   // the folded part is in use
	InBin   string // the address is in the bin and could be restored
}

func (p *Panel) newMailbox(r *request) error {
	f := r.prefilled()
	f.set("password", password.Generate())
	return p.mailboxNewPage(r, f)
}

func (p *Panel) mailboxNewPage(r *request, f *form) error {
	list, err := p.Service.Domains(r.ctx(), r.viewer, models.Query{Size: maxChoices})
	if err != nil {
		return err
	}
	if list.Total == 0 {
		return r.redirect("/domains/new")
	}
	page := &mailboxNewPage{Form: f, Token: token(f)}
	page.Nav, page.Here = "mailboxes", "/mailboxes/new"
	for _, d := range list.Items {
		page.Domains = append(page.Domains, d.Name)
	}
	if page.Domain, err = p.chosenDomain(r, f, page); err != nil {
		return err
	}
	page.Several = len(page.Domains) > 1
	page.Secret = true
	page.More = f.text("name")+f.text("quota")+f.text("messages") != "" && f.failed()
	if !f.failed() || f.text("quota") == "" {
		f.setSize("quota", p.DefaultQuota)
	}
	for _, e := range f.errs {
		if e.Key == "mailbox.in_bin" {
			page.InBin, _ = e.Args["address"].(string)
		}
	}
	return r.render(f.status(), "mailbox_new", page, f)
}

// chosenDomain returns the domain that is asked for, or the newest; one that did not fit into
// the select is put in front.
func (p *Panel) chosenDomain(r *request, f *form, page *mailboxNewPage) (string, error) {
	want := f.text("domain")
	if want == "" {
		return page.Domains[0], nil
	}
	d, err := p.Service.Domain(r.ctx(), r.viewer, want)
	if err != nil {
		return "", err
	}
	for _, name := range page.Domains {
		if name == d.Name {
			return name, nil
		}
	}
	page.Domains = append([]string{d.Name}, page.Domains...)
	return d.Name, nil
}

// addMailbox makes a mailbox. The answer is the Ready page itself, not a redirect: the
// password is in it, and nowhere else.
func (p *Panel) addMailbox(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	n := service.NewMailbox{Local: f.text("local"), Domain: f.text("domain"), Password: f.raw("password"),
		Name: f.text("name"), QuotaMessages: f.number("messages")}
	if strings.TrimSpace(f.raw("quota")) != "" {
		quota := f.size("quota")
		n.QuotaBytes = &quota
	}
	if f.failed() {
		return p.mailboxNewPage(r, f)
	}
	return p.showOnce(r, f, func() (string, error) {
		m, err := p.Service.AddMailbox(r.ctx(), r.viewer, n)
		if err != nil {
			return "", err
		}
		return m.Address, nil
	}, func(address string, again bool) error {
		return p.showReady(r, address, n.Password, again, &connectPage{Fresh: true, Again: "once.made"})
	}, func(err error) error {
		if err := f.take(err); err != nil {
			return err
		}
		return p.mailboxNewPage(r, f)
	})
}

// showReady shows the set-up page with the password, or, again, with why there is none.
func (p *Panel) showReady(r *request, address, pw string, again bool, page *connectPage) error {
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, address)
	if err != nil {
		return err
	}
	if !again {
		page.Password, page.Again = pw, ""
	}
	return p.connectPage(r, row, page)
}
