// Package session keeps who is logged in to the panel: sessions in a store, found by a
// random token of 256 bits in a cookie and stored under its hash, with an idle and an
// absolute end; the token that every changing form must carry; the one notice that the next
// page shows.
//
// Nobody who is not logged in has a session, so that a stranger cannot fill the store. A
// session holds the user's id and a fingerprint of the password's age, never a password.
package session

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/postchi/postchi/models"
)

// Store keeps sessions under hashed tokens: Find returns false for a token that is unknown or
// past its expiry, Delete of an unknown token is no error. Only the methods with a context
// are used.
type Store = scs.CtxStore

// Config is what a Manager needs.
type Config struct {
	Store    Store
	Idle     time.Duration // a session not used for so long ends; 0 = 2 h
	Lifetime time.Duration // a session ends after so long in any case; 0 = 24 h
	Now      func() time.Time
}

// Manager begins, finds and ends sessions.
type Manager struct {
	scs  *scs.SessionManager
	idle time.Duration
	life time.Duration
	now  func() time.Time
}

// New returns a manager.
func New(c Config) *Manager {
	m := &Manager{scs: scs.New(), idle: c.Idle, life: c.Lifetime, now: c.Now}
	if m.idle == 0 {
		m.idle = 2 * time.Hour
	}
	if m.life == 0 {
		m.life = 24 * time.Hour
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.scs.Store = c.Store
	m.scs.Lifetime = m.life
	m.scs.HashTokenInStore = true
	return m
}

// CookieName returns the name of the session cookie: the prefix makes browsers refuse it
// from other hosts, from paths, and without TLS. Only a panel on plain http, which exists for
// development on loopback alone, goes without.
func CookieName(secure bool) string {
	if secure {
		return "__Host-postchi"
	}
	return "postchi"
}

// The keys of a session's values. All values are strings: they are kept by encoding/gob.
const (
	keyUser = "user"
	keyRole = "role"   // of a mailbox's owner: the user is a mailbox then
	keyPass = "pass"   // fingerprint of the password
	keySeen = "seen"   // last use, unix seconds
	keyNote = "notice" // of the next page
	keyDone = "done"   // forms that were carried out
)

// touch is how old the time of last use may become before it is written again: not every
// page costs a write.
const touch = time.Minute

// Session is the session of one request. Its methods are for one goroutine.
type Session struct {
	m      *Manager
	ctx    context.Context
	secure bool
	token  string // as the cookie of the request had it
}

// Open returns the session that a request's cookie names; an unknown or ended one is empty.
func (m *Manager) Open(ctx context.Context, r *http.Request, secure bool) (*Session, error) {
	s := &Session{m: m, secure: secure}
	if c, err := r.Cookie(CookieName(secure)); err == nil && len(c.Value) <= 100 {
		s.token = c.Value
	}
	var err error
	if s.ctx, err = m.scs.Load(ctx, s.token); err != nil {
		return nil, err
	}
	seen, _ := strconv.ParseInt(m.scs.GetString(s.ctx, keySeen), 10, 64)
	age := m.now().Sub(time.Unix(seen, 0))
	switch {
	case s.UserID() == 0:
	case age > m.idle || !m.now().Before(m.scs.Deadline(s.ctx)):
		return s, m.scs.Destroy(s.ctx)
	case age >= touch:
		s.seen()
	}
	return s, nil
}

// Nobody returns an empty session without asking the store, for pages that must be shown
// when it cannot be asked.
func (m *Manager) Nobody(secure bool) *Session {
	ctx, _ := m.scs.Load(context.Background(), "") // without a token the store is not asked
	return &Session{m: m, ctx: ctx, secure: secure}
}

func (s *Session) seen() {
	s.m.scs.Put(s.ctx, keySeen, strconv.FormatInt(s.m.now().Unix(), 10))
}

// UserID returns who is logged in, 0 for nobody.
func (s *Session) UserID() models.ID {
	n, _ := strconv.ParseInt(s.m.scs.GetString(s.ctx, keyUser), 10, 64)
	return models.ID(n)
}

// Owner reports whether who is logged in is a mailbox's owner: UserID is the mailbox's then.
func (s *Session) Owner() bool { return s.m.scs.GetString(s.ctx, keyRole) == string(models.RoleOwner) }

// Ended reports whether the request came with a session that is no more.
func (s *Session) Ended() bool { return s.token != "" && s.UserID() == 0 }

// Fits reports whether the session was begun with the password that u has now.
func (s *Session) Fits(u *models.User) bool {
	return s.m.scs.GetString(s.ctx, keyPass) == fingerprint(u)
}

// fingerprint changes with each change of the password, but not when its hash is only made
// again at a higher cost.
func fingerprint(u *models.User) string { return strconv.FormatInt(int64(u.PasswordAt), 36) }

// LogIn begins the session of u under a new token, so that a token which somebody planted
// before is worth nothing.
func (s *Session) LogIn(u *models.User) error {
	if err := s.m.scs.RenewToken(s.ctx); err != nil {
		return err
	}
	s.m.scs.SetDeadline(s.ctx, s.m.now().Add(s.m.life).UTC())
	s.m.scs.Put(s.ctx, keyUser, u.ID.String())
	s.m.scs.Put(s.ctx, keyPass, fingerprint(u))
	s.m.scs.Remove(s.ctx, keyRole)
	if u.Role == models.RoleOwner {
		s.m.scs.Put(s.ctx, keyRole, string(u.Role))
	}
	s.seen()
	return nil
}

// LogOut ends the session in the store, so that a copy of the cookie is worth nothing.
func (s *Session) LogOut() error {
	if s.token == "" {
		return nil
	}
	return s.m.scs.Destroy(s.ctx)
}

// Save writes what changed and sets the cookie; nothing if nothing changed. It must be called
// before the answer's header is written.
func (s *Session) Save(w http.ResponseWriter) error {
	c := &http.Cookie{Name: CookieName(s.secure), Path: "/", Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	switch s.m.scs.Status(s.ctx) {
	case scs.Destroyed:
		c.MaxAge = -1
	case scs.Modified:
		token, _, err := s.m.scs.Commit(context.WithValue(s.ctx, userOf{}, s.UserID()))
		if err != nil {
			return err
		}
		if token == s.token {
			return nil
		}
		c.Value, s.token = token, token // to be set once, though a session may be saved twice
	default:
		return nil
	}
	http.SetCookie(w, c)
	return nil
}

type userOf struct{}

// User tells a store whose session it is asked to keep, from the context that it is given; 0
// if it is nobody's.
func User(ctx context.Context) models.ID {
	id, _ := ctx.Value(userOf{}).(models.ID)
	return id
}

// Notice is shown once, by the next page.
type Notice struct {
	Key  string            `json:"k"`           // of the words
	Args map[string]string `json:"a,omitempty"` // in the words
	Undo string            `json:"u,omitempty"` // where a POST takes it back; "" = it cannot be
	Warn bool              `json:"w,omitempty"` // what was done is nothing to be glad of
}

// Notify leaves a notice for the next page. Nobody's session keeps none.
func (s *Session) Notify(n Notice) {
	if s.UserID() == 0 {
		return
	}
	b, _ := json.Marshal(n) // strings only: cannot fail
	s.m.scs.Put(s.ctx, keyNote, string(b))
}

// Notice takes the notice out, nil if there is none.
func (s *Session) Notice() *Notice {
	text := s.m.scs.PopString(s.ctx, keyNote)
	var n Notice
	if text == "" || json.Unmarshal([]byte(text), &n) != nil {
		return nil
	}
	return &n
}

// maxDone is how many carried out forms a session remembers.
const maxDone = 20

// SetDone remembers that the form with this token was carried out, and on what.
func (s *Session) SetDone(token, what string) {
	all := s.done()
	all = append(all, token+" "+what)
	if len(all) > maxDone {
		all = all[len(all)-maxDone:]
	}
	s.m.scs.Put(s.ctx, keyDone, strings.Join(all, "\n"))
}

// Done returns what the form with this token was carried out on.
func (s *Session) Done(token string) (what string, ok bool) {
	i := slices.IndexFunc(s.done(), func(line string) bool { return strings.HasPrefix(line, token+" ") })
	if token == "" || i < 0 {
		return "", false
	}
	_, what, _ = strings.Cut(s.done()[i], " ")
	return what, true
}

func (s *Session) done() []string {
	text := s.m.scs.GetString(s.ctx, keyDone)
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
