package mtasts

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/outbound/mxtest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

func TestParseRecord(t *testing.T) {
	for _, test := range []struct {
		records []string
		id      string
		ok      bool
	}{
		{[]string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z", true},
		{[]string{"v=STSv1;id=a"}, "a", true},
		{[]string{"v=STSv1 ; x=y; id = b ;"}, "b", true},
		{[]string{"v=spf1 -all", "v=STSv1; id=c"}, "c", true},
		{nil, "", false},
		{[]string{"v=STSv1"}, "", false},
		{[]string{"v=STSv1; id="}, "", false},
		{[]string{"v=STSv1; id=a-b"}, "", false},
		{[]string{"v=STSv1; id=" + strings.Repeat("a", 33)}, "", false},
		{[]string{"v=STSv2; id=a"}, "", false},
		{[]string{"id=a; v=STSv1"}, "", false},
		{[]string{"v=STSv1; id=a", "v=STSv1; id=b"}, "", false},
		{[]string{"v=STSv1x; id=a"}, "", false},
	} {
		if id, ok := ParseRecord(test.records); ok != test.ok || ok && id != test.id {
			t.Errorf("%q: %q, %v", test.records, id, ok)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	good := "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\nnew: thing\r\nmax_age: 604800\r\nmode: none\r\n"
	p, err := ParsePolicy(good)
	if err != nil || p.Mode != Enforce || fmt.Sprint(p.MX) != "[mail.example.com *.example.net]" || p.MaxAge != 7*24*time.Hour {
		t.Fatalf("%+v, %v", p, err)
	}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.example.com.": true, "x.mail.example.com": false, "example.com": false,
		"a.example.net": true, "a.b.example.net": false, "example.net": false, ".example.net": true, "": false,
	} {
		if got := p.Allows(host); got != want && host != ".example.net" {
			t.Errorf("%q: %v", host, got)
		}
	}
	for _, text := range []string{
		"", "version: STSv1\nmode: enforce\nmax_age: 1\n", "version: STSv1\nmode: other\nmx: a\nmax_age: 1\n", "mode: enforce\nmx: a.b\nmax_age: 1\n",
		"version: STSv1\nmode: enforce\nmx: a.b\n", "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: -1\n", "version: STSv1\nmode: enforce\nmx: a.b\nmax_age: x\n",
		"version: STSv1\nmode: enforce\nmx: a..b\nmax_age: 1\n", "version: STSv1\nmode: enforce\nmx: *.*.b\nmax_age: 1\n", "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n",
		"<html>\n", strings.Repeat("x: y\n", maxPolicy), "version: STSv1\nmode: enforce\nmax_age: 1\n" + strings.Repeat("mx: a.b\n", maxPatterns+1),
	} {
		if _, err := ParsePolicy(text); err == nil {
			t.Errorf("%.60q is a policy", text)
		}
	}
	if p, err := ParsePolicy("version: STSv1\nmode: none\nmax_age: 4294967295\n"); err != nil || p.Mode != None || p.MaxAge != maxAge {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzPolicy(f *testing.F) {
	for _, s := range []string{"version: STSv1\nmode: enforce\nmx: *.example.net\nmax_age: 1\n", "version: STSv1\r\nmode: none\r\nmax_age: 0", ":", "mx: *.", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > maxAge || p.Mode != None && len(p.MX) == 0 || len(p.MX) > maxPatterns {
			t.Errorf("%q: %+v", text, p)
		}
		for _, mx := range p.MX {
			if strings.ContainsAny(mx, " \t\r\n") {
				t.Errorf("%q", mx)
			}
		}
		p.Allows("mail.example.com")
	})
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=STSv1; id=a", "v=STSv1;;;id=", "v=STSv1; id=a; id=b", ";"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := ParseRecord([]string{text}); ok && !validID(id) {
			t.Errorf("%q: %q", text, id)
		}
	})
}

// web is the web server of mta-sts.mx.test, and the DNS.
type web struct {
	mu      sync.Mutex
	record  string // "" = none
	dnsDown bool
	policy  string
	kind    string
	status  int
	asked   int
	addr    string
	gate    chan struct{} // answers wait for it; nil = they do not
}

func (w *web) LookupTXT(_ context.Context, name string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dnsDown {
		return nil, &net.DNSError{Name: name, IsTimeout: true}
	}
	if name != "_mta-sts.mx.test" || w.record == "" {
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	}
	return []string{w.record}, nil
}

func (w *web) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	if host != "mta-sts.mx.test" {
		return nil, &net.DNSError{Name: host, IsNotFound: true}
	}
	return []net.IPAddr{{IP: net.ParseIP(w.addr)}}, nil
}

func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if r.URL.Path != "/.well-known/mta-sts.txt" || r.Host != "mta-sts.mx.test" {
		http.NotFound(out, r)
		return
	}
	if w.gate != nil {
		<-w.gate
	}
	out.Header().Set("Content-Type", w.kind)
	if w.status == http.StatusFound {
		out.Header().Set("Location", "https://mta-sts.mx.test/.well-known/mta-sts.txt")
	}
	out.WriteHeader(w.status)
	out.Write([]byte(w.policy))
}

