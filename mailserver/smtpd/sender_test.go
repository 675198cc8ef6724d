package smtpd

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/conn"
)

// header is a message with these lines in front of an innocent rest.
func header(lines string) string {
	return lines + "Date: Sat, 14 Mar 2026 09:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nSubject: x\r\n\r\nHello.\r\n"
}

func TestForgedSendersAreRefused(t *testing.T) {
	r := start(t, ModeSubmissions, func(c *Config, _ *conn.Limits) { c.MaxErrors = 1000 })
	c := r.login()
	for name, lines := range map[string]string{
		"another mailbox":         "From: omid@example.com\r\n",
		"another domain":          "From: Sara <sara@evil.test>\r\n",
		"missing":                 "To: omid@example.com\r\n",
		"empty":                   "From: \r\n",
		"two fields":              "From: sara@example.com\r\nFrom: omid@example.com\r\n",
		"two fields, other order": "From: omid@example.com\r\nFrom: sara@example.com\r\n",
		"two addresses":           "From: sara@example.com, omid@example.com\r\n",
		"group":                   "From: x: sara@example.com, omid@example.com;\r\n",
		"empty group":             "From: omid@example.com:;\r\n",
		"route":                   "From: <@omid.test:omid@example.com>\r\n",
		"comment":                 "From: omid(sara@example.com)@example.com\r\n",
		"comment for the address": "From: (sara@example.com) omid@example.com\r\n",
		"address as display name": "From: \"sara@example.com\" <omid@example.com>\r\n",
		"hidden in quotes":        "From: \"<omid@example.com>\" <sara@example.com>\r\n",
		"encoded address":         "From: =?utf-8?q?omid=40example.com?= <omid@example.com>\r\n",
		"encoded local part":      "From: =?utf-8?q?sara?=@example.com\r\n",
		"space before the colon":  "From : omid@example.com\r\nFrom: sara@example.com\r\n",
		"only with space":         "From : sara@example.com\r\n",
		"folded name":             "From: sara@example.com\r\nFrom\r\n : omid@example.com\r\n",
		"blank fold":              "From: sara@example.com\r\nX: y\r\n \r\nFrom: omid@example.com\r\n",
		"line without colon":      "From: sara@example.com\r\nnonsense\r\n",
		"sender":                  "From: sara@example.com\r\nSender: omid@example.com\r\n",
		"two senders":             "From: sara@example.com\r\nSender: sara@example.com\r\nSender: omid@example.com\r\n",
		"resent-from":             "Resent-From: omid@example.com\r\nFrom: sara@example.com\r\n",
		"resent-sender":           "Resent-From: sara@example.com\r\nResent-Sender: omid@example.com\r\nFrom: sara@example.com\r\n",
		"second resent block":     "Resent-From: sara@example.com\r\nResent-From: omid@example.com\r\nFrom: sara@example.com\r\n",
		"dot in the tag's place":  "From: sara.x@example.com\r\n",
		"subdomain":               "From: sara@x.example.com\r\n",
		"local part alone":        "From: sara\r\n",
		"unicode look-alike":      "From: s\u0430ra@example.com\r\n",
		"unclosed quote":          "From: \"sara <sara@example.com>\r\n",
		"begins with a fold":      " x\r\nFrom: sara@example.com\r\n",
	} {
		got := c.mail(sara, omid, header(lines))
		if !strings.HasPrefix(got, "550 5.7.1 ") && !strings.HasPrefix(got, "554 5.6.0 ") {
			t.Errorf("%s: %s", name, got)
		}
		if strings.HasPrefix(got, "550") && !strings.Contains(got, "sara@example.com only") {
			t.Errorf("%s: the permitted address is not named: %s", name, got)
		}
	}
	if all := r.post.messages(); len(all) != 0 {
		t.Errorf("delivered: %+v", all)
	}
}

func TestForgedEnvelope(t *testing.T) {
	r := start(t, ModeSubmissions, nil)
	c := r.login()
	for _, from := range []string{omid, "sara@evil.test", "sara@x.example.com", "sara.x@example.com", "\"sara@example.com\"@evil.test", "sara%example.com@evil.test", "sa+ra@example.com"} {
		if got := c.ask("MAIL FROM:<"+from+">", "553 5.7.1 "); !strings.Contains(got, "sara@example.com only") {
			t.Errorf("%s: %s", from, got)
		}
	}
	c.ask("MAIL FROM:<s\u0430ra@example.com>", "553 5.6.7 ")
	for _, e := range r.trail.events() {
		if e.MailboxID != 1 || e.CustomerID != 7 || e.Direction != "out" || e.Sender == "" || e.Words == "" {
			t.Errorf("%+v", e)
		}
	}
}

