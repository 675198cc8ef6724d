package session

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
)

// memory is a Store for tests; it keeps what it is given and looks at the injected clock.
type memory struct {
	mu   sync.Mutex
	now  func() time.Time
	rows map[string]row
}

type row struct {
	data   []byte
	expiry time.Time
}

func (m *memory) FindCtx(_ context.Context, token string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[token]
	return r.data, ok && m.now().Before(r.expiry), nil
}

func (m *memory) CommitCtx(_ context.Context, token string, b []byte, expiry time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows[token] = row{b, expiry}
	return nil
}

func (m *memory) DeleteCtx(_ context.Context, token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, token)
	return nil
}

func (m *memory) Find(t string) ([]byte, bool, error) { return m.FindCtx(context.Background(), t) }
func (m *memory) Delete(t string) error               { return m.DeleteCtx(context.Background(), t) }
func (m *memory) Commit(t string, b []byte, e time.Time) error {
	return m.CommitCtx(context.Background(), t, b, e)
}

type fixture struct {
	t     *testing.T
	now   time.Time
	store *memory
	m     *Manager
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, now: time.Now()}
	f.store = &memory{now: func() time.Time { return f.now }, rows: map[string]row{}}
	f.m = New(Config{Store: f.store, Now: func() time.Time { return f.now }})
	return f
}

// open makes a request with a cookie's value and returns its session.
func (f *fixture) open(cookie string) *Session {
	r := httptest.NewRequest("GET", "/", nil)
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: CookieName(true), Value: cookie})
	}
	s, err := f.m.Open(r.Context(), r, true)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// save ends the request and returns the cookie it sets, nil if none.
func (f *fixture) save(s *Session) *http.Cookie {
	w := httptest.NewRecorder()
	if err := s.Save(w); err != nil {
		f.t.Fatal(err)
	}
	if c := w.Result().Cookies(); len(c) > 0 {
		return c[0]
	}
	return nil
}

var sara = &models.User{ID: 7, PasswordAt: 100}

func TestLogInChangesTheTokenAndStoresOnlyItsHash(t *testing.T) {
	f := newFixture(t)
	const planted = "planted-planted-planted-planted-planted-planted"
	s := f.open(planted)
	if err := s.LogIn(sara); err != nil {
		t.Fatal(err)
	}
	c := f.save(s)
	if again := f.save(s); again != nil {
		t.Errorf("the cookie is set twice: %v", again)
	}
	if c == nil || c.Value == planted || len(c.Value) < 40 || !c.Secure || !c.HttpOnly || c.Name != "__Host-postchi" || c.Path != "/" || c.Domain != "" {
		t.Fatalf("%+v", c)
	}
	if _, ok := f.store.rows[c.Value]; ok || len(f.store.rows) != 1 {
		t.Fatal("the token itself is in the store")
	}
	s = f.open(c.Value)
	if s.UserID() != 7 || !s.Fits(sara) || s.Fits(&models.User{ID: 7, PasswordAt: 101}) {
		t.Fatal("not the session of this user and password")
	}
	again := f.open(c.Value)
	if err := again.LogIn(sara); err != nil {
		t.Fatal(err)
	}
	f.save(again)
	if f.open(c.Value).UserID() != 0 {
		t.Fatal("the old token lives after a second log-in")
	}
}

func TestLogOutKillsTheSessionOnTheServer(t *testing.T) {
	f := newFixture(t)
	s := f.open("")
	s.LogIn(sara)
	c := f.save(s)
	s = f.open(c.Value)
	if err := s.LogOut(); err != nil {
		t.Fatal(err)
	}
	if gone := f.save(s); gone == nil || gone.MaxAge >= 0 {
		t.Fatalf("%+v", gone)
	}
	if f.open(c.Value).UserID() != 0 || len(f.store.rows) != 0 {
		t.Fatal("a copy of the cookie still works")
	}
}

