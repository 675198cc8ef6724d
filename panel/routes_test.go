package panel

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/panel/service"
)

// dump returns everything in the database but the sessions, which note when they were used.
func (f *fixture) dump() string {
	f.t.Helper()
	rows, err := f.db.SQL().QueryContext(f.t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('sessions', 'nodes', 'leases', 'changes') ORDER BY name")
	if err != nil {
		f.t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			f.t.Fatal(err)
		}
		tables = append(tables, name)
	}
	rows.Close()
	var all strings.Builder
	for _, name := range tables {
		f.dumpTable(&all, name)
	}
	return all.String()
}

func (f *fixture) dumpTable(to *strings.Builder, name string) {
	f.t.Helper()
	rows, err := f.db.SQL().QueryContext(f.t.Context(), `SELECT * FROM "`+name+`"`)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	var lines []string
	for rows.Next() {
		cells, at := make([]any, len(columns)), make([]any, len(columns))
		for i := range cells {
			at[i] = &cells[i]
		}
		if err := rows.Scan(at...); err != nil {
			f.t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(cells))
	}
	slices.Sort(lines)
	fmt.Fprintln(to, name, strings.Join(lines, "\n"))
}

// thing is one set of what a path can name, all of one customer.
type thing struct{ customer, user, domain, address, alias, item, message string }

// things makes a new set for the customer.
func (f *fixture) things(customer models.ID, n int) thing {
	f.t.Helper()
	ctx, console := f.t.Context(), service.Console()
	t := thing{customer: customer.String(), domain: fmt.Sprintf("d%d.example", n)}
	if customer == 0 {
		c, err := f.service.AddCustomer(ctx, console, service.NewCustomer{Name: fmt.Sprint("Customer ", n)})
		if err != nil {
			f.t.Fatal(err)
		}
		customer, t.customer = c.ID, c.ID.String()
	}
	u, err := f.service.AddUser(ctx, console, service.NewUser{Email: fmt.Sprintf("u%d@users.example", n), Role: models.RoleCustomer, CustomerID: customer, Password: "correct-horse-user"})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.service.AddDomain(ctx, console, service.NewDomain{Name: t.domain, CustomerID: customer}); err != nil {
		f.t.Fatal(err)
	}
	f.mailbox("box", t.domain)
	t.user, t.address, t.alias = u.ID.String(), "box@"+t.domain, "alias@"+t.domain
	f.lead(t.address, t.alias)
	item := f.enqueue(t.address, "of "+t.domain, "x@far.example")
	t.item, t.message = item.ID.String(), item.EnvelopeID.String()
	return t
}

