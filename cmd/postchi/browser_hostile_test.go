package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	cdppage "github.com/chromedp/cdproto/page"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

// payloads run a script wherever a page forgets to escape: in text, in values with each kind
// of quote, in addresses, in styles, and in what breaks out of other elements.
var payloads = []string{
	`<script>window.__x=1</script>`,
	`<img src=x onerror=window.__x=1>`,
	`"><script>window.__x=1</script>`,
	`'><svg onload=window.__x=1>`,
	`" autofocus onfocus=window.__x=1 x="`,
	`' autofocus onfocus=window.__x=1 x='`,
	`javascript:window.__x=1`,
	`</title><script>window.__x=1</script>`,
	`</textarea><script>window.__x=1</script>`,
	`</template><script>window.__x=1</script>`,
	`--><script>window.__x=1</script>`,
	`<iframe srcdoc="<script>parent.__x=1</script>">`,
	`<a href=javascript:window.__x=1 id=nav-home>x</a>`,
	`<form action=javascript:window.__x=1><button>x`,
	`<details open ontoggle=window.__x=1>`,
	`{{.CSRF}}${window.__x=1}`,
	`<style>*{background:url(//evil.example/x)}</style>`,
	`<meta http-equiv=refresh content=0;url=//evil.example>`,
	`<base href=//evil.example/>`,
	`<bdi dir=ltr onpointerrawupdate=window.__x=1 style=position:fixed;inset:0>`,
}

// all of them in one value.
var everyPayload = strings.Join(payloads, " ")

// TestHostileText puts the payloads wherever text comes from people, mail clients and
// addresses, opens every page with a browser, and sees no script of theirs run, nothing asked
// from elsewhere, and nothing that the content policy had to stop.
func TestHostileText(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	b := in.beside(t, "sqlite")
	b.oneHash(t)
	h := &hostile{t: t, in: in, b: b}
	h.records()
	h.mail()
	h.logins()
	h.outbound()
	c := startChromium(t)
	admin := c.tab(t, in.url(), "en")
	admin.open("/")
	admin.login(devAdmin, in.password())
	owner := c.tab(t, in.url(), "fa")
	owner.open("/")
	owner.login("owner@users.example", testPassword)
	shown := 0
	for _, w := range []*tab{admin, owner} {
		for _, path := range h.pages() {
			if strings.HasPrefix(path, "/customers") && w == owner {
				continue // not there
			}
			w.open(path)
			h.clean(w, path)
			if strings.Contains(js[string](w, `document.querySelector("main").innerText`), "window.__x") {
				shown++
			}
		}
	}
	if shown < 60 { // a payload that no page shows tests nothing
		t.Errorf("only %d pages show a payload as text", shown)
	}
	h.typed(admin)
	h.fragments(admin)
	nobody := c.tab(t, in.url(), "en")
	nobody.open("/login?next=" + url.QueryEscape("/"+everyPayload))
	h.clean(nobody, "/login")
	look := &look{tab: nobody}
	look.submit(403, "#login-form", "name", everyPayload, "password", everyPayload)
	h.clean(nobody, "the refused log-in")
}

// hostile is a server that holds the payloads.
type hostile struct {
	t         testing.TB
	in        *instance
	b         *base
	customer  models.ID
	customers []models.ID
	items     []models.QueueItem
	addresses []string
}

// must ends the test; what a rule may refuse is tried with try.
func (h *hostile) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// try allows a refusal in words: what is refused cannot be shown.
func (h *hostile) try(err error) {
	h.t.Helper()
	if err != nil && models.KindOf(err) == models.Internal {
		h.t.Error(err)
	}
}

