package panel

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/postchi/postchi/mailserver/queue"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
	"github.com/postchi/postchi/models/store"
	"github.com/postchi/postchi/panel/clientsetup"
	"github.com/postchi/postchi/panel/service"
	"github.com/postchi/postchi/panel/session"
)

// fixture is a panel over real services on a fresh database. The mail store alone is a stand-in.
type fixture struct {
	wires   *wires
	t       testing.TB
	db      *db.DB
	store   *store.Store
	service *service.Service
	panel   *Panel
	server  *httptest.Server
	mail    *mail
	setup   clientsetup.Server

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// mail stands in for the mail store: what the panel shows of it comes from the database.
type mail struct {
	mu   sync.Mutex
	sent []string // addresses of test messages, with the language
}

func (m *mail) CreateMailbox(context.Context, models.ID) error { return nil }
func (m *mail) RemoveMailbox(context.Context, models.ID) error { return nil }
func (m *mail) Recount(context.Context, models.ID, bool) (models.Drift, error) {
	return models.Drift{}, nil
}
func (m *mail) SendTest(_ context.Context, box *models.Mailbox, lang string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, box.Address+" "+lang)
	return nil
}

func (m *mail) SendAutoReply(_ context.Context, box *models.Mailbox, a *models.AutoReply, inside bool, lang string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, box.Address+" "+lang+": "+a.Text(inside))
	return nil
}

// noBlobs stands for the store of messages.
type noBlobs struct{}

func (noBlobs) Unref(context.Context, *db.Tx, map[models.ID]int64) error { return nil }

