package resolver_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver"
	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// slow is a server of its own that answers when it is told to, and counts.
type slow struct {
	addr    string
	asked   chan struct{} // one for each question
	release chan struct{} // closed to let all answer
}

func newSlow(t testing.TB) *slow {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slow{addr: packets.LocalAddr().String(), asked: make(chan struct{}, 1000), release: make(chan struct{})}
	server := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		s.asked <- struct{}{}
		select {
		case <-s.release:
		case <-t.Context().Done():
			return
		}
		reply := new(dns.Msg).SetReply(m)
		rr, _ := dns.NewRR(m.Question[0].Name + " 60 IN TXT text")
		reply.Answer = []dns.RR{rr}
		_ = w.WriteMsg(reply)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return s
}

func (s *slow) resolver(t testing.TB, cache int) *resolver.Resolver {
	t.Helper()
	r, err := resolver.New(resolver.Config{Servers: []string{s.addr}, Timeout: 10 * time.Second, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Many callers with the same question at once ask once; one who gives up, though he was the
// first, takes nothing from the others.
func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	s := newSlow(t)
	r := s.resolver(t, 0)
	first, giveUp := context.WithCancel(t.Context())
	given := make(chan error)
	go func() {
		_, err := r.LookupTXT(first, "example.com")
		given <- err
	}()
	<-s.asked
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if texts, err := r.LookupTXT(t.Context(), "EXAMPLE.com."); err != nil || len(texts) != 1 {
				t.Error(texts, err)
			}
		})
	}
	for range 10_000 { // until all of them are there
		if r.Waiting() == 101 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	giveUp()
	if err := <-given; sort(err) != "temporary" {
		t.Errorf("who gives up: %v", err)
	}
	close(s.release)
	wg.Wait()
	if _, err := r.LookupTXT(t.Context(), "example.com"); err != nil {
		t.Error(err)
	}
	if n := len(s.asked); n != 0 {
		t.Errorf("asked %d times more", n)
	}
}

// A question that nobody waits for is given up, and asked anew by who comes later.
func TestQuestionsThatNobodyWaitsFor(t *testing.T) {
	s := newSlow(t)
	r := s.resolver(t, -1)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := r.LookupTXT(ctx, "example.com")
			done <- err
		}()
		<-s.asked
		cancel()
		if err := <-done; sort(err) != "temporary" {
			t.Error(err)
		}
		if n := r.Waiting(); n != 0 {
			t.Errorf("%d wait", n)
		}
	}
	close(s.release)
	if _, err := r.LookupTXT(t.Context(), "example.com"); err != nil {
		t.Error(err)
	}
}

// Forget holds for what is under way too: its answer is not kept, and nobody new waits for it.
func TestForgetWhileAsking(t *testing.T) {
	s := newSlow(t)
	r := s.resolver(t, 0)
	done := make(chan error, 2)
	ask := func() {
		_, err := r.LookupTXT(t.Context(), "example.com")
		done <- err
	}
	go ask()
	<-s.asked
	r.Forget()
	go ask()
	<-s.asked // a second question
	close(s.release)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestExists(t *testing.T) {
	s := resolvertest.New(t)
	fill(s)
	s.Set("text.example.com TXT only")
	r, err := resolver.New(resolver.Config{Servers: []string{s.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a.example.com": "yes", "text.example.com": "yes", "null.example.com": "yes",
		"below.example.com":    "yes", // RFC 8020, section 3: there is a name below it
		"x.wild.example.com":   "yes",
		"dangling.example.com": "yes", // it is the other end of the alias that is not there
		"alias.example.com":    "yes",
		"nowhere.example.com":  "no", "a.nowhere.example.com": "no", "..": "no",
		"failing.example.com": "temporary", "lame.example.com": "temporary", "loop.example.com": "temporary",
	} {
		for range 2 { // from the server, and from the cache
			exists, err := r.Exists(t.Context(), name)
			got := map[bool]string{true: "yes", false: "no"}[exists]
			if err != nil {
				got = sort(err)
			}
			if got != want {
				t.Errorf("%s: %s (%v), want %s", name, got, err, want)
			}
		}
	}
}

// BenchmarkLookupKept is a look-up whose answer is known, on all cores.
func BenchmarkLookupKept(b *testing.B) {
	s := resolvertest.New(b)
	s.Set("example.com TXT text")
	r, err := resolver.New(resolver.Config{Servers: []string{s.Addr()}})
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.LookupTXT(b.Context(), "example.com"); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
