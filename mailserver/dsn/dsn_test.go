package dsn

import (
	"bytes"
	"encoding/base64"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models/explain"
)

var update = flag.Bool("update", false, "write the golden files")

var sent = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func report(kind Kind, language string) *Report {
	r := &Report{
		Kind: kind, Hostname: "mail.ours.example", From: "mailer-daemon@mail.ours.example", To: "sara@ours.example", ID: "12345", Date: sent.Add(5 * 24 * time.Hour), Language: language,
		MessageID: "abc@ours.example", Subject: "سلام and hello", Arrived: sent, EnvID: "env 1",
		Header: []byte("From: Sara <sara@ours.example>\r\nTo: x@there.example\r\nSubject: hello\r\n\r\nsecret text\r\n"),
		Recipients: []Recipient{
			{Address: "x@there.example", Original: "rfc822;X@there.example", Code: 550, Enhanced: "5.1.1", Text: "No such user here", Reason: "550 5.1.1", Host: "mx.there.example", At: sent.Add(time.Minute), Until: sent.Add(5 * 24 * time.Hour)},
			{Address: "y@slow.example", Enhanced: "4.4.1", Text: "nothing answers at the address", Reason: "connect", Host: "mx.slow.example", At: sent.Add(time.Hour), Until: sent.Add(5 * 24 * time.Hour)},
		},
	}
	if kind == Delayed {
		r.Recipients = r.Recipients[1:]
	}
	return r
}

// TestGolden compares whole reports with files that were looked at once.
func TestGolden(t *testing.T) {
	for _, kind := range []Kind{Failed, Delayed, Relayed, Delivered, Expanded} {
		for _, language := range []string{"en", "fa", ""} {
			name := filepath.Join("testdata", strings.Trim(string(kind)+"-"+language, "-")+".eml")
			got := readable(t, report(kind, language).Build())
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is now:\n%s", name, got)
			}
		}
	}
}

// readable checks that a report can be read as one, and returns it with the words decoded.
func readable(t *testing.T, report []byte) []byte {
	t.Helper()
	if bytes.Contains(bytes.ReplaceAll(report, []byte("\r\n"), nil), []byte("\n")) {
		t.Error("a line ends in LF alone")
	}
	m, err := mail.ReadMessage(bytes.NewReader(report))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || m.Header.Get("Auto-Submitted") == "" {
		t.Fatalf("%q, %v", kind, err)
	}
	var out bytes.Buffer
	for _, name := range []string{"From", "To", "Subject"} {
		text, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(name))
		if err != nil {
			t.Error(err)
		}
		out.WriteString(name + ": " + text + "\n")
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, want := range []string{"text/plain; charset=utf-8", "message/delivery-status", "text/rfc822-headers message/rfc822"} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Header.Get("Content-Type"); !strings.Contains(want, got) {
			t.Errorf("part %q, want %q", got, want)
		}
		var r io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			text, err := io.ReadAll(p)
			if err != nil {
				t.Fatal(err)
			}
			r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(bytes.ReplaceAll(text, []byte("\r\n"), nil)))
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("\n== " + p.Header.Get("Content-Type") + "\n")
		out.Write(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
	return out.Bytes()
}

// TestHostile quotes what wants to be more than a quotation.
func TestHostile(t *testing.T) {
	r := report(Failed, "")
	r.Subject, r.EnvID, r.MessageID = "x\r\nBcc: evil@evil.example", "a\r\nb", "id\r\nX: y"
	r.Recipients[0].Text, r.Recipients[0].Host, r.Recipients[0].Original = "no\r\n--report-12345--\r\nX-Evil: 1\u2028\u202e", "mx\r\nX-Evil: 2", "rfc822;\r\nX-Evil: 3"
	r.Header = bytes.Repeat([]byte("X-Long: "+strings.Repeat("y", 70)+"\r\n"), 2000)
	got := r.Build()
	if n := len(got); n > MaxHeader+20_000 {
		t.Errorf("%d bytes", n)
	}
	for _, bad := range []string{"\r\nX-Evil", "\r\nBcc", "\r\nX: y"} {
		if strings.Contains(string(got), bad) {
			t.Errorf("a line %q of its own", bad)
		}
	}
	readable(t, got)
}