func (h *hostile) records() {
	h.t.Helper()
	ctx, me := context.Background(), service.Console()
	h.customer = h.b.customerWith(h.t, `Owner <b onclick=window.__x=1>`, "owner@users.example")
	_, err := h.b.service.AddDomain(ctx, me, service.NewDomain{Name: "example.com", CustomerID: h.customer})
	h.must(err)
	for i, p := range payloads {
		c, err := h.b.service.AddCustomer(ctx, me, service.NewCustomer{Name: p, User: &service.NewUser{Email: fmt.Sprintf("u%d@users.example", i), Name: p, Password: testPassword}})
		h.must(err)
		h.try(h.b.service.RenameCustomer(ctx, me, c.ID, p, p))
		h.must(h.b.service.SuspendCustomer(ctx, me, c.ID, p, false))
		h.customers = append(h.customers, c.ID)
		m, err := h.b.service.AddMailbox(ctx, me, service.NewMailbox{Local: fmt.Sprintf("box%d", i), Domain: "example.com", Name: p, Password: testPassword})
		h.must(err)
		h.must(h.b.service.SetMailboxSwitches(ctx, me, m.Address, service.Switches{SendOff: i%2 == 0, ReceiveOff: i%2 == 1, Reason: p}))
		h.addresses = append(h.addresses, m.Address)
		_, err = h.b.service.AddMailbox(ctx, me, service.NewMailbox{Local: p, Domain: "example.com", Password: testPassword})
		h.try(err)
		_, err = h.b.service.AddDomain(ctx, me, service.NewDomain{Name: p + ".example", CustomerID: h.customer})
		h.try(err)
		_, err = h.b.service.AddUser(ctx, me, service.NewUser{Email: p + "@users.example", Name: p, Role: models.RoleCustomer, CustomerID: h.customer, Password: testPassword})
		h.try(err)
	}
	h.must(h.b.service.SetMailboxSwitches(ctx, me, h.addresses[0], service.Switches{}))
	h.must(h.b.service.DeleteMailbox(ctx, me, h.addresses[1]))
}

// mail comes from clients that greet with the payloads and have them in every header.
func (h *hostile) mail() {
	h.t.Helper()
	for _, p := range payloads {
		c := h.in.smtpTalk(h.t, "")
		c.answer()
		c.smtp("EHLO %s", p)
		c.smtp("EHLO client.example")
		if a := c.smtp("AUTH PLAIN %s", plain(h.addresses[0], testPassword)); a.code != 235 {
			h.t.Fatal(a)
		}
		from := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p) + `" <` + h.addresses[0] + `>`
		m := "From: " + from + "\r\nTo: " + from + "\r\nSubject: " + p + "\r\nX-Mailer: " + p + "\r\n\r\n" + p + "\r\n"
		if a := c.submit(h.addresses[0], []byte(m), h.addresses[0]); a.code != 250 {
			h.t.Errorf("a message with %s: %s", p, a)
		}
		c.Close()
	}
}

// logins are refused ones, by every door, with the payloads as names, and as what a client
// calls itself.
func (h *hostile) logins() {
	h.t.Helper()
	row, err := h.b.service.Mailbox(context.Background(), service.Console(), h.addresses[0])
	h.must(err)
	now := models.At(time.Now())
	var all []models.Login
	for i, p := range payloads {
		hour := models.At(time.Now().Add(-time.Duration(i) * time.Hour).Truncate(time.Hour))
		all = append(all, models.Login{ID: h.b.store.NewID(), MailboxID: row.ID, Name: row.Address, Protocol: models.ProtoPOP3, Network: "192.0.2.1",
			Client: p, Reason: p, FirstAt: now, LastAt: now, Hour: hour, Count: 1})
	}
	h.must(h.b.store.RecordLogins(context.Background(), all))
	// The doors count wrong names of one network, so a few payloads go by each.
	for _, p := range []string{payloads[0], payloads[4]} {
		c := h.in.smtpTalk(h.t, "")
		c.answer()
		c.smtp("EHLO client.example")
		c.smtp("AUTH PLAIN %s", plain(p, testPassword))
		c.Close()
		pop := h.in.popTalk(h.t, "")
		pop.popLogin(p, testPassword)
		pop.Close()
	}
}

