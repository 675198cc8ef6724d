package panel

import (
	"net/http"
	"testing"
)

// TestRelayInClear makes a smarthost without TLS only for who has said that this is meant, and
// sends no password over the internet so.
func TestRelayInClear(t *testing.T) {
	f := newFixture(t)
	b := f.admin()
	b.get("/relays").has(t, "everybody on the way can then read")
	a := b.post("/relays/new", "host", "relay.example", "security", "none")
	if a.code != http.StatusUnprocessableEntity {
		t.Fatal(a.code)
	}
	a.has(t, `id="clear-error"`, "Without TLS everybody on the way can read the mail", `value="none" selected`)
	if a = b.post("/relays/new", "host", "relay.example", "security", "none", "clear", "on", "username", "u", "password", "secret-password"); a.code != http.StatusUnprocessableEntity {
		t.Fatal(a.code)
	}
	a.has(t, `id="security-error"`, "must not cross the internet in clear")
	b.follow("/relays/new", "host", "relay.example", "security", "none", "clear", "on").has(t, "In clear</span>", "Everybody on the way to this host")
}
