package outbound

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/outbound/mxtest"
)

// zone is a DNS for tests: "NAME" → addresses, "mx:NAME" → hosts with preference.
type zone struct {
	mx    map[string][]*net.MX
	addrs map[string][]string
	fail  map[string]bool // names whose look-up is a temporary failure
}

func (z *zone) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if z.fail["mx:"+name] {
		return nil, &net.DNSError{Name: name, IsTemporary: true}
	}
	if mx := z.mx[name]; mx != nil {
		return mx, nil
	}
	return nil, &net.DNSError{Name: name, IsNotFound: true}
}

func (z *zone) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	if z.fail[host] {
		return nil, &net.DNSError{Name: host, IsTimeout: true}
	}
	var out []net.IPAddr
	for _, a := range z.addrs[host] {
		out = append(out, net.IPAddr{IP: net.ParseIP(a)})
	}
	if out == nil {
		return nil, &net.DNSError{Name: host, IsNotFound: true}
	}
	return out, nil
}

// to is a zone whose domain there.example is served by mx.test at an address.
func to(addr string) *zone {
	return &zone{mx: map[string][]*net.MX{"there.example": {{Host: "mx.test.", Pref: 10}}}, addrs: map[string][]string{"mx.test": {addr}}}
}

const text = "From: <a@ours.example>\r\nSubject: hello\r\n\r\n.dot\r\n..dots\r\nend"

func message(to ...string) *Message {
	m := &Message{Domain: "there.example", Sender: "a@ours.example", Prefix: []byte("X-Prefix: 1\r\n"), Body: strings.NewReader(text), Size: int64(len(text))}
	for _, a := range to {
		m.Recipients = append(m.Recipients, Recipient{Address: a})
	}
	return m
}

// quick are time-outs for tests.
var quick = Timeouts{Connect: 2 * time.Second, Greeting: 400 * time.Millisecond, Command: 400 * time.Millisecond, Data: 400 * time.Millisecond, Block: time.Second, Final: 400 * time.Millisecond,
	Quit: 50 * time.Millisecond, Idle: time.Second, DNS: time.Second}

func client(t testing.TB, c Config) *Client {
	c.Hostname, c.Private = "mail.ours.example", true
	if c.Timeouts == (Timeouts{}) {
		c.Timeouts = quick
		c.Timeouts.Greeting, c.Timeouts.Command, c.Timeouts.Data, c.Timeouts.Final = 5*time.Second, 5*time.Second, 5*time.Second, 5*time.Second
	}
	cl := New(c)
	t.Cleanup(cl.Close)
	return cl
}

func TestSend(t *testing.T) {
	for _, extensions := range [][]string{nil, {"SIZE"}, {"pipelining", "dsn", "8bitmime"}} {
		mx := mxtest.New(t, mxtest.Config{Extensions: extensions})
		c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
		m := message("x@there.example", `"y z"@there.example`)
		m.Ret, m.EnvID, m.Recipients[0].Notify, m.Recipients[0].Original = "HDRS", "a+b c", "SUCCESS,FAILURE", "rfc822;x=y@there.example"
		a := c.Send(t.Context(), m)
		for i, r := range a.Results {
			if r.Status != Delivered || r.Code != 250 || r.Host != "mx.test" || r.Remote != "127.0.0.1" || r.TLS != "TLS1.3 opportunistic" || r.DSN != slices.Contains(extensions, "dsn") {
				t.Errorf("%v: recipient %d: %+v", extensions, i, r)
			}
		}
		got := mx.Messages()
		if len(got) != 1 || string(got[0].Data) != "X-Prefix: 1\r\nFrom: <a@ours.example>\r\nSubject: hello\r\n\r\n..dot\r\n...dots\r\nend\r\n" || !got[0].TLS || got[0].Helo != "mail.ours.example" {
			t.Fatalf("%v: got %+v", extensions, got)
		}
		if slices.Contains(extensions, "dsn") {
			if got[0].Mail != "FROM:<a@ours.example> RET=HDRS ENVID=a+2Bb+20c" || got[0].Rcpt[0] != "RCPT TO:<x@there.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+3Dy@there.example" {
				t.Errorf("with DSN: %q %q", got[0].Mail, got[0].Rcpt)
			}
		}
		if got[0].Rcpt[1] != `RCPT TO:<"y z"@there.example>` {
			t.Errorf("%q", got[0].Rcpt)
		}
	}
}

