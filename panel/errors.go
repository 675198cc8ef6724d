package panel

import (
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/session"
)

// statuses is the panel's table from kind of error to HTTP status.
var statuses = map[models.Kind]int{
	models.Internal:    http.StatusInternalServerError,
	models.Invalid:     http.StatusBadRequest,
	models.NotFound:    http.StatusNotFound,
	models.Conflict:    http.StatusConflict,
	models.Denied:      http.StatusForbidden,
	models.Suspended:   http.StatusForbidden,
	models.Full:        http.StatusConflict,
	models.Limited:     http.StatusTooManyRequests,
	models.Unavailable: http.StatusServiceUnavailable,
	models.TooLarge:    http.StatusRequestEntityTooLarge,
}

func statusOf(k models.Kind) int {
	if s, ok := statuses[k]; ok {
		return s
	}
	return http.StatusInternalServerError
}

func errNotFound() error {
	return models.Errorf(models.NotFound, "not_found", "Not found.")
}

// errForm is what a changing request gets that does not come from a page of ours.
func errForm() error {
	return models.Errorf(models.Denied, "form.expired", "This form is not from this page or too old. Load the page again.")
}

// words returns what an error says in the language of the request; without words in the
// catalogue the English ones.
func (r *request) wordsOf(e *models.Error) template.HTML {
	key := "error." + e.Key
	if e.Key == "" || !r.lang.Has(key) {
		if e.Kind == models.Internal || e.Msg == "" {
			key = "error.internal"
		} else {
			return template.HTML(template.HTMLEscapeString(e.Msg))
		}
	}
	args := make(map[string]any, len(e.Args))
	for name, v := range e.Args {
		args[name] = r.argument(e.Key, v)
	}
	return r.lang.HTMLMap(key, args)
}

// argument makes a value of an error fit for its words: moments become hours or dates, the
// numbers of a storage limit become sizes.
func (r *request) argument(key string, v any) any {
	switch v := v.(type) {
	case time.Time:
		return r.clock(v)
	case models.Micros:
		return r.clock(v.Time())
	case int64:
		if key == "limit.storage" {
			return r.lang.Size(v)
		}
	case models.ID:
		return i18n.LTR(v.String())
	}
	return v
}

// clock returns the hour of a moment of today, else the date and the hour.
func (r *request) clock(t time.Time) string {
	t = t.In(r.p.Zone)
	now := r.now()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return r.lang.Clock(t)
	}
	return r.lang.Text("time.at", "date", r.lang.Date(t), "clock", r.lang.Clock(t))
}

// errorPage is the page of a status.
type errorPage struct {
	common
	Status  int
	Heading string // key
	Words   template.HTML
	Advice  string // key
	Code    string // reference of a fault of ours
}

// handleError turns an error of any handler into a page.
func (p *Panel) handleError(err error, c echo.Context) {
	if c.Response().Committed {
		p.Log.Warn("panel answer cut short", "err", err)
		return
	}
	r, ok := c.Get(requestKey).(*request)
	if !ok {
		r = &request{Context: c, p: p, secure: p.secure(c.Request())}
	}
	if r.lang == nil {
		r.lang = r.chooseLanguage()
	}
	// A page that cannot know who asks is that of nobody.
	if r.sess == nil {
		r.sess = p.sessions.Nobody(r.secure)
		r.forms = session.OpenForms(c.Request(), r.sess, r.secure)
	}
	if err := r.renderError(toError(err)); err != nil {
		p.Log.Error("error page failed", "err", err)
		c.NoContent(http.StatusInternalServerError)
	}
}

// toError brings echo's own errors into our form.
func toError(err error) *models.Error {
	var e *models.Error
	if errors.As(err, &e) {
		return e
	}
	var h *echo.HTTPError
	if errors.As(err, &h) {
		switch h.Code {
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			return errNotFound().(*models.Error)
		case http.StatusRequestEntityTooLarge:
			return models.Errorf(models.TooLarge, "too_large", "Too large.")
		case http.StatusBadRequest:
			return models.Errorf(models.Invalid, "bad_request", "The request cannot be read.").Because(err)
		}
	}
	return models.Errorf(models.Internal, "internal", "Something went wrong on our side.").Because(err)
}

func (r *request) renderError(e *models.Error) error {
	status := statusOf(e.Kind)
	page := &errorPage{Status: status, Heading: "status." + strconv.Itoa(status), Advice: "status." + strconv.Itoa(status) + ".advice"}
	page.Words = r.wordsOf(e)
	if status >= 500 {
		page.Code = r.p.reference()
		r.p.Log.Error("panel request failed", "err", e, "path", r.Path(), "code", page.Code)
	}
	if wait, ok := retryAfter(e, r.p.Now()); ok {
		r.Response().Header().Set("Retry-After", strconv.Itoa(wait))
	}
	return r.render(status, "error", page)
}

// retryAfter returns the seconds that a Limited error asks to wait.
func retryAfter(e *models.Error, now time.Time) (int, bool) {
	if e.Kind != models.Limited && e.Kind != models.Unavailable {
		return 0, false
	}
	var until time.Time
	switch v := e.Args["until"].(type) {
	case time.Time:
		until = v
	case models.Micros:
		until = v.Time()
	}
	return max(1, int(until.Sub(now)/time.Second)), true
}
