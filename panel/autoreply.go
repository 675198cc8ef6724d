package panel

import (
	"net/http"
	"net/url"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

// maxAutoReplyForm holds two texts of models.MaxAutoReply Persian characters, each of which can
// take 9 bytes in a form.
const maxAutoReplyForm = 2 * maxForm

func (p *Panel) autoReplyRoutes() []route {
	return []route{
		{http.MethodGet, "/mailboxes/:address/autoreply", users, p.showAutoReply, 0},
		{http.MethodPost, "/mailboxes/:address/autoreply", users, p.setAutoReply, maxAutoReplyForm},
		{http.MethodPost, "/mailboxes/:address/autoreply/test", users, p.sendAutoReply, 0},
		{http.MethodGet, "/autoreply", owners, p.showAutoReply, 0},
		{http.MethodPost, "/autoreply", owners, p.setAutoReply, maxAutoReplyForm},
		{http.MethodPost, "/autoreply/test", owners, p.sendAutoReply, 0},
	}
}

type autoReplyPage struct {
	mailboxTab
	Reply   *service.AutoReplyView
	Form    *form
	Action  string
	Example i18n.LTR // of a day
}

// autoReplyOf returns whose auto-reply a request is about, and where its page is: an owner's own,
// which is not named in the path, or the one of the path.
func (r *request) autoReplyOf() (address, path string) {
	if r.isOwner() {
		return r.user.Email, "/autoreply"
	}
	address = r.param("address")
	return address, mailboxPath(address) + "/autoreply"
}

func (p *Panel) showAutoReply(r *request) error { return p.autoReplyPage(r, nil) }

func (p *Panel) autoReplyPage(r *request, f *form) error {
	address, path := r.autoReplyOf()
	row, err := p.Service.Mailbox(r.ctx(), r.viewer, address)
	if err == nil && row.InBin() {
		err = errNotFound()
	}
	if err != nil {
		return err
	}
	page := &autoReplyPage{mailboxTab: mailboxTab{Row: row, Tab: "autoreply"}, Form: f, Action: path, Example: r.exampleDay()}
	page.Nav, page.Here = "mailboxes", path
	if r.isOwner() {
		page.Nav = "autoreply"
	}
	if page.Reply, err = p.Service.AutoReply(r.ctx(), r.viewer, address); err != nil {
		return err
	}
	if page.Form == nil {
		page.Form = newForm(url.Values{"subject": {page.Reply.Subject}, "body": {page.Reply.Body}, "outside": {page.Reply.Outside},
			"starts": {r.typedTime(page.Reply.StartsAt, false)}, "ends": {r.typedTime(page.Reply.EndsAt, true)}})
		if page.Reply.Enabled {
			page.Form.set("enabled", "on")
		}
	}
	return r.render(page.Form.status(), "autoreply", page, page.Form)
}

func (p *Panel) setAutoReply(r *request) error {
	f, err := r.form()
	if err != nil {
		return err
	}
	address, path := r.autoReplyOf()
	a := models.AutoReply{Enabled: f.on("enabled"), Subject: f.text("subject"), Body: f.raw("body"), Outside: f.raw("outside"),
		StartsAt: r.typedMoment(f, "starts", false), EndsAt: r.typedMoment(f, "ends", true)}
	if f.failed() {
		return p.autoReplyPage(r, f)
	}
	if err := p.Service.SetAutoReply(r.ctx(), r.viewer, address, a); err != nil {
		if err := f.take(err); err != nil {
			return err
		}
		return p.autoReplyPage(r, f)
	}
	r.notify("autoreply.saved")
	return r.redirect(path)
}

// sendAutoReply puts the saved texts into the mailbox.
func (p *Panel) sendAutoReply(r *request) error {
	address, path := r.autoReplyOf()
	n, err := p.Service.SendAutoReply(r.ctx(), r.viewer, address, r.lang.Code)
	switch {
	case models.Is(err, models.Invalid): // the text was removed meanwhile
		r.warn("autoreply.preview.none")
	case err != nil:
		return err
	case n > 1:
		r.notify("autoreply.sent.both", "address", unicodeAddress(address))
	default:
		r.notify("autoreply.sent", "address", unicodeAddress(address))
	}
	return r.redirect(path)
}

// exampleDay is today as one types it in the language of the request.
func (r *request) exampleDay() i18n.LTR { return i18n.LTR(r.lang.Date(r.now())) }

// typedMoment reads a field with a day; an empty one is 0. The end of a time is that of its
// day unless an hour is given.
func (r *request) typedMoment(f *form, name string, end bool) models.Micros {
	text := f.text(name)
	if text == "" {
		return 0
	}
	t, clock, ok := i18n.ParseTime(text, r.p.Zone)
	if !ok {
		f.fail(models.Errorf(models.Invalid, "date.invalid", "That is no day.").With("example", r.exampleDay()).On(name))
		return 0
	}
	if end && !clock {
		t = t.AddDate(0, 0, 1)
	}
	return models.At(t)
}

// typedTime is what typedMoment reads.
func (r *request) typedTime(at models.Micros, end bool) string {
	if at == 0 {
		return ""
	}
	t := at.Time().In(r.p.Zone)
	midnight := t.Equal(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location()))
	switch {
	case midnight && end:
		return r.lang.Date(t.AddDate(0, 0, -1))
	case midnight:
		return r.lang.Date(t)
	}
	return r.lang.Date(t) + " " + r.lang.Clock(t)
}
