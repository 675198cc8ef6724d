package panel

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func (f *fixture) row(address string) *models.MailboxRow {
	f.t.Helper()
	row, err := f.service.Mailbox(f.t.Context(), service.Console(), address)
	if err != nil {
		f.t.Fatal(err)
	}
	return row
}

func TestMailboxIsDeletedUndoneRestoredAndPurged(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	b := f.browser().login(ownerEmail, ownerPassword)
	a := b.follow("/mailboxes/info@example.com/delete")
	a.has(t, "info@example.com</bdi> was deleted.", `action="/mailboxes/info@example.com/restore"`, `id="undo"`)
	if !f.row("info@example.com").InBin() {
		t.Fatal("not in the bin")
	}
	b.get("/mailboxes").hasNot(t, `id="notice"`)
	if a := b.get("/mailboxes/info@example.com"); a.location != "/bin?q=info%40example.com" {
		t.Fatal(a.code, a.location)
	}
	b.get("/bin").has(t, "info@example.com", ownerEmail)
	a = b.get("/mailboxes/new")
	a = b.post("/mailboxes/new", "local", "info", "domain", "example.com", "password", "correct-horse-x", "form_token", hidden(t, a, "form_token"))
	if a.code != http.StatusConflict {
		t.Fatal(a.code)
	}
	a.has(t, "is in the bin and can be restored", `href="/bin?q=info%40example.com"`)
	b.follow("/mailboxes/info@example.com/restore").has(t, "is back with everything in it")
	if a := b.get("/mailboxes/info@example.com/purge"); a.location != "/mailboxes/info@example.com" {
		t.Fatal("a live mailbox can be purged from the page", a.code)
	}
	if a := b.post("/mailboxes/info@example.com/purge", "typed", "info@example.com"); a.code != http.StatusSeeOther || f.row("info@example.com").InBin() {
		t.Fatal(a.code)
	}
	b.follow("/mailboxes/info@example.com/delete")
	if a := b.post("/mailboxes/info@example.com/purge", "typed", "info"); a.code != http.StatusUnprocessableEntity {
		t.Fatal(a.code)
	}
	b.follow("/mailboxes/info@example.com/purge", "typed", " INFO@example.com ").has(t, "deleted for good", "The bin is empty")
	if a := b.get("/mailboxes/info@example.com"); a.code != http.StatusNotFound {
		t.Fatal(a.code)
	}
}

func TestMailboxSettings(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	b := f.browser().login(ownerEmail, ownerPassword)
	const path = "/mailboxes/info@example.com"
	b.follow(path+"/quota", "name", "دفتر", "quota", "۱٫۵", "quota_unit", "GB", "messages", "۱٬۰۰۰").has(t, "Saved.", "دفتر")
	if row := f.row("info@example.com"); row.QuotaBytes != 3<<29 || row.QuotaMessages != 1000 || row.Name != "دفتر" {
		t.Fatalf("%+v", row)
	}
	a := b.get(path)
	if field(t, a, "quota") != "1.5" || field(t, a, "messages") != "1000" {
		t.Error(field(t, a, "quota"), field(t, a, "messages"))
	}
	for _, bad := range []string{"-1", "much", "1e30", "NaN", "Inf"} {
		a := b.post(path+"/quota", "name", "x", "quota", bad, "quota_unit", "GB")
		if a.code != http.StatusUnprocessableEntity || f.row("info@example.com").QuotaBytes != 3<<29 {
			t.Fatalf("%q: %d", bad, a.code)
		}
		a.has(t, `href="#quota"`, `aria-invalid="true"`, `value="`+bad+`"`)
	}
	if a := b.post(path+"/switches", "login", "on", "send", "on"); a.code != http.StatusUnprocessableEntity {
		t.Fatal("switched off without a reason", a.code)
	}
	b.follow(path+"/switches", "login", "on", "send", "on", "reason", "moved away").has(t, "Receiving off", "moved away")
	if row := f.row("info@example.com"); row.LoginOff || row.SendOff || !row.ReceiveOff || row.Reason != "moved away" {
		t.Fatalf("%+v", row)
	}
	b.follow(path+"/switches", "login", "on", "send", "on", "receive", "on", "reason", "moved away")
	if row := f.row("info@example.com"); row.ReceiveOff || row.Reason != "" {
		t.Fatalf("%+v", row)
	}
	b.follow(path+"/test").has(t, "A test message lies in")
	if !slices.Equal(f.mail.sent, []string{"info@example.com en"}) {
		t.Fatal(f.mail.sent)
	}
}