func TestReuse(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port(), Reuse: 3})
	for i := range 4 {
		a := c.Send(t.Context(), message("x@there.example"))
		if a.Results[0].Status != Delivered || a.Reused != (i%3 != 0) {
			t.Errorf("message %d: %+v", i, a)
		}
	}
	if n := mx.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestReuseOfClosed sends over a connection that the other side has closed meanwhile.
func TestReuseOfClosed(t *testing.T) {
	mails := 0
	mx := mxtest.New(t, mxtest.Config{Script: func(stage, _ string) string {
		if stage == mxtest.Mail {
			if mails++; mails == 2 {
				return mxtest.Drop
			}
		}
		return ""
	}})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	for range 2 {
		if a := c.Send(t.Context(), message("x@there.example")); a.Results[0].Status != Delivered {
			t.Errorf("%+v", a)
		}
	}
	if mx.Connections() != 2 || len(mx.Messages()) != 2 {
		t.Errorf("%d connections, %d messages", mx.Connections(), len(mx.Messages()))
	}
}

// at answers a stage with a text.
func at(stage, answer string) mxtest.Script {
	return func(s, _ string) string {
		if s == stage {
			return answer
		}
		return ""
	}
}

func TestRefusals(t *testing.T) {
	stages := []string{mxtest.Connect, mxtest.Mail, mxtest.Rcpt, mxtest.Data, mxtest.End}
	for _, pipelined := range []bool{true, false} {
		extensions := []string{"ENHANCEDSTATUSCODES"}
		if pipelined {
			extensions = append(extensions, "PIPELINING")
		}
		for _, stage := range stages {
			for _, test := range []struct {
				answer string
				want   Status
				reason string
			}{
				{"451 4.7.1 later", Deferred, "451 4.7.1"},
				{"421 4.3.2 going", Deferred, "421 4.3.2"},
				{"554 5.7.1 never", Failed, "554 5.7.1"},
				{"550 never", Failed, "550"},
				{mxtest.Drop, Deferred, ReasonLost},
				{mxtest.Hang, Deferred, ReasonTimeout},
				{"what is this", Deferred, ReasonProtocol},
			} {
				mx := mxtest.New(t, mxtest.Config{Extensions: extensions, NoTLS: true, Script: at(stage, test.answer)})
				var limits Timeouts // long ones, unless they are what is tested
				if test.answer == mxtest.Hang {
					limits = quick
				}
				c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port(), Timeouts: limits})
				a := c.Send(t.Context(), message("x@there.example", "y@there.example"))
				for i, r := range a.Results {
					if r.Status != test.want || r.Reason != test.reason || r.Host != "mx.test" {
						t.Errorf("pipelined %v, %s, %q: recipient %d: %+v", pipelined, stage, test.answer, i, r)
					}
				}
				if a.Unreached != (stage == mxtest.Connect || stage == mxtest.Mail && a.Results[0].Code == 0) {
					t.Errorf("pipelined %v, %s, %q: unreached %v", pipelined, stage, test.answer, a.Unreached)
				}
				if n := mx.Count(); n != 0 {
					t.Errorf("%s %q: %d messages", stage, test.answer, n)
				}
				mx.Close()
			}
		}
	}
}

