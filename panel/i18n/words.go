package i18n

import (
	"fmt"
	"html/template"
	"strings"
	"unicode"
)

// LTR is a technical value: an address, host, port, code, key or path of English labels.
type LTR string

// Isolates of Unicode (UAX 9), for plain texts where no element can isolate.
const (
	leftToRightIsolate = "\u2066"
	popIsolate         = "\u2069"
)

// Text returns the words of key as plain text, for attributes and options. The values follow
// as pairs of name and value: whole numbers get the language's digits, LTR values are
// isolated in a language written from right to left.
func (l *Lang) Text(key string, pairs ...any) string {
	values := toMap(pairs)
	var b strings.Builder
	for _, s := range l.choose(key, count(values["n"])) {
		if s.value == "" {
			b.WriteString(s.text)
			continue
		}
		b.WriteString(l.plain(values[s.value]))
	}
	return b.String()
}

// HTML returns the words of key for the body of a page; see Text. Every value is escaped,
// strings are isolated by bdi elements; only template.HTML goes in as it is.
func (l *Lang) HTML(key string, pairs ...any) template.HTML {
	return l.HTMLMap(key, toMap(pairs))
}

// HTMLMap is HTML with the values in a map.
func (l *Lang) HTMLMap(key string, values map[string]any) template.HTML {
	var b strings.Builder
	for _, s := range l.choose(key, count(values["n"])) {
		if s.value == "" {
			b.WriteString(template.HTMLEscapeString(s.text))
			continue
		}
		b.WriteString(l.markup(values[s.value]))
	}
	return template.HTML(b.String())
}

func (l *Lang) plain(v any) string {
	switch v := v.(type) {
	case LTR:
		if l.Dir == "rtl" {
			return leftToRightIsolate + string(v) + popIsolate
		}
		return string(v)
	case string:
		return v
	case nil:
		return ""
	}
	if n, ok := whole(v); ok {
		return l.Number(n)
	}
	return fmt.Sprint(v)
}

func (l *Lang) markup(v any) string {
	switch v := v.(type) {
	case template.HTML:
		return string(v)
	case LTR:
		return string(Isolate(string(v)))
	case string:
		if technical(v) {
			return string(Isolate(v))
		}
		return "<bdi>" + template.HTMLEscapeString(v) + "</bdi>"
	}
	return template.HTMLEscapeString(l.plain(v))
}

// Isolate returns s as an element that is read left to right whatever is around it.
func Isolate(s string) template.HTML {
	return template.HTML(`<bdi dir="ltr">` + template.HTMLEscapeString(s) + `</bdi>`)
}

// technical reports whether a string of unknown origin should be read left to right: it
// holds something like an address and nobody's name in a script written the other way.
func technical(s string) bool {
	return strings.ContainsAny(s, "@.:/_") && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Arabic, unicode.Hebrew)
	})
}

func toMap(pairs []any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		m[name] = pairs[i+1]
	}
	return m
}

// count returns what chooses the plural form, or nil.
func count(n any) any {
	if n, ok := whole(n); ok {
		return n
	}
	return nil
}

func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case int32:
		return int64(v), true
	}
	return 0, false
}
