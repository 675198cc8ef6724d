package filter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
	"github.com/postchi/postchi/mailserver/verify"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/address"
)

const text = "From: a@example.com\r\n\r\nSalam\r\n"

func message(remote string) *Message {
	return &Message{ID: "17", Remote: netip.MustParseAddr(remote), HELO: "mail.example.com", Sender: address.Address{Local: "a", Domain: "example.com"},
		Recipients: []string{"b@example.net", "c@example.net"}, Body: strings.NewReader(text), Size: int64(len(text)), Verify: &verify.Result{Host: "host.example.com"}}
}

// outcome prints a verdict.
func outcome(v Verdict, err error) string {
	switch {
	case err != nil:
		return "no opinion"
	case v.Refuse != nil:
		return "refuse " + v.Refuse.Kind.String()
	case v.Junk:
		return "junk"
	}
	return "fine"
}

func TestDNSBL(t *testing.T) {
	s := resolvertest.New(t)
	s.Set("2.0.0.127.bl.example.org A 127.0.0.2",
		"9.9.8.8.bl.example.org A 127.0.0.4", "9.9.8.8.bl.example.org A 127.0.0.11",
		"1.9.8.8.bl.example.org A 127.255.255.254",
		"2.9.8.8.bl.example.org A 192.0.2.1",
		"3.9.8.8.bl.example.org A 127.0.0.2", "3.9.8.8.bl.example.org A 127.255.255.255",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.8.4.1.0.0.2.bl.example.org A 127.0.0.3")
	s.Fail("4.9.8.8.bl.example.org", dns.RcodeServerFailure)
	tests := []struct{ remote, junk, refuse string }{
		{"8.8.9.9", "junk", "refuse denied"},
		{"::ffff:8.8.9.9", "junk", "refuse denied"},
		{"2001:4860::1", "junk", "refuse denied"},
		{"2001:4860::2", "fine", "fine"},
		{"8.8.8.8", "fine", "fine"},
		{"8.8.9.1", "no opinion", "no opinion"},
		{"8.8.9.2", "no opinion", "no opinion"},
		{"8.8.9.3", "no opinion", "no opinion"},
		{"8.8.9.4", "no opinion", "no opinion"},
		{"127.0.0.2", "fine", "fine"},
		{"10.0.0.1", "fine", "fine"},
		{"fe80::1", "fine", "fine"},
	}
	for _, tt := range tests {
		for action, want := range map[Action]string{ToJunk: tt.junk, ToRefuse: tt.refuse} {
			d := &DNSBL{Zone: "bl.example.org", Action: action, Resolver: s.Resolver(t)}
			if got := outcome(d.Check(t.Context(), message(tt.remote))); got != want {
				t.Errorf("%s: %s, want %s", tt.remote, got, want)
			}
		}
	}
	if s.Asked("1.0.0.10.bl.example.org") != 0 {
		t.Error("a private address was looked up")
	}
}

// fakeRspamd answers as it is told and keeps what it was asked.
func fakeRspamd(t *testing.T, status int, answer string) (*Rspamd, *http.Request, *string) {
	t.Helper()
	var seen http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen, body = *r.Clone(context.Background()), string(b)
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	r, err := NewRspamd(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return r, &seen, &body
}

func TestRspamdActions(t *testing.T) {
	tests := []struct {
		status       int
		answer, want string
	}{
		{200, `{"action":"no action","score":-0.5,"required_score":15}`, "fine"},
		{200, `{"action":"add header","score":7.25,"required_score":15,"symbols":{"BAYES_SPAM":{"score":5.1}}}`, "junk"},
		{200, `{"action":"rewrite subject","score":8}`, "junk"},
		{200, `{"action":"quarantine","score":8}`, "junk"},
		{200, `{"action":"reject","score":99}`, "refuse denied"},
		{200, `{"action":"discard","score":99}`, "refuse denied"},
		{200, `{"action":"soft reject","score":1}`, "refuse limited"},
		{200, `{"action":"greylist","score":4}`, "refuse limited"},
		{200, `{"is_skipped":true,"action":"no action"}`, "fine"},
		{200, `{"is_skipped":true,"action":"reject"}`, "refuse denied"},
		{200, `{"action":"launch","score":4}`, "no opinion"},
		{200, `{}`, "no opinion"},
		{200, `nonsense`, "no opinion"},
		{200, ``, "no opinion"},
		{200, `{"action":"reject","score":"high"}`, "no opinion"},
		{200, `{"action":"reject","pad":"` + strings.Repeat("x", maxAnswer) + `"}`, "no opinion"},
		{500, `{"action":"reject","score":99}`, "no opinion"},
		{302, `{"action":"reject","score":99}`, "no opinion"},
	}
	for _, tt := range tests {
		r, _, _ := fakeRspamd(t, tt.status, tt.answer)
		if got := outcome(r.Check(t.Context(), message("8.8.8.8"))); got != tt.want {
			t.Errorf("%d %.60s: %s, want %s", tt.status, tt.answer, got, tt.want)
		}
	}
}

func TestRspamdIsTold(t *testing.T) {
	r, seen, body := fakeRspamd(t, 200, `{"action":"add header","score":7.25,"required_score":15}`)
	m := message("::ffff:8.8.8.8")
	m.HELO = "evil\r\nIP: 1.2.3.4"
	v, err := r.Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if *body != text || seen.URL.Path != "/checkv2" || seen.ContentLength != int64(len(text)) {
		t.Errorf("%q to %s", *body, seen.URL)
	}
	for name, want := range map[string]string{"From": "a@example.com", "Rcpt": "b@example.net,c@example.net", "Ip": "8.8.8.8", "Helo": "evil??IP: 1.2.3.4", "Hostname": "host.example.com", "Queue-Id": "17"} {
		if got := strings.Join(seen.Header[name], ","); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if string(v.Fields) != "X-Spam-Status: Yes, score=7.25 required=15.00\r\n" || v.Summary != "rspamd=7.2" {
		t.Errorf("%q, %q", v.Fields, v.Summary)
	}
}

func TestRspamdRefusesOddAddresses(t *testing.T) {
	for _, s := range []string{"", "127.0.0.1:11333", "ftp://127.0.0.1", "http://"} {
		if _, err := NewRspamd(s); !models.Is(err, models.Invalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// fixed is a filter that always says the same.
type fixed struct {
	name    string
	verdict Verdict
	err     error
	hang    bool
	panics  bool
}

func (f fixed) Name() string { return f.name }

func (f fixed) Check(ctx context.Context, _ *Message) (Verdict, error) {
	if f.panics {
		panic("filter")
	}
	if f.hang {
		<-ctx.Done()
		return Verdict{}, ctx.Err()
	}
	return f.verdict, f.err
}

func TestChain(t *testing.T) {
	junk := fixed{name: "junk", verdict: Verdict{Junk: true, Fields: []byte("A: 1\r\n"), Summary: "junk=1"}}
	fine := fixed{name: "fine", verdict: Verdict{Fields: []byte("B: 2\r\n")}}
	never := fixed{name: "never", verdict: Verdict{Refuse: models.Errorf(models.Denied, "filter.spam", "Spam.")}}
	later := fixed{name: "later", verdict: Verdict{Refuse: models.Errorf(models.Limited, "filter.later", "Later.")}}
	broken, hangs, panics := fixed{name: "broken", err: errors.New("broken")}, fixed{name: "hangs", hang: true}, fixed{name: "panics", panics: true}
	open := func(f Filter) Entry { return Entry{Filter: f, Timeout: 20 * time.Millisecond} }
	closed := func(f Filter) Entry { return Entry{Filter: f, Timeout: 20 * time.Millisecond, Closed: true} }
	tests := []struct {
		name    string
		entries []Entry
		want    string
		summary string
	}{
		{"nobody", nil, "fine", ""},
		{"fine", []Entry{open(fine)}, "fine", ""},
		{"junk", []Entry{open(fine), open(junk)}, "junk", "junk=1"},
		{"refused", []Entry{open(junk), open(never)}, "refuse denied", "junk=1"},
		{"refused for good before for now", []Entry{open(later), open(never)}, "refuse denied", ""},
		{"refused for now", []Entry{open(later), open(junk)}, "refuse limited", "junk=1"},
		{"broken, open", []Entry{open(broken), open(junk)}, "junk", "broken=error junk=1"},
		{"hangs, open", []Entry{open(hangs)}, "fine", "hangs=error"},
		{"panics, open", []Entry{open(panics), open(fine)}, "fine", "panics=error"},
		{"broken, closed", []Entry{closed(broken), open(junk)}, "no opinion", "broken=error junk=1"},
		{"hangs, closed", []Entry{closed(hangs)}, "no opinion", "hangs=error"},
		{"panics, closed", []Entry{closed(panics)}, "no opinion", "panics=error"},
		{"broken, closed, but refused for good", []Entry{closed(broken), open(never)}, "refuse denied", "broken=error"},
		{"broken, closed, and refused for now", []Entry{closed(broken), open(later)}, "no opinion", "broken=error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := (&Chain{Entries: tt.entries}).Check(t.Context(), message("8.8.8.8"))
			if got := outcome(v, err); got != tt.want || v.Summary != tt.summary {
				t.Errorf("%s %q, want %s %q", got, v.Summary, tt.want, tt.summary)
			}
			if err != nil && !models.Is(err, models.Unavailable) {
				t.Error(err)
			}
		})
	}
	v, _ := (&Chain{Entries: []Entry{open(junk), open(fine)}}).Check(t.Context(), message("8.8.8.8"))
	if string(v.Fields) != "A: 1\r\nB: 2\r\n" {
		t.Errorf("%q", v.Fields)
	}
	if v, err := (*Chain)(nil).Check(t.Context(), message("8.8.8.8")); err != nil || v.Junk {
		t.Error(v, err)
	}
}

// A message is streamed, and rspamd may take its time only as long as it has.
func TestRspamdThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	r, err := NewRspamd(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	chain := Chain{Entries: []Entry{{Filter: r, Timeout: 30 * time.Millisecond}}}
	began := time.Now()
	v, err := chain.Check(t.Context(), message("8.8.8.8"))
	if outcome(v, err) != "fine" || v.Summary != "rspamd=error" || time.Since(began) > 5*time.Second {
		t.Errorf("%+v, %v after %v", v, err, time.Since(began))
	}
}