// TestEachRecipient has a host that tells recipients apart.
func TestEachRecipient(t *testing.T) {
	for _, extensions := range [][]string{{"PIPELINING"}, {"SIZE"}} {
		taken := 0
		mx := mxtest.New(t, mxtest.Config{Extensions: extensions, Script: func(stage, line string) string {
			switch {
			case stage == mxtest.Mail:
				taken = 0
			case stage == mxtest.Rcpt && strings.Contains(line, "unknown"):
				return "550 5.1.1 no such user"
			case stage == mxtest.Rcpt && strings.Contains(line, "full"):
				return "452 4.2.2 mailbox full"
			case stage == mxtest.Rcpt:
				if taken++; taken > 2 {
					return "452 4.5.3 too many recipients"
				}
			}
			return ""
		}})
		c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
		a := c.Send(t.Context(), message("a@there.example", "unknown@there.example", "b@there.example", "full@there.example", "c@there.example"))
		want := []Status{Delivered, Failed, Delivered, Deferred, Delivered}
		for i, r := range a.Results {
			if r.Status != want[i] {
				t.Errorf("%v: recipient %d: %+v", extensions, i, r)
			}
		}
		if a.Results[1].Enhanced != "5.1.1" || a.Results[1].Text != "no such user" || a.Results[3].Reason != "452 4.2.2" {
			t.Errorf("%+v", a.Results)
		}
		got := mx.Messages()
		if len(got) != 2 || !slices.Equal(got[0].To, []string{"a@there.example", "b@there.example"}) || !slices.Equal(got[1].To, []string{"c@there.example"}) || got[0].Conn != got[1].Conn {
			t.Errorf("%v: got %+v", extensions, got)
		}
		// The session is in step afterwards, also when nobody was accepted.
		for range 2 {
			if a := c.Send(t.Context(), message("unknown@there.example")); a.Results[0].Status != Failed || !a.Reused {
				t.Errorf("%+v", a)
			}
		}
	}
}

func TestNextHost(t *testing.T) {
	bad := mxtest.New(t, mxtest.Config{Script: at(mxtest.Connect, "554 5.3.2 not here")})
	good := mxtest.New(t, mxtest.Config{Addr: "127.0.0.2:" + bad.Addr().String()[len("127.0.0.1:"):]})
	z := &zone{
		mx: map[string][]*net.MX{"there.example": {
			{Host: "good.test.", Pref: 40}, {Host: "bad.test.", Pref: 10}, {Host: "nothing.test.", Pref: 20}, {Host: "silent.test.", Pref: 30},
		}},
		addrs: map[string][]string{"bad.test": {"127.0.0.1"}, "silent.test": {"127.0.0.3"}, "good.test": {"127.0.0.2"}},
	}
	c := client(t, Config{Resolver: z, Port: bad.Port()})
	a := c.Send(t.Context(), message("x@there.example"))
	if a.Results[0].Status != Delivered || a.Results[0].Host != "good.test" || bad.Connections() != 1 || good.Count() != 1 {
		t.Errorf("%+v, %d and %d connections, %d messages", a, bad.Connections(), good.Connections(), good.Count())
	}
	// What refused a connection is not asked again at once.
	z.addrs["good.test"] = []string{"127.0.0.3"}
	c.pool.close()
	if a := c.Send(t.Context(), message("x@there.example")); a.Results[0].Status != Deferred || a.Results[0].Reason != ReasonConnect || !a.Unreached {
		t.Errorf("%+v", a)
	}
}

