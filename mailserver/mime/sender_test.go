package mime

import (
	"bufio"
	"errors"
	"strings"
	"testing"
)

func header(t testing.TB, s string) *Header {
	t.Helper()
	h, err := ReadHeader(bufio.NewReader(strings.NewReader(s)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestOneMailboxAccepts(t *testing.T) {
	for _, c := range []struct{ from, name, addr string }{
		{"sara@example.com", "", "sara@example.com"},
		{"<sara@example.com>", "", "sara@example.com"},
		{"Sara <sara@example.com>", "Sara", "sara@example.com"},
		{"Sara B. Karimi <sara.b@example.com>", "Sara B. Karimi", "sara.b@example.com"},
		{`"Karimi, Sara" <sara@example.com>`, "Karimi, Sara", "sara@example.com"},
		{`"Sara \"S\" K" <sara@example.com>`, `Sara "S" K`, "sara@example.com"},
		{`"sara@example.com" <sara@example.com>`, "sara@example.com", "sara@example.com"},
		{`"other@example.net" <sara@example.com>`, "other@example.net", "sara@example.com"},
		{"=?UTF-8?B?2LPYp9ix2Kc=?= <sara@example.com>", "سارا", "sara@example.com"},
		{"=?UTF-8?Q?Sara_=3Cx=40y=3E?= <sara@example.com>", "Sara <x@y>", "sara@example.com"},
		{`"=?UTF-8?B?2LPYp9ix2Kc=?=" <sara@example.com>`, "سارا", "sara@example.com"},
		{"سارا <sara@example.com>", "سارا", "sara@example.com"},
		{"\r\n Sara\r\n\t<sara@example.com>", "Sara", "sara@example.com"},
		{"sara@example.com (Sara (at home) K)", "", "sara@example.com"},
		{"(hello) Sara (x) <sara@example.com> (y)", "Sara", "sara@example.com"},
		{`"odd local"@example.com`, "", `"odd local"@example.com`},
		{"< sara@example.com >", "", "sara@example.com"},
		{"sara+tag!%@mail-1.example.com", "", "sara+tag!%@mail-1.example.com"},
		{`"I <3 mail" <sara@example.com>`, "I <3 mail", "sara@example.com"},
		{"sara@localhost", "", "sara@localhost"},
	} {
		m, err := OneMailbox(header(t, "Subject: x\r\nfROM: "+c.from+"\r\nTo: a@b\r\n\r\n"), "From", false)
		if err != nil || m.Name != c.name || m.String() != c.addr {
			t.Errorf("%q: %q %q, %v", c.from, m.Name, m.String(), err)
		}
	}
}

func TestOneMailboxRefuses(t *testing.T) {
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		header string
		want   Reason
	}{
		{"Subject: x\r\n", ReasonMissing},
		{"From: a@b\r\nFrom: a@b\r\n", ReasonTwice},
		{"From: a@b\r\nSubject: x\r\nfrom: c@d\r\n", ReasonTwice},
		{"From : a@b\r\n", ReasonSpaceBeforeColon},
		{"From\t: a@b\r\n", ReasonSpaceBeforeColon},
		{"From: a@b\r\nFrom : c@d\r\n", ReasonSpaceBeforeColon},
		{"From:\r\n", ReasonEmpty},
		{"From: <>\r\n", ReasonEmpty},
		{"From: (only a comment)\r\n", ReasonEmpty},
		{"From: a@b, c@d\r\n", ReasonSeveral},
		{"From: A <a@b>, C <c@d>\r\n", ReasonSeveral},
		{"From: <a@b> <c@d>\r\n", ReasonSeveral},
		{"From: a@b <c@d>\r\n", ReasonSeveral},
		{"From: a@b,\r\n", ReasonSeveral},
		{"From: ,a@b\r\n", ReasonSeveral},
		{"From: Friends: a@b;\r\n", ReasonGroup},
		{"From: a@b;\r\n", ReasonGroup},
		{"From: <@relay:a@b>\r\n", ReasonRoute},
		{"From: <@r1,@r2:a@b>\r\n", ReasonRoute},
		{"From: sara\r\n", ReasonSyntax},
		{"From: Sara sara@example.com\r\n", ReasonSyntax},
		{"From: a@b@c\r\n", ReasonSyntax},
		{"From: a b@c\r\n", ReasonSyntax},
		{"From: <a b@c>\r\n", ReasonSyntax},
		{"From: a..b@c\r\n", ReasonSyntax},
		{"From: .a@b\r\n", ReasonSyntax},
		{"From: <a.@b>\r\n", ReasonSyntax},
		{"From: a @ b\r\n", ReasonSyntax},
		{"From: <a@ b>\r\n", ReasonSyntax},
		{"From: a@b c\r\n", ReasonSyntax},
		{"From: <a@b> c\r\n", ReasonSyntax},
		{"From: \"\"@b\r\n", ReasonSyntax},
		{"From: a@b>\r\n", ReasonSyntax},
		{"From: A > <a@b>\r\n", ReasonSyntax},
		{"From: <<a@b>>\r\n", ReasonSeveral},
		{"From: <a(x)@b>\r\n", ReasonComment},
		{"From: <(x)a@b>\r\n", ReasonComment},
		{"From: <a@b(x)>\r\n", ReasonComment},
		{"From: <a@(x)b>\r\n", ReasonComment},
		{"From: \"Sara <a@b>\r\n", ReasonUnterminated},
		{"From: (Sara <a@b>\r\n", ReasonUnterminated},
		{"From: <a@b\r\n", ReasonUnterminated},
		{"From: Sara <\r\n", ReasonUnterminated},
		{"From: a@b (x\\)\r\n", ReasonUnterminated},
		{"From: =?utf-8?Q?a=40b?=@example.com\r\n", ReasonEncodedWord},
		{"From: <=?utf-8?B?YUBi?=@example.com>\r\n", ReasonEncodedWord},
		{"From: =?utf-8?Q?Sara <a@b>\r\n", ReasonEncodedWord},
		{"From: =?utf-8?Z?Sara?= <a@b>\r\n", ReasonEncodedWord},
		{"From: x=?utf-8?Q?Sara?= <a@b>\r\n", ReasonEncodedWord},
		{"From: =?utf-8?Q?a(?= x) <a@b>\r\n", ReasonEncodedWord},
		{"From: \"Boss <boss@example.net>\" <a@b>\r\n", ReasonHidden},
		{"From: a@b (Boss <boss@example.net>)\r\n", ReasonHidden},
		{"From: (<boss@example.net>) a@b\r\n", ReasonHidden},
		{"From: s\u00e1ra@example.com\r\n", ReasonEightBit},
		{"From: a@ex\u00e1mple.com\r\n", ReasonEightBit},
		{"From: \"s\u00e1\"@example.com\r\n", ReasonEightBit},
		{"From: caf\xe9 <a@b>\r\n", ReasonEightBit},
		{"From: \"caf\xe9\" <a@b>\r\n", ReasonEightBit},
		{"From: a\x00b@c\r\n", ReasonControl},
		{"From: =?utf-8?Q?boss=00?= <a@b>\r\n", ReasonControl},
		{"From: =?utf-8?Q?boss=0A?= x <a@b>\r\n", ReasonControl},
		{"From: a@b\x7f\r\n", ReasonControl},
		{"From: a@[127.0.0.1]\r\n", ReasonLiteral},
		{"From: a@b_c.d\r\n", ReasonDomain},
		{"From: a@b..c\r\n", ReasonDomain},
		{"From: a@-b.c\r\n", ReasonDomain},
		{"From: a@b.\r\n", ReasonDomain},
		{"From: " + long + "@b\r\n", ReasonTooLong},
		{"From: a@b" + strings.Repeat(".example", 40) + "\r\n", ReasonTooLong},
		{"From: " + strings.Repeat("x ", 2500) + "<a@b>\r\n", ReasonTooLong},
		{"From sara\r\nFrom: a@b\r\n", ReasonLookalike},
		{" From: c@d\r\nFrom: a@b\r\n", ReasonLookalike},
		{"From\x00: c@d\r\nFrom: a@b\r\n", ReasonControl},
		{"From: a@b\nSubject: x\r\n", ReasonLineEnd},
		{"Subject: x\rFrom: c@d\r\nFrom: a@b\r\n", ReasonControl},
		{"From: a@b\r\n \r\n c\r\n", ReasonBlankFold},
		{"Subject: x\r\n \r\nFrom: a@b\r\n", ReasonBlankFold},
		{"From:\r\n \r\n a@b\r\n", ReasonBlankFold},
	} {
		m, err := OneMailbox(header(t, c.header+"\r\n"), "From", false)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: taken as %v", c.header, m)
		} else if e.Reason != c.want || m != (Mailbox{}) {
			t.Errorf("%q: %v, want %v", c.header, e.Reason.Key(), c.want.Key())
		}
	}
}

func TestOneMailboxUTF8(t *testing.T) {
	for from, want := range map[string]string{
		"سارا@نمونه.ایران":      "سارا@نمونه.ایران",
		"S <sára@exámple.com>":  "sára@exámple.com",
		`"sá ra"@example.com`:   `"sá ra"@example.com`,
		"a@می\u200cخواهم.ایران": "a@می\u200cخواهم.ایران",
	} {
		if m, err := OneMailbox(header(t, "From: "+from+"\r\n\r\n"), "From", true); err != nil || m.String() != want {
			t.Errorf("%q: %v, %v", from, m, err)
		}
	}
	for _, from := range []string{"a\u2024b@x\u2024y", "a@b\u202ec", "\xff@b"} {
		if m, err := OneMailbox(header(t, "From: "+from+"\r\n\r\n"), "From", true); err == nil {
			t.Errorf("%q: %v", from, m)
		}
	}
}

func TestResentBlocks(t *testing.T) {
	h := header(t, "Received: x\r\nResent-From: b@x\r\nResent-Sender: s@x\r\nResent-To: c@x\r\n"+
		"Resent-From: a@x\r\nReceived: y\r\nResent-Date: now\r\nSubject: s\r\n\r\n")
	blocks, err := ResentBlocks(h, false)
	if err != nil || len(blocks) != 3 {
		t.Fatal(blocks, err)
	}
	if blocks[0].From.String() != "b@x" || blocks[0].Sender.String() != "s@x" || blocks[1].From.String() != "a@x" || blocks[2].From != nil {
		t.Error(blocks)
	}
	for _, bad := range []string{"Resent-From: a@b, c@d\r\n", "Resent-From : a@b\r\n", "Resent-Sender: Group:;\r\n", " Resent-From: x\r\n"} {
		if _, err := ResentBlocks(header(t, bad+"\r\n"), false); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if blocks, err := ResentBlocks(header(t, "From: a@b\r\n\r\n"), false); err != nil || blocks != nil {
		t.Error(blocks, err)
	}
}

func TestReasonsHaveTexts(t *testing.T) {
	keys := map[string]bool{}
	for r := ReasonMissing; r <= ReasonHeaderTooLarge; r++ {
		if r.String() == "" || r.Key() == "" || keys[r.Key()] {
			t.Errorf("reason %d: %q %q", r, r.Key(), r)
		}
		keys[r.Key()] = true
	}
}