func TestIdleAndAbsoluteEnd(t *testing.T) {
	f := newFixture(t)
	s := f.open("")
	s.LogIn(sara)
	c := f.save(s)
	for range 23 {
		f.now = f.now.Add(time.Hour)
		s = f.open(c.Value)
		if s.UserID() != 7 {
			t.Fatal("ended while in use")
		}
		if f.save(s) != nil {
			t.Fatal("a new cookie for an old session")
		}
	}
	f.now = f.now.Add(time.Hour)
	if f.open(c.Value).UserID() != 0 {
		t.Fatal("lives after 24 h")
	}

	s = f.open("")
	s.LogIn(sara)
	c = f.save(s)
	f.now = f.now.Add(2*time.Hour + time.Second)
	if f.open(c.Value).UserID() != 0 {
		t.Fatal("lives after 2 h without use")
	}
}

func TestNobodyHasNoRow(t *testing.T) {
	f := newFixture(t)
	s := f.open("")
	s.Notify(Notice{Key: "x"})
	if f.save(s) != nil || len(f.store.rows) != 0 {
		t.Fatal("a stranger made a row")
	}
}

func TestNoticeIsShownOnceAndFormsAreRemembered(t *testing.T) {
	f := newFixture(t)
	s := f.open("")
	s.LogIn(sara)
	c := f.save(s)
	s = f.open(c.Value)
	s.Notify(Notice{Key: "mailbox.deleted", Args: map[string]string{"address": "a@b"}, Undo: "/u"})
	for i := range 25 {
		s.SetDone("token"+string(rune('a'+i)), "thing")
	}
	f.save(s)
	s = f.open(c.Value)
	n := s.Notice()
	if n == nil || n.Undo != "/u" || n.Args["address"] != "a@b" {
		t.Fatalf("%+v", n)
	}
	f.save(s)
	s = f.open(c.Value)
	if s.Notice() != nil {
		t.Fatal("shown twice")
	}
	if what, ok := s.Done("tokeny"); !ok || what != "thing" {
		t.Fatal(what, ok)
	}
	if _, ok := s.Done("tokena"); ok {
		t.Fatal("remembers without end")
	}
	if _, ok := s.Done(""); ok {
		t.Fatal("no token is no form")
	}
}

func TestFormTokens(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest("GET", "/login", nil)
	forms := OpenForms(r, f.open(""), true)
	w := httptest.NewRecorder()
	token := forms.Token(w, true)
	if other := forms.Token(w, true); other == token {
		t.Fatal("two pages show the same bytes")
	}
	cookie := w.Result().Cookies()[0]

	r = httptest.NewRequest("POST", "/login", nil)
	r.AddCookie(cookie)
	if !OpenForms(r, f.open(""), true).Valid(token) {
		t.Fatal("own token refused")
	}
	for _, bad := range []string{"", "x", token[1:] + "A", token[:len(token)-1]} {
		if OpenForms(r, f.open(""), true).Valid(bad) {
			t.Fatalf("accepted %q", bad)
		}
	}
	strange := httptest.NewRequest("POST", "/login", nil)
	strange.AddCookie(&http.Cookie{Name: cookie.Name, Value: "another-another-another-another-another-another"})
	if OpenForms(strange, f.open(""), true).Valid(token) {
		t.Fatal("accepted in another browser")
	}
	if OpenForms(httptest.NewRequest("POST", "/", nil), f.open(""), true).Valid(token) {
		t.Fatal("accepted without a cookie")
	}
}

func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		site, origin string
		want         bool
	}{
		{"", "", true},
		{"same-origin", "", true},
		{"none", "", true},
		{"cross-site", "https://panel.example", false},
		{"same-site", "", false},
		{"", "https://panel.example", true},
		{"", "https://PUBLIC.example", true},
		{"", "https://evil.example", false},
		{"", "null", false},
		{"", "https://panel.example.evil.example", false},
	} {
		r := httptest.NewRequest("POST", "https://panel.example/login", nil)
		r.Header.Set("Sec-Fetch-Site", c.site)
		r.Header.Set("Origin", c.origin)
		if got := SameOrigin(r, "public.example"); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
