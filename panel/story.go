package panel

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/explain"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
)

// storyView is a message as pages tell it.
type storyView struct {
	ID                       models.ID
	At                       models.Micros
	From, Subject, MessageID string
	Direction                string
	Size                     int64
	Whole                    bool // on the message's own page
	Fates                    []fateView
	More                     int // fates that are not listed
	Steps                    []stepView
	MoreSteps                bool
	Support                  string // the whole as text, for support
}

// fateView is the state of one recipient: a sentence, what it means, and what to do.
type fateView struct {
	Icon, Class string
	Sentence    template.HTML
	Words       *explain.Words
}

// stepView is one step of the time line.
type stepView struct {
	Icon, Class string
	Title       template.HTML
	At          models.Micros
	Code        string // reply code with enhanced code
	Host        string
	TLS         string
	Clear       string // words for mail that went in clear
	Next        models.Micros
	Words       *explain.Words
	Raw         string // the reply as it came
}

// maxFates is how many recipients a list names.
const maxFates = 5

func (r *request) story(s *service.Story) storyView {
	v := storyView{ID: s.ID, At: s.At, From: s.Sender, Subject: s.Subject, MessageID: s.MessageID, Direction: s.Direction, Size: s.Size, MoreSteps: s.Trace.More}
	for i := range s.Fates {
		if len(v.Fates) == maxFates {
			v.More = len(s.Fates) - maxFates
			break
		}
		v.Fates = append(v.Fates, r.fate(&s.Fates[i]))
	}
	for i := range s.Events {
		v.Steps = append(v.Steps, r.step(&s.Events[i]))
	}
	v.Support = r.support(s)
	return v
}

// looks are the icon and the colour of a step.
var looks = map[models.EventKind][2]string{
	models.EventAccepted: {"check", "ok"}, models.EventDelivered: {"ok", "ok"}, models.EventSent: {"ok", "ok"}, models.EventRefused: {"bad", "bad"},
	models.EventBounced: {"bad", "bad"}, models.EventDropped: {"bad", "bad"}, models.EventDeferred: {"clock", "warn"}, models.EventHeld: {"pause", "warn"},
	models.EventQueued: {"clock", ""}, models.EventReleased: {"clock", ""}, models.EventForwarded: {"next", ""}, models.EventReturned: {"undo", "warn"},
	models.EventReplied: {"send", ""}, models.EventVerdict: {"search", ""},
}

// badNews are the words of what a sender is told that he does not like to hear.
var badNews = []string{"returned.failed", "returned.delayed", "returned.untold"}

func lookOf(kind models.EventKind) (icon, class string) {
	if l, ok := looks[kind]; ok {
		return l[0], l[1]
	}
	return "info", ""
}

func (r *request) fate(f *service.Fate) fateView {
	v := fateView{Words: service.Explained(&f.Event, r.lang.Code)}
	v.Icon, v.Class = lookOf(f.Event.Kind)
	v.Sentence = r.lang.HTMLMap(f.Key(), r.trackValues(&f.Event))
	return v
}

// trackValues are the values of a sentence about a step.
func (r *request) trackValues(e *models.Event) map[string]any {
	host := e.Host
	if host == "" {
		host = e.Remote
	}
	values := map[string]any{"from": mailAddress(e.Sender), "to": mailAddress(e.Recipient), "host": i18n.LTR(host), "time": r.moment(e.At),
		"next": r.moment(e.Next), "detail": i18n.LTR(e.Detail), "folder": e.Folder, "code": i18n.LTR(codeOf(e)), "reason": ""}
	if w := service.Explained(e, r.lang.Code); w != nil {
		values["reason"] = template.HTML(template.HTMLEscapeString(w.What))
	}
	return values
}

// moment is an hour or a day in a sentence, in the direction of the sentence.
func (r *request) moment(at models.Micros) template.HTML {
	return template.HTML(template.HTMLEscapeString(r.clock(at.Time())))
}

// mailAddress is an address in a sentence; <> is the sender of reports.
func mailAddress(a string) i18n.LTR {
	if a == "" {
		return "<>"
	}
	return i18n.LTR(unicodeAddress(a))
}

// codeOf prints reply code and enhanced code; "" without any.
func codeOf(e *models.Event) string {
	switch {
	case e.Code == 0:
		return e.Enhanced
	case e.Enhanced == "":
		return fmt.Sprint(e.Code)
	}
	return fmt.Sprint(e.Code, " ", e.Enhanced)
}

// inClear are the words for what outbound notes of mail that went without TLS.
var inClear = map[string]string{"clear": "delivery.clear", "clear, TLS failed": "delivery.clear.failed", "clear, TLS refused": "delivery.clear.refused"}

func (r *request) step(e *models.Event) stepView {
	v := stepView{At: e.At, Code: codeOf(e), TLS: e.TLS, Next: e.Next, Words: service.Explained(e, r.lang.Code), Raw: e.Detail, Host: e.Host}
	if words, clear := inClear[e.TLS]; clear {
		v.TLS, v.Clear = "", r.lang.Text(words)
	}
	v.Icon, v.Class = lookOf(e.Kind)
	if e.Kind == models.EventReturned && !slices.Contains(badNews, e.Words) {
		v.Class = ""
	}
	if e.Kind == models.EventVerdict { // its title has it
		v.Raw = ""
	}
	if e.Host == "" {
		v.Host = e.Remote
	}
	key := service.StepKey(e)
	if !r.lang.Has(key) {
		key = "event.other"
	}
	v.Title = r.lang.HTMLMap(key, r.trackValues(e))
	return v
}

// support is the story as plain text in English with the moments in UTC: whoever helps reads
// it, also at another company.
func (r *request) support(s *service.Story) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Message %s\nFrom: <%s>\n", s.ID, s.Sender)
	if s.MessageID != "" {
		fmt.Fprintf(&b, "Message-ID: <%s>\n", s.MessageID)
	}
	for i := range s.Events {
		e := &s.Events[i]
		fmt.Fprintf(&b, "%s %s", e.At.Time().Format(time.RFC3339), e.Kind)
		for _, part := range [][2]string{{"to", e.Recipient}, {"host", e.Host}, {"remote", e.Remote}, {"tls", e.TLS}, {"code", codeOf(e)}, {"reply", e.Detail}} {
			if part[1] != "" {
				fmt.Fprintf(&b, " %s=%q", part[0], part[1])
			}
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}