// outside lets alias and mailbox lead to an address that waits for its owner's answer.
func (f *fixture) outside(address, alias string) {
	f.t.Helper()
	ctx, console := f.t.Context(), service.Console()
	err := f.service.EditAlias(ctx, console, alias, service.AliasChange{Kind: models.AliasPlain, Targets: []string{address, "out@elsewhere.example"}})
	if err == nil {
		err = f.service.SetForward(ctx, console, address, []string{"out@elsewhere.example"}, true)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// lead gives a mailbox an alias, and an address that nothing more is sent to.
func (f *fixture) lead(address, alias string) {
	f.t.Helper()
	ctx, console := f.t.Context(), service.Console()
	local, domain, _ := strings.Cut(alias, "@")
	a, err := f.service.AddAlias(ctx, console, service.NewAlias{Local: local, Domain: domain, Targets: []string{address}})
	if err != nil {
		f.t.Fatal(err)
	}
	row, err := f.service.Mailbox(ctx, console, address)
	if err != nil {
		f.t.Fatal(err)
	}
	err = f.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO suppressions (mailbox_id, address, customer_id, code, enhanced, detail, at) VALUES (?, 'no@elsewhere.example', ?, 550, '5.1.1', 'no such user', 1)", row.ID, a.CustomerID)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// path puts the things into the path of a route.
func (t thing) path(pattern string) string {
	return strings.NewReplacer(":customer", t.customer, ":user", t.user, ":domain", t.domain, ":address", url.PathEscape(t.address), ":alias", url.PathEscape(t.alias), ":item", t.item, ":message", t.message).Replace(pattern)
}

// forms are the fields that make a POST succeed. %d, %c and %a stand for domain, customer and
// address of the thing, %n for a number.
var forms = map[string][]string{
	"/login":                         {"name", adminEmail, "password", adminPassword},
	"/language":                      {"language", "fa"},
	"/account/language":              {"language", "fa"},
	"/account/password":              {"old", ownerPassword, "password", ownerPassword},
	"/customers/new":                 {"name", "Customer number %n"},
	"/customers/:customer/limits":    {"name", "Renamed %n", "domains", "50", "mailboxes", "50", "storage", "70", "storage_unit", "GB"},
	"/customers/:customer/suspend":   {"reason", "unpaid"},
	"/customers/:customer/delete":    {"typed", "Customer %n", "purge", "yes"},
	"/customers/:customer/users/new": {"user_email", "new%n@users.example", "user_password", "correct-horse-new"},
	"/domains/new":                   {"domain", "new%n.example", "customer", "%c"},
	"/domains/:domain/roles":         {"postmaster", "%a"},
	"/domains/:domain/dns/row":       {"type", "MX", "name", "%d"},
	"/domains/:domain/dmarc":         {"dmarc", "junk"},
	"/domains/:domain/source":        {"source", "192.0.2.7"},
	"/domains/:domain/delete":        {"typed", "%d", "purge", "yes"},
	"/queue/act":                     {"action", "hold", "domain", "nowhere.example"},
	"/queue/:item/act":               {"action", "hold"},
	"/mailboxes/new":                 {"local", "new%n", "domain", "%d", "password", "correct-horse-new"},
	"/mailboxes/:address/password":   {"password", "correct-horse-new"},
	"/mailboxes/:address/quota":      {"quota", "2", "quota_unit", "GB"},
	"/mailboxes/:address/switches":   {"login", "on", "reason", "a test"},
	"/mailboxes/:address/sessions":   {"session", "1"},
	"/mailboxes/:address/unblock":    {"network", "192.0.2.1"},
	"/mailboxes/:address/purge":      {"typed", "%a"},
}

// routingForms are those of the pages about where mail goes.
var routingForms = map[string][]string{
	"/domains/:domain/catchall":       {"catch_all", "%a"},
	"/domains/:domain/aliasof":        {"alias_of", ""},
	"/aliases/new":                    {"local", "new%n", "domain", "%d", "targets", "%a"},
	"/aliases/:alias/edit":            {"kind", "group", "targets", "%a"},
	"/aliases/:alias/ask":             {"target", "out@elsewhere.example"},
	"/mailboxes/:address/forward":     {"targets", ""},
	"/mailboxes/:address/forward/ask": {"target", "out@elsewhere.example"},
	"/mailboxes/:address/autoreply":   {"enabled", "on", "body", "away"},
	"/mailboxes/:address/hold":        {"reason", "a test"},
	"/mailboxes/:address/lift":        {"target", "no@elsewhere.example"},
	"/autoreply":                      {"enabled", "on", "body", "away"},
	"/relays/new":                     {"owner", "%d", "host", "smtp.example", "security", "tls"},
	"/relays/delete":                  {"owner", "%d"},
}

func (t thing) form(pattern string, n int) []string {
	fill := strings.NewReplacer("%d", t.domain, "%c", t.customer, "%a", t.address, "%n", fmt.Sprint(n))
	var all []string
	for _, v := range append(forms[pattern], routingForms[pattern]...) {
		all = append(all, fill.Replace(v))
	}
	return all
}

// ask makes a route's request for a thing.
func (b *browser) ask(r route, t thing, n int) answer {
	b.f.t.Helper()
	if r.method == http.MethodGet {
		return b.get(t.path(r.path))
	}
	return b.post(t.path(r.path), t.form(r.path, n)...)
}

// inBin reports whether a route is about mailboxes in the bin.
func inBin(path string) bool {
	return strings.HasSuffix(path, "/restore") || strings.HasSuffix(path, "/purge")
}

// ready brings a thing into the state that the route is for.
func (f *fixture) ready(r route, t thing) thing {
	f.t.Helper()
	if strings.HasSuffix(r.path, "/ask") {
		f.outside(t.address, t.alias)
	}
	if strings.HasSuffix(r.path, "/autoreply/test") {
		if err := f.service.SetAutoReply(f.t.Context(), service.Console(), t.address, models.AutoReply{Body: "away"}); err != nil {
			f.t.Fatal(err)
		}
	}
	if inBin(r.path) {
		if err := f.service.DeleteMailbox(f.t.Context(), service.Console(), t.address); err != nil {
			f.t.Fatal(err)
		}
	}
	return t
}

func fine(a answer) bool {
	return a.code >= 200 && a.code < 400 && !strings.HasPrefix(a.location, "/login")
}

// TestOthersGetNothing asks for every route that names something, as the owner, as another
// customer and as the owner again. What is new in the table is walked by itself.
func TestOthersGetNothing(t *testing.T) {
	f := newFixture(t)
	id := f.owner("Example", ownerEmail, "example.com")
	f.owner("Other", "omid@other.example", "example.net")
	owner, other, admin := f.browser().login(ownerEmail, ownerPassword), f.browser().login("omid@other.example", ownerPassword), f.admin()
	for n, r := range f.panel.routes() {
		if r.access == anyone || !strings.Contains(r.path, ":") && r.path != "/mailboxes/new" && r.path != "/aliases/new" {
			continue
		}
		first, second := thing{}, thing{}
		asker := owner
		if r.access == admins {
			asker = admin
			first, second = f.ready(r, f.things(0, 100+n)), f.ready(r, f.things(0, 200+n))
		} else {
			first, second = f.ready(r, f.things(id, 100+n)), f.ready(r, f.things(id, 200+n))
		}
		if a := asker.ask(r, first, 100+n); !fine(a) {
			t.Fatalf("%s %s as owner: %d %s", r.method, r.path, a.code, mainOf(a.body))
		}
		before := f.dump()
		if strings.Contains(r.path, ":") || r.method != http.MethodGet {
			a := other.ask(r, second, 200+n)
			if a.code != http.StatusNotFound {
				t.Errorf("%s %s as another customer: %d %s", r.method, r.path, a.code, a.location)
			}
			a.body = mainOf(a.body) // the way back after a change of language names the address asked for
			a.hasNot(t, second.address)
		}
		if r.access == admins {
			if a := owner.ask(r, second, 200+n); a.code != http.StatusNotFound {
				t.Errorf("%s %s as a customer's user: %d", r.method, r.path, a.code)
			}
		}
		if f.dump() != before {
			t.Fatalf("%s %s: a refused request changed the database", r.method, r.path)
		}
		if a := asker.ask(r, second, 200+n); !fine(a) {
			t.Fatalf("%s %s as owner, after the stranger: %d", r.method, r.path, a.code)
		}
	}
}

// TestOwnersRoutes asks for every route as the owner of a mailbox: what is not for them is not
// there, not even for their own mailbox.
func TestOwnersRoutes(t *testing.T) {
	f := newFixture(t)
	id := f.owner("Example", ownerEmail, "example.com")
	f.mailbox("sara", "example.com")
	sara := f.browser().login("sara@example.com", mailboxPassword)
	f.lead("sara@example.com", "sales@example.com")
	mine := thing{customer: id.String(), user: "1", domain: "example.com", address: "sara@example.com", alias: "sales@example.com"}
	theirs := mine
	theirs.address, theirs.item = "info@example.com", "1"
	n := 0
	for i, r := range f.panel.routes() {
		if r.access == anyone || r.access == everyone || r.access == owners {
			continue
		}
		n++
		before := f.dump()
		for _, o := range []thing{mine, theirs} {
			if a := sara.ask(r, o, i); a.code != http.StatusNotFound {
				t.Errorf("%s %s as the owner of a mailbox: %d %s", r.method, r.path, a.code, a.location)
			}
		}
		if f.dump() != before {
			t.Fatalf("%s %s: a refused request changed the database", r.method, r.path)
		}
	}
	if n < 30 {
		t.Fatalf("only %d routes", n)
	}
	for _, r := range f.panel.routes() {
		if r.access != owners {
			continue
		}
		for who, b := range map[string]*browser{"a customer's user": f.browser().login(ownerEmail, ownerPassword), "an administrator": f.admin()} {
			if a := b.ask(r, mine, 0); a.code != http.StatusNotFound {
				t.Errorf("%s %s as %s: %d", r.method, r.path, who, a.code)
			}
		}
	}
}

// TestOwnersPages is what the owner of a mailbox finds, and how their session ends.
func TestOwnersPages(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	f.mailbox("sara", "example.com")
	sara := f.browser().login("sara@example.com", mailboxPassword)
	a := sara.get("/")
	a.has(t, "sara@example.com", "mail.example.net", "2995")
	a.hasNot(t, mailboxPassword, "/mailboxes", "/domains", "/bin", "info@example.com")
	sara.get("/account").has(t, "Mailbox owner")
	if a := sara.get("/help"); a.code != http.StatusOK {
		t.Error(a.code)
	}
	if a := sara.post("/account/password", "old", "wrong", "password", "correct-horse-fresh"); a.code != http.StatusForbidden {
		t.Errorf("with a wrong old password: %d", a.code)
	}
	other := f.browser().login("sara@example.com", mailboxPassword)
	f.pass(time.Second)
	if a := sara.post("/account/password", "old", mailboxPassword, "password", "correct-horse-fresh"); a.code != http.StatusSeeOther {
		t.Fatalf("%d %s", a.code, mainOf(a.body))
	}
	if a := sara.get("/"); a.code != http.StatusOK {
		t.Errorf("after changing the password: %d", a.code)
	}
	if a := other.get("/"); a.code != http.StatusSeeOther {
		t.Errorf("another session after the password was changed: %d", a.code)
	}
	ctx, console := t.Context(), service.Console()
	for what, end := range map[string][2]func() error{
		"suspended": {
			func() error {
				return f.service.SetMailboxSwitches(ctx, console, "sara@example.com", service.Switches{LoginOff: true, Reason: "x"})
			},
			func() error {
				return f.service.SetMailboxSwitches(ctx, console, "sara@example.com", service.Switches{})
			},
		},
		"in the bin": {
			func() error { return f.service.DeleteMailbox(ctx, console, "sara@example.com") },
			func() error { return f.service.RestoreMailbox(ctx, console, "sara@example.com") },
		},
	} {
		b := f.browser().login("sara@example.com", "correct-horse-fresh")
		if err := end[0](); err != nil {
			t.Fatal(err)
		}
		if a := b.get("/"); a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login") {
			t.Errorf("while %s: %d", what, a.code)
		}
		if err := end[1](); err != nil {
			t.Fatal(err)
		}
		if a := b.get("/"); a.code != http.StatusSeeOther {
			t.Errorf("a session that had ended, afterwards: %d", a.code)
		}
	}
}

func TestListsShowOnlyTheViewersOwn(t *testing.T) {
	f := newFixture(t)
	id := f.owner("Example", ownerEmail, "example.com")
	f.owner("Other", "omid@other.example", "example.net")
	other := f.browser().login("omid@other.example", ownerPassword)
	for _, path := range []string{"/", "/domains", "/domains?customer=" + id.String(), "/domains?q=example", "/mailboxes", "/mailboxes?q=info", "/bin", "/mailboxes/new", "/domains/new"} {
		a := other.get(path)
		if !fine(a) {
			t.Errorf("%s: %d", path, a.code)
		}
		a.body = mainOf(a.body)
		a.hasNot(t, "example.com<", "info@example.com", ">Example<", id.String())
	}
	for _, path := range []string{"/mailboxes?domain=example.com", "/mailboxes/new?domain=example.com", "/customers", "/customers/new"} {
		if a := other.get(path); a.code != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.code)
		}
	}
	before := f.dump()
	a := other.post("/domains/new", "domain", "stolen.example", "customer", id.String(), "customer_name", "New", "user_email", "x@x.example", "user_password", "correct-horse-x")
	if a.code != http.StatusSeeOther {
		t.Fatal(a.code, mainOf(a.body))
	}
	d, err := f.service.Domain(t.Context(), service.Console(), "stolen.example")
	if err != nil || d.Customer != "Other" {
		t.Fatalf("a domain went to another customer: %+v %v", d, err)
	}
	if after := f.dump(); strings.Contains(after, "x@x.example") || after == before {
		t.Fatal("a customer's user made a user")
	}
}