// outbound are messages that wait, and steps of messages with the payloads in every text that
// another server or a sender can write.
func (h *hostile) outbound() {
	h.t.Helper()
	ctx := context.Background()
	row, err := h.b.service.Mailbox(ctx, service.Console(), h.addresses[0])
	h.must(err)
	for i, p := range payloads {
		h.items = append(h.items, h.b.enqueue(h.t, row, p, "x@far.example"))
		refused := models.Event{At: models.At(time.Now()), Kind: models.EventRefused, CustomerID: row.CustomerID, MailboxID: row.ID, Direction: "in", Sender: p, Recipient: p,
			Subject: p, MessageID: p, Remote: p, Words: p, Detail: p, Enhanced: p, Host: p, TLS: p}
		stored, bounced := refused, refused
		stored.Kind, stored.Folder, stored.EnvelopeID = models.EventDelivered, p, models.ID(1000+i)
		bounced.Kind, bounced.Code, bounced.EnvelopeID = models.EventBounced, 550, models.ID(1000+i)
		unknown := stored
		unknown.Kind = models.EventKind(models.Clip(p, 60))
		h.must(h.b.store.InsertEvents(ctx, []models.Event{refused, stored, bounced, unknown}))
	}
}

// pages are all there are, and those that repeat what an address says.
func (h *hostile) pages() []string {
	q := url.QueryEscape(everyPayload)
	all := []string{"/", "/domains", "/mailboxes", "/mailboxes?state=suspended", "/bin", "/account", "/help", "/domains/example.com", "/domains/example.com/delete",
		"/customers", "/mailboxes/" + h.addresses[1] + "/purge", "/customers/" + h.customer.String(), "/customers/" + h.customer.String() + "/delete",
		"/mailboxes?q=" + q, "/domains?q=" + q, "/customers?q=" + q, "/bin?q=" + q, "/mailboxes?sort=" + q + "&state=" + q,
		"/mailboxes/new?local=" + q + "&name=" + q + "&quota=" + q, "/domains/new?domain=" + q + "&user_email=" + q, "/customers/new?name=" + q + "&external_id=" + q}
	all = append(all, "/delivery", "/delivery?q="+q+"&direction="+q+"&day="+q+"&before="+q, "/delivery?mailbox="+h.addresses[0], "/delivery?direction=in",
		"/queue", "/queue/messages", "/queue/messages?domain="+q+"&reason="+q+"&q="+q, "/queue/messages?q=x")
	for i := 0; i < len(h.items); i += 4 {
		all = append(all, "/queue/"+h.items[i].ID.String(), "/delivery/"+h.items[i].EnvelopeID.String(), fmt.Sprintf("/delivery/%d", 1000+i))
	}
	// The first mailbox has all the log-ins.
	all = append(all, "/mailboxes/"+h.addresses[0]+"/connect", "/mailboxes/"+h.addresses[2]+"/connect")
	for i, a := range h.addresses {
		if i != 1 {
			all = append(all, "/mailboxes/"+a)
		}
	}
	for i, id := range h.customers {
		if all = append(all, "/customers/"+id.String()); i%5 == 2 {
			all = append(all, "/customers/"+id.String()+"/delete")
		}
	}
	return all
}

// clean checks that no payload of the page in front of it has run.
func (h *hostile) clean(w *tab, where string) {
	h.t.Helper()
	// Events of elements that fail to load come a turn later.
	if js[bool](w, `new Promise(done => setTimeout(() => done(window.__x !== undefined), 5))`) {
		h.t.Errorf("%s: a payload ran", where)
	}
	if faults := w.faults(); len(faults) > 0 {
		h.t.Errorf("%s: %s", where, strings.Join(faults, "\n"))
	}
	if css := js[int](w, `document.querySelectorAll("main script, main style, main iframe, main meta, base").length`); css > 0 {
		h.t.Errorf("%s: %d elements that no page of ours has", where, css)
	}
}

