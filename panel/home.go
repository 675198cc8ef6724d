package panel

import (
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) homeRoutes() []route {
	return []route{{http.MethodGet, "/", everyone, p.home, 0}}
}

type homePage struct {
	common
	First       *domainForm // of an empty server's administrator
	NextDomain  bool        // the next step is a domain
	NextMailbox string      // or a mailbox in this domain
	Totals      models.Totals
	Limits      models.CustomerLimits // 0 = none
	Given       int64                 // mailboxes that count for the limit
	Sent        models.Sent
	MaxSent     int64 // by each domain in a day; 0 = no limit
	Problems    []problem
	Checked     time.Time
}

// problem is something that needs a person, in words.
type problem struct {
	Words template.HTML
	Link  string
}

// home shows figures and what needs attention, and before there is any the next step.
func (p *Panel) home(r *request) error {
	if r.isOwner() {
		return p.own(r)
	}
	o, err := p.Service.Home(r.ctx(), r.viewer)
	if err != nil {
		return err
	}
	page := &homePage{Totals: o.Totals, Limits: o.Limits, Given: o.Totals.Mailboxes + o.Totals.Bin, Sent: o.Sent, MaxSent: o.MaxSent, Checked: r.now()}
	page.Nav = "home"
	if r.isAdmin() && o.Domains == 0 {
		f := r.prefilled()
		if page.First, err = p.domainForm(r, f); err != nil {
			return err
		}
		page.Secret = true
		return r.render(http.StatusOK, "home", page, f)
	}
	page.NextDomain = o.Domains == 0
	for _, pr := range o.Problems {
		// An empty server's first domain is a next step, not a problem.
		if pr.Key == "no_mailbox" && o.Totals.Mailboxes == 0 {
			if page.NextMailbox == "" {
				page.NextMailbox = pr.Domain
			}
			continue
		}
		page.Problems = append(page.Problems, r.problem(pr))
	}
	return r.render(http.StatusOK, "home", page)
}

func (r *request) problem(pr service.Problem) problem {
	args := make(map[string]any, len(pr.Args))
	for name, v := range pr.Args {
		switch name {
		case "domain":
			v = i18n.LTR(unicodeDomain(pr.Domain))
		case "mailbox":
			v = i18n.LTR(unicodeAddress(pr.Mailbox))
		case "network", "command":
			v = i18n.LTR(v.(string))
		case "percent":
			v = r.lang.Percent(v.(int64))
		default:
			v = r.argument("", v)
		}
		args[name] = v
	}
	one := problem{Words: r.lang.HTMLMap("problem."+pr.Key, args)}
	switch {
	case pr.Page != "":
		one.Link = pr.Page
	case pr.Mailbox != "":
		one.Link = "/mailboxes/" + url.PathEscape(pr.Mailbox)
	case pr.Domain != "" && (pr.Key == "dns" || pr.Key == "pending"):
		one.Link = dnsPath(pr.Domain)
	case pr.Domain != "":
		one.Link = "/domains/" + url.PathEscape(pr.Domain)
	}
	return one
}
