package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// sort tells the two sorts of failure apart.
func sort(err error) string {
	var known *net.DNSError
	switch {
	case err == nil:
		return "found"
	case !errors.As(err, &known):
		return "foreign error"
	case known.IsNotFound && !known.IsTemporary && !known.IsTimeout:
		return "not found"
	case known.IsTemporary && !known.IsNotFound:
		return "temporary"
	}
	return fmt.Sprintf("unclear: %+v", known)
}

func fill(s *resolvertest.Server) {
	s.Set(
		"example.com MX 20 b.example.com.", "example.com MX 10 a.example.com.",
		`example.com TXT "v=spf1 " "a -all"`, `example.com TXT "back\\slash and \"quote\" \195\164"`,
		"example.com NS ns1.example.com.",
		"a.example.com A 192.0.2.1", "a.example.com AAAA 2001:db8::1",
		"b.example.com A 192.0.2.2",
		"null.example.com MX 0 .",
		"alias.example.com CNAME second.example.com.", "second.example.com CNAME a.example.com.",
		"dangling.example.com CNAME nowhere.example.com.",
		"loop.example.com CNAME loop2.example.com.", "loop2.example.com CNAME loop.example.com.",
		"1.2.0.192.in-addr.arpa PTR a.example.com.",
		"deep.below.example.com A 192.0.2.9",
		"*.wild.example.com TXT wild",
		`evil.example.com MX 10 evil\032name.example.com.`,
	)
	for _, name := range []string{"failing.example.com", "refused.example.com"} {
		s.Set(name+" A 192.0.2.7", name+" AAAA 2001:db8::7", name+" TXT x", name+" MX 1 a.example.com.")
	}
	s.Fail("failing.example.com", dns.RcodeServerFailure)
	s.Fail("refused.example.com", dns.RcodeRefused)
	s.Lame("lame.example.com")
}

func TestLookups(t *testing.T) {
	s := resolvertest.New(t)
	fill(s)
	r, ctx := s.Resolver(t), t.Context()
	mx := func(name string) (string, error) {
		all, err := r.LookupMX(ctx, name)
		out := ""
		for _, m := range all {
			out += fmt.Sprintf("%d %s ", m.Pref, m.Host)
		}
		return strings.TrimSpace(out), err
	}
	txt := func(name string) (string, error) {
		all, err := r.LookupTXT(ctx, name)
		slices.Sort(all)
		return strings.Join(all, "|"), err
	}
	ip := func(name string) (string, error) {
		all, err := r.LookupIPAddr(ctx, name)
		out := make([]string, len(all))
		for i, a := range all {
			out[i] = a.String()
		}
		return strings.Join(out, " "), err
	}
	ptr := func(name string) (string, error) {
		all, err := r.LookupAddr(ctx, name)
		return strings.Join(all, " "), err
	}
	ns := func(name string) (string, error) {
		all, err := r.LookupNS(ctx, name)
		if err != nil {
			return "", err
		}
		return all[0].Host, nil
	}
	cname := func(name string) (string, error) { return r.LookupCNAME(ctx, name) }
	tests := []struct {
		name   string
		lookup func(string) (string, error)
		of     string
		want   string
		sort   string
	}{
		{"mx sorted", mx, "example.com", "10 a.example.com. 20 b.example.com.", "found"},
		{"case and final dot", mx, "EXAMPLE.com.", "10 a.example.com. 20 b.example.com.", "found"},
		{"null mx", mx, "null.example.com", "0 .", "found"},
		{"mx no host", mx, "evil.example.com", "", "temporary"},
		{"texts joined and unescaped", txt, "example.com", `back\slash and "quote" ` + "ä" + `|v=spf1 a -all`, "found"},
		{"wildcard", txt, "x.y.wild.example.com", "wild", "found"},
		{"both families", ip, "a.example.com", "192.0.2.1 2001:db8::1", "found"},
		{"one family", ip, "b.example.com", "192.0.2.2", "found"},
		{"alias of alias", ip, "alias.example.com", "192.0.2.1 2001:db8::1", "found"},
		{"address itself", ip, "192.0.2.77", "192.0.2.77", "found"},
		{"localhost", ip, "LOCALHOST.", "127.0.0.1 ::1", "found"},
		{"reverse", ptr, "192.0.2.1", "a.example.com.", "found"},
		{"reverse of nothing", ptr, "192.0.2.99", "", "not found"},
		{"reverse of a name", ptr, "example.com", "", "not found"},
		{"name server", ns, "example.com", "ns1.example.com.", "found"},
		{"one step", cname, "alias.example.com", "second.example.com.", "found"},
		{"no alias", cname, "a.example.com", "", "not found"},
		{"no such name", txt, "nowhere.example.com", "", "not found"},
		{"no such type", txt, "a.example.com", "", "not found"},
		{"only names below", ip, "below.example.com", "", "not found"},
		{"alias to nothing", ip, "dangling.example.com", "", "not found"},
		{"aliases in a circle", ip, "loop.example.com", "", "temporary"},
		{"servfail", ip, "failing.example.com", "", "temporary"},
		{"servfail txt", txt, "failing.example.com", "", "temporary"},
		{"refused", mx, "refused.example.com", "", "temporary"},
		{"referral", txt, "lame.example.com", "", "temporary"},
		{"empty name", txt, "", "", "not found"},
		{"empty label", txt, "a..example.com", "", "not found"},
		{"long label", txt, strings.Repeat("a", 64) + ".example.com", "", "not found"},
		{"long name", txt, strings.Repeat("a.", 130) + "com", "", "not found"},
		{"odd bytes", txt, "a \\\"\x00\xff.example.com", "", "not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.lookup(tt.of)
			if got != tt.want || sort(err) != tt.sort {
				t.Fatalf("%q, %s (%v); want %q, %s", got, sort(err), err, tt.want, tt.sort)
			}
		})
	}
}

