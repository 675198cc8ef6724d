package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel"
	"github.com/postchi/postchi/panel/service"
)

// routeForms are the fields with which a POST of a route succeeds. Words in braces are
// replaced by what belongs to the thing. A new route that needs fields fails until it is here.
var routeForms = map[string]string{
	"/account/language":              "language=",
	"/account/password":              "old=" + testPassword + "&password=" + testPassword,
	"/customers/new":                 "name=New {n}",
	"/customers/:customer/limits":    "name=Renamed {n}&domains=50&mailboxes=50&storage=70&storage_unit=GB",
	"/customers/:customer/suspend":   "reason=unpaid",
	"/customers/:customer/delete":    "typed={name}&purge=yes",
	"/customers/:customer/users/new": "user_email=new{n}@users.example&user_password=" + testPassword,
	"/domains/new":                   "domain=new{n}.example&customer={customer}",
	"/domains/:domain/roles":         "postmaster={address}",
	"/domains/:domain/dns/row":       "type=MX&name={domain}",
	"/domains/:domain/dmarc":         "dmarc=junk",
	"/domains/:domain/source":        "source=192.0.2.7",
	"/domains/:domain/delete":        "typed={domain}&purge=yes",
	"/queue/act":                     "action=retry&domain=nowhere.example",
	"/queue/:item/act":               "action=release",
	"/mailboxes/new":                 "local=new{n}&domain={domain}&password=" + testPassword,
	"/mailboxes/:address/password":   "password=" + testPassword,
	"/mailboxes/:address/quota":      "quota=2&quota_unit=GB",
	"/mailboxes/:address/switches":   "login=on&reason=a test",
	"/mailboxes/:address/sessions":   "session=1",
	"/mailboxes/:address/unblock":    "network=192.0.2.1",
	"/mailboxes/:address/purge":      "typed={address}",
}

// routingForms are those of the pages about where mail goes.
var routingForms = map[string]string{
	"/domains/:domain/catchall":       "catch_all={address}",
	"/domains/:domain/aliasof":        "alias_of=",
	"/aliases/new":                    "local=new{n}&domain={domain}&targets={address}",
	"/aliases/:alias/edit":            "kind=group&targets={address}",
	"/aliases/:alias/ask":             "target=out@elsewhere.example",
	"/mailboxes/:address/forward":     "targets=",
	"/mailboxes/:address/forward/ask": "target=out@elsewhere.example",
	"/mailboxes/:address/autoreply":   "enabled=on&body=away",
	"/mailboxes/:address/hold":        "reason=a test",
	"/mailboxes/:address/lift":        "target=no@elsewhere.example",
	"/autoreply":                      "enabled=on&body=away",
	"/relays/new":                     "owner={domain}&host=smtp.example&security=tls",
	"/relays/delete":                  "owner={domain}",
}

// formOf returns the fields with which a POST of a route succeeds.
func formOf(path string) string { return routeForms[path] + routingForms[path] }

// public says which routes are for everybody. They name nothing that is somebody's.
func publicRoute(r *echo.Route) bool {
	return slices.Contains([]string{"/login", "/logout", "/language", "/static/*", "/healthz", "/readyz", "/robots.txt", "/favicon.ico",
		"/confirm/:token"}, r.Path) // who has the token may
}

// adminRoute says which are for administrators alone.
func adminRoute(r *echo.Route) bool {
	return r.Path == "/domains/:domain/source" || r.Path == "/customers" || strings.HasPrefix(r.Path, "/customers/") || strings.HasPrefix(r.Path, "/relays")
}

// ownersRoute says which are for the owners of mailboxes too, or for them alone.
func ownersRoute(r *echo.Route) bool {
	return r.Path == "/" || r.Path == "/help" || strings.HasPrefix(r.Path, "/account") || strings.HasPrefix(r.Path, "/delivery") || strings.HasPrefix(r.Path, "/autoreply")
}

// names reports whether a route's request names a thing, in its path or its form.
func names(r *echo.Route) bool {
	return strings.Contains(r.Path, ":") || r.Method == http.MethodPost && (r.Path == "/mailboxes/new" || r.Path == "/aliases/new")
}

