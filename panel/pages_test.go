package panel

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/clientsetup"
	"github.com/postchi/postchi/panel/service"
)

// filled returns a fixture with something on every page.
func filled(t *testing.T) (f *fixture, customer models.ID) {
	f = newFixture(t)
	ctx, console := t.Context(), service.Console()
	customer = f.owner("Example <b>", ownerEmail, "example.com")
	f.mailbox("sara", "example.com")
	f.mailbox("gone", "example.com")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(f.service.RenameMailbox(ctx, console, "sara@example.com", `<script>alert(1)</script>`))
	must(f.service.SetMailboxSwitches(ctx, console, "sara@example.com", service.Switches{SendOff: true, Reason: `"><img src=x onerror=alert(1)>`}))
	must(f.service.DeleteMailbox(ctx, console, "gone@example.com"))
	f.lead("sara@example.com", "sales@example.com")
	f.outside("sara@example.com", "sales@example.com")
	must(f.service.EditAlias(ctx, console, "sales@example.com", service.AliasChange{Kind: models.AliasGroup, Name: "<b>Sales</b>", Targets: []string{"sara, info, out@elsewhere.example"}}))
	must(f.service.SetAutoReply(ctx, console, "sara@example.com", models.AutoReply{Enabled: true, Subject: "<i>Away</i>", Body: "<script>x</script>\nback on Monday", Outside: "<script>y</script>", StartsAt: models.At(f.clock()) + 1, EndsAt: models.At(f.clock().AddDate(0, 0, 3))}))
	must(f.service.HoldSending(ctx, console, "info@example.com", "<u>spam</u>"))
	must(f.service.SetRelay(ctx, console, service.NewRelay{Owner: "example.com", Host: "smtp.example", Security: models.RelayTLS}))
	_, err := f.service.AddDomain(ctx, console, service.NewDomain{Name: "example.net", CustomerID: customer})
	must(err)
	must(f.service.SetAliasOf(ctx, console, "example.net", "example.com"))
	row, err := f.service.Mailbox(ctx, console, "sara@example.com")
	must(err)
	now := models.At(f.clock())
	must(f.store.RecordLogins(ctx, []models.Login{
		{ID: f.store.NewID(), MailboxID: row.ID, Name: row.Address, Protocol: models.ProtoPOP3, Network: "203.0.113.7", Client: "<i>evil</i>", OK: true, FirstAt: now, LastAt: now, Hour: now, Count: 1},
		{ID: f.store.NewID(), MailboxID: row.ID, Name: row.Address, Protocol: models.ProtoSubmission, Network: "2001:db8::/64", Reason: "badpass", FirstAt: now, LastAt: now, Hour: now, Count: 4},
		{ID: f.store.NewID(), MailboxID: row.ID, Name: row.Address, Protocol: models.ProtoIMAP, Network: "192.0.2.1", Reason: "something new", FirstAt: now, LastAt: now, Hour: now, Count: 1},
	}))
	must(f.store.SaveBlock(ctx, models.LoginBlock{Network: "192.0.2.77", MailboxID: row.ID, Failures: 9, Until: models.At(f.clock().Add(10 * time.Minute)), At: now}))
	f.enqueue("sara@example.com", `<img src=x onerror=alert(1)>`, "a@gmail.com", "b@gmail.com", "c@far.example")
	must(f.store.InsertEvents(ctx, []models.Event{
		{At: now, Kind: models.EventAccepted, EnvelopeID: 5, Direction: "in", Sender: "ali@far.example", Subject: "سلام", Remote: "192.0.2.9", Code: 250},
		{At: now + 1, Kind: models.EventVerdict, EnvelopeID: 5, Direction: "in", Sender: "ali@far.example", Detail: "spf=pass dkim=pass dmarc=pass"},
		{At: now + 2, Kind: models.EventDelivered, CustomerID: customer, MailboxID: row.ID, EnvelopeID: 5, Direction: "in", Sender: "ali@far.example", Recipient: "sara@example.com", Subject: "سلام", Folder: "Junk"},
		{At: now + 3, Kind: models.EventRefused, Direction: "in", Sender: "ali@far.example", Recipient: "sarra@example.com", Code: 550, Enhanced: "5.1.1", Words: "recipient.unknown", Detail: "There is no mailbox <i>evil</i>."},
		{At: now + 4, Kind: models.EventBounced, CustomerID: customer, MailboxID: row.ID, EnvelopeID: 6, Direction: "out", Sender: "sara@example.com", Recipient: "z@far.example", Host: "mx.far.example", Code: 550, Enhanced: "5.1.1", Detail: "User unknown", TLS: "TLS1.3 opportunistic"},
	}))
	return f, customer
}

