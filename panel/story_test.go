package panel

import (
	"net/http"
	"strings"
	"testing"
)

// TestStory is the first hour of an administrator, in both languages.
func TestStory(t *testing.T) {
	for _, lang := range []string{"en", "fa"} {
		t.Run(lang, func(t *testing.T) {
			f := newFixture(t)
			b := f.browser()
			b.lang = lang
			if a := b.get("/"); a.code != http.StatusSeeOther || a.location != "/login" {
				t.Fatal(a.code, a.location)
			}
			a := b.get("/login")
			a.has(t, `lang="`+lang+`"`)
			a = b.follow("/login", "name", adminEmail, "password", adminPassword)
			a.has(t, `id="domain-form"`, `name="customer_name"`)
			a = b.post("/domains/new", "domain", "https://www.Example.com/", "customer", "new", "form_token", hidden(t, a, "form_token"))
			if a.code != http.StatusSeeOther || a.location != "/domains/example.com" {
				t.Fatal(a.code, a.location, mainOf(a.body))
			}
			a = b.get(a.location)
			a.has(t, "example.com", `>Example<`, `id="notice"`, `href="/mailboxes/new?domain=example.com"`)
			a = b.get("/mailboxes/new?domain=example.com")
			pw, token := field(t, a, "password"), hidden(t, a, "form_token")
			if len(pw) != 19 {
				t.Fatalf("generated %q", pw)
			}
			fields := []string{"local", "sara", "domain", "example.com", "password", pw, "form_token", token}
			a = b.post("/mailboxes/new", fields...)
			if a.code != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Encoding") != "" {
				t.Fatal(a.code, a.header)
			}
			for id, want := range map[string]string{"value-password": pw, "value-username": "sara@example.com",
				"value-pop3-tls-host": "mail.example.net", "value-pop3-tls-port": "2995", "value-pop3-tls-security": "SSL/TLS",
				"value-pop3-starttls-port": "2110", "value-smtp-tls-port": "2465", "value-smtp-starttls-port": "2587", "value-smtp-starttls-security": "STARTTLS"} {
				if got := field(t, a, id); got != want {
					t.Errorf("%s is %q, want %q", id, got, want)
				}
			}
			a.has(t, "data/ca.pem", `id="send-test"`)

			a = b.post("/mailboxes/new", fields...) // a reload
			a.hasNot(t, pw)
			a.has(t, `id="again"`)
			if a.code != http.StatusOK {
				t.Fatal(a.code)
			}
			a = b.get("/mailboxes/sara@example.com/connect")
			a.hasNot(t, pw)
			a.has(t, `value="sara@example.com"`)
			if list := b.get("/mailboxes"); strings.Count(list.body, `<tr role="row">`) != 2 {
				t.Error("one mailbox was made more than once", mainOf(list.body))
			}
			b.get("/").has(t, `id="new-mailbox"`)
			b.follow("/logout")
			if a := b.get("/"); a.location != "/login" {
				t.Fatal("not logged out")
			}
		})
	}
}