func TestDestinations(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	z := &zone{
		mx: map[string][]*net.MX{
			"null.example": {{Host: ".", Pref: 0}}, "self.example": {{Host: "Mail.Ours.Example.", Pref: 10}, {Host: "worse.test.", Pref: 20}},
			"own.example": {{Host: "own.test.", Pref: 10}}, "backup.example": {{Host: "mx.test.", Pref: 5}, {Host: "mail.ours.example.", Pref: 10}},
			"gone.example": {{Host: "gone.test.", Pref: 10}}, "tempa.example": {{Host: "temp.test.", Pref: 10}}, "private.example": {{Host: "mx.test.", Pref: 1}},
		},
		addrs: map[string][]string{"mx.test": {"127.0.0.1"}, "own.test": {"127.0.0.9"}, "implicit.example": {"127.0.0.1"}, "temp.example": {"127.0.0.1"}},
		fail:  map[string]bool{"mx:temp.example": true, "temp.test": true},
	}
	own := []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), uint16(mx.Port()))}
	for domain, want := range map[string]Result{
		"null.example":     {Status: Failed, Enhanced: "5.1.10", Reason: ReasonNullMX},
		"self.example":     {Status: Failed, Enhanced: "5.4.6", Reason: ReasonLoop},
		"own.example":      {Status: Failed, Enhanced: "5.4.6", Reason: ReasonLoop},
		"backup.example":   {Status: Delivered, Enhanced: "2.0.0"},
		"implicit.example": {Status: Delivered, Enhanced: "2.0.0"},
		"temp.example":     {Status: Deferred, Enhanced: "4.4.3", Reason: ReasonDNS},
		"tempa.example":    {Status: Deferred, Enhanced: "4.4.3", Reason: ReasonDNS},
		"nowhere.example":  {Status: Failed, Enhanced: "5.1.2", Reason: ReasonNoDomain},
		"gone.example":     {Status: Failed, Enhanced: "5.4.4", Reason: ReasonNoHost},
		"[127.0.0.1]":      {Status: Failed, Enhanced: "5.1.2", Reason: ReasonLiteral},
	} {
		c := client(t, Config{Resolver: z, Port: mx.Port(), Own: own})
		m := message("x@" + domain)
		m.Domain = domain
		if r := c.Send(t.Context(), m).Results[0]; r.Status != want.Status || r.Enhanced != want.Enhanced || r.Reason != want.Reason {
			t.Errorf("%s: %+v", domain, r)
		}
	}
	c := New(Config{Resolver: z, Hostname: "mail.ours.example", Port: mx.Port()})
	m := message("x@private.example")
	m.Domain = "private.example"
	if r := c.Send(t.Context(), m).Results[0]; r.Reason != ReasonPrivate || mx.Connections() != 2 {
		t.Errorf("loopback without being allowed: %+v, %d connections", r, mx.Connections())
	}
}

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "2001:4860:4860::8888": true, "10.1.2.3": false, "127.0.0.1": false, "::1": false, "169.254.169.254": false, "fe80::1": false, "fd00::1": false,
		"192.168.0.1": false, "172.16.5.5": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
		"::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::808:808": true,
	} {
		if got := Public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestTLS(t *testing.T) {
	type wants struct {
		status Status
		tls    string
		reason string
	}
	enforce := Policy{Name: "mta-sts", Enforce: true, Allows: func(h string) bool { return h == "mx.test" }}
	for name, test := range map[string]struct {
		mx     mxtest.Config
		policy Policy
		roots  bool
		want   wants
	}{
		"not offered":                 {mx: mxtest.Config{NoTLS: true}, want: wants{Delivered, "clear", ""}},
		"refused":                     {mx: mxtest.Config{Script: at(mxtest.StartTLS, "454 4.7.0 no")}, want: wants{Delivered, "clear, TLS refused", ""}},
		"handshake fails":             {mx: mxtest.Config{BadTLS: true}, want: wants{Delivered, "clear, TLS failed", ""}},
		"verified":                    {policy: enforce, roots: true, want: wants{Delivered, "TLS1.3 mta-sts", ""}},
		"demanded, other authority":   {policy: enforce, want: wants{Deferred, "", ReasonTLS}},
		"demanded, other name":        {mx: mxtest.Config{Name: "other.test"}, policy: enforce, roots: true, want: wants{Deferred, "", ReasonTLS}},
		"demanded, not offered":       {mx: mxtest.Config{NoTLS: true}, policy: enforce, roots: true, want: wants{Deferred, "", ReasonTLS}},
		"demanded, refused":           {mx: mxtest.Config{Script: at(mxtest.StartTLS, "554 no")}, policy: enforce, roots: true, want: wants{Deferred, "", ReasonTLS}},
		"demanded, handshake fails":   {mx: mxtest.Config{BadTLS: true}, policy: enforce, roots: true, want: wants{Deferred, "", ReasonTLS}},
		"host not in the policy":      {policy: Policy{Name: "mta-sts", Enforce: true, Allows: func(string) bool { return false }}, roots: true, want: wants{Deferred, "", ReasonTLS}},
		"response injected":           {mx: mxtest.Config{Injected: "250-mx.test\r\n250 AUTH PLAIN\r\n"}, want: wants{Deferred, "", ReasonProtocol}},
		"response injected, demanded": {mx: mxtest.Config{Injected: "250 mx.test\r\n"}, policy: enforce, roots: true, want: wants{Deferred, "", ReasonProtocol}},
	} {
		t.Run(name, func(t *testing.T) {
			mx := mxtest.New(t, test.mx)
			var roots *x509.CertPool = x509.NewCertPool()
			if test.roots {
				roots = mx.Roots
			}
			c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port(), Roots: roots, Policies: fixed(test.policy)})
			r := c.Send(t.Context(), message("x@there.example")).Results[0]
			if r.Status != test.want.status || r.TLS != test.want.tls || r.Reason != test.want.reason {
				t.Errorf("%+v", r)
			}
			if r.Status != Delivered && mx.Count() > 0 {
				t.Error("something was sent")
			}
		})
	}
}

