package panel

import (
	"html/template"
	"net/http"
	"net/url"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) queueRoutes() []route {
	return []route{
		{http.MethodGet, "/queue", users, p.queueGroups, 0},
		{http.MethodGet, "/queue/messages", users, p.queueMessages, 0},
		{http.MethodPost, "/queue/act", users, p.actOnGroup, 0},
		{http.MethodGet, "/queue/:item", users, p.queueItem, 0},
		{http.MethodPost, "/queue/:item/act", users, p.actOnItem, 0},
	}
}

// groupView is a group of the queue in words.
type groupView struct {
	service.QueueGroup
	Reason string // as a filter takes it
	Title  template.HTML
	Why    template.HTML  // part of Title
	Words  *explain.Words // nil = not tried yet
	Act    actions
}

// actions are the buttons for a part of the queue.
type actions struct {
	CSRF, Action       string // token and address of the form
	Domain, Reason     string // of a group
	Waiting, Held, All int64  // recipients
	ID                 string // makes the ids of buttons unique
}

type queuePage struct {
	common
	Groups []groupView
	Total  int64
}

func (p *Panel) queueGroups(r *request) error {
	groups, err := p.Service.QueueGroups(r.ctx(), r.viewer)
	if err != nil {
		return err
	}
	page := &queuePage{}
	page.Nav = "queue"
	for _, g := range groups {
		page.Total += g.Count
		page.Groups = append(page.Groups, r.group(g))
	}
	return r.render(http.StatusOK, "queue_list", page)
}

func (r *request) group(g service.QueueGroup) groupView {
	v := groupView{QueueGroup: g, Reason: g.QueueGroup.Reason}
	key := "queue.group"
	if v.Reason == "" {
		v.Reason, key = models.QueueUntried, "queue.group.new"
	} else if v.Why = r.why(v.Reason, ""); g.Sample != nil {
		v.Words, v.Why = r.rowWords(g.Sample), r.why(v.Reason, g.Sample.Detail)
	}
	v.Title = r.lang.HTML(key, "n", g.Count, "domain", i18n.LTR(unicodeDomain(g.Domain)), "reason", v.Why)
	v.Act = actions{CSRF: r.forms.Token(r.Response(), r.secure), Action: "/queue/act", Domain: g.Domain, Reason: v.Reason, Waiting: g.Count - g.Held, Held: g.Held, All: g.Count,
		ID: url.QueryEscape(g.Domain + " " + v.Reason)}
	return v
}

// rowWords explain the last answer that a recipient's message got; nil before the first.
func (r *request) rowWords(row *models.QueueRow) *explain.Words {
	if row.Code == 0 && row.Enhanced == "" && row.Reason == "" {
		return nil
	}
	w := explain.Attempt(row.Reason, row.Code, row.Enhanced, row.Detail, r.lang.Code)
	if row.State != models.RecipientWaiting {
		w.Wait = ""
	}
	return &w
}

type queueMessagesPage struct {
	common
	Domain string
	Why    template.HTML // of the group; "" = all
	Search search
	List   models.Page[waitingView]
	Pager  pager
}

// waitingView is a recipient in the list.
type waitingView struct {
	models.QueueRow
	Why template.HTML
}

// queueMessages lists what waits of one group, or all that a search finds.
func (p *Panel) queueMessages(r *request) error {
	f := models.QueueFilter{Domain: r.QueryParam("domain"), Reason: r.QueryParam("reason")}
	q := r.query()
	list, err := p.Service.QueueRows(r.ctx(), r.viewer, f, q)
	if err != nil {
		return err
	}
	page := &queueMessagesPage{Domain: f.Domain, Pager: newPager(r.Request().URL, list.Page, list.Pages)}
	page.List = models.Page[waitingView]{Total: list.Total}
	for _, row := range list.Items {
		page.List.Items = append(page.List.Items, waitingView{row, r.why(row.Reason, row.Detail)})
	}
	if f.Reason != "" && f.Reason != models.QueueUntried {
		page.Why = r.why(f.Reason, "")
	}
	page.Nav = "queue"
	page.Search = search{Action: "/queue/messages", Label: "queue.search", Text: q.Search, Hidden: []option{{Name: "domain", Value: f.Domain}, {Name: "reason", Value: f.Reason}}}
	return r.render(http.StatusOK, "queue_messages", page)
}

// recipientView is one recipient of a message that waits.
type recipientView struct {
	models.QueueRow
	Words *explain.Words
	Code_ string // reply code with enhanced code
}

type queueItemPage struct {
	common
	ID         models.ID
	Item       models.QueueRow // what all recipients have in common
	Recipients []recipientView
	Act        actions
}

func (p *Panel) queueItem(r *request) error {
	id, err := r.id("item")
	if err != nil {
		return err
	}
	rows, err := p.Service.QueueItem(r.ctx(), r.viewer, id)
	if err != nil {
		return err
	}
	page := &queueItemPage{ID: id, Item: rows[0]}
	page.Nav = "queue"
	page.Act = actions{CSRF: r.forms.Token(r.Response(), r.secure), Action: "/queue/" + id.String() + "/act", ID: "item"}
	for _, row := range rows {
		page.Recipients = append(page.Recipients, recipientView{row, r.rowWords(&row), codeOf(&models.Event{Code: row.Code, Enhanced: row.Enhanced})})
		page.Act.All++
		if row.Held {
			page.Act.Held++
		}
	}
	page.Act.Waiting = page.Act.All - page.Act.Held
	return r.render(http.StatusOK, "queue_item", page)
}

func (p *Panel) actOnGroup(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	filter := models.QueueFilter{Domain: f.text("domain"), Reason: f.text("reason")}
	if filter.Domain == "" && filter.Reason == "" {
		return models.Errorf(models.Invalid, "queue.action", "There is no such action.") // never the whole queue by an empty form
	}
	return p.act(r, f, filter, "/queue")
}

func (p *Panel) actOnItem(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	id, err := r.id("item")
	if err != nil {
		return err
	}
	back := "/queue"
	if do := service.QueueAction(f.text("action")); do != service.QueueDrop && do != service.QueueReturn {
		back += "/" + id.String()
	}
	return p.act(r, f, models.QueueFilter{QueueID: id}, back)
}

// dropPage asks before something is taken out of the queue.
type dropPage struct {
	common
	Act  actions
	Back string
}

// act does what a button says. Before anything is dropped it is asked, and how.
func (p *Panel) act(r *request, f *form, filter models.QueueFilter, back string) error {
	do := service.QueueAction(f.text("action"))
	if do == "ask" {
		list, err := p.Service.QueueRows(r.ctx(), r.viewer, filter, models.Query{Size: 1})
		if err != nil {
			return err
		}
		if filter.QueueID != 0 && list.Total == 0 {
			return errNotFound()
		}
		page := &dropPage{Back: back, Act: actions{CSRF: r.forms.Token(r.Response(), r.secure), Action: r.Request().URL.Path, Domain: filter.Domain, Reason: filter.Reason, All: list.Total}}
		page.Nav, page.Here = "queue", back
		return r.render(http.StatusOK, "queue_drop", page)
	}
	n, err := p.Service.ActOnQueue(r.ctx(), r.viewer, do, filter)
	if err != nil {
		return err
	}
	if n == 0 { // what is being tried is nobody's to take; or another person was faster
		r.warn("queue.done.none")
		return r.redirect(back)
	}
	r.notify("queue.done."+string(do), "n", r.lang.Number(n))
	return r.redirect(back)
}
