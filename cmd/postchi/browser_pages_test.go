package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// screenshots is where every page is kept as it was seen, for a person to look at; git ignores it.
const screenshots = "../../screenshots"

// maxFirstPage is how many bytes the first page may cost who has never been here, the font
// included.
const maxFirstPage = 100_000

// The widths of the windows, in pixels.
const wide, narrow = 1280, 320

// TestAccessibility opens every page in both languages, in light and dark, on a telephone and
// on a wide screen: axe finds nothing, nothing must be scrolled sideways, nothing comes from
// elsewhere, and the console is silent.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	in := newInstance(t, "sqlite")
	in.start()
	c := startChromium(t)
	looks := map[string]*look{}
	for _, language := range []string{"en", "fa"} {
		looks[language] = &look{tab: c.tab(t, in.url(), language), language: language, axe: string(axe), in: in}
		looks[language].first()
	}
	h := newHouse(t, in, "sqlite")
	in.imapTalk(t, saraAddress, testPassword).ok(t, `ID ("name" "Thunderbird" "version" "140.3.1")`)
	in.imapTalk(t, saraAddress, testPassword)
	for language, l := range looks {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			l.t = t
			l.admin(h)
			l.owner(h)
			l.boxOwner(h)
			l.nobody()
			t.Logf("%d pages", l.count)
		})
	}
}

// look opens pages and looks at them.
type look struct {
	*tab
	language string
	axe      string
	in       *instance
	count    int
}

// first is the panel of a server with nothing on it.
func (l *look) first() {
	l.t.Helper()
	l.open("/")
	js[bool](l.tab, `document.fonts.ready.then(() => true)`)
	n := l.received()
	l.t.Logf("first page in %s: %d bytes", l.language, n)
	if n == 0 || n > maxFirstPage {
		l.t.Errorf("the first page in %s costs %d bytes, more than %d", l.language, n, maxFirstPage)
	}
	l.at("login")
	l.login(devAdmin, l.in.password())
	if n := l.received(); n > maxFirstPage {
		l.t.Errorf("the first page after log-in in %s costs %d bytes more", l.language, n)
	}
	l.at("first-home")
	l.submit(422, "#domain-form", "domain", "not a domain", "user_email", "x")
	l.at("first-domain-wrong")
	for _, page := range []string{"customers", "domains", "mailboxes", "bin"} {
		l.see("first-"+page, "/"+page)
	}
}

func (l *look) admin(h *house) {
	l.t.Helper()
	example, ceased := "/customers/"+h.example.String(), "/customers/"+h.ceased.String()
	for _, p := range [][2]string{
		{"home", "/"}, {"customers", "/customers"}, {"customers-none", "/customers?q=nothing"}, {"customer-new", "/customers/new"},
		{"customer", example}, {"customer-suspended", ceased}, {"customer-delete", ceased + "/delete"},
		{"domains", "/domains"}, {"domain-new", "/domains/new"}, {"domain", "/domains/example.com"},
		{"domain-idn", "/domains/xn--mnchen-3ya.example"}, {"domain-delete", "/domains/example.com/delete"},
		{"domain-dns", "/domains/example.com/dns"},
		{"mailboxes", "/mailboxes"}, {"mailboxes-none", "/mailboxes?q=nothing"}, {"mailboxes-sorted", "/mailboxes?sort=used&desc=1&state=suspended"},
		{"mailbox", "/mailboxes/sara@example.com"}, {"mailbox-held", "/mailboxes/support@example.com"},
		{"mailbox-full", "/mailboxes/parisa@example.com"}, {"mailbox-long", "/mailboxes/" + longAddress},
		{"mailbox-new", "/mailboxes/new"}, {"connect", "/mailboxes/sara@example.com/connect"}, {"connect-long", "/mailboxes/" + longAddress + "/connect"},
		{"delivery", "/delivery"}, {"delivery-address", "/delivery?q=ali@far.example&direction=in"}, {"delivery-none", "/delivery?q=nothing+like+this"},
		{"delivery-message", "/delivery/" + h.message.String()}, {"queue", "/queue"}, {"queue-messages", "/queue/messages"}, {"queue-item", "/queue/" + h.item.String()},
		{"bin", "/bin"}, {"purge", "/mailboxes/bahram@example.com/purge"}, {"help", "/help"}, {"account", "/account"},
	} {
		l.see(p[0], p[1])
	}
	l.expecting(404, func() int { return l.open("/nothing/here") })
	l.at("404")
	l.routing()
	l.forms(example)
}

// forms are the answers to forms: refusals, and the pages with a password.
func (l *look) forms(customer string) {
	l.t.Helper()
	l.open("/mailboxes/new?domain=example.com")
	l.submit(409, "#mailbox-form", "local", "sara")
	l.at("mailbox-taken")
	l.submit(409, "#mailbox-form", "local", "bahram", "password", "short")
	l.at("mailbox-in-bin")
	l.submit(200, "#mailbox-form", "local", "ready-"+l.language, "password", "bzk4-wm7p-qqc2-9xhd")
	l.at("ready")
	l.open("/mailboxes/ready-" + l.language + "@example.com")
	l.submit(422, "#switches-form", "login", "")
	l.at("switches-wrong")
	l.submit(200, "#password-form", "password", "tsr8-mq4k-vvd3-6fhz")
	l.at("mailbox-password")
	l.open("/mailboxes/ready-" + l.language + "@example.com")
	l.press("#delete-mailbox")
	l.at("deleted")
	l.press("#undo")
	l.at("restored")
	l.open(customer)
	l.submit(200, "#user-form", "user_email", "new-"+l.language+"@company.example")
	l.at("user-ready")
	l.open(customer)
	l.submit(422, "#suspend-form")
	l.at("suspend-wrong")
	l.open("/domains/example.com/delete")
	l.submit(422, "#delete-form", "typed", "example.org")
	l.at("delete-wrong")
	l.open("/account")
	l.submit(403, "#password-form", "old", "x", "password", "short")
	l.at("account-wrong")
	js[bool](l.tab, `(document.querySelector("#language-form [name=csrf]").value = "x", true)`)
	l.submit(403, "#language-form")
	l.at("403")
	l.open("/")
	l.press("#logout")
}

