package panel

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/service"
)

func TestUnknownAndWrongAnswerAlike(t *testing.T) {
	f := newFixture(t)
	b := f.browser()
	b.get("/login")
	wrong := b.post("/login", "name", adminEmail, "password", "not the password", "next", "/mailboxes")
	unknown := b.post("/login", "name", "nobody@localhost", "password", "not the password", "next", "/mailboxes")
	if wrong.code != unknown.code || wrong.code != http.StatusForbidden {
		t.Fatal(wrong.code, unknown.code)
	}
	wrong.has(t, "The e-mail address or the password is wrong.", `value="admin@localhost"`, `id="errors"`, `name="next" value="/mailboxes"`)
	wrong.hasNot(t, "not the password")
	unknown.has(t, "The e-mail address or the password is wrong.")
}

func TestTheWaitIsShown(t *testing.T) {
	f := newFixture(t)
	until := f.clock().Add(7 * time.Minute)
	f.start(&door{f: f, fail: models.Errorf(models.Limited, "login.blocked", "Wait.").With("n", 7).With("minutes", 7).With("until", models.At(until))})
	b := f.browser()
	b.get("/login")
	a := b.post("/login", "name", "x@example.com", "password", "x")
	if a.code != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Fatal(a.code, a.header)
	}
	a.has(t, "Try again in 7 minutes", until.UTC().Format("15:04"))
	b.lang = "fa"
	b.post("/login", "name", "x@example.com", "password", "x").has(t, "۷ دقیقهٔ دیگر")
}

func TestOnlyPathsOfOursFollowALogIn(t *testing.T) {
	for next, want := range map[string]string{
		"/mailboxes?q=a": "/mailboxes?q=a", "": "/", "https://evil.example/": "/", "//evil.example/": "/", `/\evil.example`: "/",
		"javascript:alert(1)": "/", "mailboxes": "/", "/a\nb": "/", "/\t/evil.example": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q: %q", next, got)
		}
	}
	f := newFixture(t)
	b := f.browser()
	a := b.get("/mailboxes?q=x")
	if a.location != "/login?next=%2Fmailboxes%3Fq%3Dx" {
		t.Fatal(a.location)
	}
	b.get(a.location)
	if a := b.post("/login", "name", adminEmail, "password", adminPassword, "next", "/mailboxes?q=x"); a.location != "/mailboxes?q=x" {
		t.Fatal(a.location)
	}
	if a := b.get("/login?next=/bin"); a.location != "/bin" {
		t.Fatal(a.location)
	}
}

func TestSessionsEnd(t *testing.T) {
	f := newFixture(t)
	id := f.owner("Example", ownerEmail, "example.com")
	ctx, console := t.Context(), service.Console()
	user, err := f.service.UserByEmail(ctx, console, ownerEmail)
	if err != nil {
		t.Fatal(err)
	}
	ended := func(b *browser, words string) {
		t.Helper()
		a := b.get("/mailboxes")
		if a.code != http.StatusSeeOther || !strings.HasPrefix(a.location, "/login") {
			t.Fatalf("lives on: %d", a.code)
		}
		a = b.get(a.location)
		a.has(t, words)
		if b.get("/mailboxes").code == http.StatusOK {
			t.Fatal("came back by itself")
		}
	}
	b := f.browser().login(ownerEmail, ownerPassword)
	f.pass(time.Second)
	if err := f.service.SetUserPassword(ctx, console, user.ID, "another-correct-horse"); err != nil {
		t.Fatal(err)
	}
	ended(b, "Your session has ended")

	b = f.browser().login(ownerEmail, "another-correct-horse")
	if err := f.service.SuspendCustomer(ctx, console, id, "unpaid", false); err != nil {
		t.Fatal(err)
	}
	ended(b, "Your session has ended")
	if err := f.service.ResumeCustomer(ctx, console, id); err != nil {
		t.Fatal(err)
	}

	b = f.browser().login(ownerEmail, "another-correct-horse")
	f.pass(2*time.Hour + time.Minute)
	ended(b, "Your session has ended")

	b = f.browser().login(ownerEmail, "another-correct-horse")
	if err := f.service.RemoveUser(ctx, console, user.ID); err != nil {
		t.Fatal(err)
	}
	ended(b, "Your session has ended")
}