// fill puts a thing into a path or a form.
func (o thing) fill(text string, n int) string {
	return strings.NewReplacer("{n}", strconv.Itoa(n), "{customer}", o.customer, "{name}", o.name, "{domain}", o.domain, "{address}", o.address,
		":customer", o.customer, ":user", o.user, ":domain", o.domain, ":address", url.PathEscape(o.address),
		":alias", url.PathEscape(o.alias), ":item", o.item, ":message", o.message).Replace(text)
}

// walk makes a route's request for a thing.
func (v *visitor) walk(r *echo.Route, o thing, n int) reply {
	v.t.Helper()
	if r.Method != http.MethodPost {
		return v.ask(r.Method, o.fill(r.Path, n), nil)
	}
	form, _ := url.ParseQuery(formOf(r.Path))
	for name := range form {
		form.Set(name, o.fill(form.Get(name), n))
	}
	form.Set("csrf", v.token)
	return v.ask(http.MethodPost, o.fill(r.Path, n), form, "Origin", v.base)
}

// tenants is a server with two customers and everybody who may ask.
type tenants struct {
	*testing.T
	in                          *instance
	b                           *base
	example                     models.ID
	admin, owner, other, nobody *visitor
	box                         *visitor // owner of the mailbox that boxed names
	boxed                       thing
	count                       int
}

// TestTenants walks every route as administrator, owner, other customer and nobody: what is
// not theirs is not there, refused requests change nothing, and no form works that does not
// come from a page of the panel.
func TestTenants(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		in := newInstance(t, url)
		in.start()
		w := &tenants{T: t, in: in, b: in.beside(t, url)}
		w.b.oneHash(t)
		w.example = w.b.customerWith(t, "Example", "owner@users.example")
		w.b.customerWith(t, "Other", "other@users.example")
		w.admin = in.visitor(t).login(devAdmin, in.password())
		w.owner = in.visitor(t).login("owner@users.example", testPassword)
		w.other = in.visitor(t).login("other@users.example", testPassword)
		w.boxed = w.b.newThing(w, w.example, 9999)
		w.box = in.visitor(t).login(w.boxed.address, testPassword)
		within(t, time.Second, "log-in noted", func() bool { // later than its answer
			row, err := w.b.service.Mailbox(context.Background(), service.Console(), w.boxed.address)
			return err == nil && row.LastLogin != 0
		})
		w.nobody = in.visitor(t)
		w.nobody.get("/login")
		walked := 0
		routes := panel.Routes()
		slices.SortFunc(routes, func(a, b *echo.Route) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
		for _, r := range routes {
			if r.Method == echo.RouteNotFound {
				continue
			}
			if r.Method == http.MethodPost {
				w.forged(r)
			}
			if publicRoute(r) {
				continue
			}
			if walked++; names(r) {
				w.named(r)
			} else {
				w.unnamed(r)
			}
		}
		if walked < 40 {
			t.Errorf("only %d routes were walked", walked)
		}
		w.bodies()
	})
}

// thing makes another one; of a customer of its own if an administrator asks for it.
func (w *tenants) thing(r *echo.Route) thing {
	w.Helper()
	w.count++
	customer := w.example
	if adminRoute(r) {
		customer = 0
	}
	o := w.b.newThing(w, customer, w.count)
	if strings.HasSuffix(r.Path, "/ask") {
		w.b.outside(w, o)
	}
	if strings.HasSuffix(r.Path, "/autoreply/test") {
		if err := w.b.service.SetAutoReply(context.Background(), service.Console(), o.address, models.AutoReply{Body: "away"}); err != nil {
			w.Fatal(err)
		}
	}
	if strings.HasSuffix(r.Path, "/restore") || strings.HasSuffix(r.Path, "/purge") {
		if err := w.b.service.DeleteMailbox(context.Background(), service.Console(), o.address); err != nil {
			w.Fatal(err)
		}
	}
	return o
}

