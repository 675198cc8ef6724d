package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// fromOutside is a connection of another server to the MX listener.
func (in *instance) fromOutside(t *testing.T) *talk {
	t.Helper()
	c, err := dial(in.addr("mx"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if a := c.answer(); a.code != 220 {
		t.Fatal(a)
	}
	if a := c.smtp("EHLO mx.good.test"); a.code != 250 {
		t.Fatal(a)
	}
	return c
}

// headers returns the headers of the messages in a folder.
func (c *talk) headers(t *testing.T, folder string) []string {
	t.Helper()
	c.ok(t, "EXAMINE %s", folder)
	var all []string
	for _, line := range c.ok(t, "FETCH 1:* (BODY.PEEK[HEADER])") {
		if strings.Contains(line, "BODY[HEADER]") {
			all = append(all, line)
		}
	}
	return all
}

// TestMailFromOutsideIsVerified sends mail of other domains to a running program, with a DNS and
// a rspamd of the test, and looks where it ends.
func TestMailFromOutsideIsVerified(t *testing.T) {
	names := resolvertest.New(t)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	names.Set(`good.test TXT "v=spf1 ip4:127.0.0.1 -all"`, `_dmarc.good.test TXT "v=DMARC1; p=reject"`,
		`_dmarc.bank.test TXT "v=DMARC1; p=reject"`, `_dmarc.shop.test TXT "v=DMARC1; p=quarantine"`)
	names.SetTXT("k._domainkey.good.test", "v=DKIM1; k=ed25519; p="+base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
	names.Fail("_dmarc.away.test", dns.RcodeServerFailure)
	rspamd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		action := "no action"
		for _, a := range []string{"reject", "add header", "soft reject"} {
			if strings.Contains(string(body), "please "+a) {
				action = a
			}
		}
		fmt.Fprintf(w, `{"action":%q,"score":7.5,"required_score":15}`, action)
	}))
	defer rspamd.Close()
	in := newInstance(t, "sqlite", "POSTCHI_SMTP_VERIFY=true", "POSTCHI_DNS_RESOLVER="+names.Addr(), "POSTCHI_FILTERS_RSPAMD="+rspamd.URL)
	in.start()
	in.populate("here.test", "sara")

	text := func(from, subject string) string {
		return "From: " + from + "\r\nTo: sara@here.test\r\nSubject: " + subject + "\r\nMessage-ID: <" + strings.ReplaceAll(subject, " ", ".") + "@x>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nSalam.\r\n"
	}
	signed := func(text string) string {
		var out strings.Builder
		if err := dkim.Sign(&out, strings.NewReader(text), &dkim.SignOptions{Domain: "good.test", Selector: "k", Signer: key}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	forged := "Authentication-Results: localhost; spf=pass; dkim=pass header.d=bank.test\r\nAuthentication-Results: elsewhere.test; spf=pass\r\n"
	tests := []struct {
		sender, text string
		code         int
		enhanced     string
	}{
		{"a@good.test", forged + signed(text("a@good.test", "signed")), 250, "2.0.0"},
		{"a@other.test", signed(text("a@good.test", "signed by way of another")), 250, "2.0.0"},
		{"a@good.test", text("a@good.test", "spf"), 250, "2.0.0"},
		{"a@other.test", text("ceo@bank.test", "forged"), 550, "5.7.1"},
		{"a@other.test", text("a@shop.test", "doubtful"), 250, "2.0.0"},
		{"a@other.test", text("a@away.test", "unknown"), 451, "4.4.3"},
		{"a@other.test", text("a@other.test", "no policy"), 250, "2.0.0"},
		{"a@good.test", text("a@good.test", "please reject"), 550, "5.7.1"},
		{"a@good.test", text("a@good.test", "please soft reject"), 451, "4.7.1"},
		{"a@good.test", text("a@good.test", "please add header"), 250, "2.0.0"},
	}
	for _, tt := range tests {
		if a := in.fromOutside(t).submit(tt.sender, []byte(tt.text), "sara@here.test"); !a.is(tt.code, tt.enhanced) {
			t.Errorf("%.80q: %s, want %d %s", tt.text, a, tt.code, tt.enhanced)
		}
	}

	imap := in.imapTalk(t, "sara@here.test", testPassword)
	folders := map[string][]string{
		"INBOX": {"Subject: signed\r\n", "Subject: signed by way", "Subject: spf", "Subject: no policy"},
		"Junk":  {"Subject: doubtful", "Subject: please add header"},
	}
	for folder, want := range folders {
		all := imap.headers(t, folder)
		if len(all) != len(want) {
			t.Fatalf("%s: %d messages, want %d:\n%s", folder, len(all), len(want), strings.Join(all, "\n"))
		}
		for i := range all {
			if !strings.Contains(all[i], want[i]) || strings.Count(all[i], "Authentication-Results: localhost;") != 1 || !strings.Contains(all[i], "X-Spam-Status: ") {
				t.Errorf("%s: %q is not in\n%s", folder, want[i], all[i])
			}
		}
	}
	first := imap.headers(t, "INBOX")[0]
	for _, want := range []string{"spf=pass smtp.mailfrom=a@good.test;", "dkim=pass header.d=good.test", "dmarc=pass header.from=good.test policy.dmarc=reject\r\n", "Authentication-Results: elsewhere.test; spf=pass\r\n"} {
		if !strings.Contains(first, want) {
			t.Errorf("%q is not in\n%s", want, first)
		}
	}
	if strings.Contains(first, "bank.test") {
		t.Errorf("forged results were kept:\n%s", first)
	}
}
