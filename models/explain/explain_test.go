package explain

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		code           int
		enhanced, text string
		key            string
	}{
		// Gmail
		{550, "5.7.26", "Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM.", "gmail.unauthenticated"},
		{550, "5.7.26", "Unauthenticated email from example.com is not accepted due to domain's DMARC policy. Please contact the administrator", "gmail.dmarc"},
		{550, "5.7.26", "This mail has been blocked because the sender is unauthenticated.\n550-5.7.26 Gmail requires all senders to authenticate", "gmail.unauthenticated"},
		{421, "4.7.28", "Gmail has detected an unusual rate of unsolicited mail originating from your IP address. To protect our users", "gmail.rate"},
		{550, "5.7.1", "[192.0.2.1 19] Gmail has detected that this message is likely unsolicited mail. To reduce the amount of spam", "gmail.unsolicited"},
		{421, "4.7.0", "[192.0.2.1 15] Our system has detected that this message is suspicious due to the very low reputation of the sending IP address.", "gmail.reputation"},
		{550, "5.7.25", "[2001:db8::1] The IP address sending this message does not have a PTR record setup", "gmail.ptr"},
		{550, "5.7.1", "[2001:db8::1] Our system has detected that this message does not meet IPv6 sending guidelines regarding PTR records and authentication.", "gmail.ptr"},
		{421, "4.7.27", "Your email has been rate limited because SPF authentication didn't pass for this message.", "gmail.rate_auth"},
		{421, "4.7.30", "Your email has been rate limited because DKIM authentication didn't pass", "gmail.rate_auth"},
		{421, "4.7.32", "Your email has been rate limited because the From: header (RFC5322) in this message isn't aligned", "gmail.alignment"},
		{421, "4.7.29", "Your email has been rate limited because this message wasn't sent over a TLS connection", "gmail.tls"},
		{552, "5.7.0", "This message was blocked because its content presents a potential security issue.", "gmail.virus"},
		{552, "5.2.3", "Your message exceeded Google's message size limits.", "message.too_large"},
		{552, "5.2.2", "The email account that you tried to reach is over quota.", "mailbox.full"},
		{452, "4.2.2", "The recipient's inbox is out of storage space.", "mailbox.full"},
		{550, "5.1.1", "The email account that you tried to reach does not exist. Please try double-checking the recipient's email address", "address.unknown"},
		{550, "5.2.1", "The email account that you tried to reach is inactive.", "mailbox.inactive"},
		{450, "4.2.1", "The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.", "gmail.busy"},
		{550, "5.7.1", "The user or domain that you are sending to (or from) has a policy that prohibited the mail that you sent.", "gmail.policy"},
		{550, "5.7.1", "[192.0.2.1] Messages missing a valid From: header are not accepted: message is not RFC 5322 compliant", "gmail.not_5322"},
		{550, "5.7.1", "[192.0.2.1] Messages missing a valid address in the From: header, or having no From: header, are not accepted.", "gmail.not_5322"},
		{421, "4.7.28", "Gmail has detected an unusual rate of mail originating from your DKIM domain [example.org 35]. To protect our users from spam, mail sent from your domain has been temporarily rate limited.", "gmail.rate"},
		{421, "4.7.28", "Gmail has detected this message exceeded its quota for sending messages with the same Message-ID:.", "gmail.repeated"},
		{421, "4.7.40", "Your email has been rate limited because the sending domain doesn't have a DMARC record, or the DMARC record doesn't specify a DMARC policy.", "gmail.no_dmarc"},
		{550, "5.7.27", "This mail has been blocked because SPF does not pass. Gmail requires all large senders to authenticate with SPF.", "gmail.spf"},
		{550, "5.7.26", "The MAIL FROM domain [example.com] has an SPF record with a hard fail policy (-all) but it fails to pass SPF checks with the ip: [192.0.2.1].", "gmail.spf"},
		{550, "5.7.24", "The SPF record of the sending domain has one or more suspicious entries.", "gmail.spf_suspicious"},
		{550, "5.7.30", "This mail has been blocked because DKIM does not pass. Gmail requires all large senders to authenticate with DKIM.", "gmail.dkim"},
		{421, "4.7.23", "The sending IP address for this message doesn't have a PTR record, or the PTR record's forward DNS entry doesn't match the sending IP address.", "gmail.ptr"},
		{550, "5.7.1", "[192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers.", "gmail.direct"},
		{451, "4.7.26", "Unauthenticated email from example.com is not accepted due to domain's DMARC policy, but temporary DNS failures prevent authentication.", "gmail.dmarc"},
		{421, "4.7.0", "Try again later, closing connection. (EHLO)", "system.closed"},
		{550, "5.7.23", "The message was rejected because of Sender Policy Framework violation", "auth.spf"},
		// Outlook.com
		{550, "5.7.606", "Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions. AS(1430)", "outlook.blocklist"},
		{550, "5.7.511", "Access denied, banned sender[192.0.2.1]. To request removal from this list please forward this message to delist@messaging.microsoft.com.", "outlook.banned"},
		{550, "5.7.1", "Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/192.0.2.1 AS(1450)", "blocklist"},
		{550, "5.7.25", "Access denied, the sending IPv6 address [2001:db8::1] must have a reverse DNS record", "auth.ptr"},
		{451, "4.7.851", "Access denied, please try again later", "outlook.watched"},
		{550, "5.7.513", "Service unavailable, Client host [192.0.2.1] blocked by example.com using Customer Block list (AS16012607)", "outlook.rule"},
		{451, "4.7.500", "Server busy. Please try again later from [192.0.2.1]. (AS843)", "outlook.busy"},
		{550, "5.7.515", "Access denied, sending domain EXAMPLE.COM does not meet the required authentication level.", "outlook.auth_level"},
		{550, "5.7.509", "Access denied, sending domain example.com does not pass DMARC verification and has a DMARC policy of reject.", "outlook.dmarc"},
		{550, "5.7.1", "Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).", "outlook.blocklist"},
		{550, "5.7.1", "Unfortunately, messages from [192.0.2.1] weren't sent. (S3150)", "outlook.blocklist"},
		{550, "", "SC-001 (BAY004-MC1F2) Unfortunately, messages from 192.0.2.1 weren't sent.", "outlook.blocklist"},
		{550, "", "DY-001 (SNT004) Unfortunately, messages from 192.0.2.1 weren't sent.", "outlook.dynamic"},
		{550, "", "OU-002 (SNT004) Unfortunately, messages from 192.0.2.1 weren't sent. Content looks like spam.", "outlook.spam"},
		{451, "4.7.650", "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)", "outlook.rate"},
		{451, "4.7.500", "Server busy. Please try again later from [192.0.2.1]. (S77719)", "outlook.busy"},
		{550, "5.4.1", "Recipient address rejected: Access denied. AS(201806281) [CO1NAM11FT026.eop-nam11.prod.protection.outlook.com]", "outlook.unknown"},
		{550, "5.5.0", "Requested action not taken: mailbox unavailable (S2017062302).", "address.unknown"},
		{550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient nobody@outlook.com not found by SMTP address lookup", "address.unknown"},
		{550, "5.7.133", "RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", "outlook.group"},
		{554, "5.2.2", "mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded", "mailbox.full"},
		{550, "5.7.1", "TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy", "outlook.rule"},
		{550, "5.7.1", "Service unavailable, Client host blocked. AS(3140)", "outlook.spam"},
		// Yahoo
		{421, "4.7.0", "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1", "yahoo.deferred"},
		{421, "4.7.1", "[TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed.", "yahoo.permanent"},
		{553, "5.7.2", "[TSS09] All messages from 192.0.2.1 will be permanently deferred", "yahoo.permanent"},
		{421, "4.7.0", "[GL01] Message from (192.0.2.1) temporarily deferred", "yahoo.greylist"},
		{553, "5.7.1", "[BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list", "yahoo.blocklist"},
		{554, "5.7.9", "Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes", "yahoo.policy"},
		{421, "4.7.0", "[IPTS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", "yahoo.deferred"},
		{553, "5.7.1", "[BL23] Connections not accepted from IP addresses on Spamhaus XBL", "yahoo.blocklist"},
		{550, "5.7.9", "This mail has been blocked because the sender is unauthenticated. Yahoo requires all senders to authenticate with either SPF or DKIM.", "yahoo.unauthenticated"},
		{554, "", "Message not allowed - [PH01] Email not accepted for policy reasons.", "yahoo.content"},
		{451, "", "Message temporarily deferred due to unresolvable RFC.5321 from domain. See https://senders.yahooinc.com/error-codes#unresolvable-from-domain", "sender.domain"},
		{554, "", "delivery error: dd This user doesn't have a yahoo.com account (nobody@yahoo.com) [0] - mta1", "address.unknown"},
		{554, "", "delivery error: dd Sorry, your message to x@yahoo.com cannot be delivered. This account has been disabled or discontinued [#102].", "yahoo.disabled"},
		// Others
		{550, "5.7.1", "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "blocklist"},
		{450, "4.2.0", "<sara@example.net>: Recipient address rejected: Greylisted, see http://postgrey.example/", "greylist"},
		{450, "4.7.1", "Client host rejected: cannot find your reverse hostname, [192.0.2.1]", "auth.ptr"},
		{450, "4.7.1", "Please wait", "policy.later"},
		{554, "5.7.1", "<x@y.test>: Relay access denied", "relay.denied"},
		{550, "", "5.1.1 <x@y.test> User unknown", "address.unknown"},
		{550, "", "No such user here", "address.unknown"},
		{550, "5.1.2", "", "domain.unknown"},
		{550, "5.1.10", "The domain has a null MX", "domain.null_mx"},
		{550, "5.7.27", "Sender address has a null MX", "sender.null_mx"},
		{0, "4.4.1", "dial tcp 192.0.2.1:25: i/o timeout", "network.no_answer"},
		{0, "", "", "network.unknown"},
		{0, "5.1.10", "x.test says in the DNS that it takes no mail", "domain.null_mx"},
		{0, "5.4.6", "the DNS says that this server is the destination", "network.loop"},
		{0, "4.4.3", "the DNS does not say where mail for x.test goes", "network.directory"},
		{451, "", "", "system.other"},
		{499, "", "", "other.later"},
		{599, "", "", "other.refused"},
		{550, "5.99.1", "", "address.refused"},
		{550, "5.7.99", "something new", "policy.refused"},
		{550, "banana", "", "address.refused"},
	} {
		w := Of(test.code, test.enhanced, test.text, "en")
		if w.Key != test.key {
			t.Errorf("%d %s %s: %s, want %s", test.code, test.enhanced, test.text, w.Key, test.key)
		}
		if w.What == "" || w.Next == "" || (w.Wait != "") != (test.code/100 == 4 || test.code == 0 && strings.HasPrefix(test.enhanced, "4")) {
			t.Errorf("%+v", w)
		}
		if fa := Of(test.code, test.enhanced, test.text, "fa"); fa.Key != w.Key || fa.What == w.What || fa.Next == w.Next || (fa.Wait == "") != (w.Wait == "") {
			t.Errorf("%+v", fa)
		}
	}
}

func every() map[string]entry {
	all := map[string]entry{}
	for prefix, table := range map[string]map[string]entry{"": answers, "provider ": providerAnswers, "reason ": reasons, "fault ": faults} {
		for key, e := range table {
			all[prefix+key] = e
		}
	}
	return all
}

func isPersian(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Arabic, r) })
}