// TestNobody asks for every route without a session.
func TestNobody(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	thing := thing{customer: "1", user: "1", domain: "example.com", address: "info@example.com", alias: "sales@example.com", item: "1", message: "1"}
	before := f.dump()
	for n, r := range f.panel.routes() {
		if r.access == anyone {
			continue
		}
		b := f.browser()
		b.get("/login")
		a := b.ask(r, thing, n)
		if a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login") {
			t.Errorf("%s %s: %d %s", r.method, r.path, a.code, a.location)
		}
		if strings.Contains(a.location, "correct-horse") {
			t.Errorf("%s %s: a password in %s", r.method, r.path, a.location)
		}
	}
	if f.dump() != before {
		t.Fatal("nobody changed the database")
	}
}

// TestForgedForms asks for every changing route without a token, with one of another browser,
// and with a good one from another site.
func TestForgedForms(t *testing.T) {
	f := newFixture(t)
	id := f.owner("Example", ownerEmail, "example.com")
	b, stranger := f.admin(), f.browser()
	stranger.get("/login")
	before := f.dump()
	n := 0
	for i, r := range f.panel.routes() {
		if r.method == http.MethodGet {
			continue
		}
		n++
		thing := thing{customer: id.String(), user: "1", domain: "example.com", address: "info@example.com", alias: "sales@example.com", item: "1", message: "1"}
		good := b.token
		for _, token := range []string{"", stranger.token, good[1:] + "x"} {
			b.token = token
			if a := b.ask(r, thing, i); a.code != http.StatusForbidden {
				t.Errorf("%s with token %.5q: %d", r.path, token, a.code)
			}
		}
		for _, header := range [][2]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}} {
			req, _ := http.NewRequest("POST", f.server.URL+thing.path(r.path), strings.NewReader("csrf="+good))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set(header[0], header[1])
			if a := b.do(req); a.code != http.StatusForbidden {
				t.Errorf("%s with %v: %d", r.path, header, a.code)
			}
		}
		b.token = good
	}
	if n < 20 {
		t.Fatalf("only %d changing routes", n)
	}
	if f.dump() != before {
		t.Fatal("a forged form changed the database")
	}
}

func TestNoOtherMethodsAndNoTrailingWays(t *testing.T) {
	f := newFixture(t)
	b := f.admin()
	for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE"} {
		req, _ := http.NewRequest(method, f.server.URL+"/mailboxes", nil)
		if a := b.do(req); a.code != http.StatusNotFound {
			t.Errorf("%s: %d", method, a.code)
		}
	}
}