func TestHonestSendersPass(t *testing.T) {
	r := start(t, ModeSubmissions, nil)
	c := r.login()
	for from, lines := range map[string]string{
		"sara@example.com":      "From: sara@example.com\r\n",
		"SARA@Example.COM":      "From: \"Sara O'Neil, Dr.\" <Sara@EXAMPLE.com>\r\n",
		"sara+news@example.com": "From: Sara <sara+news@example.com>\r\nSender: sara@example.com\r\n",
		"":                      "From: =?utf-8?b?2LPYp9ix2Kc=?= <sara@example.com>\r\n",
		"sara@example.com ":     "From:\r\n sara@example.com\r\n (Sara)\r\n",
		"sara@example.com  ":    "Resent-From: sara@example.com\r\nFrom: سارا <sara@example.com>\r\n",
	} {
		if got := c.mail(strings.TrimSpace(from), omid, header(lines)); !strings.HasPrefix(got, "250 ") {
			t.Errorf("%s: %s", lines, got)
		}
	}
}

// relayForms are the forms of the classic tests of open relays.
var relayForms = []string{
	"victim@elsewhere.test", "\"victim@elsewhere.test\"", "victim%elsewhere.test@example.com", "victim%elsewhere.test",
	"\"victim%elsewhere.test\"", "elsewhere.test!victim@example.com", "elsewhere.test!victim", "\"victim@elsewhere.test\"@example.com",
	"victim@elsewhere.test@example.com", "victim%elsewhere.test@mail.example.net", "@example.com:victim@elsewhere.test",
	"@mail.example.net,@example.com:victim@elsewhere.test", "victim%elsewhere.test@[127.0.0.1]", "victim@[127.0.0.1]", "elsewhere.test!victim@[127.0.0.1]",
	"victim@elsewhere.test@[127.0.0.1]", "victim@sub.example.com", "victim@example.com.elsewhere.test", "victim@localhost", "victim@mail.example.net",
	"victim@elsewhere.test%example.com", "victim@@elsewhere.test", "victim@elsewhere.test.", "\\victim@elsewhere.test", "victim(x)@elsewhere.test",
	"example.com!victim@elsewhere.test", "sara@example.com@elsewhere.test", "\"sara@example.com\"@elsewhere.test", "victim@elsewhere.test,sara@example.com",
	"info%elsewhere.test@example.com", "info+victim@elsewhere.test", "SRS0=aaaaaaaa=aa=elsewhere.test=victim@example.com", "SRS0+aaaaaaaa=aa=elsewhere.test=victim@elsewhere.test",
	"SRS1=aaaaaaaa=elsewhere.test==hash=tt=x.test=victim@example.com", "\"victim@elsewhere.test@\"@example.com", "victim@example.com@elsewhere.test", "victim@[IPv6:::1]",
}

// From outside and, for the same recipients, from a mailbox of ours where nothing leaves.
func TestNoRelay(t *testing.T) {
	forms := relayForms
	senders := map[string][]string{"": {"<>", "<spam@elsewhere.test>", "<sara@example.com>", "<postmaster@[127.0.0.1]>"}, sara: {"<sara@example.com>", "<>"}}
	for name, from := range senders {
		mode := ModeMX
		if name != "" {
			mode = ModeSubmissions
		}
		r := start(t, mode, func(c *Config, _ *conn.Limits) { c.MaxErrors = 10000 })
		c := r.dial()
		c.ask("EHLO x", "250 ")
		if name != "" {
			c.auth(name)
		}
		for _, sender := range from {
			for _, to := range forms {
				c.send("RSET\r\nMAIL FROM:" + sender + "\r\nRCPT TO:<" + to + ">\r\n")
				c.want("250 ")
				mail := c.want("")
				got := c.want("")
				if !strings.HasPrefix(got, "550 ") && !strings.HasPrefix(got, "501 ") && !strings.HasPrefix(mail, "501 ") {
					t.Errorf("%s from %s to %s: %s", mode, sender, to, got)
				}
			}
		}
		c.ask("RSET", "250 ")
		c.ask("MAIL FROM:<"+sara+">", "250 ")
		got := c.ask("RCPT TO:<victim@elsewhere.test>", "550 5.7.1 ")
		if words := map[Mode]string{ModeMX: "does not relay", ModeSubmissions: "switched off"}[mode]; !strings.Contains(got, words) {
			t.Errorf("%s: %s", mode, got)
		}
		c.ask("DATA", "503 ")
		if len(r.post.messages()) != 0 {
			t.Error("relayed")
		}
	}
}