func TestWholeMessage(t *testing.T) {
	r := report(Failed, "en")
	r.Message = []byte("Subject: all\r\n\r\nof it\r\n")
	if !bytes.Contains(r.Build(), []byte("message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: all\r\n\r\nof it\r\n")) {
		t.Error("not returned")
	}
	r.Message = make([]byte, MaxMessage+1)
	if bytes.Contains(r.Build(), []byte("message/rfc822")) || !bytes.Contains(r.Build(), []byte("text/rfc822-headers")) {
		t.Error("too large and returned")
	}
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		kind Kind
		to   Recipient
		want string
	}{
		{Failed, Recipient{Code: 550, Enhanced: "5.1.1"}, "5.1.1"}, {Failed, Recipient{Code: 550}, "5.0.0"}, {Failed, Recipient{Code: 451}, "4.4.7"},
		{Failed, Recipient{Enhanced: "4.4.1"}, "4.4.1"}, {Failed, Recipient{Enhanced: "evil\r\nX: y"}, "5.0.0"}, {Delayed, Recipient{Enhanced: "4.4.1"}, "4.4.1"},
		{Delayed, Recipient{Enhanced: "5.1.1"}, "4.0.0"}, {Relayed, Recipient{Enhanced: "2.0.0"}, "2.0.0"}, {Relayed, Recipient{}, "2.0.0"},
	} {
		if got := (&Report{Kind: test.kind}).statusOf(&test.to); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

// TestFaults says of a fault what the trace says.
func TestFaults(t *testing.T) {
	for _, language := range []string{"en", "fa"} {
		for _, reason := range []string{"route", "message", "literal", "tls", "dropped"} {
			r := report(Failed, language)
			r.Recipients = []Recipient{{Address: "x@there.example", Enhanced: "4.3.0", Reason: reason}}
			want := explain.Attempt(reason, 0, "4.3.0", "", language)
			if got := r.words(); !strings.Contains(got, want.What) || !strings.Contains(got, want.Next) {
				t.Errorf("%s %s: %s", language, reason, got)
			}
		}
	}
}

// TestLedOn tells whoever wrote to an alias of the alias, and of nothing behind it.
func TestLedOn(t *testing.T) {
	led := Recipient{
		Address: "Private@secret.example", Original: "rfc822;info@ours.example", Code: 550, Enhanced: "5.1.1", Reason: "550 5.1.1", Host: "mx7.secret.example",
		Text: "<private@SECRET.example>: no such user at mx7.secret.example for secret.example", At: sent,
	}
	fault := Recipient{Address: "private@secret.example", Original: "RFC822; info@ours.example", Enhanced: "4.4.3", Reason: "dns", Text: "the DNS does not say where mail for secret.example goes", Host: "mx7.secret.example"}
	for _, language := range []string{"en", "fa", ""} {
		for _, kind := range []Kind{Failed, Delayed, Relayed} {
			r := report(kind, language)
			r.Recipients = []Recipient{led, fault}
			got := string(readable(t, r.Build()))
			if strings.Contains(strings.ToLower(got), "secret") || strings.Contains(strings.ToLower(got), "private") {
				t.Errorf("%s %s tells:\n%s", kind, language, got)
			}
			if strings.Count(got, "Final-Recipient: rfc822; info@ours.example\n") != 2 || strings.Count(got, "Original-Recipient: ") != 2 || strings.Contains(got, "Remote-MTA") || !strings.Contains(got, "\n  info@ours.example\n") {
				t.Errorf("%s %s:\n%s", kind, language, got)
			}
			if !strings.Contains(got, "Diagnostic-Code: smtp; 550 5.1.1 <info@ours.example>: no such user") {
				t.Errorf("%s %s: no answer in\n%s", kind, language, got)
			}
		}
	}
	near := Recipient{Address: "x@y.test", Original: "rfc822;info@a.y.test", Text: "x@y.test at y.test"}
	if got := near.concealed().Text; got != "info@a.y.test at ..." {
		t.Error(got)
	}
	odd := Recipient{Address: "x\xff@y.test", Original: "rfc822;info@a.test", Host: "\xfe", Text: "no \xff at y.test"}
	if got := odd.concealed().Text; got != "no \xff at ..." {
		t.Errorf("%q", got)
	}
	if plain := (&Recipient{Address: "x@y.test", Original: "rfc822;X@y.test", Host: "mx.y.test"}); plain.concealed() != plain {
		t.Error("concealed from who wrote to it")
	}
	if other := (&Recipient{Address: "x@y.test", Original: "x400;whatever"}); other.named() != "x@y.test" {
		t.Error(other.named())
	}
}
