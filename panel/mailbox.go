package panel

import (
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/password"
	"github.com/postchi/postchi/panel/clientsetup"
)

func (p *Panel) mailboxRoutes() []route {
	return []route{
		{http.MethodGet, "/mailboxes", users, p.listMailboxes, 0},
		{http.MethodGet, "/mailboxes/:address", users, p.showMailbox, 0},
		{http.MethodGet, "/mailboxes/:address/connect", users, p.connect, 0},
	}
}

// mailboxPath returns the address of a mailbox's page.
func mailboxPath(address string) string { return "/mailboxes/" + url.PathEscape(address) }

// plainNumber fills a field of a form: no limit stays empty.
func plainNumber(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

type mailboxListPage struct {
	common
	Tab     string
	All     bool   // there is any mailbox, or something is looked for
	Domains bool   // there is a domain to make one in
	Domain  string // the filter
	Search  search
	List    models.Page[models.MailboxRow]
	Columns []column
	Pager   pager
}

func (p *Panel) listMailboxes(r *request) error {
	q := r.query()
	q.State = models.MailboxState(r.QueryParam("state"))
	page := &mailboxListPage{Tab: "mailboxes", Domain: r.QueryParam("domain")}
	if page.Domain != "" {
		d, err := p.Service.Domain(r.ctx(), r.viewer, page.Domain)
		if err != nil {
			return err
		}
		q.DomainID, page.Domain = d.ID, d.Name
	}
	var err error
	if page.List, err = p.Service.Mailboxes(r.ctx(), r.viewer, q); err != nil {
		return err
	}
	if page.All = page.List.Total > 0 || q.Search != "" || q.State != "" || page.Domain != ""; !page.All {
		domains, err := p.Service.Domains(r.ctx(), r.viewer, models.Query{Size: 1})
		if err != nil {
			return err
		}
		page.Domains = domains.Total > 0
	}
	u := r.Request().URL
	page.Nav, page.Pager = "mailboxes", newPager(u, page.List.Page, page.List.Pages)
	page.Columns = []column{newColumn(u, q, "address", "address", true), newColumn(u, q, "state", "", false),
		newColumn(u, q, "space", "used", false), newColumn(u, q, "mailbox.lastused", "last_login", false)}
	page.Search = search{Action: "/mailboxes", Label: "mailboxes.search", Text: q.Search, Hidden: keepOrder(q), Choices: []choice{{
		Name: "state", Label: "state", Value: string(q.State), Options: []option{
			{Value: "", Key: "mailboxes.all"}, {Value: string(models.StateActive), Key: "state.active"},
			{Value: string(models.StateSuspended), Key: "state.suspended"}, {Value: string(models.StateFull), Key: "state.full"}}}}}
	if page.Domain != "" {
		page.Search.Choices = append(page.Search.Choices, choice{Name: "domain", Label: "domain", Value: page.Domain, Options: []option{
			{Value: "", Key: "mailboxes.all"}, {Value: page.Domain, Text: unicodeDomain(page.Domain)}}})
	}
	return r.render(http.StatusOK, "mailbox_list", page)
}

// stateView is what the badges of a mailbox say.
type stateView struct{ InBin, LoginOff, SendOff, ReceiveOff, Held, IsFull, Active bool }

// stateOf takes a row or a pointer to one, as lists and pages have them.
func stateOf(v any) stateView {
	row, ok := v.(*models.MailboxRow)
	if m, is := v.(models.MailboxRow); is {
		row, ok = &m, true
	}
	if !ok {
		return stateView{}
	}
	s := stateView{InBin: row.InBin(), LoginOff: row.LoginOff, SendOff: row.SendOff, ReceiveOff: row.ReceiveOff, Held: row.HeldAt != 0, IsFull: row.Full()}
	s.Active = s == stateView{}
	return s
}

// loginView is one line of the list of log-ins.
type loginView struct {
	OK                        bool
	Words                     template.HTML
	LastAt                    models.Micros
	Protocol, Network, Client string
}

// maxLogins is how many log-ins a page shows.
const maxLogins = 10

func (r *request) logins(address string) ([]loginView, error) {
	all, err := r.p.Service.Logins(r.ctx(), r.viewer, address, maxLogins)
	if err != nil {
		return nil, err
	}
	views := make([]loginView, len(all))
	for i, l := range all {
		key := "why." + l.Reason
		switch {
		case l.OK:
			key = "why.ok"
		case !r.lang.Has(key):
			key = "why.other"
		}
		words := r.lang.HTML(key)
		if l.Count > 1 {
			words = r.lang.HTML("logins.times", "why", words, "n", l.Count)
		}
		views[i] = loginView{OK: l.OK, Words: words, LastAt: l.LastAt, Protocol: string(l.Protocol), Network: l.Network, Client: clientWords(l.Protocol, l.Client)}
	}
	return views, nil
}

// connectPage is the set-up page of a mailbox, and with Fresh the Ready page.
type connectPage struct {
	common
	Address  string
	Domain   string
	Fresh    bool   // the mailbox was made just now
	Password string // to be shown this once; "" = not
	Own      bool   // the reader is the mailbox's owner
	Row      *models.MailboxRow
	Again    string // key of why a password is not shown again
	Done     string // key of what was done just now
	Setup    *clientsetup.Settings
	Servers  []serverView
	POP      bool // POP3 is the only way to read
	Text     string
	Logins   []loginView
	Uses     []models.LimitUse // of sending, on the owner's page
}

// serverView is one half of the settings.
type serverView struct {
	ID, Heading string
	Lines       []clientsetup.Line
}

func (p *Panel) connect(r *request) error {
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, r.param("address"))
	if err != nil {
		return err
	}
	return p.connectPage(r, row, &connectPage{})
}

