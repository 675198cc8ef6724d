package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/postchi/postchi/panel"
)

// pageHeaders are those of every answer; a value is compared as a whole.
var pageHeaders = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
}

// TestWeb is what holds of the panel's answers, whoever asks: headers, cookies, sessions, caps.
func TestWeb(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	b := in.beside(t, "sqlite")
	b.oneHash(t)
	example := b.customerWith(t, "Example", "owner@users.example")
	o := b.newThing(t, example, 1)
	admin := in.visitor(t).login(devAdmin, in.password())
	t.Run("headers", func(t *testing.T) {
		owner, nobody := in.visitor(t).login("owner@users.example", testPassword), in.visitor(t)
		for _, r := range panel.Routes() {
			if r.Method != http.MethodGet && r.Method != http.MethodHead || r.Path == "/healthz" || r.Path == "/readyz" { // answered before the panel
				continue
			}
			path := strings.Replace(o.fill(r.Path, 1), "/static/*", "/static/none.css", 1)
			for who, v := range map[string]*visitor{"administrator": admin, "owner": owner, "nobody": nobody} {
				checkHeaders(t, r, who, v.ask(r.Method, path, nil))
			}
		}
		checkHeaders(t, &echo.Route{Path: "/nothing"}, "nobody", nobody.get("/nothing"))
		checkHeaders(t, &echo.Route{Path: "/logout"}, "nobody", nobody.ask(http.MethodPost, "/logout", url.Values{}))
	})
	t.Run("cookies", func(t *testing.T) {
		checkCookies(t, in.visitor(t), "postchi", false)
		checkCookies(t, in.secureVisitor(t), "__Host-postchi", true)
	})
	t.Run("sessions", func(t *testing.T) { checkSessions(t, in) })
	t.Run("large bodies", func(t *testing.T) { checkBodies(t, in, admin) })
	t.Run("slow headers", func(t *testing.T) { checkSlowHeaders(t, in) })
	t.Run("lines of the log", func(t *testing.T) { checkLog(t, in) })
}

func checkHeaders(t *testing.T, r *echo.Route, who string, a reply) {
	t.Helper()
	for name, want := range pageHeaders {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s %s as %s (%d): %s is %q", r.Method, r.Path, who, a.status, name, got)
		}
	}
	html := strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && a.status != http.StatusSeeOther
	if html && a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s as %s: a cache may keep the page: %q", r.Method, r.Path, who, a.header.Get("Cache-Control"))
	}
	if server := a.header.Get("Server") + a.header.Get("X-Powered-By"); server != "" {
		t.Errorf("%s says %q of itself", r.Path, server)
	}
}

// checkCookies looks at every cookie that a log-in sets.
func checkCookies(t *testing.T, v *visitor, session string, secure bool) {
	t.Helper()
	all := v.get("/login").cookies
	all = append(all, v.post("/language", "language", "fa").cookies...)
	v.get("/login")
	in := v.post("/login", "name", "owner@users.example", "password", testPassword)
	if !in.fine() {
		t.Fatal(in.status, in.body)
	}
	all = append(all, in.cookies...)
	if len(all) != 3 { // the form's, the language, the session
		t.Errorf("cookies %v", all)
	}
	for _, c := range all {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != secure {
			t.Errorf("cookie %s: %+v", c.Name, c)
		}
	}
	last := all[len(all)-1]
	// ASVS 7.2.3: at least 128 bits.
	if last.Name != session || len(last.Value) < 22 {
		t.Errorf("session cookie %s with %d characters", last.Name, len(last.Value))
	}
}

// checkSessions: a token that a stranger planted is worth nothing after log-in, nor is a token
// after log-out; the database knows no token.
func checkSessions(t *testing.T, in *instance) {
	t.Helper()
	v := in.visitor(t)
	u, _ := url.Parse(in.url())
	planted := &http.Cookie{Name: "postchi", Value: strings.Repeat("planted", 7)[:43], Path: "/"}
	v.http.Jar.SetCookies(u, []*http.Cookie{planted})
	v.login("owner@users.example", testPassword)
	first := sessionCookie(v)
	if first == nil || first.Value == planted.Value {
		t.Fatalf("the planted token is the session's: %v", first)
	}
	if a := withCookie(in, t, planted).get("/mailboxes"); a.fine() {
		t.Errorf("the planted token is a session: %d", a.status)
	}
	if a := withCookie(in, t, first).get("/mailboxes"); !a.fine() {
		t.Fatalf("the token is no session: %d", a.status)
	}
	for _, row := range rowsOf(t, in.openDatabase("sqlite"), "SELECT * FROM sessions") {
		if strings.Contains(strings.Join(row, " "), first.Value) {
			t.Error("the database holds a token")
		}
	}
	// A second log-in in the same browser has another token, and the first one is over.
	v.get("/account")
	if a := v.post("/account/password", "old", testPassword, "password", "another-good-pass-41"); !a.fine() {
		t.Fatal(a.status, a.body)
	}
	second := sessionCookie(v)
	if second.Value == first.Value || withCookie(in, t, first).get("/mailboxes").fine() {
		t.Error("the token survived a change of the password")
	}
	v.get("/account")
	if a := v.post("/account/password", "old", "another-good-pass-41", "password", testPassword); !a.fine() {
		t.Fatal(a.status, a.body)
	}
	third := sessionCookie(v)
	v.get("/")
	v.post("/logout")
	if a := withCookie(in, t, third).get("/mailboxes"); a.fine() {
		t.Errorf("the token survived the log-out: %d", a.status)
	}
}

