package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// BenchmarkMailboxesPage asks the whole panel, in this process, for pages of a list of 10,000
// mailboxes in 100 domains, all of which have sent today, and for Home with their figures: as an administrator sees them, with the session, the look at the user's row and
// the rendering. kB-first is what a browser that has nothing of ours fetches over the wire for
// such a page: document, styles, scripts, picture and, in Persian, the font. Aims: 50 ms, 100 kB.
func BenchmarkMailboxesPage(b *testing.B) {
	for _, base := range []struct {
		name   string
		config func(testing.TB) db.Config
	}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}} {
		b.Run(base.name, func(b *testing.B) {
			p := openPanel(b, base.config(b))
			p.fill(10_000)
			for _, page := range []struct{ name, path, language string }{
				{"home", "/", "en"}, {"first/en", "/mailboxes", "en"}, {"first/fa", "/mailboxes", "fa"}, {"last", "/mailboxes?page=200", "en"},
				{"search", "/mailboxes?q=sara77", "en"}, {"used", "/mailboxes?sort=used&desc=1", "en"},
			} {
				b.Run(page.name, func(b *testing.B) { p.bench(b, page.path, page.language) })
			}
		})
	}
}

// panelBench is the panel of a server that is assembled and does not listen.
type panelBench struct {
	*server
	b      testing.TB
	web    *httptest.Server
	client *http.Client
}

func openPanel(b testing.TB, database db.Config) *panelBench {
	b.Helper()
	config := defaults()
	config.dev()
	config.DataDir, config.Database.URL = b.TempDir(), database.URL
	p := &panelBench{server: &server{}, b: b}
	var err error
	if p.base, err = openBase(b.Context(), config, slog.New(slog.DiscardHandler), "server"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.base.close() })
	p.ok(p.assemble(b.Context()))
	p.web = httptest.NewServer(p.panel.Handler())
	b.Cleanup(p.web.Close)
	p.client = &http.Client{Transport: &http.Transport{DisableCompression: true}} // bytes are counted as they are sent
	p.client.Jar, _ = cookiejar.New(nil)
	p.login()
	return p
}

func (p *panelBench) ok(err error) {
	p.b.Helper()
	if err != nil {
		p.b.Fatal(err)
	}
}

func (p *panelBench) login() {
	p.b.Helper()
	form, _ := p.fetch("/login", "en", false)
	csrf := csrfField.FindStringSubmatch(form)
	if csrf == nil {
		p.b.Fatalf("no form: %.300s", form)
	}
	res, err := p.client.PostForm(p.web.URL+"/login", url.Values{"csrf": {csrf[1]}, "name": {devAdmin}, "password": {p.firstPassword}})
	p.ok(err)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Request.URL.Path != "/" {
		p.b.Fatalf("log-in: %s at %s", res.Status, res.Request.URL)
	}
}

// fetch returns a body as it came and its size over the wire.
func (p *panelBench) fetch(path, language string, packed bool) (string, int) {
	p.b.Helper()
	req, err := http.NewRequestWithContext(p.b.Context(), http.MethodGet, p.web.URL+path, nil)
	p.ok(err)
	req.Header.Set("Accept-Language", language)
	if packed {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	res, err := p.client.Do(req)
	p.ok(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	p.ok(err)
	if res.StatusCode != http.StatusOK {
		p.b.Fatalf("%s: %s", path, res.Status)
	}
	return string(body), len(body)
}

// fill makes mailboxes with their folders, as the service does but for the hash, which would
// take minutes.
func (p *panelBench) fill(n int) {
	p.b.Helper()
	ctx, s := p.b.Context(), p.store
	c := &models.Customer{ID: s.NewID(), Name: "Example"}
	p.ok(s.InsertCustomer(ctx, c))
	const piece = 25
	var d *models.Domain
	for from := 0; from < n; from += piece {
		if from%100 == 0 {
			d = &models.Domain{ID: s.NewID(), CustomerID: c.ID, Name: fmt.Sprintf("d%d.example.com", from), State: models.DomainActive}
			d.ActiveName = &d.Name
			p.ok(s.InsertDomain(ctx, d))
		}
		p.ok(s.Write(ctx, func(ctx context.Context) error {
			for i := from; i < min(from+piece, n); i++ {
				if err := p.insert(ctx, c, d, i); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func (p *panelBench) insert(ctx context.Context, c *models.Customer, d *models.Domain, i int) error {
	local := fmt.Sprintf("sara%d", i)
	m := &models.Mailbox{
		ID: p.store.NewID(), CustomerID: c.ID, DomainID: d.ID, Address: local + "@" + d.Name, Name: "Sara Azadi",
		PasswordHash: strings.Repeat("h", 60), QuotaBytes: 1 << 30,
	}
	if err := p.store.InsertMailbox(ctx, m); err != nil {
		return err
	}
	a := &models.Address{ID: p.store.NewID(), DomainID: d.ID, Local: local, Kind: models.AddressMailbox, MailboxID: &m.ID}
	if err := p.store.InsertAddress(ctx, a); err != nil {
		return err
	}
	if err := p.store.CountSending(ctx, models.SendingLimits{}, m.ID, d.ID, 5); err != nil {
		return err
	}
	return p.mail.CreateMailbox(ctx, m.ID)
}

// bench times the handler alone: no socket, no client.
func (p *panelBench) bench(b *testing.B, path, language string) {
	first := p.firstLoad(path, language)
	at, err := url.Parse(p.web.URL)
	p.ok(err)
	handler := p.panel.Handler()
	var took []time.Duration
	for b.Loop() {
		req := httptest.NewRequest(http.MethodGet, p.web.URL+path, nil)
		req.Header.Set("Accept-Language", language)
		req.Header.Set("Accept-Encoding", "gzip")
		for _, cookie := range p.client.Jar.Cookies(at) {
			req.AddCookie(cookie)
		}
		answer := httptest.NewRecorder()
		began := time.Now()
		handler.ServeHTTP(answer, req)
		took = append(took, time.Since(began))
		if answer.Code != http.StatusOK {
			b.Fatal(answer.Code)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(first)/1000, "kB-first")
}

var (
	linked = regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`)
	// imported finds what scripts and styles bring in; their addresses are relative or whole.
	imported = regexp.MustCompile(`(?:from|import)\s*\(?\s*["']([^"']+\.js[^"']*)["']`)
)

// firstLoad fetches a page and everything that it names, each file once.
func (p *panelBench) firstLoad(path, language string) int {
	p.b.Helper()
	html, _ := p.fetch(path, language, false)
	if path != "/" && !strings.Contains(html, "sara") {
		p.b.Fatalf("%s names no mailbox", path)
	}
	_, total := p.fetch(path, language, true)
	seen := map[string]bool{}
	var file func(name string)
	file = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		text, _ := p.fetch(name, language, false)
		_, n := p.fetch(name, language, true)
		total += n
		base, err := url.Parse(name)
		p.ok(err)
		for _, m := range imported.FindAllStringSubmatch(text, -1) {
			next, err := base.Parse(m[1])
			p.ok(err)
			file(next.RequestURI())
		}
	}
	for _, m := range linked.FindAllStringSubmatch(html, -1) {
		file(m[1])
	}
	if language == "fa" && !slices.ContainsFunc(linked.FindAllString(html, -1), func(s string) bool { return strings.Contains(s, ".woff2") }) {
		p.b.Fatal("the font of a Persian page is not counted")
	}
	return total
}