func TestAutoReplyPage(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	for path, b := range map[string]*browser{
		"/mailboxes/info@example.com/autoreply": f.browser().login(ownerEmail, ownerPassword),
		"/autoreply":                            f.browser().login("info@example.com", mailboxPassword),
	} {
		f.mail.sent = nil
		if err := f.service.SetAutoReply(t.Context(), service.Console(), "info@example.com", models.AutoReply{}); err != nil {
			t.Fatal(err)
		}
		b.get(path).hasNot(t, `id="test-autoreply"`, `id="preview-outside"`)
		b.follow(path+"/test").has(t, "Write a text")
		b.follow(path, "body", "back on Monday").hasNot(t, `id="preview-outside"`)
		b.follow(path+"/test").has(t, "The auto-reply lies in")
		long := strings.Repeat("می\u200c", models.MaxAutoReply/3)
		a := b.follow(path, "body", long, "outside", long)
		a.has(t, `id="preview-outside"`)
		if !strings.Contains(a.body, ">\n"+long+"</textarea>") {
			t.Error("not in the form")
		}
		if a := b.post(path, "enabled", "on", "outside", "only <this>"); a.code != http.StatusUnprocessableEntity || !strings.Contains(a.body, "only &lt;this&gt;</textarea>") {
			t.Error(a.code, mainOf(a.body))
		}
		b.follow(path, "body", "back on Monday", "outside", "call the office").has(t, "call the office</div>")
		b.follow(path+"/test").has(t, "Both texts of the auto-reply lie in")
		if !slices.Equal(f.mail.sent, []string{"info@example.com en: back on Monday", "info@example.com en: back on Monday", "info@example.com en: call the office"}) {
			t.Fatal(f.mail.sent)
		}
	}
}