func TestBothLanguages(t *testing.T) {
	for key, e := range every() {
		for _, s := range []string{e.en.what, e.en.next, e.fa.what, e.fa.next} {
			if s == "" || s != strings.TrimSpace(s) || !strings.ContainsAny(s[len(s)-1:], ".") || strings.ContainsAny(s, "يك<>") {
				t.Errorf("%s: %q", key, s)
			}
		}
		if isPersian(e.en.what+e.en.next) || !isPersian(e.fa.what) || !isPersian(e.fa.next) {
			t.Errorf("%s: languages mixed up", key)
		}
	}
}

func TestEveryKeyOfATableHasWords(t *testing.T) {
	used := map[string]bool{"other.later": true, "other.refused": true, "network.unknown": true}
	for _, table := range []map[string]string{byEnhanced, bySubject} {
		for _, key := range table {
			used[key] = true
		}
	}
	for _, key := range byCode {
		used[key] = true
	}
	for _, list := range [][]recogniser{providers, phrases} {
		for _, r := range list {
			used[r.key] = true
			for _, p := range r.all {
				if p != strings.ToLower(p) {
					t.Errorf("%q can never fit", p)
				}
			}
			if len(r.all) == 0 && r.enhanced == "" {
				t.Errorf("%s fits everything", r.key)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(used)) {
		_, a := answers[key]
		_, b := providerAnswers[key]
		if a == b {
			t.Errorf("%s: in answers %t, in providerAnswers %t", key, a, b)
		}
	}
	for _, table := range []map[string]entry{answers, providerAnswers} {
		for key := range table {
			if !used[key] {
				t.Errorf("nothing leads to %s", key)
			}
		}
	}
}

func TestTheTableIsLongEnough(t *testing.T) {
	n := map[string]bool{}
	for code := range byEnhanced {
		_, rest, _ := strings.Cut(code, ".")
		n[rest] = true
	}
	if len(n) < 40 {
		t.Errorf("%d codes", len(n))
	}
	t.Logf("%d enhanced codes, %d words for answers, %d for reasons", len(n), len(answers)+len(providerAnswers), len(reasons))
}

// emitted finds the codes that the SMTP server answers with.
var emitted = regexp.MustCompile(`EnhancedCode\{([245]), (\d+), (\d+)\}`)

// TestEveryCodeWeAnswerWithHasWords reads the tables of the SMTP server.
func TestEveryCodeWeAnswerWithHasWords(t *testing.T) {
	n := 0
	for _, name := range sources(t, "../../mailserver/smtpd") {
		for _, m := range emitted.FindAllStringSubmatch(read1(t, name), -1) {
			n++
			rest := m[2] + "." + m[3]
			if byEnhanced[m[1]+"."+rest] == "" && byEnhanced["x."+rest] == "" && rest != "0.0" {
				t.Errorf("%s: no words for %s.%s", name, m[1], rest)
			}
		}
	}
	if n < 20 {
		t.Fatalf("only %d codes found", n)
	}
}

// refusals finds the keys of errors where mail is taken in or refused.
var refusals = regexp.MustCompile(`(?:Errorf\((?:models\.)?[A-Z][A-Za-z]+, |&(?:models\.)?Error\{Kind: [A-Za-z.]+, Key: |notYours\()"([a-z0-9_.]+)"`)

// notTold are keys of errors that no SMTP client ever gets: they belong to other protocols, to
// the panel, or are replaced before.
var notTold = map[string]bool{
	"exists": true, "not_found": true, "full": true, "folder.unknown": true, "filter.rspamd": true,
	"arrival.targets": true, "arrival.prefix": true, // faults of ours, told as internal
}

func TestEveryReasonOfARefusalHasWords(t *testing.T) {
	n := 0
	for _, folder := range []string{"../../mailserver/smtpd", "../../mailserver/delivery", "../../mailserver/verify", "../../mailserver/filter",
		"../address", "../store/resolve.go", "../store/limit.go", "../../mailserver/mailstore/errors.go", "../../mailserver/mailstore/arrival.go", "../../mailserver/mailstore/writer.go", "../../mailserver/blob/errors.go"} {
		for _, name := range sources(t, folder) {
			for _, m := range refusals.FindAllStringSubmatch(read1(t, name), -1) {
				n++
				if _, ok := Reason(m[1], "fa"); !ok && !notTold[m[1]] && !strings.HasPrefix(m[1], "append.") {
					t.Errorf("%s: no words for the reason %q", name, m[1])
				}
			}
		}
	}
	if n < 30 {
		t.Fatalf("only %d reasons found", n)
	}
	if _, ok := Reason("no such key", "en"); ok {
		t.Error("a key that does not exist is known")
	}
}

// sources returns the Go files of a folder, or the file itself; none if it does not exist.
func sources(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read1(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func FuzzOf(f *testing.F) {
	f.Add(550, "5.7.1", "[TSS04] x\r\n550-5.7.1 y", "fa")
	f.Add(-1, "9.9.9", "\xff5.1.1", "")
	f.Fuzz(func(t *testing.T, code int, enhanced, text, lang string) {
		if w := Of(code, enhanced, text, lang); w.What == "" || w.Next == "" || w.Key == "" {
			t.Errorf("%+v", w)
		}
	})
}