// connectPage fills in everything but the password.
func (p *Panel) connectPage(r *request, row *models.MailboxRow, page *connectPage) error {
	page.Row, page.Address, page.Domain, page.Nav = row, row.Address, row.Domain, "mailboxes"
	page.Here = mailboxPath(row.Address) + "/connect"
	if page.Own {
		page.Nav, page.Here = "home", "/"
	}
	page.Secret = page.Password != ""
	page.Setup = clientsetup.New(clientsetup.Input{Server: p.ClientSetup(r.ctx()), Address: row.Address})
	page.Servers = serverViews(page.Setup)
	page.POP = popOnly(page.Setup)
	page.Text = page.Setup.Text(r.setupWords())
	var err error
	if page.Logins, err = r.logins(row.Address); err != nil {
		return err
	}
	if page.Own {
		if page.Uses, err = p.Service.SendingUse(r.ctx(), r.viewer, row.Address); err != nil {
			return err
		}
		return r.render(http.StatusOK, "own", page)
	}
	return r.render(http.StatusOK, "mailbox_connect", page)
}

func serverViews(s *clientsetup.Settings) []serverView {
	var all []serverView
	if in := s.Incoming(); len(in) > 0 {
		all = append(all, serverView{"incoming", "server.in", in})
	}
	if out := s.Outgoing(); len(out) > 0 {
		all = append(all, serverView{"outgoing", "server.out", out})
	}
	return all
}

// popOnly reports whether mail can be read by POP3 and by nothing else.
func popOnly(s *clientsetup.Settings) bool {
	in := s.Incoming()
	return len(in) > 0 && in[0].Protocol == clientsetup.POP3
}

// setupWords are the labels of the settings as text, in the language of the request.
func (r *request) setupWords() clientsetup.Words {
	t := func(key string) string { return r.lang.Text(key) }
	return clientsetup.Words{
		Address: t("address"), Username: t("username"), FullAddress: t("username.full"),
		Incoming: t("server.in"), Outgoing: t("server.out"), Host: t("server.host"), Port: t("server.port"), Security: t("server.security"),
		SendingNeedsLogin: t("auth.needed"), ImportCA: t("connect.import"), Broken: t("connect.broken"),
	}
}

// mailboxForms are the forms of a mailbox's page; nil = as the mailbox is now.
type mailboxForms struct{ Password, Quota, Switches *form }

type mailboxPage struct {
	common
	mailboxForms
	Row     *models.MailboxRow
	Tab     string
	Token   string
	Logins  []loginView
	Clients sessionsView
	Blocks  []blockView
	Uses    []models.LimitUse // of sending
	BinDays int
}

// blockView is a network that may not log in now.
type blockView struct{ Network, Until string }

func (p *Panel) showMailbox(r *request) error {
	return p.mailboxPage(r, &mailboxForms{})
}

func (p *Panel) mailboxPage(r *request, forms *mailboxForms) error {
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, r.param("address"))
	if err != nil {
		return err
	}
	if row.InBin() {
		return r.redirect("/bin?q=" + url.QueryEscape(row.Address))
	}
	page := &mailboxPage{Row: row, Tab: "overview", mailboxForms: *forms, BinDays: p.BinDays}
	page.Secret = true
	page.Nav, page.Here = "mailboxes", mailboxPath(row.Address)
	if page.Logins, err = r.logins(row.Address); err != nil {
		return err
	}
	if page.Clients, err = r.sessions(row.Address); err != nil {
		return err
	}
	if page.Uses, err = p.Service.SendingUse(r.ctx(), r.viewer, row.Address); err != nil {
		return err
	}
	blocks, err := p.Service.Blocks(r.ctx(), r.viewer, row.Address)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		page.Blocks = append(page.Blocks, blockView{b.Network, r.clock(b.Until.Time())})
	}
	status := page.fill(row)
	return r.render(status, "mailbox_show", page, page.Password, page.Quota, page.Switches)
}

// fill makes the forms that were not posted, and returns the status of the one that was.
func (page *mailboxPage) fill(row *models.MailboxRow) int {
	status := http.StatusOK
	for _, f := range []*form{page.Password, page.Quota, page.Switches} {
		if f != nil {
			status = f.status()
		}
	}
	if page.Password == nil {
		page.Password = newForm(url.Values{"password": {password.Generate()}})
	}
	page.Token = token(page.Password)
	if page.Quota == nil {
		page.Quota = newForm(nil)
		page.Quota.set("name", row.Name)
		page.Quota.setSize("quota", row.QuotaBytes)
		page.Quota.set("messages", plainNumber(row.QuotaMessages))
	}
	if page.Switches == nil {
		page.Switches = newForm(url.Values{"reason": {row.Reason}})
		for name, off := range map[string]bool{"login": row.LoginOff, "send": row.SendOff, "receive": row.ReceiveOff} {
			if !off {
				page.Switches.set(name, "on")
			}
		}
	}
	return status
}