type fixed Policy

func (f fixed) Policy(context.Context, string) (Policy, error) { return Policy(f), nil }

func TestRelay(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{Extensions: []string{"AUTH LOGIN PLAIN"}})
	z := &zone{addrs: map[string][]string{"mx.test": {"127.0.0.1"}, "127.0.0.1": {"127.0.0.1"}}}
	for _, test := range []struct {
		relay  Relay
		status Status
		reason string
		auth   string
	}{
		{Relay{Security: SecurityStartTLS, Username: "u", Password: "p"}, Delivered, "", "AUTH PLAIN AHUAcA=="},
		{Relay{Security: SecurityNone}, Delivered, "", ""},
		{Relay{Security: SecurityNone, Username: "u", Password: "p"}, Deferred, ReasonLogin, ""},
		{Relay{Host: "127.0.0.1", Security: SecurityNone, Username: "u", Password: "p"}, Delivered, "", "AUTH PLAIN AHUAcA=="},
	} {
		if test.relay.Port = mx.Port(); test.relay.Host == "" {
			test.relay.Host = "mx.test"
		}
		before := len(mx.Commands())
		c := client(t, Config{Resolver: z, Port: 1, Roots: mx.Roots})
		m := message("x@there.example")
		m.Route = Route{Relay: &test.relay, Source: netip.MustParseAddr("127.0.0.7")}
		r := c.Send(t.Context(), m).Results[0]
		if r.Status != test.status || r.Reason != test.reason {
			t.Errorf("%+v: %+v", test.relay, r)
		}
		auth := ""
		for _, line := range mx.Commands()[before:] {
			if strings.HasPrefix(line, "AUTH") {
				auth = line
			}
		}
		if auth != test.auth {
			t.Errorf("%+v: %q", test.relay, auth)
		}
	}
}

// TestRelayOfTwo has two tenants with the same user name at a relay, of whom one knows the password:
// the other's mail does not go over the connection that is logged in.
func TestRelayOfTwo(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{Extensions: []string{"AUTH LOGIN PLAIN"}, Script: func(stage, line string) string {
		if stage == mxtest.Auth && !strings.HasSuffix(line, "AHUAcA==") {
			return "535 5.7.8 no"
		}
		return ""
	}})
	c := client(t, Config{Resolver: &zone{addrs: map[string][]string{"mx.test": {"127.0.0.1"}}}, Roots: mx.Roots})
	for i, password := range []string{"p", "q", "p"} {
		m := message("x@there.example")
		m.Route.Relay = &Relay{Host: "mx.test", Port: mx.Port(), Security: SecurityStartTLS, Username: "u", Password: password}
		if r := c.Send(t.Context(), m).Results[0]; (r.Status == Delivered) != (password == "p") || password == "q" && r.Reason != ReasonLogin {
			t.Errorf("message %d: %+v", i, r)
		}
	}
	if n := mx.Count(); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// TestForeignSource sends from an address that this machine has not: that says nothing of the host.
func TestForeignSource(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	m := message("x@there.example")
	m.Route.Source = netip.MustParseAddr("192.0.2.77")
	a := c.Send(t.Context(), m)
	if r := a.Results[0]; r.Status != Deferred || r.Reason != ReasonRoute || a.Unreached {
		t.Errorf("%+v", a)
	}
	if r := c.Send(t.Context(), message("x@there.example")).Results[0]; r.Status != Delivered {
		t.Errorf("%+v", r)
	}
}

