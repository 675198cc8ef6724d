package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// FieldName is the form field that carries the token of a changing request; HeaderName does
// for scripts.
const (
	FieldName  = "csrf"
	HeaderName = "X-CSRF-Token"
)

// A form's token is a keyed hash of a secret that only the browser's cookies hold: the
// session's token, or before log-in a random value of its own cookie. Nothing is stored. In
// the page it is hidden behind a new random mask each time, so that compressed pages give
// nothing away about it (the BREACH attack).

// Forms makes and checks the tokens of one request's forms.
type Forms struct {
	secret  string   // of the tokens made; "" = to be made up
	accepts []string // secrets of the tokens accepted
}

func formCookie(secure bool) string { return CookieName(secure) + "-form" }

// OpenForms returns the tokens of a request. A token of a session that has ended meanwhile is
// accepted too, as it shows the same browser: the person is asked to log in and can go on.
func OpenForms(r *http.Request, s *Session, secure bool) *Forms {
	f := &Forms{}
	if c, err := r.Cookie(formCookie(secure)); err == nil && len(c.Value) >= 40 && len(c.Value) <= 100 {
		f.secret = c.Value
		f.accepts = append(f.accepts, c.Value)
	}
	if len(s.token) >= 40 {
		f.accepts = append(f.accepts, s.token)
		if s.UserID() != 0 {
			f.secret = s.token
		}
	}
	return f
}

// Token returns the token for a form of the page that is being made. If the browser has no
// secret yet it is given one, so this must be called before the answer's header is written.
func (f *Forms) Token(w http.ResponseWriter, secure bool) string {
	if f.secret == "" {
		f.secret = rand.Text() + rand.Text()
		http.SetCookie(w, &http.Cookie{Name: formCookie(secure), Value: f.secret, Path: "/",
			Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	masked := make([]byte, 2*sha256.Size)
	rand.Read(masked[:sha256.Size])
	subtle.XORBytes(masked[sha256.Size:], masked[:sha256.Size], sumOf(f.secret))
	return base64.RawURLEncoding.EncodeToString(masked)
}

func sumOf(secret string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("form"))
	return mac.Sum(nil)
}

// Valid reports whether token was made for this browser.
func (f *Forms) Valid(token string) bool {
	masked, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(masked) != 2*sha256.Size {
		return false
	}
	sum := make([]byte, sha256.Size)
	subtle.XORBytes(sum, masked[:sha256.Size], masked[sha256.Size:])
	for _, secret := range f.accepts {
		if hmac.Equal(sum, sumOf(secret)) {
			return true
		}
	}
	return false
}

// SameOrigin reports whether a browser says that a changing request comes from a page of
// ours: by Sec-Fetch-Site, or by Origin where that is missing. Clients that send neither
// are no browsers a stranger's page could steer; the token must satisfy then.
func SameOrigin(r *http.Request, publicHost string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || site == "none"
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || strings.EqualFold(u.Host, publicHost))
}