// One family that fails is no reason to lose the other, but never makes a host unknown.
func TestFamilyThatFails(t *testing.T) {
	s := resolvertest.New(t)
	s.Fail("half.example.com", dns.RcodeServerFailure)
	r := s.Resolver(t)
	if _, err := r.LookupNetIP(t.Context(), "ip6", "half.example.com"); sort(err) != "temporary" {
		t.Fatal(err)
	}
	if _, err := r.LookupIPAddr(t.Context(), "half.example.com"); sort(err) != "temporary" {
		t.Fatal(err)
	}
}

func TestSilenceIsTemporary(t *testing.T) {
	s := resolvertest.New(t)
	s.Silence("quiet.example.com")
	r, err := resolver.New(resolver.Config{Servers: []string{s.Addr()}, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.LookupTXT(t.Context(), "quiet.example.com")
	var known *net.DNSError
	if sort(err) != "temporary" || !errors.As(err, &known) || !known.IsTimeout {
		t.Fatalf("%+v", err)
	}
	if n := s.Asked("quiet.example.com"); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.LookupTXT(ctx, "quiet.example.com"); sort(err) != "temporary" {
		t.Fatal(err)
	}
}

func TestSecondServerHelps(t *testing.T) {
	bad, good := resolvertest.New(t), resolvertest.New(t)
	bad.Fail("*", dns.RcodeServerFailure)
	good.Set("example.com TXT here")
	r, err := resolver.New(resolver.Config{Servers: []string{bad.Addr(), good.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	if texts, err := r.LookupTXT(t.Context(), "example.com"); err != nil || texts[0] != "here" {
		t.Fatal(texts, err)
	}
}

// A server whose port nobody listens on is away, not empty.
func TestNobodyListens(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := packets.LocalAddr().String()
	packets.Close()
	r, err := resolver.New(resolver.Config{Servers: []string{addr}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.LookupTXT(t.Context(), "example.com"); sort(err) != "temporary" {
		t.Fatal(err)
	}
}

func TestLongAnswersComeByTCP(t *testing.T) {
	s := resolvertest.New(t)
	long := strings.Repeat("abcdefgh", 400)
	s.SetTXT("long.example.com", long)
	s.Set("cut.example.com TXT whole")
	s.Truncate("cut.example.com")
	r := s.Resolver(t)
	for name, want := range map[string]string{"long.example.com": long, "cut.example.com": "whole"} {
		texts, err := r.LookupTXT(t.Context(), name)
		if err != nil || len(texts) != 1 || texts[0] != want {
			t.Fatalf("%s: %d texts, %v", name, len(texts), err)
		}
		if n := s.Asked(name); n != 2 {
			t.Errorf("%s asked %d times, want 2", name, n)
		}
	}
}

func TestServerWithoutEDNS(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	old := dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		reply := new(dns.Msg).SetRcode(m, dns.RcodeFormatError)
		if m.IsEdns0() == nil {
			reply = new(dns.Msg).SetReply(m)
			rr, _ := dns.NewRR("example.com. 60 IN TXT old")
			reply.Answer = []dns.RR{rr}
		}
		_ = w.WriteMsg(reply)
	})
	started := make(chan struct{})
	server := &dns.Server{PacketConn: packets, Handler: old, NotifyStartedFunc: func() { close(started) }}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	r, err := resolver.New(resolver.Config{Servers: []string{packets.LocalAddr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	if texts, err := r.LookupTXT(t.Context(), "example.com"); err != nil || texts[0] != "old" {
		t.Fatal(texts, err)
	}
}

// Replies with another id or another question are somebody else's: they are passed over, and
// what they say of other names is not taken.
func TestForgedReplies(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	go func() {
		buf := make([]byte, 4096)
		n, from, err := packets.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dns.Msg
		if m.Unpack(buf[:n]) != nil {
			return
		}
		send := func(change func(*dns.Msg), text string) {
			reply := new(dns.Msg).SetReply(&m)
			rr, _ := dns.NewRR("example.com. 60 IN TXT " + text)
			other, _ := dns.NewRR("other.example.com. 60 IN TXT stray")
			reply.Answer = []dns.RR{other, rr}
			change(reply)
			b, _ := reply.Pack()
			_, _ = packets.WriteTo(b, from)
		}
		if elsewhere, err := net.ListenPacket("udp", "127.0.0.1:0"); err == nil { // RFC 5452, section 3: of the right form, from the wrong place
			defer elsewhere.Close()
			forged := new(dns.Msg).SetReply(&m)
			rr, _ := dns.NewRR("example.com. 60 IN TXT forged")
			forged.Answer = []dns.RR{rr}
			b, _ := forged.Pack()
			_, _ = elsewhere.WriteTo(b, from)
		}
		_, _ = packets.WriteTo([]byte("no dns"), from)
		send(func(r *dns.Msg) { r.Id++ }, "forged")
		send(func(r *dns.Msg) { r.Question[0].Qtype = dns.TypeMX }, "forged")
		send(func(r *dns.Msg) { r.Response = false }, "forged")
		send(func(*dns.Msg) {}, "true")
	}()
	r, err := resolver.New(resolver.Config{Servers: []string{packets.LocalAddr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	texts, err := r.LookupTXT(t.Context(), "example.com")
	if err != nil || len(texts) != 1 || texts[0] != "true" {
		t.Fatal(texts, err)
	}
}

func TestCache(t *testing.T) {
	s := resolvertest.New(t)
	s.Set("kept.example.com 30 TXT one", "week.example.com 604800 TXT one", "zero.example.com 0 TXT one")
	s.Fail("failing.example.com", dns.RcodeServerFailure)
	now := time.Unix(1000, 0)
	r, err := resolver.New(resolver.Config{Servers: []string{s.Addr()}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		after time.Duration
		asked map[string]int
	}{
		{0, map[string]int{"kept.example.com": 1, "week.example.com": 1, "zero.example.com": 1, "none.example.com": 1, "failing.example.com": 2}},
		{29 * time.Second, map[string]int{"kept.example.com": 1, "week.example.com": 1, "zero.example.com": 2, "none.example.com": 1, "failing.example.com": 4}},
		{time.Second, map[string]int{"kept.example.com": 2, "week.example.com": 1, "none.example.com": 2}},
		{time.Hour, map[string]int{"week.example.com": 2}},
	}
	for i, step := range steps {
		now = now.Add(step.after)
		for name, want := range step.asked {
			_, _ = r.LookupTXT(t.Context(), name)
			if n := s.Asked(name); n != want {
				t.Errorf("step %d: %s asked %d times, want %d", i, name, n, want)
			}
		}
	}
	r.Forget()
	_, _ = r.LookupTXT(t.Context(), "week.example.com")
	if n := s.Asked("week.example.com"); n != 3 {
		t.Errorf("asked %d times after Forget, want 3", n)
	}
}

// Whatever is asked for, the cache stays within its size.
func TestCacheIsBounded(t *testing.T) {
	s := resolvertest.New(t)
	s.Set("*.example.com TXT text")
	r, err := resolver.New(resolver.Config{Servers: []string{s.Addr()}, Cache: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := r.LookupTXT(t.Context(), fmt.Sprintf("n%d.example.com", i)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"n0.example.com": 2, "n49.example.com": 1} {
		_, _ = r.LookupTXT(t.Context(), name)
		if n := s.Asked(name); n != want {
			t.Errorf("%s asked %d times, want %d", name, n, want)
		}
	}
}

func TestAuthenticatedBit(t *testing.T) {
	s := resolvertest.New(t)
	s.Set("example.com TXT x", "alias.example.com CNAME example.com.")
	for _, on := range []bool{false, true} {
		s.Validate(on)
		a, err := s.Resolver(t).Lookup(t.Context(), "alias.example.com", dns.TypeTXT)
		if err != nil || a.Authenticated != on || a.Name != "example.com." || a.TTL != time.Minute {
			t.Fatalf("%+v, %v", a, err)
		}
	}
}

func TestAuthoritativeServers(t *testing.T) {
	s := resolvertest.New(t)
	auth := s.Authoritative(t, "127.0.0.2", "example.com")
	auth.Set("example.com TXT there")
	if netip.MustParseAddrPort(auth.Addr()).Port() != netip.MustParseAddrPort(s.Addr()).Port() {
		t.Fatal("another port")
	}
	m := new(dns.Msg)
	m.SetQuestion("example.com.", dns.TypeTXT)
	reply, err := s.Resolver(t).Exchange(t.Context(), auth.Addr(), m)
	if err != nil || !reply.Authoritative || len(reply.Answer) != 1 {
		t.Fatal(reply, err)
	}
	m.SetQuestion("example.org.", dns.TypeTXT)
	if reply, err = s.Resolver(t).Exchange(t.Context(), auth.Addr(), m); err != nil || reply.Rcode != dns.RcodeRefused {
		t.Fatal(reply, err)
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	for _, server := range []string{"", "dns.example.com", "192.0.2.1", "192.0.2.1:dns", "[::1]"} {
		if _, err := resolver.New(resolver.Config{Servers: []string{server}}); err == nil {
			t.Errorf("%q was taken", server)
		}
	}
}
