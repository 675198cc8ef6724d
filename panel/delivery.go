package panel

import (
	"net/http"
	"strconv"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (p *Panel) deliveryRoutes() []route {
	return []route{
		{http.MethodGet, "/delivery", everyone, p.findMessages, 0},
		{http.MethodGet, "/delivery/:message", everyone, p.showMessage, 0},
	}
}

type deliveryPage struct {
	common
	Text, Direction, Day, Mailbox string
	Days                          []option
	Asked                         bool // something is looked for
	Kind                          service.FindKind
	Stories                       []storyView
	OneDay                        bool   // subjects of one day were searched
	Older                         string // link to what is before; "" = nothing
	Until                         models.Micros
}

// keptDays is how many days the choice offers: as long as events are kept by default.
const keptDays = 30

func (p *Panel) findMessages(r *request) error {
	page := &deliveryPage{Text: r.QueryParam("q"), Direction: r.QueryParam("direction"), Day: r.QueryParam("day"), Mailbox: r.QueryParam("mailbox")}
	page.Nav = "delivery"
	page.Days = r.days(page.Day)
	f := service.Find{Text: page.Text, Direction: page.Direction, Mailbox: page.Mailbox, Before: r.before()}
	if f.Direction != "in" && f.Direction != "out" {
		f.Direction, page.Direction = "", ""
	}
	f.From, f.To = r.day(page.Day)
	found, err := p.Service.Traces(r.ctx(), r.viewer, f)
	if err != nil {
		return err
	}
	page.Asked = page.Text != "" || page.Direction != "" || page.Day != "" || f.Before != 0
	page.Kind, page.OneDay, page.Until = found.Kind, found.OneDay, found.Until
	if found.Until != 0 {
		page.Older = withQuery(r.Request().URL, "before", strconv.FormatInt(int64(found.Until), 10))
	}
	for i := range found.Stories {
		page.Stories = append(page.Stories, r.story(&found.Stories[i]))
	}
	return r.render(http.StatusOK, "delivery_list", page)
}

// before reads where an earlier answer ended; 0 if it is not said.
func (r *request) before() models.Micros {
	n, err := strconv.ParseInt(r.QueryParam("before"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return models.Micros(n)
}

// day returns the first moment of a day and of the next, in the zone of the times shown; zeros
// for what is no day.
func (r *request) day(s string) (from, to models.Micros) {
	t, err := time.ParseInLocation(time.DateOnly, s, r.p.Zone)
	if err != nil {
		return 0, 0
	}
	return models.At(t), models.At(t.AddDate(0, 0, 1))
}

// days are the choices of a day, the latest first, and the chosen one if it is another.
func (r *request) days(chosen string) []option {
	all := []option{{Value: "", Key: "delivery.day.any"}}
	now, known := r.now(), chosen == ""
	for i := range keptDays {
		t := now.AddDate(0, 0, -i)
		one := option{Value: t.Format(time.DateOnly), Text: r.lang.Date(t)}
		switch i {
		case 0:
			one.Key = "delivery.day.today"
		case 1:
			one.Key = "delivery.day.yesterday"
		}
		known = known || one.Value == chosen
		all = append(all, one)
	}
	if t, err := time.ParseInLocation(time.DateOnly, chosen, r.p.Zone); err == nil && !known {
		all = append(all, option{Value: chosen, Text: r.lang.Date(t)})
	}
	return all
}

type messagePage struct {
	common
	Story storyView
}

func (p *Panel) showMessage(r *request) error {
	id, err := r.id("message")
	if err != nil {
		return err
	}
	story, err := p.Service.Trace(r.ctx(), r.viewer, id)
	if err != nil {
		return err
	}
	page := &messagePage{Story: r.story(story)}
	page.Nav = "delivery"
	page.Story.Whole = true
	return r.render(http.StatusOK, "delivery_show", page)
}
