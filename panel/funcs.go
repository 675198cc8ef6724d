package panel

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

// funcs are the helpers of the templates in one language.
func (p *Panel) funcs(l *i18n.Lang) template.FuncMap {
	return template.FuncMap{
		// t gives the words of a key; pairs of name and value follow.
		"t": l.HTML,
		// text is t where elements are not allowed inside: in options.
		"text": l.Text,
		// ltr prints a technical value isolated left to right.
		"ltr": func(v any) template.HTML { return i18n.Isolate(fmt.Sprint(v)) },
		// tech marks a value as technical for t and text.
		"tech":    func(v any) i18n.LTR { return i18n.LTR(fmt.Sprint(v)) },
		"num":     l.Number,
		"size":    l.Size,
		"percent": l.Percent,
		"when": func(v any) template.HTML {
			return l.When(moment(v).In(p.Zone), p.Now().In(p.Zone))
		},
		"icon":   icon,
		"static": p.files.URL,
		// path escapes a value as one part of a path; in a query html/template does it itself.
		"path":  url.PathEscape,
		"query": url.QueryEscape,
		"input": newInput,
		"space": newSpace,
		"share": share,
		// domain and show print a domain and an address in Unicode.
		"domain":  unicodeDomain,
		"show":    unicodeAddress,
		"state":   stateOf,
		"proto":   func(p any) template.HTML { return protocolWords(l, fmt.Sprint(p)) },
		"upper":   func(v any) string { return strings.ToUpper(fmt.Sprint(v)) },
		"copy":    newCopy,
		"countof": func(n, most int64) countOf { return countOf{n, most} },
		"offer":   func() bool { return p.OfferTest },
		"more":    func(n, shown int) int { return max(0, n-shown) },
		"list":    func(v ...string) []string { return v },
		"join":    func(v ...string) string { return strings.Join(v, "") },
	}
}

// countOf is a number beside the most that is allowed; Max 0 = no limit.
type countOf struct{ N, Max int64 }

// unicodeAddress returns an address as people read it.
func unicodeAddress(a string) string {
	i := strings.LastIndexByte(a, '@')
	return a[:i+1] + unicodeDomain(a[i+1:])
}

// moment turns the forms of time that pages hold into one; 0 and nil are the zero time.
func moment(v any) time.Time {
	switch v := v.(type) {
	case time.Time:
		return v
	case models.Micros:
		return v.Time()
	}
	return time.Time{}
}

// space is a bar with its words.
type space struct {
	Used, Limit int64 // bytes; Limit 0 = none
	Class       string
	Label       string // key of what the bar measures
}

func newSpace(label string, used, limit int64) space {
	s := space{Used: used, Limit: limit, Label: label}
	switch p := share(used, limit); {
	case p >= 95:
		s.Class = "high"
	case p >= 80:
		s.Class = "warn"
	}
	return s
}

// share returns used of limit in percent, rounded down so that 100 % is only said of what is
// full; 0 without a limit.
func share(used, limit int64) int64 {
	if limit <= 0 {
		return 0
	}
	return int64(float64(used) / float64(limit) * 100)
}

// copyValue is a value that can be copied or selected as one field.
type copyValue struct{ ID, Label, Value string }

func newCopy(id, label string, value any) copyValue {
	return copyValue{ID: id, Label: label, Value: fmt.Sprint(value)}
}