// TestLongAnswers takes the code of answers that say more than they should: a message that the host
// has is not sent again for its many words.
func TestLongAnswers(t *testing.T) {
	many := strings.Repeat("250-2.0.0 taken\r\n", 200)
	for _, test := range []struct {
		stage, answer string
		want          Status
		reason        string
	}{
		{mxtest.End, "250 2.0.0 " + strings.Repeat("y", 2100), Delivered, ""},
		{mxtest.End, many + "250 2.0.0 taken", Delivered, ""},
		{mxtest.End, strings.TrimSuffix(strings.Repeat(many, 20), "\r\n"), Delivered, ""}, // and never an end
		{mxtest.End, "554 5.7.1 " + strings.Repeat("y", 5000), Failed, "554 5.7.1"},
		{mxtest.Mail, "250 2.1.0 " + strings.Repeat("y", 5000), Delivered, ""},
		{mxtest.Mail, "250 2.1.0 " + strings.Repeat("y", 70000), Deferred, ReasonProtocol},
	} {
		mx := mxtest.New(t, mxtest.Config{Extensions: []string{"ENHANCEDSTATUSCODES"}, NoTLS: true, Script: at(test.stage, test.answer)})
		c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
		if r := c.Send(t.Context(), message("x@there.example")).Results[0]; r.Status != test.want || r.Reason != test.reason || len(r.Text) > maxText+20 {
			t.Errorf("%s, %d bytes: %+v", test.stage, len(test.answer), r)
		}
		mx.Close()
	}
}

// TestGoingWhileIdle has a host that says 421 on a connection that waited: the message goes over
// another at once.
func TestGoingWhileIdle(t *testing.T) {
	first := true
	mx := mxtest.New(t, mxtest.Config{NoTLS: true, Script: func(stage, _ string) string {
		if stage == mxtest.End {
			first = false
			return ""
		}
		if stage == mxtest.Mail && !first {
			first = true
			return "421 4.4.2 idle for too long"
		}
		return ""
	}})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	for i := range 2 {
		if r := c.Send(t.Context(), message("x@there.example")).Results[0]; r.Status != Delivered {
			t.Errorf("message %d: %+v", i, r)
		}
	}
}

func TestHELO(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{Script: at(mxtest.EHLO, "550 5.5.1 never heard of it")})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	if r := c.Send(t.Context(), message("x@there.example")).Results[0]; r.Status != Delivered || len(mx.Messages()) != 1 || mx.Messages()[0].Mail != "FROM:<a@ours.example>" {
		t.Errorf("%+v", r)
	}
}

// TestHold gives an attempt up before the end of the data.
func TestHold(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	m := message("x@there.example")
	m.Hold = func() error { return errors.New("the claim is lost") }
	if r := c.Send(t.Context(), m).Results[0]; r.Status != Deferred || r.Reason != ReasonAbandoned || mx.Count() != 0 {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.Hold = func() error { cancel(); return nil }
	start := time.Now()
	r := c.Send(ctx, m).Results[0]
	if time.Since(start) > 30*time.Second {
		t.Errorf("%v after the end of the context: %+v", time.Since(start), r)
	}
}

// TestDamagedMessage ends without the end of the data when the message cannot be read.
func TestDamagedMessage(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	m := message("x@there.example")
	reads := 0
	m.Body = readerAt(func(p []byte, off int64) (int, error) {
		if reads++; reads > 2 && off > 0 || reads > 3 {
			return 0, errors.New("bad sector")
		}
		return strings.NewReader(text).ReadAt(p, off)
	})
	m.Size = int64(len(text)) + 10 // longer than it is: an unexpected end
	if r := c.Send(t.Context(), m).Results[0]; r.Status == Delivered || mx.Count() != 0 {
		t.Errorf("%+v", r)
	}
}

type readerAt func(p []byte, off int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func TestTooLarge(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{Extensions: []string{"SIZE 50"}})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	if r := c.Send(t.Context(), message("x@there.example")).Results[0]; r.Status != Failed || r.Enhanced != "5.3.4" || r.Reason != ReasonSize {
		t.Errorf("%+v", r)
	}
}

// TestSmuggling sends what might end the data in somebody's eyes.
func TestSmuggling(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	forms := []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r\n.\n", "\n.\r", "\r.\r\n", "\r\n.\r\n", "\r\r\n.\r\r\n", "\n\r.\n\r"}
	for _, form := range forms {
		body := "Subject: x\r\n\r\nbefore" + form + "MAIL FROM:<evil@evil.example>\r\nRCPT TO:<x@there.example>\r\nDATA\r\nSubject: smuggled" + form
		m := message("x@there.example")
		m.Prefix, m.Body, m.Size = nil, strings.NewReader(body), int64(len(body))
		before := mx.Count()
		if r := c.Send(t.Context(), m).Results[0]; r.Status != Delivered {
			t.Fatalf("%q: %+v", form, r)
		}
		got := mx.Messages()
		if len(got) != before+1 {
			t.Fatalf("%q: %d messages", form, len(got)-before)
		}
		data := got[before].Data
		if bytes.Contains(bytes.ReplaceAll(data, []byte("\r\n"), nil), []byte("\n")) || bytes.Contains(bytes.ReplaceAll(data, []byte("\r\n"), nil), []byte("\r")) || bytes.Contains(data, []byte("\r\n.\r\n")) {
			t.Errorf("%q: %q went over the wire", form, data)
		}
	}
	m := message("x@there.example>\r\nRCPT TO:<evil@there.example")
	if r := c.Send(t.Context(), m).Results[0]; r.Status == Delivered || mx.Count() != len(forms) {
		t.Errorf("%+v", r)
	}
}

// TestSlowBody has a host that stops taking the message.
func TestSlowBody(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{Extensions: []string{"PIPELINING"}, Script: at(mxtest.Body, mxtest.Hang), NoTLS: true})
	limits := quick
	limits.Block = 300 * time.Millisecond
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port(), Timeouts: limits})
	m := message("x@there.example")
	m.Body, m.Size = readerAt(func(p []byte, _ int64) (int, error) { return len(p), nil }), 24<<20
	start := time.Now()
	if r := c.Send(t.Context(), m).Results[0]; r.Status != Deferred || r.Reason != ReasonTimeout || time.Since(start) > time.Minute {
		t.Errorf("after %v: %+v", time.Since(start), r)
	}
}