func TestOwnPasswordKeepsThisSessionAndEndsTheOthers(t *testing.T) {
	f := newFixture(t)
	a, b := f.admin(), f.admin()
	f.pass(time.Second)
	wrong := a.post("/account/password", "old", "wrong", "password", "a-new-correct-horse")
	if wrong.code != http.StatusForbidden {
		t.Fatal(wrong.code)
	}
	wrong.has(t, "The present password is not right.", `href="#old"`)
	short := a.post("/account/password", "old", adminPassword, "password", "short")
	if short.code != http.StatusUnprocessableEntity {
		t.Fatal(short.code)
	}
	short.has(t, "shorter than 12", `href="#password"`)
	short.hasNot(t, `value="short"`)
	a.follow("/account/password", "old", adminPassword, "password", "a-new-correct-horse").has(t, "Your password is changed.")
	if got := b.get("/"); got.code != http.StatusSeeOther {
		t.Fatal("the other session lives")
	}
	f.browser().login(adminEmail, "a-new-correct-horse")
}

// TestTypedFormsSurviveAnEndedSession posts a form after the session is over.
func TestTypedFormsSurviveAnEndedSession(t *testing.T) {
	f := newFixture(t)
	f.owner("Example", ownerEmail, "example.com")
	b := f.browser().login(ownerEmail, ownerPassword)
	b.get("/mailboxes/new")
	f.pass(3 * time.Hour)
	a := b.post("/mailboxes/new", "local", "omid", "domain", "example.com", "password", "correct-horse-secret", "form_token", "t")
	if a.code != http.StatusSeeOther || strings.Contains(a.location, "secret") || strings.Contains(a.location, "csrf") {
		t.Fatal(a.code, a.location)
	}
	b.get(a.location).has(t, "Your session has ended")
	next := strings.TrimPrefix(a.location, "/login?ended=1&next=")
	if next == a.location {
		t.Fatal(a.location)
	}
	a = b.follow("/login", "name", ownerEmail, "password", ownerPassword, "next", "/mailboxes/new?domain=example.com&local=omid")
	if field(t, a, "local") != "omid" {
		t.Error("what was typed is gone")
	}
}

func TestLanguage(t *testing.T) {
	f := newFixture(t)
	b := f.browser()
	b.lang = "de"
	b.get("/login").has(t, `<html lang="en" dir="ltr">`)
	b.lang = "fa-IR,fa;q=0.9,en;q=0.5"
	b.get("/login").has(t, `<html lang="fa" dir="rtl">`)
	b.follow("/language", "language", "en", "next", "/login?next=%2Fbin").has(t, `<html lang="en"`, `name="next" value="/bin"`)
	b.follow("/login", "name", adminEmail, "password", adminPassword).has(t, `<html lang="en"`)
	b.follow("/language", "language", "fa", "next", "/help").has(t, `<html lang="fa"`)
	other := f.admin() // the choice is the user's, on every device
	other.get("/").has(t, `<html lang="fa"`)
	other.follow("/account/language", "language", "").has(t, `<html lang="en"`)
	if a := other.post("/language", "language", "xx", "next", "//evil.example"); a.location != "/" {
		t.Fatal(a.location)
	}
}

func TestBodiesAreCapped(t *testing.T) {
	f := newFixture(t)
	b := f.browser()
	b.get("/login")
	a := b.post("/login", "name", strings.Repeat("x", 9<<10), "password", "x")
	if a.code != http.StatusRequestEntityTooLarge {
		t.Fatal(a.code)
	}
	a.has(t, "This is too large")
	b = f.admin()
	if a := b.post("/domains/new", "domain", strings.Repeat("x", 65<<10)); a.code != http.StatusRequestEntityTooLarge {
		t.Fatal(a.code)
	}
}

// failing is a way to log in that fails in ways of its own.
type failing func() (*models.User, error)