// every page that can be asked for, as the administrator sees it.
func pagePaths(customer models.ID) []string {
	return []string{"/", "/customers", "/customers/new", "/customers/" + customer.String(), "/customers/" + customer.String() + "/delete",
		"/domains", "/domains/new", "/domains/example.com", "/domains/example.com/delete", "/domains/example.com/dns", "/mailboxes", "/mailboxes?q=nothing", "/mailboxes?state=full",
		"/mailboxes?sort=used&desc=1&domain=example.com", "/mailboxes/new", "/mailboxes/sara@example.com", "/mailboxes/sara@example.com/connect",
		"/mailboxes/gone@example.com/purge", "/bin", "/bin?q=zzz", "/delivery", "/delivery?q=sara@example.com&direction=in", "/delivery?q=nothing+like+this", "/delivery?mailbox=sara@example.com", "/delivery/5",
		"/queue", "/queue/messages", "/queue/messages?q=zzz", "/queue/messages?domain=gmail.com",
		"/aliases", "/aliases?q=nothing", "/aliases?domain=example.com&sort=address&desc=1", "/aliases/new", "/aliases/new?domain=example.com", "/aliases/sales@example.com",
		"/aliases/test", "/aliases/test?address=sales@example.com", "/aliases/test?address=nobody@example.com",
		"/mailboxes/sara@example.com/forward", "/mailboxes/sara@example.com/autoreply", "/mailboxes/sara@example.com/sending", "/mailboxes/info@example.com/sending", "/mailboxes/info@example.com/autoreply",
		"/relays", "/relays?owner=example.com", "/domains/example.net", "/account", "/help", "/nothing/here"}
}

var (
	// A tag with such an attribute of its own; what stands inside a quoted value is text.
	inline = regexp.MustCompile(`(?i)<[a-z][^<>"]*(?:"[^"]*"[^<>"]*)*\s(?:style|on[a-z]+)=|<style|<script(?:\s[^>]*)?>[^<]|(?:src|href|action)="(?:javascript:|https?:|//)`)
	heads  = regexp.MustCompile(`<h1[ >]`)
	ids    = regexp.MustCompile(`\sid="([^"]+)"`)
)