// enqueue lets a message of a mailbox wait for another server, and tells of its way.
func (f *fixture) enqueue(from, subject string, to ...string) models.QueueItem {
	f.t.Helper()
	row, err := f.service.Mailbox(f.t.Context(), service.Console(), from)
	if err != nil {
		f.t.Fatal(err)
	}
	item := models.QueueItem{Kind: models.QueueSubmitted, BlobID: 1, EnvelopeID: f.store.NewID(), CustomerID: row.CustomerID, MailboxID: row.ID, Sender: from, Subject: subject, MessageID: "1@" + row.Domain}
	e := models.Event{At: models.At(f.clock()), Kind: models.EventAccepted, CustomerID: row.CustomerID, MailboxID: row.ID, EnvelopeID: item.EnvelopeID, Direction: "out", Sender: from, Subject: subject, MessageID: item.MessageID}
	events := []models.Event{e}
	recipients := make([]models.QueueRecipient, len(to))
	for i := range to {
		recipients[i].Address = to[i]
		e.Kind, e.Recipient, e.Code, e.Enhanced, e.Detail, e.Host = models.EventDeferred, to[i], 421, "4.7.28", "<i>evil</i> unusual rate of unsolicited mail", "mx."+to[i][strings.IndexByte(to[i], '@')+1:]
		e.Next = e.At + 300e6
		events = append(events, e)
	}
	err = f.db.Write(f.t.Context(), func(ctx context.Context, tx *db.Tx) error {
		if err := queue.New(queue.Config{DB: f.db}).Insert(ctx, tx, &item, recipients); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE queue_recipients SET attempts = 1, code = 421, enhanced = '4.7.28', reason = '421 4.7.28', detail = ?, host = 'mx.example' WHERE queue_id = ?", e.Detail, item.ID)
		return err
	})
	if err == nil {
		err = f.store.InsertEvents(f.t.Context(), events)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return item
}

// door checks passwords as the log-in service does, without its limits.
type door struct {
	f    *fixture
	fail error // answers everything if set
}

func (d *door) Login(ctx context.Context, remote netip.Addr, _, name, password string) (*models.User, error) {
	if d.fail != nil {
		return nil, d.fail
	}
	u, err := d.f.service.UserByEmail(ctx, service.Console(), name)
	if row, no := d.f.service.Mailbox(ctx, service.Console(), name); err != nil && no == nil {
		u, _, err = d.f.service.Owner(ctx, row.ID)
		if models.Is(err, models.Suspended) {
			return nil, err
		}
	}
	if err != nil || bcrypt.CompareHashAndPassword([]byte(u.PasswordHash), []byte(password)) != nil {
		return nil, models.Errorf(models.Denied, "login.denied", "The user name or the password is wrong.")
	}
	if !remote.IsValid() {
		return nil, models.Errorf(models.Internal, "internal", "no remote address")
	}
	return u, nil
}

func hashForTests(_ context.Context, pw string) (string, error) {
	b, err := bcrypt.GenerateFromPassword([]byte(pw), bcrypt.MinCost)
	return string(b), err
}

const (
	adminEmail    = "admin@localhost"
	adminPassword = "correct-horse-admin"
	ownerEmail    = "sara@owner.example"
	ownerPassword = "correct-horse-owner"

	mailboxPassword = "correct-horse-mailbox"
)

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, now: time.Now(), mail: &mail{}, wires: &wires{}}
	f.setup = clientsetup.Server{Host: "mail.example.net", Trust: clientsetup.TrustTrial, CAFile: "data/ca.pem", Listeners: []clientsetup.Listener{
		{Protocol: clientsetup.POP3, Security: clientsetup.TLS, Port: 2995}, {Protocol: clientsetup.POP3, Security: clientsetup.StartTLS, Port: 2110},
		{Protocol: clientsetup.SMTP, Security: clientsetup.TLS, Port: 2465}, {Protocol: clientsetup.SMTP, Security: clientsetup.StartTLS, Port: 2587}}}
	f.db = dbtest.Open(t, dbtest.SQLite(t))
	var err error
	if f.store, err = store.New(f.db, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	f.service, err = service.New(service.Config{Store: f.store, Mail: f.mail, Sender: f.mail, Sessions: f.wires, Hash: hashForTests, Defaults: service.Defaults{Quota: 1 << 30}, DevMode: true, Now: f.clock,
		Queue: queue.New(queue.Config{DB: f.db, Blobs: noBlobs{}}), DNS: testDNS(), Keys: testKeys{f},
		Sending:   models.SendingLimits{MailboxHour: 300, MailboxDay: 2000, DomainHour: 3000, DomainDay: 20_000},
		Addresses: func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	f.start(&door{f: f})
	if _, err := f.service.AddUser(t.Context(), service.Console(), service.NewUser{Email: adminEmail, Name: "Ada", Role: models.RoleAdmin, Password: adminPassword}); err != nil {
		t.Fatal(err)
	}
	return f
}

// start serves a panel with this way to log in.
func (f *fixture) start(login Login) {
	p, err := New(Config{Service: f.service, Login: login, Sessions: f.store.Sessions(session.User), Dev: true, Version: "test", OfferTest: true,
		ClientSetup: func(context.Context) clientsetup.Server { return f.setup }, DefaultQuota: 1 << 30, Now: f.clock, Zone: time.UTC,
		Log: slog.New(slog.NewTextHandler(testLog{f.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, l := range p.words.All() {
		l.Missing = func(key string) { f.t.Errorf("%s has no words for %q", l.Code, key) }
	}
	f.panel = p
	f.server = httptest.NewServer(p.Handler())
	f.t.Cleanup(f.server.Close)
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) { l.t.Log(string(b)); return len(b), nil }

// owner adds a customer with a domain, a mailbox and a user, and returns the customer's id.
func (f *fixture) owner(name, email, domain string) models.ID {
	f.t.Helper()
	c, err := f.service.AddCustomer(f.t.Context(), service.Console(), service.NewCustomer{Name: name,
		User: &service.NewUser{Email: email, Password: ownerPassword, Role: models.RoleCustomer}})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.service.AddDomain(f.t.Context(), service.Console(), service.NewDomain{Name: domain, CustomerID: c.ID}); err != nil {
		f.t.Fatal(err)
	}
	f.mailbox("info", domain)
	return c.ID
}

func (f *fixture) mailbox(local, domain string) {
	f.t.Helper()
	_, err := f.service.AddMailbox(f.t.Context(), service.Console(), service.NewMailbox{Local: local, Domain: domain, Password: mailboxPassword})
	if err != nil {
		f.t.Fatal(err)
	}
}

// browser is a client with cookies that follows no redirect by itself and remembers the token
// of the last page.
type browser struct {
	f     *fixture
	http  *http.Client
	lang  string
	token string
}

func (f *fixture) browser() *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{f: f, lang: "en", http: &http.Client{Jar: jar, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what came back.
type answer struct {
	code     int
	body     string
	header   http.Header
	location string
}

func (a answer) has(t testing.TB, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			t.Errorf("%q is missing in (%d):\n%s", p, a.code, mainOf(a.body))
		}
	}
}

func (a answer) hasNot(t testing.TB, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(a.body, p) {
			t.Errorf("%q is in:\n%s", p, mainOf(a.body))
		}
	}
}

func mainOf(body string) string {
	if _, after, ok := strings.Cut(body, "<main"); ok {
		body, _, _ = strings.Cut(after, "</main>")
	}
	return body
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (b *browser) do(req *http.Request) answer {
	b.f.t.Helper()
	req.Header.Set("Accept-Language", b.lang)
	resp, err := b.http.Do(req)
	if err != nil {
		b.f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.f.t.Fatal(err)
	}
	if m := tokenField.FindSubmatch(body); m != nil {
		b.token = string(m[1])
	}
	return answer{resp.StatusCode, string(body), resp.Header, resp.Header.Get("Location")}
}

func (b *browser) get(path string) answer {
	b.f.t.Helper()
	req, err := http.NewRequest("GET", b.f.server.URL+path, nil)
	if err != nil {
		b.f.t.Fatal(err)
	}
	return b.do(req)
}

// post sends a form with the token of the last page; pairs are fields and values.
func (b *browser) post(path string, pairs ...string) answer {
	b.f.t.Helper()
	form := url.Values{"csrf": {b.token}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequest("POST", b.f.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(req)
}

// follow posts and asks for the page that the answer leads to.
func (b *browser) follow(path string, pairs ...string) answer {
	b.f.t.Helper()
	a := b.post(path, pairs...)
	if a.code != http.StatusSeeOther {
		b.f.t.Fatalf("%s answered %d: %s", path, a.code, mainOf(a.body))
	}
	return b.get(a.location)
}

func (b *browser) login(email, password string) *browser {
	b.f.t.Helper()
	b.get("/login")
	if a := b.post("/login", "name", email, "password", password); a.code != http.StatusSeeOther {
		b.f.t.Fatalf("log-in of %s: %d %s", email, a.code, mainOf(a.body))
	}
	b.get("/account")
	return b
}

func (f *fixture) admin() *browser { return f.browser().login(adminEmail, adminPassword) }

// field returns the value of the input with this id.
func field(t testing.TB, a answer, id string) string {
	t.Helper()
	m := regexp.MustCompile(`<input[^>]*\bid="` + regexp.QuoteMeta(id) + `"[^>]*>`).FindString(a.body)
	if m == "" {
		t.Fatalf("no field %q in %s", id, mainOf(a.body))
	}
	v := regexp.MustCompile(`\bvalue="([^"]*)"`).FindStringSubmatch(m)
	if v == nil {
		return ""
	}
	return html.UnescapeString(v[1])
}

func hidden(t testing.TB, a answer, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + regexp.QuoteMeta(name) + `" value="([^"]*)"`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no field %q", name)
	}
	return m[1]
}