func (fn failing) Login(context.Context, netip.Addr, string, string, string) (*models.User, error) {
	return fn()
}

func TestFaultsOfOursSayNothingOfThemselves(t *testing.T) {
	f := newFixture(t)
	for name, login := range map[string]failing{
		"error": func() (*models.User, error) { return nil, errors.New("SELECT secret FROM /etc/passwd") },
		"panic": func() (*models.User, error) { panic("secret in a panic") },
	} {
		f.start(login)
		for lang, words := range map[string]string{"en": "Something went wrong on our side", "fa": "در سمت ما خطایی رخ داد"} {
			b := f.browser()
			b.lang = lang
			b.get("/login")
			a := b.post("/login", "name", "x@example.com", "password", "x")
			if a.code != http.StatusInternalServerError {
				t.Fatal(name, a.code)
			}
			a.has(t, words)
			a.hasNot(t, "secret", "SELECT", "goroutine")
		}
	}
}

func TestErrorPagesOfEveryKind(t *testing.T) {
	f := newFixture(t)
	for kind, status := range statuses {
		f.start(failing(func() (*models.User, error) { return nil, models.Errorf(kind, "", "Some words.").On("") }))
		r := httptest.NewRequest("GET", "/", nil)
		for _, lang := range f.panel.words.All() {
			r.Header.Set("Accept-Language", lang.Code)
			w := httptest.NewRecorder()
			c := f.panel.echo.NewContext(r, w)
			f.panel.handleError(models.Errorf(kind, "", "Some words."), c)
			if w.Code != status || !strings.Contains(w.Body.String(), `<html lang="`+lang.Code+`"`) {
				t.Errorf("%s: %d", kind, w.Code)
			}
		}
	}
}

func TestOnlyTrustedProxiesAreBelieved(t *testing.T) {
	var seen netip.Addr
	f := newFixture(t)
	login := loginFunc(func(remote netip.Addr) { seen = remote })
	for _, c := range []struct {
		trusted []netip.Prefix
		want    string
	}{
		{nil, "127.0.0.1"},
		{[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "127.0.0.1"},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "203.0.113.9"},
	} {
		f.panel.TrustedProxies = c.trusted
		f.panel.Login = login
		srv := httptest.NewServer(f.panel.newEcho())
		b := f.browser()
		f.server = srv
		b.get("/login")
		req, _ := http.NewRequest("POST", srv.URL+"/login", strings.NewReader("csrf="+b.token+"&name=a&password=b"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", "198.51.100.1, 203.0.113.9")
		req.Header.Set("X-Real-IP", "198.51.100.2")
		b.do(req)
		srv.Close()
		if seen.String() != c.want {
			t.Errorf("trusting %v: %s, want %s", c.trusted, seen, c.want)
		}
	}
}

type loginFunc func(remote netip.Addr)

func (fn loginFunc) Login(_ context.Context, remote netip.Addr, _, _, _ string) (*models.User, error) {
	fn(remote)
	return nil, models.Errorf(models.Denied, "login.denied", "No.")
}

func TestCookies(t *testing.T) {
	f := newFixture(t)
	f.panel.Dev = false
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/login", nil)
	f.panel.Handler().ServeHTTP(w, r)
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != "__Host-postchi-form" || !cookies[0].Secure || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("%+v", cookies)
	}
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS in production")
	}
	f.panel.Dev = true
	w = httptest.NewRecorder()
	f.panel.Handler().ServeHTTP(w, r)
	if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != "postchi-form" || c[0].Secure || w.Header().Get("Strict-Transport-Security") != "" {
		t.Fatalf("%+v", c)
	}
}

// TestErrorPagesSaveTheSession: a notice that an error's page shows is not shown again.
func TestErrorPagesSaveTheSession(t *testing.T) {
	f := newFixture(t)
	b := f.admin()
	b.post("/account/language", "language", "en")
	a := b.get("/mailboxes/nobody@example.com")
	if a.code != http.StatusNotFound {
		t.Fatal(a.code)
	}
	a.has(t, `id="notice"`)
	b.get("/account").hasNot(t, `id="notice"`)
}
