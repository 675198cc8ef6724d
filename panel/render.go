package panel

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/templates"
)

// pages are the parsed templates by language and name of page.
type pages struct {
	byLang map[string]map[string]*template.Template
}

// parsePages reads base, partials and every page once for each language: the helpers of a
// template speak one language.
func (p *Panel) parsePages() (*pages, error) {
	all := &pages{byLang: map[string]map[string]*template.Template{}}
	names, err := fs.Glob(templates.FS, "pages/*.html")
	if err != nil {
		return nil, err
	}
	for _, l := range p.words.All() {
		set := map[string]*template.Template{}
		base, err := template.New("base").Funcs(p.funcs(l)).ParseFS(templates.FS, "base.html", "partials/*.html")
		if err != nil {
			return nil, err
		}
		for _, file := range names {
			t, err := base.Clone()
			if err != nil {
				return nil, err
			}
			if t, err = t.ParseFS(templates.FS, file); err != nil {
				return nil, err
			}
			for _, block := range []string{"title", "main"} {
				if t.Lookup(block) == nil {
					return nil, fmt.Errorf("%s defines no %q", file, block)
				}
			}
			set[strings.TrimSuffix(path.Base(file), ".html")] = t
		}
		all.byLang[l.Code] = set
	}
	return all, nil
}

// common is what every page has; pages embed it and the renderer fills it.
type common struct {
	Lang    *i18n.Lang
	Langs   []*i18n.Lang
	User    *models.User // nil = nobody: the page has no navigation
	Admin   bool
	Queue   bool // messages may wait for other servers
	Owner   bool // of a mailbox
	CSRF    string
	Notice  *notice
	Nav     string // the place in the navigation that the page belongs to
	Here    string // where a change of language leads back
	Version string
	Secret  bool // the page shows a password, or proposes one
}

func (c *common) base() *common { return c }

// notice is the one line that tells how the last request ended.
type notice struct {
	Warn  bool
	Words template.HTML
	Undo  string
}

// page is the data of any page.
type page interface{ base() *common }

// putWords says a form's errors in the language of the request.
func (r *request) putWords(f *form) {
	f.Errors = f.Errors[:0]
	for _, e := range f.errs {
		fe := formError{Field: e.Field, Words: r.wordsOf(e)}
		if e.Field != "" {
			fe.ID = f.Prefix + e.Field
		}
		f.Errors = append(f.Errors, fe)
	}
}

// render writes a page. The errors of the forms on it are put into words.
func (r *request) render(status int, name string, data page, forms ...*form) error {
	for _, f := range forms {
		r.putWords(f)
	}
	r.fill(data.base())
	t := r.p.pages.byLang[r.lang.Code][name]
	if t == nil {
		return fmt.Errorf("no page %q", name)
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "base", data); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	return r.send(status, body.Bytes(), data.base().Secret)
}

func (r *request) fill(c *common) {
	c.Lang, c.Langs, c.Version = r.lang, r.p.words.All(), r.p.Version
	c.User, c.Admin, c.Owner, c.Queue = r.user, r.isAdmin(), r.isOwner(), r.p.Service.HasQueue()
	c.CSRF = r.forms.Token(r.Response(), r.secure)
	if n := r.sess.Notice(); n != nil {
		args := make(map[string]any, len(n.Args))
		for name, v := range n.Args {
			args[name] = v
		}
		c.Notice = &notice{Words: r.lang.HTMLMap(n.Key, args), Undo: n.Undo, Warn: n.Warn}
	}
	if c.Here == "" {
		c.Here = "/"
		if r.Request().Method == http.MethodGet {
			c.Here = r.Request().URL.RequestURI()
		}
	}
}

// send writes the page. It is for one person at one moment: no cache keeps it. Pages with a
// password are not compressed, so that their length says nothing about it.
func (r *request) send(status int, body []byte, secret bool) error {
	h := r.Response().Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", r.lang.Code)
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Encoding, Accept-Language, Cookie")
	if secret || !strings.Contains(r.Request().Header.Get("Accept-Encoding"), "gzip") {
		r.Response().WriteHeader(status)
		_, err := r.Response().Write(body)
		return err
	}
	h.Set("Content-Encoding", "gzip")
	r.Response().WriteHeader(status)
	w, _ := gzip.NewWriterLevel(r.Response(), gzip.BestSpeed) // the level is a valid constant
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

// reference returns a short code that stands in a page about a fault of ours and in the log.
func (p *Panel) reference() string { return rand.Text()[:8] }
