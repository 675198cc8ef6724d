package outbound

import (
	"encoding/base64"
	"strings"

	"github.com/postchi/postchi/models"
)

// login logs in to a relay (RFC 4954), by PLAIN or else LOGIN, over TLS only; in clear only where
// the relay is named as one inside and was reached there.
func (s *session) login(relay *Relay) *fault {
	inside := models.InnerHost(relay.Host) && models.InnerHost(s.addr.Addr().String())
	if s.tls == "" && !(relay.Security == SecurityNone && inside) {
		return temporary(ReasonLogin, "4.7.11", "the relay wants a log-in, and the connection to it is in clear")
	}
	offered := strings.Fields(strings.ToUpper(s.ext["AUTH"]))
	has := func(mechanism string) bool {
		for _, m := range offered {
			if m == mechanism {
				return true
			}
		}
		return false
	}
	encode := base64.StdEncoding.EncodeToString
	switch {
	case has("PLAIN"):
		return loggedIn(s.command("logging in to the relay", "AUTH PLAIN %s", encode([]byte("\x00"+relay.Username+"\x00"+relay.Password))))
	case has("LOGIN"):
		for _, line := range []string{"AUTH LOGIN", encode([]byte(relay.Username))} {
			answer, f := s.command("logging in to the relay", line)
			if f != nil {
				return f
			}
			if answer.code != 334 {
				return loggedIn(answer, nil)
			}
		}
		return loggedIn(s.command("logging in to the relay", "%s", encode([]byte(relay.Password))))
	}
	return temporary(ReasonLogin, "4.7.0", "the relay offers no way to log in that is known here (PLAIN, LOGIN)")
}

// loggedIn takes a refused log-in for temporary: the password can be set right.
func loggedIn(answer *reply, f *fault) *fault {
	if f != nil || answer.class() == 2 {
		return f
	}
	f = replied(answer)
	f.status, f.reason = Deferred, ReasonLogin
	return f
}