func sessionCookie(v *visitor) *http.Cookie {
	u, _ := url.Parse(v.base)
	for _, c := range v.http.Jar.Cookies(u) {
		if c.Name == "postchi" {
			return c
		}
	}
	return nil
}

// withCookie is another browser with a copy of a cookie.
func withCookie(in *instance, t testing.TB, c *http.Cookie) *visitor {
	v := in.visitor(t)
	u, _ := url.Parse(in.url())
	v.http.Jar.SetCookies(u, []*http.Cookie{c})
	return v
}

// checkBodies sends forms larger than any of the panel's, announced and not.
func checkBodies(t *testing.T, in *instance, admin *visitor) {
	t.Helper()
	nobody := in.visitor(t)
	nobody.get("/login")
	for path, v := range map[string]*visitor{"/login": nobody, "/mailboxes/new": admin, "/language": nobody} {
		if a := v.post(path, "name", strings.Repeat("x", 100<<10)); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with 100 KiB: %d", path, a.status)
		}
		body := io.MultiReader(strings.NewReader("name="), bytes.NewReader(bytes.Repeat([]byte("x"), 100<<10)))
		req, _ := http.NewRequest(http.MethodPost, v.base+path, body) // of a length that is not known
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if a := v.send(req); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with 100 KiB in chunks: %d", path, a.status)
		}
	}
	req, _ := http.NewRequest(http.MethodGet, in.url()+"/login", nil)
	req.Header.Set("X-Long", strings.Repeat("x", 1<<20))
	if a := nobody.send(req); a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 1 MiB: %d", a.status)
	}
}

// checkSlowHeaders: who does not come to the end of a request's head is cut off, and others
// are served meanwhile.
func checkSlowHeaders(t *testing.T, in *instance) {
	t.Helper()
	c, err := net.Dial("tcp", in.addr("http"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	io.WriteString(c, "GET /login HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	stop := make(chan struct{})
	defer close(stop)
	go func() { // one byte now and then does not buy time
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
				io.WriteString(c, "x")
			}
		}
	}()
	if a := in.visitor(t).get("/login"); a.status != http.StatusOK {
		t.Errorf("others: %d", a.status)
	}
	c.SetReadDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.ReadAll(c); isTimeout(err) {
		t.Fatal("never cut off")
	}
	if took := time.Since(began); took < 2*time.Second || took > 60*time.Second {
		t.Errorf("cut off after %v", took)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// checkLog puts ends of lines and commands of terminals where a stranger can, and looks for
// them in the log.
func checkLog(t *testing.T, in *instance) {
	t.Helper()
	const forged = "forged\r\ntime=2026-01-01T00:00:00.000Z level=ERROR msg=forged\x1b[31m\x1b]0;owned\x07"
	v := in.visitor(t)
	v.get("/login")
	v.post("/login", "name", forged, "password", testPassword)
	v.ask(http.MethodGet, "/"+url.PathEscape(forged), nil)
	c := in.smtpTalk(t, "")
	c.answer()
	if a := c.smtp("EHLO forged\x1b[31m\rforged"); a.err != nil {
		t.Fatal(a.err)
	}
	c.smtp("EHLO forged.example")
	c.smtp("AUTH PLAIN %s", plain(forged, testPassword))
	c.smtp("MAIL FROM:<forged\x1b[31m@example.com>")
	p := in.popTalk(t, "")
	p.pop("")
	p.pop("USER forged\x1b[31m\rforged")
	p.pop("PASS " + testPassword)
	within(t, 2*time.Second, "refused log-ins in the log", func() bool {
		return strings.Count(in.out.String(), "log-in refused") >= 2
	})
	lines := strings.Split(in.out.String(), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "Stop with Ctrl-C.") })
	found := 0
	for _, line := range lines[i+2:] {
		if line != "" && !strings.HasPrefix(line, "time=20") || strings.HasPrefix(line, "time=2026-01-01") {
			t.Errorf("a line of its own: %q", line)
		}
		if strings.ContainsAny(line, "\x1b\r\x07\u2028") {
			t.Errorf("raw bytes in the log: %q", line)
		}
		if strings.Contains(line, "forged") {
			found++
		}
	}
	if found == 0 {
		t.Error("nothing of what was sent is in the log, so nothing was tested")
	}
}

// TestLoginThrottled: who tries passwords is made to wait, and then told for how long, in
// words and for machines.
func TestLoginThrottled(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	v := in.visitor(t)
	v.get("/login")
	// All at once, since each wrong one makes the next wait longer.
	var wg sync.WaitGroup
	for n := range 11 {
		wg.Go(func() {
			form := url.Values{"csrf": {v.token}, "name": {devAdmin}, "password": {"wrong password " + strconv.Itoa(n)}}
			res, err := v.http.PostForm(in.url()+"/login", form)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusTooManyRequests {
				t.Errorf("a wrong password: %d", res.StatusCode)
			}
		})
	}
	wg.Wait()
	a := v.post("/login", "name", devAdmin, "password", "one more wrong password")
	if a.status != http.StatusTooManyRequests {
		t.Fatalf("after eleven wrong passwords: %d", a.status)
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds < 60 || seconds > 15*60 {
		t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
	}
	if !strings.Contains(a.body, `id="errors"`) {
		t.Errorf("the wait is not shown:\n%s", a.body)
	}
	// The right password does not help while the wait lasts; else it could be told from wrong ones.
	if a := v.post("/login", "name", devAdmin, "password", in.password()); a.status != http.StatusTooManyRequests {
		t.Errorf("the right password while blocked: %d", a.status)
	}
}