// TestHangingHost takes a few connections and no more, and none for a while once it is known.
func TestHangingHost(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{Script: at(mxtest.Connect, mxtest.Hang)})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port(), Timeouts: quick})
	const senders = 20
	results := make(chan *Attempt, senders)
	for range senders {
		go func() { results <- c.Send(t.Context(), message("x@there.example")) }()
	}
	busy := 0
	for range senders {
		a := <-results
		if a.Busy {
			busy++
		} else if !a.Unreached || a.Results[0].Reason != ReasonTimeout {
			t.Errorf("%+v", a)
		}
	}
	if busy == 0 || mx.Connections() > unproven {
		t.Errorf("%d busy, %d connections", busy, mx.Connections())
	}
	before := mx.Connections()
	if a := c.Send(t.Context(), message("x@there.example")); !a.Unreached || mx.Connections() != before {
		t.Errorf("%+v, %d connections", a, mx.Connections()-before)
	}
	c.Forget()
	if c.Send(t.Context(), message("x@there.example")); mx.Connections() != before+1 {
		t.Errorf("not tried again when told to")
	}
}

func TestEightBit(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	c := client(t, Config{Resolver: to("127.0.0.1"), Port: mx.Port()})
	for _, body := range []string{"سلام", "plain"} {
		m := message("x@there.example")
		m.Body, m.Size = strings.NewReader(body), int64(len(body))
		c.Send(t.Context(), m)
	}
	got := mx.Messages()
	if len(got) != 2 || !strings.HasSuffix(got[0].Mail, " BODY=8BITMIME") || strings.Contains(got[1].Mail, "BODY") {
		t.Errorf("%+v", got)
	}
}

// TestSharedHost has domains that are served by one host: they share a connection. One of another
// name gives way where no more are allowed.
func TestSharedHost(t *testing.T) {
	mx := mxtest.New(t, mxtest.Config{})
	z := to("127.0.0.1")
	z.mx["other.example"] = z.mx["there.example"]
	z.mx["third.example"] = []*net.MX{{Host: "another.test.", Pref: 10}}
	z.addrs["another.test"] = z.addrs["mx.test"]
	c := client(t, Config{Resolver: z, Port: mx.Port(), PerHost: 1})
	for _, test := range []struct {
		domain      string
		reused      bool
		connections int
	}{{"there.example", false, 1}, {"other.example", true, 1}, {"there.example", true, 1}, {"third.example", false, 2}, {"third.example", true, 2}, {"other.example", false, 3}} {
		m := message("x@" + test.domain)
		m.Domain = test.domain
		a := c.Send(t.Context(), m)
		if a.Results[0].Status != Delivered || a.Reused != test.reused || mx.Connections() != test.connections {
			t.Errorf("%s: %+v, %d connections", test.domain, a, mx.Connections())
		}
	}
}