func TestWhatAnAdministratorSwitchedOffStaysOff(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	if err := f.service.SetMailboxSwitches(t.Context(), service.Console(), "info@example.com", service.Switches{SendOff: true, Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	b := f.browser().login(ownerEmail, ownerPassword)
	a := b.post("/mailboxes/info@example.com/switches", "login", "on", "send", "on", "receive", "on")
	if a.code != http.StatusForbidden || !f.row("info@example.com").SendOff {
		t.Fatal(a.code)
	}
	a.has(t, "An administrator switched this off")
}

func TestNewPasswordIsShownOnce(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	b := f.browser().login(ownerEmail, ownerPassword)
	const path = "/mailboxes/info@example.com"
	token := hidden(t, b.get(path), "form_token")
	before := f.row("info@example.com").PasswordHash
	short := b.post(path+"/password", "password", "short", "form_token", token)
	if short.code != http.StatusUnprocessableEntity || hidden(t, short, "form_token") != token {
		t.Fatal(short.code)
	}
	a := b.post(path+"/password", "password", " a password with spaces ", "form_token", token)
	if a.code != http.StatusOK || field(t, a, "value-password") != " a password with spaces " {
		t.Fatal(a.code)
	}
	changed := f.row("info@example.com").PasswordHash
	a = b.post(path+"/password", "password", " a password with spaces ", "form_token", token)
	a.has(t, "already changed")
	a.hasNot(t, "a password with spaces")
	if before == changed || f.row("info@example.com").PasswordHash != changed {
		t.Fatal("changed twice, or not at all")
	}
	b.get(path+"/connect").hasNot(t, "a password with spaces")
}

// TestTwoClicksMakeOneMailbox sends the same form many times at once; whichever answer the
// browser shows has the password in it, since nobody has seen it.
func TestTwoClicksMakeOneMailbox(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	b := f.browser().login(ownerEmail, ownerPassword)
	token := hidden(t, b.get("/mailboxes/new"), "form_token")
	var wg sync.WaitGroup
	codes := make([]answer, 6)
	for i := range codes {
		one := *b
		wg.Go(func() {
			codes[i] = one.post("/mailboxes/new", "local", "twice", "domain", "example.com", "password", "correct-horse-twice", "form_token", token)
		})
	}
	wg.Wait()
	shown := 0
	for _, a := range codes {
		if a.code != http.StatusOK {
			t.Errorf("%d %s", a.code, mainOf(a.body))
		}
		if strings.Contains(a.body, "correct-horse-twice") {
			shown++
		}
	}
	if shown == 0 {
		t.Error("the password was never shown")
	}
	if a := b.post("/mailboxes/new", "local", "twice", "domain", "example.com", "password", "correct-horse-twice"); a.code != http.StatusConflict {
		t.Error("without a token it is a new form:", a.code)
	}
	f.panel.once = newOnce(f.clock) // another process, or a restart
	a := b.post("/mailboxes/new", "local", "twice", "domain", "example.com", "password", "correct-horse-twice", "form_token", token)
	if a.code != http.StatusOK {
		t.Fatal(a.code)
	}
	a.hasNot(t, "correct-horse-twice")
}

func TestSecretsAreNotKept(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	b := f.browser().login(ownerEmail, ownerPassword)
	b.post("/mailboxes/new", "local", "x", "domain", "example.com", "password", "zebra-zebra-secret", "form_token", "abc")
	var all strings.Builder
	f.dumpTable(&all, "sessions")
	for _, secret := range []string{"zebra-zebra-secret", ownerPassword} {
		if strings.Contains(all.String(), secret) || strings.Contains(f.dump(), secret) {
			t.Errorf("%q is in the database", secret)
		}
	}
}

func TestCustomers(t *testing.T) {
	f := newFixture(t)
	b := f.admin()
	b.get("/customers").has(t, "No customer yet")
	a := b.get("/customers/new")
	pw := field(t, a, "user_password")
	a = b.post("/customers/new", "name", "Example", "user_email", "Sara@Owner.example", "user_password", pw, "domains", "۲", "mailboxes", "3", "storage", "5", "storage_unit", "GB", "form_token", hidden(t, a, "form_token"))
	if a.code != http.StatusOK || field(t, a, "value-password") != pw || !strings.HasPrefix(field(t, a, "value-url"), "http://127.0.0.1") {
		t.Fatal(a.code, mainOf(a.body))
	}
	c, err := f.service.CustomerByName(t.Context(), service.Console(), "Example")
	if err != nil || c.Limits() != (models.CustomerLimits{Domains: 2, Mailboxes: 3, Storage: 5 << 30}) {
		t.Fatalf("%+v %v", c, err)
	}
	path := "/customers/" + c.ID.String()
	owner := f.browser().login("sara@owner.example", pw)
	owner.get("/").has(t, `id="new-domain"`)

	a = b.post("/customers/new", "name", "Example")
	if a.code != http.StatusConflict {
		t.Fatal(a.code)
	}
	a.has(t, "a customer of this name already", `href="#name"`)

	if a := b.post(path + "/suspend"); a.code != http.StatusUnprocessableEntity {
		t.Fatal("suspended without a reason")
	}
	b.follow(path+"/suspend", "reason", "unpaid", "receive", "on").has(t, "is suspended", "unpaid", "send or receive")
	if a := owner.get("/"); a.code != http.StatusSeeOther {
		t.Fatal("a suspended customer's user is still in")
	}
	b.follow(path+"/resume").has(t, "works again")

	a = b.get(path)
	users, err := f.service.Users(t.Context(), service.Console(), c.ID)
	if err != nil || len(users) != 1 {
		t.Fatal(users, err)
	}
	a = b.post(path+"/users/"+users[0].ID.String()+"/password", "form_token", "t1")
	fresh := field(t, a, "value-password")
	if fresh == pw || len(fresh) != 19 {
		t.Fatal(fresh)
	}
	b.post(path+"/users/"+users[0].ID.String()+"/password", "form_token", "t1").hasNot(t, fresh, "value-password")
	owner = f.browser().login("sara@owner.example", fresh)

	a = b.post(path+"/users/new", "user_email", "sara@owner.example", "user_password", "correct-horse-new")
	if a.code != http.StatusConflict {
		t.Fatal(a.code)
	}
	a.has(t, `href="#user_email"`)
	b.follow(path+"/users/"+users[0].ID.String()+"/delete").has(t, "was removed")
	if a := owner.get("/"); a.code != http.StatusSeeOther {
		t.Fatal("a removed user is still in")
	}
	admins, err := f.service.UserByEmail(t.Context(), service.Console(), adminEmail)
	if err != nil {
		t.Fatal(err)
	}
	if a := b.post(path + "/users/" + admins.ID.String() + "/delete"); a.code != http.StatusNotFound {
		t.Fatal("an administrator is nobody of a customer", a.code)
	}

	b.follow(path+"/limits", "name", "Example Ltd", "domains", "", "mailboxes", "", "storage", "").has(t, "Example Ltd")
	if c, err = f.service.Customer(t.Context(), service.Console(), c.ID); err != nil || c.Limits() != (models.CustomerLimits{}) {
		t.Fatalf("%+v", c)
	}
	b.follow("/domains/new", "domain", "example.com", "customer", c.ID.String())
	f.mailbox("info", "example.com")
	a = b.post(path+"/delete", "typed", "Example Ltd")
	if a.code != http.StatusConflict {
		t.Fatal(a.code)
	}
	a.has(t, "There is still 1 mailbox")
	b.follow(path+"/delete", "typed", "example ltd", "purge", "yes").has(t, "was deleted", "No customer yet")
}

func TestDomains(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	b := f.admin()
	for typed, want := range map[string]string{"": "The domain is missing.", "localhost": "A domain has a dot in it", "192.0.2.1": "IP address", "example.com": "This domain is here already."} {
		a := b.post("/domains/new", "domain", typed, "customer", "new")
		if a.code < 400 {
			t.Fatal(typed, a.code)
		}
		a.has(t, want, `href="#domain"`)
	}
	if list, err := f.service.Customers(t.Context(), service.Console(), models.Query{}); err != nil || list.Total != 1 {
		t.Fatalf("%d customers after refused domains", list.Total)
	}
	a := b.post("/domains/new", "domain", "münchen.example", "customer", "new", "user_email", "max@users.example", "user_password", "correct-horse-max", "form_token", "t")
	if a.code != http.StatusOK || field(t, a, "value-password") != "correct-horse-max" {
		t.Fatal(a.code, mainOf(a.body))
	}
	a.has(t, `href="/mailboxes/new?domain=xn--mnchen-3ya.example"`)
	b.get("/domains/xn--mnchen-3ya.example").has(t, "münchen.example", "xn--mnchen-3ya.example", ">München<")

	f.mailbox("second", "example.com")
	a = b.post("/domains/example.com/roles", "postmaster", "nobody@example.com")
	if a.code != http.StatusUnprocessableEntity {
		t.Fatal(a.code)
	}
	a.has(t, `href="#postmaster"`, `value="nobody@example.com"`)
	a = b.follow("/domains/example.com/roles", "postmaster", "second@example.com", "abuse", "")
	if field(t, a, "postmaster") != "second@example.com" || field(t, a, "abuse") != "" {
		t.Fatal(mainOf(a.body))
	}
	if a := b.post("/domains/example.com/delete", "typed", "example.org", "purge", "yes"); a.code != http.StatusUnprocessableEntity {
		t.Fatal(a.code)
	}
	if a := b.post("/domains/example.com/delete", "typed", "example.com"); a.code != http.StatusConflict {
		t.Fatal(a.code)
	}
	b.follow("/domains/example.com/delete", "typed", "example.com", "purge", "yes").has(t, "was deleted")
}

func TestListsSortSearchAndPage(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	for i := range 60 {
		f.mailbox("box"+string(rune('a'+i/26))+string(rune('a'+i%26)), "example.com")
	}
	b := f.browser().login(ownerEmail, ownerPassword)
	a := b.get("/mailboxes")
	a.has(t, "61 mailboxes", "Page 1 of 2", `href="/mailboxes?page=2"`, `aria-sort="ascending"`, "boxaa@example.com")
	a = b.get("/mailboxes?page=2")
	a.has(t, `href="/mailboxes?page=1"`, "info@example.com")
	a = b.get("/mailboxes?sort=address&desc=1")
	a.has(t, `aria-sort="descending"`, "info@example.com")
	a.hasNot(t, "boxaa@example.com")
	a = b.get("/mailboxes?q=BOXb")
	a.has(t, "26 mailboxes", "boxba@example.com")
	a.hasNot(t, "boxaa@example.com")
	b.get("/mailboxes?q=nothing").has(t, "Nothing matches.")
	b.get("/mailboxes?page=99999999999999").has(t, "boxaa@example.com")
	b.get("/mailboxes?sort=password_hash&desc=x&state=y").has(t, "Nothing matches.")
}

func TestHomeLeadsOn(t *testing.T) {
	f := newFixture(t)
	b := f.admin()
	b.get("/").has(t, `id="domain-form"`)
	if a := b.get("/mailboxes/new"); a.location != "/domains/new" {
		t.Fatal(a.location)
	}
	b.get("/mailboxes").has(t, `href="/domains/new"`)
	b.follow("/domains/new", "domain", "example.com", "customer", "new", "customer_name", "Example")
	b.get("/").has(t, `href="/mailboxes/new?domain=example.com"`, "Next step: create a mailbox")
	f.mailbox("info", "example.com")
	b.get("/").has(t, "Everything works.", `id="new-mailbox"`)
	b.follow("/domains/new", "domain", "example.net", "customer", "new")
	b.get("/").has(t, "example.net</bdi> has no mailbox yet.", `href="/domains/example.net"`)
}