// typed are forms that are refused and shown again with what was typed, and those that are
// accepted and repeat it in a notice.
func (h *hostile) typed(w *tab) {
	h.t.Helper()
	l := &look{tab: w}
	l.open("/domains/new")
	l.submit(422, "#domain-form", "domain", everyPayload, "customer_name", everyPayload, "user_email", everyPayload)
	h.clean(w, "a refused domain")
	l.open("/mailboxes/new?domain=example.com")
	l.submit(422, "#mailbox-form", "local", payloads[1], "name", everyPayload, "quota", everyPayload, "messages", everyPayload)
	h.clean(w, "a refused mailbox")
	l.open("/domains/example.com/delete")
	l.submit(422, "#delete-form", "typed", everyPayload)
	h.clean(w, "a name typed wrong")
	for _, id := range h.customers[:3] {
		l.open("/customers/" + id.String())
		l.press("#resume")
		h.clean(w, "a notice with a customer's name")
	}
}

// fragments are what scripts put into pages: the live search, and the renewed list of log-ins.
func (h *hostile) fragments(w *tab) {
	h.t.Helper()
	w.open("/mailboxes")
	w.fill("#q", "window.__x")
	within(h.t, 2*time.Second, "the live search", func() bool { return strings.Contains(w.path(), "window.__x") })
	h.clean(w, "the live search")
	w.fill("#q", everyPayload)
	within(h.t, 2*time.Second, "the live search", func() bool { return strings.Contains(w.path(), "onerror") })
	h.clean(w, "the live search with payloads")
}

// TestReadyPageIsShownOnce: neither a reload nor the way back shows a password again, and the
// form is not carried out twice.
func TestReadyPageIsShownOnce(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	in.populate("example.com")
	w := startChromium(t).tab(t, in.url(), "en")
	w.open("/")
	w.login(devAdmin, in.password())
	w.press("#new-mailbox")
	w.fill("#local", "sara")
	w.press("#create")
	pw := w.value("#value-password")
	if len(pw) < 14 {
		t.Fatalf("password %q", pw)
	}
	w.load("reload", chromedp.Reload())
	if strings.Contains(w.html(), pw) || !w.has("#again") {
		t.Errorf("a reload shows the password again, or does not say why not\nat %s", w.where())
	}
	w.press("#nav-mailboxes")
	if n := js[int](w, `document.querySelectorAll("tbody tr").length`); n != 1 {
		t.Errorf("the form made %d mailboxes", n)
	}
	w.open("/mailboxes/new")
	w.fill("#local", "omid")
	w.press("#create")
	second := w.value("#value-password")
	w.touch("#copy-value-password") // else the page asks before it is left
	w.press("#nav-home")
	back(w)
	if html := w.html(); strings.Contains(html, pw) || strings.Contains(html, second) {
		t.Errorf("the way back shows a password\nat %s", w.where())
	}
	w.faults() // the browser shows a page of its own there: the form would have to be sent again
	w.open("/mailboxes/omid@example.com/connect")
	if html := w.html(); strings.Contains(html, second) {
		t.Error("the set-up page shows the password again")
	}
}

// back goes one step back in the history, wherever that leads.
func back(w *tab) {
	w.t.Helper()
	history := call(w, cdppage.GetNavigationHistory, cdp.Empty{})
	entry := history.Entries[history.CurrentIndex-1]
	call(w, cdppage.NavigateToHistoryEntry, cdppage.NavigateToHistoryEntryParams{EntryID: entry.ID})
	within(w.t, 6*time.Second, "the way back", func() bool {
		h := call(w, cdppage.GetNavigationHistory, cdp.Empty{})
		return h.Entries[h.CurrentIndex].ID == entry.ID && js[bool](w, `document.documentElement !== null && document.readyState === "complete"`)
	})
}