// TestEveryPage looks at what must hold on all of them, in both languages.
func TestEveryPage(t *testing.T) {
	f, customer := filled(t)
	for _, lang := range []string{"en", "fa"} {
		b := f.browser()
		b.lang = lang
		b.login(adminEmail, adminPassword)
		for _, path := range pagePaths(customer) {
			a := b.get(path)
			if a.code != http.StatusOK && (a.code != http.StatusNotFound || path != "/nothing/here") {
				t.Errorf("%s: %d", path, a.code)
				continue
			}
			if m := inline.FindString(a.body); m != "" {
				t.Errorf("%s has inline script or style, or an address elsewhere: %q", path, m)
			}
			if title := regexp.MustCompile(`<title>([^<]*)</title>`).FindStringSubmatch(a.body); title == nil || strings.Contains(title[1], "&lt;bdi") {
				t.Errorf("%s has the title %q", path, title)
			}
			if n := len(heads.FindAllString(a.body, -1)); n != 1 {
				t.Errorf("%s has %d h1", path, n)
			}
			seen := map[string]bool{}
			for _, m := range ids.FindAllStringSubmatch(a.body, -1) {
				if seen[m[1]] {
					t.Errorf("%s has the id %q twice", path, m[1])
				}
				seen[m[1]] = true
			}
			for _, m := range regexp.MustCompile(`<label[^>]*\sfor="([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
				if !seen[m[1]] {
					t.Errorf("%s has a label for %q, which is not there", path, m[1])
				}
			}
			for _, m := range regexp.MustCompile(`aria-(?:describedby|labelledby)="([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
				for _, id := range strings.Fields(m[1]) {
					if !seen[id] {
						t.Errorf("%s refers to %q, which is not there", path, id)
					}
				}
			}
			a.has(t, `<html lang="`+lang+`"`, `class="skip"`, `id="main"`)
			a.hasNot(t, "<script>alert", "<img src=x", "<i>evil", "Example <b>", "ZgotmplZ", "%!")
			if got := a.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: Cache-Control %q", path, got)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	f := newFixture(t)
	b := f.admin()
	for _, path := range []string{"/", "/nothing", "/static/x/css/base.css", "/healthz"} {
		h := b.get(path).header
		csp := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: policy %q lacks %s", path, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

// TestFirstLoad adds up what a browser without a cache fetches for a page with 50 mailboxes.
func TestFirstLoad(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	for i := range 60 {
		f.mailbox("a-mailbox-"+strings.Repeat("x", i%20)+string(rune('a'+i%26))+string(rune('a'+i/26)), "example.com")
	}
	b := f.browser()
	b.lang = "fa"
	b.login(ownerEmail, ownerPassword)
	size := func(path string) (int, string) {
		req, _ := http.NewRequest("GET", f.server.URL+path, nil)
		req.Header.Set("Accept-Encoding", "gzip") // asked for by hand, so it comes as it is on the wire
		a := b.do(req)
		if a.code != http.StatusOK {
			t.Fatalf("%s: %d", path, a.code)
		}
		return len(a.body), a.body
	}
	total, _ := size("/mailboxes")
	page := b.get("/mailboxes").body
	wanted := regexp.MustCompile(`/static/[0-9a-f]+/[a-z]+/[a-z0-9.-]+`).FindAllString(page, -1)
	base := wanted[0][:strings.Index(wanted[0][8:], "/")+9]
	for _, name := range []string{"copy", "password", "forms", "fragments", "toast", "leaving", "words"} {
		wanted = append(wanted, base+"js/"+name+".js")
	}
	seen := map[string]bool{}
	for _, path := range wanted {
		if !seen[path] && !strings.Contains(path, "print") {
			n, _ := size(path)
			total += n
		}
		seen[path] = true
	}
	t.Logf("%d bytes in %d requests", total, len(seen))
	if total >= 100_000 || len(seen) < 12 {
		t.Errorf("the first load is %d bytes in %d requests", total, len(seen))
	}
}

func TestSetupPageFollowsTheListeners(t *testing.T) {
	f, _ := filled(t)
	b := f.admin()
	const path = "/mailboxes/sara@example.com/connect"
	f.setup.Listeners = []clientsetup.Listener{{Protocol: clientsetup.SMTP, Security: clientsetup.TLS, Port: 40123}, {Protocol: clientsetup.IMAP, Security: clientsetup.TLS, Port: 40993}}
	a := b.get(path)
	if field(t, a, "value-imap-tls-port") != "40993" || field(t, a, "value-smtp-tls-port") != "40123" {
		t.Error("ports differ")
	}
	a.hasNot(t, "pop3-tls", "POP3 keeps")
	s := clientsetup.New(clientsetup.Input{Server: f.setup, Address: "sara@example.com"})
	copies := regexp.MustCompile(`value="([^"]*)" data-copy="([^"]*)"`).FindAllStringSubmatch(a.body, -1)
	if len(copies) != 1+3*len(s.Lines) {
		t.Errorf("%d values for %d lines", len(copies), len(s.Lines))
	}
	for _, c := range copies {
		if c[1] != c[2] || strings.ContainsAny(c[1], "\u2066\u2069\u200e\u200f\u00a0\n") {
			t.Errorf("shown %q, copied %q", c[1], c[2])
		}
	}
	f.setup.Trust = clientsetup.TrustBroken
	a = b.get(path)
	a.has(t, `id="broken"`)
	a.hasNot(t, "40993", "data/ca.pem")
	f.setup.Trust = clientsetup.TrustPublic
	a = b.get(path)
	a.hasNot(t, `id="broken"`, `id="trial"`)
	a.has(t, "40993")
}

func TestPersianPagesIsolateTechnicalValues(t *testing.T) {
	f, _ := filled(t)
	b := f.browser()
	b.lang = "fa"
	b.login(adminEmail, adminPassword)
	a := b.get("/mailboxes/sara@example.com")
	a.has(t, `dir="rtl"`, `<bdi dir="ltr">sara@example.com</bdi>`, `<bdi dir="ltr">2001:db8::/64</bdi>`, `<bdi dir="ltr">192.0.2.77</bdi>`, "گذرواژه نادرست بود (۴ بار)", "وارد شد", "رد شد")
	b.get("/domains").has(t, `<bdi dir="ltr">example.com</bdi>`)
	b.get("/mailboxes/sara@example.com/connect").has(t, `value="2995"`, `<bdi dir="ltr">data/ca.pem</bdi>`)
}

func TestHealth(t *testing.T) {
	f := newFixture(t)
	b := f.browser()
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := b.get(path); a.code != http.StatusOK {
			t.Errorf("%s: %d", path, a.code)
		}
	}
}

func TestHeadAnswersLikeGet(t *testing.T) {
	f := newFixture(t)
	b := f.admin()
	for _, path := range []string{"/", "/mailboxes", "/login", "/static/x/css/base.css"} {
		req, _ := http.NewRequest("HEAD", f.server.URL+path, nil)
		if a, want := b.do(req), b.get(path); a.code != want.code || a.body != "" {
			t.Errorf("%s: HEAD %d, GET %d", path, a.code, want.code)
		}
	}
}