// named walks a route that names a thing. Owner and administrator ask for one of two equal
// things before the strangers ask for the second, and for the second after them: so it was
// there, and the request was one that works.
func (w *tenants) named(r *echo.Route) {
	w.Helper()
	first, second := w.thing(r), w.thing(r)
	before, after := w.owner, w.admin
	strangers := map[string]*visitor{"another customer": w.other}
	if adminRoute(r) {
		before, strangers["a customer's user"] = w.admin, w.owner
	}
	if a := before.walk(r, first, w.count); !a.fine() {
		w.Fatalf("%s %s as the owner: %d %s\n%s", r.Method, r.Path, a.status, a.location, a.body)
	}
	was := contentsOf(w, w.b.db)
	for who, v := range strangers {
		a := v.walk(r, second, 1000+w.count)
		if a.status != http.StatusNotFound {
			w.Errorf("%s %s as %s: %d %s", r.Method, r.Path, who, a.status, a.location)
		}
		// The page leads back to the address that was asked for when its language is changed.
		body := strings.ReplaceAll(a.body, url.PathEscape(second.address), "")
		if strings.Contains(body, second.address) || strings.Contains(body, ">"+second.name) {
			w.Errorf("%s %s tells %s of what is not theirs", r.Method, r.Path, who)
		}
	}
	w.boxOwner(r)
	w.asksLogin(r, second)
	w.unchanged(was, r.Method+" "+r.Path+": a refused request")
	if a := after.walk(r, second, 1000+w.count); !a.fine() {
		w.Fatalf("%s %s as administrator, after the strangers: %d", r.Method, r.Path, a.status)
	}
}

// boxOwner asks as the owner of a mailbox, for that mailbox: what is not for owners is not there.
func (w *tenants) boxOwner(r *echo.Route) {
	w.Helper()
	if ownersRoute(r) {
		if a := w.box.walk(r, w.boxed, w.count); !a.fine() {
			w.Errorf("%s %s as the mailbox's owner: %d", r.Method, r.Path, a.status)
		}
		w.box.get("/") // a changed password made the forms of before worthless
		return
	}
	if a := w.box.walk(r, w.boxed, w.count); a.status != http.StatusNotFound {
		w.Errorf("%s %s as the mailbox's owner: %d %s", r.Method, r.Path, a.status, a.location)
	}
}

// unchanged compares the database with what it held.
func (w *tenants) unchanged(was, what string) {
	w.Helper()
	is := contentsOf(w, w.b.db)
	if is == was {
		return
	}
	old := strings.Split(was, "\n")
	for line := range strings.SplitSeq(is, "\n") {
		if !slices.Contains(old, line) {
			w.Logf("now: %s", line)
		}
	}
	w.Fatalf("%s changed the database", what)
}

// asksLogin checks that nobody is sent to the log-in.
func (w *tenants) asksLogin(r *echo.Route, o thing) {
	w.Helper()
	a := w.nobody.walk(r, o, 5000)
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login") {
		w.Errorf("%s %s as nobody: %d %s", r.Method, r.Path, a.status, a.location)
	}
	if strings.Contains(a.location, testPassword) {
		w.Errorf("%s %s: a password in %s", r.Method, r.Path, a.location)
	}
}