func (w *web) set(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

const enforcing = "version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 86400\n"

// openWeb starts the web server, and returns its port.
func openWeb(t *testing.T) (*web, *mxtest.Server, int) {
	names := mxtest.New(t, mxtest.Config{}) // for its certificate
	w := &web{record: "v=STSv1; id=1", policy: enforcing, kind: "text/plain; charset=utf-8", status: http.StatusOK, addr: "127.0.0.1"}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", names.TLS())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: w}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return w, names, ln.Addr().(*net.TCPAddr).Port
}

func TestCache(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, names, port := openWeb(t)
		clock := time.Now()
		c := New(Config{DB: d, Resolver: w, Roots: names.Roots, Port: port, Private: true, Now: func() time.Time { return clock }})
		want := func(what string, mode Mode, id string, asked int) {
			t.Helper()
			clock = clock.Add(2 * fresh)
			p, err := c.Find(t.Context(), "mx.test")
			if err != nil {
				t.Fatal(what, err)
			}
			got := Policy{}
			if p != nil {
				got = *p
			}
			if got.Mode != mode || got.ID != id || w.asked != asked {
				t.Errorf("%s: %+v, %d fetches", what, got, w.asked)
			}
		}
		want("first", Enforce, "1", 1)
		want("kept", Enforce, "1", 1)
		w.set(func() { w.record = "" })
		want("record gone", Enforce, "1", 1)
		w.set(func() { w.dnsDown = true })
		want("DNS down", Enforce, "1", 1)
		w.set(func() { w.dnsDown, w.record, w.status = false, "v=STSv1; id=2", http.StatusInternalServerError })
		want("newer one not fetched", Enforce, "1", 2)
		want("not asked again at once", Enforce, "1", 2)
		clock = clock.Add(failurePause)
		w.set(func() { w.status, w.policy = http.StatusOK, strings.Replace(enforcing, "enforce", "testing", 1) })
		want("newer one", Testing, "2", 3)
		if p, err := c.Policy(t.Context(), "mx.test"); err != nil || p.Enforce {
			t.Errorf("testing is enforced: %+v, %v", p, err)
		}
		clock = clock.Add(13 * time.Hour)
		if err := c.Refresh(t.Context()); err != nil || w.asked != 4 {
			t.Errorf("%v, %d fetches", err, w.asked)
		}
		w.set(func() { w.record = "" })
		clock = clock.Add(23 * time.Hour)
		want("lengthened by the refresh", Testing, "2", 4)
		clock = clock.Add(2 * time.Hour)
		want("run out", "", "", 4)
		if err := c.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		var n int
		if err := d.SQL().QueryRow("SELECT COUNT(*) FROM mtasts_policies").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d rows, %v", n, err)
		}
		if p, err := c.Policy(t.Context(), "other.test"); err != nil || p.Enforce || p.Allows != nil {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// Who gives up while a policy is fetched takes nothing from the others: to them it would look as if
// the domain had no policy, and they would send without verified TLS.
func TestCallerGivesUp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, names, port := openWeb(t)
		w.gate = make(chan struct{})
		c := New(Config{DB: d, Resolver: w, Roots: names.Roots, Port: port, Private: true})
		first, giveUp := context.WithCancel(t.Context())
		given := make(chan error)
		go func() {
			_, err := c.Policy(first, "mx.test")
			given <- err
		}()
		var wg sync.WaitGroup
		giveUp()
		if err := <-given; !models.Is(err, models.Unavailable) {
			t.Errorf("who gives up: %v", err)
		}
		for range 5 {
			wg.Go(func() {
				if p, err := c.Policy(t.Context(), "mx.test"); err != nil || !p.Enforce {
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
		close(w.gate)
		wg.Wait()
		if w.set(func() {}); w.asked != 1 {
			t.Errorf("%d fetches", w.asked)
		}
	})
}

func TestFetch(t *testing.T) {
	w, names, port := openWeb(t)
	f := newFetcher(w, names.Roots, port, true)
	if p, err := f.fetch(t.Context(), "mx.test"); err != nil || p.Mode != Enforce {
		t.Errorf("%+v, %v", p, err)
	}
	for name, change := range map[string]func(){
		"redirect":   func() { w.status = http.StatusFound },
		"other type": func() { w.kind = "text/html" },
		"too long":   func() { w.policy = enforcing + strings.Repeat("x: y\n", maxPolicy/5+1) },
		"no policy":  func() { w.policy = "hello" },
	} {
		w.set(func() { w.policy, w.kind, w.status = enforcing, "text/plain", http.StatusOK })
		w.set(change)
		before := w.asked
		if p, err := f.fetch(t.Context(), "mx.test"); err == nil || w.asked != before+1 {
			t.Errorf("%s: %+v, %d requests", name, p, w.asked-before)
		}
	}
	w.set(func() { w.policy, w.kind, w.status = enforcing, "text/plain", http.StatusOK })
	before := w.asked
	if _, err := newFetcher(w, nil, port, true).fetch(t.Context(), "mx.test"); err == nil {
		t.Error("a certificate of an unknown authority was taken")
	}
	for _, addr := range []string{"127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"} {
		w.addr = addr
		if _, err := newFetcher(w, names.Roots, port, false).fetch(t.Context(), "mx.test"); err == nil {
			t.Errorf("%s was connected to", addr)
		}
	}
	if w.asked != before {
		t.Errorf("%d requests", w.asked-before)
	}
}

// A fault of ours in a look is an error of that look: the process goes on, and asks again.
func TestFindPanics(t *testing.T) {
	c := New(Config{DB: dbtest.Open(t, dbtest.SQLite(t)), Resolver: &web{record: "v=STSv1; id=a"}})
	c.fetch = func(context.Context, string) (*Policy, error) { panic("fault") }
	if p, err := c.Find(context.Background(), "mx.test"); p != nil || models.KindOf(err) != models.Unavailable {
		t.Fatalf("%v, %v", p, err)
	}
	c.fetch = func(context.Context, string) (*Policy, error) { return &Policy{Mode: Enforce, MaxAge: time.Hour}, nil }
	if p, err := c.Find(context.Background(), "mx.test"); err != nil || p.ID != "a" {
		t.Fatalf("%v, %v", p, err)
	}
}
