package panel

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
	"github.com/postchi/postchi/panel/service"
	"github.com/postchi/postchi/panel/session"
)

// request is one request with all that handlers ask for. The rest of the package touches
// echo only through it.
type request struct {
	echo.Context
	p      *Panel
	secure bool
	sess   *session.Session
	forms  *session.Forms
	lang   *i18n.Lang
	user   *models.User // nil = nobody
	viewer service.Viewer
	ended  bool // the request came with a session that is over
}

func (r *request) ctx() context.Context { return r.Request().Context() }
func (r *request) now() time.Time       { return r.p.Now().In(r.p.Zone) }
func (r *request) isAdmin() bool        { return r.user != nil && r.user.Role == models.RoleAdmin }
func (r *request) isOwner() bool        { return r.user != nil && r.user.Role == models.RoleOwner }

// param returns a part of the path as it was meant. The router gives it still escaped if
// something in the path was ("a%2Fb@example.com").
func (r *request) param(name string) string {
	v := r.Param(name)
	if r.Request().URL.RawPath == "" {
		return v
	}
	if plain, err := url.PathUnescape(v); err == nil {
		return plain
	}
	return v
}

// id returns a part of the path that is an id.
func (r *request) id(name string) (models.ID, error) { return models.ParseID(r.param(name)) }

// remote returns the client's address, the zero value if there is none.
func (r *request) remote() netip.Addr {
	a, err := netip.ParseAddr(r.RealIP())
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// form reads the body of a POST. Values are as typed, but for the names and addresses that
// text and the like trim.
func (r *request) form() (*form, error) {
	if err := r.Request().ParseForm(); err != nil {
		return nil, badForm(err)
	}
	return newForm(r.Request().PostForm), nil
}

// prefilled returns an empty form whose fields may be filled by the query: links propose
// values by it, and who had to log in again finds the form as it was left.
func (r *request) prefilled() *form {
	values := url.Values{}
	for name, v := range r.Request().URL.Query() {
		if !secretField(name) {
			values[name] = v
		}
	}
	return newForm(values)
}

// redirect answers a POST: the browser asks for the page of path.
func (r *request) redirect(path string) error {
	return r.Redirect(http.StatusSeeOther, path)
}

// notify leaves a notice for the next page; pairs are names and values of its words.
func (r *request) notify(key string, pairs ...string) { r.notifyUndo("", key, pairs...) }

// notifyUndo is notify with the path of a POST that takes it back.
func (r *request) notifyUndo(undo, key string, pairs ...string) {
	r.leave(session.Notice{Key: key, Undo: undo}, pairs...)
}

// warn is notify for a result that is not what people hope for.
func (r *request) warn(key string, pairs ...string) {
	r.leave(session.Notice{Key: key, Warn: true}, pairs...)
}

func (r *request) leave(n session.Notice, pairs ...string) {
	n.Args = map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		n.Args[pairs[i]] = pairs[i+1]
	}
	r.sess.Notify(n)
}

// askLogin sends nobody to the log-in page, to come back where they were going. What was
// typed into a form comes along in the address, but for secrets.
func (r *request) askLogin() error {
	req := r.Request()
	next := req.URL.RequestURI()
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		next = resume(req.URL, req.PostForm)
	}
	q := url.Values{}
	if next != "/" {
		q.Set("next", next)
	}
	if r.ended || (req.Method != http.MethodGet && req.Method != http.MethodHead) {
		q.Set("ended", "1")
	}
	to := "/login"
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	return r.redirect(to)
}

// resume returns the page on which a posted form stands: forms of the kind ".../new" post to
// their own address, the others belong to the page above.
func resume(u *url.URL, posted url.Values) string {
	path := u.EscapedPath()
	if !strings.HasSuffix(path, "/new") {
		if i := strings.LastIndexByte(path, '/'); i > 0 {
			path = path[:i]
		}
		return path
	}
	q := url.Values{}
	for name, v := range posted {
		if !secretField(name) && name != session.FieldName && name != formToken {
			q[name] = v
		}
	}
	if len(q) > 0 && len(q.Encode()) < 2000 {
		path += "?" + q.Encode()
	}
	return path
}

// secretField reports whether a field's value may not be in an address.
func secretField(name string) bool { return strings.Contains(name, "password") || name == "old" }

// localPath returns next if it is a path of ours, else "/".
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

// page returns the number of the page of a list that is asked for, from 1.
func (r *request) page() int {
	n, err := strconv.Atoi(i18n.ASCIIDigits(r.QueryParam("page")))
	if err != nil || n < 1 || n > 1<<20 {
		return 1
	}
	return n
}

// chooseLanguage takes the user's own choice, then the browser's cookie, then what the
// browser says it reads.
func (r *request) chooseLanguage() *i18n.Lang {
	if r.user != nil {
		if l := r.p.words.Lang(r.user.Language); l != nil {
			return l
		}
	}
	if c, err := r.Cookie(languageCookie); err == nil {
		if l := r.p.words.Lang(c.Value); l != nil {
			return l
		}
	}
	return r.p.words.Match(r.Request().Header.Get("Accept-Language"))
}

// languageCookie keeps the choice of who is not logged in. It is no secret.
const languageCookie = "postchi-language"

// warnOf leaves the words of a limit for the next page, where what was asked for can be asked
// for again later; every other error is returned.
func (r *request) warnOf(err error) error {
	all := models.Errors(err)
	if len(all) != 1 || all[0].Kind != models.Limited || !r.lang.Has("error."+all[0].Key) {
		return err
	}
	var pairs []string
	for name, v := range all[0].Args {
		switch v := r.argument(all[0].Key, v).(type) {
		case int:
			pairs = append(pairs, name, r.lang.Number(int64(v)))
		case int64:
			pairs = append(pairs, name, r.lang.Number(v))
		default:
			pairs = append(pairs, name, fmt.Sprint(v))
		}
	}
	r.warn("error."+all[0].Key, pairs...)
	return nil
}