func TestHeaderFixUpsAreByteExact(t *testing.T) {
	const by = "\r\n\tby mail.example.net (Postchi) with ESMTPSA id ID\r\n\tfor <omid@example.com>\r\n\ttls TLS_AES_128_GCM_SHA256;\r\n\tSat, 14 Mar 2026 09:30:00 +0000\r\n"
	const received = "Received: from example.com" + by
	const date, id = "Date: Sat, 14 Mar 2026 09:30:00 +0000\r\n", "Message-ID: <ID.RANDOM@mail.example.net>\r\n"
	odd := "\r\n body  \t\r\n\xff\xfe8-bit\r\nno line end" // never looked at
	for name, test := range map[string]struct{ in, out string }{
		"nothing is missing": {plain + odd, received + plain + odd},
		"date":               {"From: sara@example.com\r\nMESSAGE-id: <a@b>\r\n\r\n" + odd, received + date + "From: sara@example.com\r\nMESSAGE-id: <a@b>\r\n\r\n" + odd},
		"message-id":         {"From: sara@example.com\r\ndate: never\r\n\r\n" + odd, received + id + "From: sara@example.com\r\ndate: never\r\n\r\n" + odd},
		"both":               {"From: sara@example.com\r\n\r\n" + odd, received + date + id + "From: sara@example.com\r\n\r\n" + odd},
		"bcc": {
			"Bcc: a@b.test,\r\n\tc@d.test\r\n" + strings.TrimSuffix(plain, "\r\nHello.\r\n") + "BCC: x\r\nTo: y@z.test\r\nResent-Bcc: q\r\n\r\nBcc: in the body\r\n",
			received + strings.TrimSuffix(plain, "\r\nHello.\r\n") + "To: y@z.test\r\n\r\nBcc: in the body\r\n",
		},
		"no body":       {strings.TrimSuffix(plain, "\r\nHello.\r\n"), received + strings.TrimSuffix(plain, "\r\nHello.\r\n")},
		"own received":  {"Received: from x by y; z\r\n" + plain, received + "Received: from x by y; z\r\n" + plain},
		"large message": {plain + strings.Repeat(strings.Repeat("z", 98)+"\r\n", 4000), received + plain + strings.Repeat(strings.Repeat("z", 98)+"\r\n", 4000)},
		"large header": {
			strings.Repeat("X-Pad: "+strings.Repeat("z", 91)+"\r\n", 3000) + "Bcc: x\r\n" + plain, received + strings.Repeat("X-Pad: "+strings.Repeat("z", 91)+"\r\n", 3000) + plain,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, ModeSubmissions, nil)
			c := r.login()
			c.ask("MAIL FROM:<"+sara+">", "250 ")
			c.ask("RCPT TO:<"+omid+">", "250 ")
			c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(test.in), test.in))
			c.want("250 ")
			got := r.post.messages()[0].text
			got = regexp.MustCompile(`id \d{10,}`).ReplaceAllString(got, "id ID")
			got = regexp.MustCompile(`<\d{10,}\.[0-9a-f]{16}@`).ReplaceAllString(got, "<ID.RANDOM@")
			if got != test.out {
				t.Errorf("got\n%.1500q\nwant\n%.1500q", got, test.out)
			}
		})
	}
}

func TestHeaderTooLarge(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	c.begin()
	c.ask("DATA", "354 ")
	c.send(strings.Repeat("X-Pad: "+strings.Repeat("z", 91)+"\r\n", 12000) + "\r\n.\r\n")
	c.want("554 5.6.0 ")
	c.ask("NOOP", "250 ")
}

func TestLoopsAreCut(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	c.ask("EHLO x", "250 ")
	if got := c.mail("a@b.test", sara, strings.Repeat("Received: x\r\n", 100)+"\r\nx\r\n"); !strings.HasPrefix(got, "250 ") {
		t.Error(got)
	}
	if got := c.mail("a@b.test", sara, strings.Repeat("Received: x\r\n", 101)+"\r\nx\r\n"); !strings.HasPrefix(got, "554 5.4.6 ") {
		t.Error(got)
	}
}

// On an MX any bytes are a message; what is no header must not run into ours.
func TestMXKeepsOddMessages(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	c.ask("EHLO x", "250 ")
	for _, text := range []string{"hello\r\n", "\r\nhello\r\n", " folded\r\n\r\nx\r\n", "", "From: a\r\nFrom: b\r\nnonsense\r\n\r\nx\r\nBcc: y\r\n"} {
		if got := c.mail("a@b.test", sara, text); !strings.HasPrefix(got, "250 ") {
			t.Error(got)
		}
		all := r.post.messages()
		last := all[len(all)-1].text
		added, ok := strings.CutSuffix(last, text)
		if !ok || !strings.HasPrefix(added, "Received: from x ([127.0.0.1])\r\n\tby mail.example.net (Postchi) with ESMTP id ") {
			t.Errorf("%q became %q", text, last)
		}
		if begins := text == "hello\r\n" || text == "" || text[0] == ' '; begins != strings.HasSuffix(added, "\r\n\r\n") {
			t.Errorf("%q became %q", text, last)
		}
	}
}