// unnamed walks a list, a form that makes something, or a person's own account.
func (w *tenants) unnamed(r *echo.Route) {
	w.Helper()
	o := w.b.newThing(w, w.example, 2000+w.count)
	w.count++
	w.boxOwner(r)
	if strings.HasPrefix(r.Path, "/autoreply") { // a mailbox owner's own
		for who, v := range map[string]*visitor{"an administrator": w.admin, "a customer's user": w.owner} {
			if a := v.walk(r, o, w.count); a.status != http.StatusNotFound {
				w.Errorf("%s %s as %s: %d", r.Method, r.Path, who, a.status)
			}
		}
		w.asksLogin(r, o)
		return
	}
	if a := w.admin.walk(r, o, w.count); !a.fine() && r.Path != "/account/password" { // its password is another
		w.Errorf("%s %s as administrator: %d", r.Method, r.Path, a.status)
	}
	w.asksLogin(r, o)
	if adminRoute(r) {
		was := contentsOf(w, w.b.db)
		for _, v := range []*visitor{w.owner, w.other} {
			if a := v.walk(r, o, 3000+w.count); a.status != http.StatusNotFound {
				w.Errorf("%s %s as a customer's user: %d", r.Method, r.Path, a.status)
			}
		}
		w.unchanged(was, r.Method+" "+r.Path+": a refused request")
		return
	}
	if a := w.owner.walk(r, o, 4000+w.count); !a.fine() {
		w.Errorf("%s %s as owner: %d %s", r.Method, r.Path, a.status, a.location)
	}
	w.owner.get("/") // a changed password made the forms of before worthless
	for _, query := range []string{"", "?q=example", "?customer=" + w.example.String()} {
		if r.Method != http.MethodGet {
			break
		}
		a := w.other.get(r.Path + query)
		if a.status != http.StatusOK && a.status != http.StatusSeeOther { // without a domain one is asked for
			w.Errorf("%s%s as another customer: %d", r.Path, query, a.status)
		}
		if strings.Contains(a.body, o.domain) || strings.Contains(a.body, "Example") {
			w.Errorf("%s%s shows another customer's", r.Path, query)
		}
	}
}

// bodies are requests that name a stranger's thing elsewhere than in the path.
func (w *tenants) bodies() {
	w.Helper()
	theirs := w.b.newThing(w, w.example, 9000)
	was := contentsOf(w, w.b.db)
	for _, path := range []string{"/mailboxes?domain=" + theirs.domain, "/mailboxes/new?domain=" + theirs.domain} {
		if a := w.other.get(path); a.status != http.StatusNotFound && a.status != http.StatusSeeOther || strings.Contains(a.body, theirs.domain+"<") {
			w.Errorf("%s as another customer: %d", path, a.status)
		}
	}
	w.unchanged(was, "looking")
	if a := w.other.post("/domains/new", "domain", "mine.example", "customer", w.example.String(), "customer_name", "Forged", "user_email", "forged@users.example", "user_password", testPassword); !a.fine() {
		w.Fatal(a.status)
	}
	d, err := w.b.service.Domain(context.Background(), service.Console(), "mine.example")
	if err != nil || d.Customer != "Other" {
		w.Errorf("a domain went to %+v: %v", d, err)
	}
	if all := contentsOf(w, w.b.db); strings.Contains(all, "forged@users.example") || strings.Contains(all, "Forged") {
		w.Error("a customer's user made a customer")
	}
	if a := w.other.post("/domains/mine.example/roles", "postmaster", theirs.address); a.fine() {
		w.Errorf("mail for postmaster goes to a stranger's mailbox: %d %s", a.status, a.location)
	}
}

// forged asks for a changing route without a token, with one of another browser, and with a
// good one from another site.
func (w *tenants) forged(r *echo.Route) {
	w.Helper()
	w.count++
	o := w.b.newThing(w, w.example, 7000+w.count)
	v := w.admin
	was, good := contentsOf(w, w.b.db), v.token
	other := "A"
	if good[0] == 'A' {
		other = "B"
	}
	for _, token := range []string{"", w.owner.token, w.nobody.token, other + good[1:]} {
		v.token = token
		if a := v.walk(r, o, w.count); a.status != http.StatusForbidden {
			w.Errorf("%s with another's token: %d", r.Path, a.status)
		}
	}
	v.token = good
	for _, header := range [][2]string{{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		form, _ := url.ParseQuery(o.fill(formOf(r.Path), w.count))
		form.Set("csrf", good)
		if a := v.ask(http.MethodPost, o.fill(r.Path, w.count), form, header[0], header[1]); a.status != http.StatusForbidden {
			w.Errorf("%s with %s %s: %d", r.Path, header[0], header[1], a.status)
		}
	}
	v.token = good
	w.unchanged(was, r.Path+": a forged form")
	if a := v.get("/"); !a.fine() {
		w.Fatalf("%s: a forged form ended the session", r.Path)
	}
}