// owner is what a customer's user sees that an administrator does not.
func (l *look) owner(h *house) {
	l.t.Helper()
	l.login(houseLimited, h.password)
	l.at("owner-home")
	l.see("owner-domains", "/domains")
	l.open("/mailboxes/new")
	l.submit(409, "#mailbox-form", "local", "second")
	l.at("owner-limit")
	l.open("/")
	l.press("#logout")
}

// nobody is who has not logged in.
func (l *look) nobody() {
	l.t.Helper()
	l.see("login-ended", "/login?next=%2Fmailboxes&ended=1")
	l.submit(403, "#login-form", "name", "sara@example.com", "password", "a wrong password")
	l.at("login-wrong")
}

// submit fills in a form and sends it; all fields at once, since here only the answer matters.
func (l *look) submit(status int, form string, fields ...string) {
	l.t.Helper()
	names, _ := json.Marshal(fields)
	if fields == nil {
		names = []byte("[]")
	}
	js[bool](l.tab, `(() => {
		const form = document.querySelector(%q), fields = %s;
		for (let i = 0; i < fields.length; i += 2) {
			const e = form.elements[fields[i]];
			if (e.type === "checkbox") e.checked = fields[i+1] !== ""; else e.value = fields[i+1];
		}
		return true;
	})()`, form, names)
	send := func() int {
		return l.load("submit "+form, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[bool](fmt.Sprintf(`(document.querySelector(%q).requestSubmit(), true)`, form))(ctx, t)
			return err
		}))
	}
	if status < 400 {
		if got := send(); got != status {
			l.t.Fatalf("%s: status %d, want %d\nat %s", form, got, status, l.where())
		}
		return
	}
	l.expecting(status, send)
}

// see opens a page and looks at it.
func (l *look) see(name, path string) {
	l.t.Helper()
	if status := l.open(path); status != 200 {
		l.t.Errorf("%s: status %d", path, status)
	}
	l.at(name)
}

// at looks at the page that is open, in every light and width.
func (l *look) at(name string) {
	l.t.Helper()
	l.count++
	js[bool](l.tab, "%s; true", l.axe)
	js[bool](l.tab, `(document.querySelectorAll("main details").forEach(d => d.open = true), document.fonts.ready.then(() => true))`)
	for _, width := range []int64{wide, narrow} {
		l.size(width, 800)
		if over := js[[]string](l.tab, tooWide); len(over) > 0 {
			l.t.Errorf("%s %s at %d px must be scrolled sideways:\n  %s", name, l.language, width, strings.Join(over, "\n  "))
		}
		for _, scheme := range []string{"light", "dark"} {
			l.scheme(scheme)
			for _, finding := range js[[]string](l.tab, "%s", axeRun(width, scheme)) {
				l.t.Errorf("%s %s %s %d px: %s", name, l.language, scheme, width, finding)
			}
			if (width == wide) == (scheme == "light") {
				l.shoot(fmt.Sprintf("%s-%s-%s-%d", name, l.language, scheme, width))
			}
		}
	}
	l.size(wide, 800)
}

// tooWide lists what reaches over the edge of the window, if anything must be scrolled.
const tooWide = `(() => {
	const root = document.documentElement;
	if (root.scrollWidth <= root.clientWidth) return [];
	return ["page " + root.scrollWidth + " px"].concat([...document.querySelectorAll("body *")].filter(e => {
		const r = e.getBoundingClientRect();
		return r.width > 0 && (r.right > root.clientWidth + 1 || r.left < -1);
	}).slice(0, 5).map(e => e.outerHTML.slice(0, 160)));
})()`

// axeRun is what axe is asked, in order. The rule on the size of targets (WCAG 2.5.8) is off by
// default. In the dark only colours differ, so only the rules that look at colours are asked
// again; style sheets are read (preload) once.
func axeRun(width int64, scheme string) string {
	options := fmt.Sprintf(`preload: %v, rules: {"target-size": {enabled: true}}`, width == wide)
	if scheme == "dark" {
		options = `preload: false, runOnly: ["color-contrast", "link-in-text-block"]`
	}
	return fmt.Sprintf(runAxe, options)
}

const runAxe = `axe.run(document, {resultTypes: ["violations"], %s}).then(result =>
	result.violations.flatMap(v => v.nodes.map(n => v.id + ": " + v.help + "\n  " + n.html.slice(0, 200) + "\n  " + (n.failureSummary ?? ""))))`

// shoot keeps a picture of the whole page, light on the wide screen and dark on the narrow one.
// Where no person will look it is not taken.
func (l *look) shoot(name string) {
	l.t.Helper()
	if os.Getenv("CI") == "true" {
		return
	}
	yes := true
	// A page that fits into the window must not be asked for beyond it: pictures of those that
	// go from right to left are then shifted.
	beyond := js[bool](l.tab, `document.documentElement.scrollHeight > innerHeight`)
	shot := call(l.tab, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{CaptureBeyondViewport: &beyond, OptimizeForSpeed: &yes})
	if err := os.WriteFile(filepath.Join(screenshots, name+".png"), shot.Data, 0o644); err != nil {
		l.t.Error(err)
	}
}