func TestReceivedKeyword(t *testing.T) {
	for name, test := range map[string]struct {
		mode     Mode
		hello    string
		tls      bool
		address  bool
		want     string
		unwanted string
	}{
		"smtp":               {ModeMX, "HELO h.test", false, false, "from h.test ([127.0.0.1]) by mail.example.net (Postchi) with SMTP id", "tls"},
		"esmtp":              {ModeMX, "EHLO h.test", false, false, "with ESMTP id", "tls"},
		"esmtps":             {ModeMX, "EHLO h.test", true, false, "with ESMTPS id", "ESMTPSA"},
		"starttls and auth":  {ModeSubmission, "EHLO h.test", true, false, "from example.com by mail.example.net (Postchi) with ESMTPSA id", "127.0.0.1"},
		"implicit tls, auth": {ModeSubmissions, "EHLO h.test", false, false, "from example.com by mail.example.net (Postchi) with ESMTPSA id", "h.test"},
		"helo and auth":      {ModeSubmissions, "HELO h.test", false, false, "with ESMTPSA id", "h.test"},
		"address shown":      {ModeSubmissions, "EHLO h.test", false, true, "from h.test ([127.0.0.1]) by", "from example.com"},
		"hostile name":       {ModeMX, "EHLO a;b(c", false, false, "from unknown ([127.0.0.1]) by", "a;b"},
		"name after tls":     {ModeMX, "EHLO first.test", true, false, "from second.test (", "first.test"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, test.mode, func(c *Config, _ *conn.Limits) { c.ClientAddress = test.address })
			c := r.dial()
			c.ask(test.hello, "250 ")
			if test.tls {
				c.startTLS()
				c.ask("EHLO second.test", "250 ")
			}
			from := "a@b.test"
			if test.mode != ModeMX {
				c.auth(sara)
				from = sara
			}
			if got := c.mail(from, sara, plain); !strings.HasPrefix(got, "250 ") {
				t.Fatal(got)
			}
			line, _, _ := strings.Cut(r.post.messages()[0].text, "\r\nFrom:")
			line = strings.ReplaceAll(line, "\r\n\t", " ")
			if !strings.Contains(line, test.want) || strings.Contains(line, test.unwanted) {
				t.Error(line)
			}
		})
	}
}

// A Received line tells of one recipient only if there is no other.
func TestReceivedKeepsRecipientsSecret(t *testing.T) {
	r := start(t, ModeMX, nil)
	c := r.dial()
	c.begin()
	c.ask("RCPT TO:<omid@example.com>", "250 ")
	c.ask("DATA", "354 ")
	c.send("\r\nx\r\n.\r\n")
	c.want("250 ")
	if text := r.post.messages()[0].text; strings.Contains(text, "sara") || strings.Contains(text, "omid") {
		t.Error(text)
	}
}

func TestShutdownLetsTransactionsEnd(t *testing.T) {
	r := start(t, ModeMX, nil)
	idle, busy, slow := r.dial(), r.dial(), r.dial()
	idle.ask("EHLO x", "250 ")
	for _, c := range []*client{busy, slow} {
		c.begin()
		c.ask("DATA", "354 ")
	}
	done := make(chan error, 1)
	ctx, cancel := contextOf(2 * time.Second)
	defer cancel()
	go func() { done <- r.server.Shutdown(ctx) }()
	idle.want("421 4.3.2 ")
	idle.gone()
	busy.send("Subject: x\r\n\r\nx\r\n.\r\n")
	busy.want("250 ")
	busy.want("421 4.3.2 ")
	busy.gone()
	slow.want("421 4.3.2 ")
	slow.gone()
	if err := <-done; err == nil {
		t.Error("a transaction was cut without a word")
	}
	if n := len(r.post.messages()); n != 1 {
		t.Error(n)
	}
}

func TestShutdownIsQuick(t *testing.T) {
	r := start(t, ModeSubmission, nil)
	r.dial()
	c := r.login()
	c.ask("NOOP", "250 ")
	ctx, cancel := contextOf(10 * time.Second)
	defer cancel()
	started := time.Now()
	if err := r.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	c.want("421 4.3.2 ")
	t.Log("took", time.Since(started))
}

func TestSmuggledNameIsNotReflected(t *testing.T) {
	c := start(t, ModeMX, nil).dial()
	if got := c.ask("EHLO <script>", "250 "); strings.Contains(got, "script") {
		t.Error(got)
	}
	if got := c.ask("HELO <script>", "250 "); strings.Contains(got, "script") {
		t.Error(got)
	}
}
