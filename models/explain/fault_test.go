package explain

import (
	"regexp"
	"strings"
	"testing"
)

// given finds the reasons that the queue gives what came without an answer.
var given = regexp.MustCompile(`\b[Rr]eason[A-Z][A-Za-z]* += "([a-z-]+)"`)

func TestEveryFaultHasWords(t *testing.T) {
	found := map[string]bool{}
	for _, folder := range []string{"../../mailserver/outbound", "../../mailserver/queue"} {
		for _, name := range sources(t, folder) {
			for _, m := range given.FindAllStringSubmatch(read1(t, name), -1) {
				found[m[1]] = true
				if _, ok := faults[m[1]]; !ok {
					t.Errorf("%s: no words for the fault %q", name, m[1])
				}
			}
		}
	}
	for reason := range faults {
		if !found[reason] {
			t.Errorf("nothing gives %q as a reason", reason)
		}
	}
	if len(found) < 15 {
		t.Fatalf("only %d reasons found", len(found))
	}
}

// A fault of ours is not blamed on the other side, and an answer of theirs not on us.
func TestAttempts(t *testing.T) {
	for _, test := range []struct {
		reason         string
		code           int
		enhanced, text string
		key            string
		says           string
	}{
		{"route", 0, "4.3.0", "how the message leaves cannot be found out at the moment", "fault.route", "how the message is to leave this server"},
		{"message", 0, "4.3.0", "the message cannot be read at the moment", "fault.message", "could not be read on this server"},
		{"protocol", 0, "4.7.0", "the host sent more than its answer before TLS began", "fault.protocol", "answers that make no sense"},
		{"tls", 0, "4.7.4", "the host does not offer TLS, and it is demanded (mta-sts)", "fault.tls", "demands a secured connection"},
		{"tls", 0, "4.7.5", "the certificate is for another name", "fault.tls", "demands a secured connection"},
		{"literal", 0, "5.1.2", "mail to address literals is not sent", "fault.literal", "numbers in brackets"},
		{"login", 0, "4.7.0", "the relay offers no way to log in", "fault.login", "did not let us log in"},
		{"dropped", 0, "5.7.1", "", "fault.dropped", "took the message out of the queue"},
		{"route", 550, "5.1.1", "no such user", "address.unknown", ""},
		{"451 4.4.2", 451, "4.4.2", "timeout", "network.broken", ""},
		{"news", 0, "4.4.1", "nothing answers", "network.no_answer", ""},
	} {
		w, fa := Attempt(test.reason, test.code, test.enhanced, test.text, "en"), Attempt(test.reason, test.code, test.enhanced, test.text, "fa")
		if w.Key != test.key || !strings.Contains(w.What, test.says) || w.Next == "" {
			t.Errorf("%+v: %+v", test, w)
		}
		if (w.Wait != "") != strings.HasPrefix(test.enhanced, "4") {
			t.Errorf("%+v: waits %q", test, w.Wait)
		}
		if fa.Key != w.Key || !isPersian(fa.What) || !isPersian(fa.Next) || (fa.Wait == "") != (w.Wait == "") {
			t.Errorf("%+v", fa)
		}
	}
}
