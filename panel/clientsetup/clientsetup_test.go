package clientsetup

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func dev() Input {
	return Input{Address: "sara@example.com", Server: Server{
		Host: "localhost", Trust: TrustTrial, CAFile: "data/ca.pem",
		Listeners: []Listener{
			{SMTP, StartTLS, 2587}, {POP3, StartTLS, 2110}, {SMTP, TLS, 2465}, {POP3, TLS, 2995},
		}}}
}

func TestGolden(t *testing.T) {
	s := New(dev())
	j, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"settings.txt": s.Text(English), "settings.json": string(j) + "\n"} {
		path := "testdata/" + name
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs:\n%s", name, got)
		}
	}
}

func TestOrder(t *testing.T) {
	in := dev()
	in.Listeners = append(in.Listeners, Listener{IMAP, StartTLS, 143}, Listener{IMAP, TLS, 993}, Listener{POP3, TLS, 2995})
	var got []string
	for _, l := range New(in).Lines {
		got = append(got, fmt.Sprint(l.ID(), l.Preferred))
	}
	want := []string{"imap-tlstrue", "imap-starttlsfalse", "pop3-tlsfalse", "pop3-starttlsfalse", "smtp-tlstrue", "smtp-starttlsfalse"}
	if !slices.Equal(got, want) {
		t.Fatal(got)
	}
}

func TestNothingIsOfferedUnderABrokenCertificate(t *testing.T) {
	in := dev()
	in.Trust = TrustBroken
	s := New(in)
	if len(s.Lines) != 0 || !s.Broken || !strings.Contains(s.Text(English), English.Broken) {
		t.Fatalf("%+v", s)
	}
}

// TestRenderingsAgree makes servers at random and reads every rendering back.
func TestRenderingsAgree(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		in := Input{Address: fmt.Sprintf("u%d@d%d.example", rnd.IntN(100), rnd.IntN(100)),
			Server: Server{Host: fmt.Sprintf("mail%d.example.net", rnd.IntN(100)), Trust: Trust(rnd.IntN(2)), CAFile: "data/ca.pem"}}
		for range rnd.IntN(8) {
			in.Listeners = append(in.Listeners, Listener{
				protocolOrder[rnd.IntN(3)], securityOrder[rnd.IntN(2)], 1 + rnd.IntN(65535)})
		}
		s := New(in)
		for _, l := range in.Listeners {
			if !slices.ContainsFunc(s.Lines, func(x Line) bool {
				return x.Protocol == l.Protocol && x.Security == l.Security && x.Port == l.Port
			}) {
				t.Fatalf("%v is missing in %+v", l, s)
			}
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Settings
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back.Lines, s.Lines) || back.Username != in.Address || back.ImportCA != s.ImportCA {
			t.Fatalf("JSON says %+v, the model %+v", back, s)
		}
		if got := readText(t, s.Text(English)); !slices.Equal(got, flat(s)) {
			t.Fatalf("the text says %q, the model %q", got, flat(s))
		}
		if len(s.Incoming())+len(s.Outgoing()) != len(s.Lines) {
			t.Fatal("a line has no direction")
		}
	}
}

// flat returns what a person would copy, in order.
func flat(s *Settings) []string {
	var all []string
	for _, l := range s.Lines {
		all = append(all, strings.ToUpper(string(l.Protocol)), l.Host, strconv.Itoa(l.Port), l.Security.Words(), l.Username)
	}
	return all
}

func readText(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	for _, block := range strings.Split(text, "\n\n")[1:] {
		lines := strings.Split(block, "\n")
		_, protocol, ok := strings.Cut(lines[0], " (")
		if !ok {
			continue
		}
		all = append(all, strings.TrimSuffix(protocol, ")"))
		for _, l := range lines[1:] {
			if _, value, ok := strings.Cut(l, ": "); ok {
				all = append(all, value)
			}
		}
	}
	return all
}
