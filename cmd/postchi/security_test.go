package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/panel/service"
)

// visitor asks the panel as a browser would, but for scripts, and follows no redirect.
type visitor struct {
	t     testing.TB
	base  string
	http  http.Client
	token string // of forms
}

// visitor opens a new one at the address of a listener's pages.
func (in *instance) visitor(t testing.TB) *visitor { return newVisitor(t, in.url(), nil) }

// secureVisitor is one under TLS.
func (in *instance) secureVisitor(t testing.TB) *visitor {
	return newVisitor(t, fmt.Sprintf("https://localhost:%d", in.ports["https"]), &http.Transport{TLSClientConfig: in.tls()})
}

func newVisitor(t testing.TB, base string, transport http.RoundTripper) *visitor {
	jar, _ := cookiejar.New(nil) // no options, cannot fail
	return &visitor{t: t, base: base, http: http.Client{Jar: jar, Transport: transport, Timeout: pageBound, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// reply is what the panel answered.
type reply struct {
	status   int
	header   http.Header
	location string
	body     string
	cookies  []*http.Cookie
}

// fine reports whether the request did what it should: no refusal, and no way to the log-in.
func (r reply) fine() bool {
	return r.status >= 200 && r.status < 400 && !strings.HasPrefix(r.location, "/login")
}

// ask sends a request; a form makes it a POST unless method says otherwise. Headers are pairs.
func (v *visitor) ask(method, path string, form url.Values, headers ...string) reply {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, v.base+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return v.send(req)
}

func (v *visitor) send(req *http.Request) reply {
	v.t.Helper()
	res, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header, location: res.Header.Get("Location"), cookies: res.Cookies()}
	r.body = drain(res.Body)
	if m := csrfField.FindStringSubmatch(r.body); m != nil {
		v.token = m[1]
	}
	return r
}

func (v *visitor) get(path string) reply { v.t.Helper(); return v.ask(http.MethodGet, path, nil) }

// post sends a form with the token of the last page; fields are pairs.
func (v *visitor) post(path string, fields ...string) reply {
	v.t.Helper()
	form := url.Values{"csrf": {v.token}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.ask(http.MethodPost, path, form, "Origin", v.base)
}

// login logs in and leaves the visitor with a token of the new session.
func (v *visitor) login(name, password string) *visitor {
	v.t.Helper()
	v.get("/login")
	if r := v.post("/login", "name", name, "password", password); !r.fine() {
		v.t.Fatalf("log-in of %s: %d %s", name, r.status, r.location)
	}
	v.get("/")
	return v
}

// contentsOf returns all that a database holds but sessions, which note when they were used,
// log-ins and events, which buffers write later, and what processes tell each other.
func contentsOf(t testing.TB, d *db.DB) string {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if d.Dialect() == db.MySQL {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
	}
	var tables []string
	for _, line := range rowsOf(t, d, query) {
		tables = append(tables, line[0])
	}
	slices.Sort(tables)
	var all strings.Builder
	for _, table := range tables {
		if slices.Contains([]string{"sessions", "logins", "events", "changes", "nodes", "leases"}, table) {
			continue
		}
		var lines []string
		for _, line := range rowsOf(t, d, "SELECT * FROM "+table) {
			lines = append(lines, fmt.Sprintf("%s %q", table, line))
		}
		slices.Sort(lines)
		all.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return all.String()
}

// rowsOf returns the rows of a query as text.
func rowsOf(t testing.TB, d *db.DB, query string) [][]string {
	t.Helper()
	rows, err := d.SQL().QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for rows.Next() {
		cells, at := make([]any, len(columns)), make([]any, len(columns))
		for i := range cells {
			at[i] = &cells[i]
		}
		if err := rows.Scan(at...); err != nil {
			t.Fatal(err)
		}
		line := make([]string, len(columns))
		for i, c := range cells {
			if b, ok := c.([]byte); ok {
				c = string(b)
			}
			line[i] = fmt.Sprint(c)
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// oneHash lets everything that is made from now on have the hash of testPassword, so that
// hundreds of records take no time.
func (b *base) oneHash(t testing.TB) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(testPassword), bcrypt.MinCost+6)
	if err != nil {
		t.Fatal(err)
	}
	b.hasher = func(context.Context, string) (string, error) { return string(hash), nil }
}

// customerWith makes a customer whose user logs in with testPassword.
func (b *base) customerWith(t testing.TB, name, user string) models.ID {
	t.Helper()
	c, err := b.service.AddCustomer(context.Background(), service.Console(), service.NewCustomer{
		Name: name, User: &service.NewUser{Email: user, Password: testPassword}})
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// thing is one set of what a path can name, all of one customer.
type thing struct{ customer, name, user, domain, address, alias, item, message string }

// newThing makes a set, for a customer of its own if that is 0.
func (b *base) newThing(t testing.TB, customer models.ID, n int) thing {
	t.Helper()
	ctx, me := context.Background(), service.Console()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if customer == 0 {
		c, err := b.service.AddCustomer(ctx, me, service.NewCustomer{Name: fmt.Sprintf("Customer %d", n)})
		check(err)
		customer = c.ID
	}
	made := thing{customer: customer.String(), name: fmt.Sprintf("Customer %d", n), domain: fmt.Sprintf("d%d.example", n)}
	made.address = "box@" + made.domain
	u, err := b.service.AddUser(ctx, me, service.NewUser{Email: fmt.Sprintf("u%d@users.example", n), Role: models.RoleCustomer, CustomerID: customer, Password: testPassword})
	check(err)
	made.user = u.ID.String()
	_, err = b.service.AddDomain(ctx, me, service.NewDomain{Name: made.domain, CustomerID: customer})
	check(err)
	_, err = b.service.AddMailbox(ctx, me, service.NewMailbox{Local: "box", Domain: made.domain, Password: testPassword})
	check(err)
	made.alias = "alias@" + made.domain
	_, err = b.service.AddAlias(ctx, me, service.NewAlias{Local: "alias", Domain: made.domain, Targets: []string{made.address}})
	check(err)
	check(b.service.SetRelay(ctx, me, service.NewRelay{Owner: made.domain, Host: "smtp.example", Security: models.RelayTLS}))
	row, err := b.service.Mailbox(ctx, me, made.address)
	check(err)
	check(b.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO suppressions (mailbox_id, address, customer_id, code, detail, at) VALUES (?, 'no@elsewhere.example', ?, 550, 'no such user', 1)", row.ID, customer)
		return err
	}))
	item := b.enqueue(t, row, made.domain, "x@far.example")
	made.item, made.message = item.ID.String(), item.EnvelopeID.String()
	return made
}

// outside lets alias and mailbox of a thing lead to an address whose owner was asked and has
// not answered.
func (b *base) outside(t testing.TB, o thing) {
	t.Helper()
	ctx, me := context.Background(), service.Console()
	err := b.service.EditAlias(ctx, me, o.alias, service.AliasChange{Kind: models.AliasPlain, Targets: []string{o.address, "out@elsewhere.example"}})
	if err == nil {
		err = b.service.SetForward(ctx, me, o.address, []string{"out@elsewhere.example"}, true)
	}
	if err == nil {
		err = b.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE targets SET asked_at = 1 WHERE external = 1 AND asked_at = 0")
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// enqueue lets a message of a mailbox wait for another server, held, and tells of its way.
func (b *base) enqueue(t testing.TB, from *models.MailboxRow, text string, to ...string) models.QueueItem {
	t.Helper()
	item := models.QueueItem{Kind: models.QueueSubmitted, EnvelopeID: b.store.NewID(), CustomerID: from.CustomerID, MailboxID: from.ID,
		Sender: from.Address, Subject: text, MessageID: text, Held: true}
	events := []models.Event{{At: models.At(time.Now()), Kind: models.EventAccepted, CustomerID: from.CustomerID, MailboxID: from.ID, EnvelopeID: item.EnvelopeID,
		Direction: "out", Sender: from.Address, Subject: text, MessageID: text, Remote: text, Detail: text}}
	recipients := make([]models.QueueRecipient, len(to))
	for i := range to {
		recipients[i].Address = to[i]
		e := events[0]
		e.Kind, e.Recipient, e.Host, e.TLS, e.Code, e.Enhanced = models.EventDeferred, to[i], text, text, 421, "4.7.28"
		events = append(events, e)
	}
	ctx := context.Background()
	err := b.db.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := queue.New(queue.Config{DB: b.db}).Insert(ctx, tx, &item, recipients); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE queue_recipients SET attempts = 1, code = 421, enhanced = '4.7.28', reason = '421 4.7.28', detail = ?, host = ? WHERE queue_id = ?",
			text, models.Clip(text, 200), item.ID)
		return err
	})
	if err == nil {
		err = b.store.InsertEvents(ctx, events)
	}
	if err != nil {
		t.Fatal(err)
	}
	return item
}
