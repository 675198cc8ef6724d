// Package i18n speaks to people in their language: words from catalogues, numbers, sizes and
// dates. A catalogue is a flat TOML file of keys and texts with {name} for values; a text
// that counts has the plural forms of CLDR and chooses by the value called n.
//
// A value that is technical (an address, a host, a port) is passed as LTR and always comes
// out isolated left to right, since without that "2001:db8::1/64" or "sara@example.com."
// would be shown in another order inside a Persian sentence.
package i18n

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"github.com/nicksnyder/go-i18n/v2/i18n/template"
	"golang.org/x/text/language"
)

//go:embed locales/*.toml
var locales embed.FS

// Default is the language of who asks for none that we have.
const Default = "en"

// Catalogues are all languages of the panel.
type Catalogues struct {
	langs   map[string]*Lang
	codes   []string // Default first
	matcher language.Matcher
}

// Lang is one language. Its methods may be used by many requests at once.
type Lang struct {
	Code string // "fa"
	Dir  string // "rtl" or "ltr"
	Name string // in the language itself

	messages map[string]message
	plurals  *goi18n.Localizer
	format   format

	// Missing is told each key that has no words; nil = nobody. Tests fail in it.
	Missing func(key string)
}

// message is a text cut at its values, or several by plural form.
type message struct {
	plural bool
	forms  map[string][]segment // by raw text
	raw    string               // the only or the "other" form
}

// segment is either text or the name of a value.
type segment struct{ text, value string }

// Load reads the embedded catalogues.
func Load() (*Catalogues, error) {
	files, err := fs.Sub(locales, "locales")
	if err != nil {
		return nil, err
	}
	bundle := goi18n.NewBundle(language.Make(Default))
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	c := &Catalogues{langs: map[string]*Lang{}}
	for _, f := range formats {
		l, err := load(bundle, files, f)
		if err != nil {
			return nil, fmt.Errorf("catalogue %s: %w", f.code, err)
		}
		c.langs[f.code] = l
		c.codes = append(c.codes, f.code)
	}
	tags := make([]language.Tag, len(c.codes))
	for i, code := range c.codes {
		tags[i] = language.Make(code)
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

func load(bundle *goi18n.Bundle, files fs.FS, f format) (*Lang, error) {
	b, err := fs.ReadFile(files, f.code+".toml")
	if err != nil {
		return nil, err
	}
	file, err := bundle.ParseMessageFileBytes(b, f.code+".toml")
	if err != nil {
		return nil, err
	}
	l := &Lang{Code: f.code, Dir: f.dir, Name: f.name, format: f, messages: map[string]message{}}
	l.plurals = goi18n.NewLocalizer(bundle, f.code)
	for _, m := range file.Messages {
		one := message{raw: m.Other, plural: m.One != "", forms: map[string][]segment{}}
		for _, text := range []string{m.Zero, m.One, m.Two, m.Few, m.Many, m.Other} {
			if one.forms[text], err = parse(text); err != nil {
				return nil, fmt.Errorf("%s: %w", m.ID, err)
			}
		}
		l.messages[m.ID] = one
	}
	return l, nil
}

// parse cuts "Try {a} or {b}." at its values.
func parse(text string) ([]segment, error) {
	var all []segment
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if before != "" {
			all = append(all, segment{text: before})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.ContainsAny(name, " {") {
			return nil, fmt.Errorf("a brace without a name in %q", text)
		}
		all, text = append(all, segment{value: name}), after
	}
	return all, nil
}

// Lang returns the language of a code, nil if there is none.
func (c *Catalogues) Lang(code string) *Lang { return c.langs[code] }

// All returns the languages, Default first.
func (c *Catalogues) All() []*Lang {
	all := make([]*Lang, len(c.codes))
	for i, code := range c.codes {
		all[i] = c.langs[code]
	}
	return all
}

// Match returns the language for an Accept-Language header (RFC 9110, section 12.5.4), or
// Default.
func (c *Catalogues) Match(accept string) *Lang {
	if len(accept) > 1000 {
		accept = ""
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(tags) == 0 {
		return c.langs[Default]
	}
	_, i, confidence := c.matcher.Match(tags...)
	if confidence == language.No {
		i = 0
	}
	return c.langs[c.codes[i]]
}

// Has reports whether there are words for key.
func (l *Lang) Has(key string) bool { _, ok := l.messages[key]; return ok }

// Keys returns all keys, sorted.
func (l *Lang) Keys() []string { return slices.Sorted(maps.Keys(l.messages)) }

// choose returns the segments of a text for n.
func (l *Lang) choose(key string, n any) []segment {
	m, ok := l.messages[key]
	if !ok {
		if l.Missing != nil {
			l.Missing(key)
		}
		return []segment{{text: key}}
	}
	if !m.plural || n == nil {
		return m.forms[m.raw]
	}
	raw, err := l.plurals.Localize(&goi18n.LocalizeConfig{
		MessageID: key, PluralCount: n, TemplateParser: template.IdentityParser{}})
	if err != nil {
		raw = m.raw
	}
	return m.forms[raw]
}
