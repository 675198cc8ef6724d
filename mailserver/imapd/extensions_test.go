package imapd_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/postchi/postchi/models/db/dbtest"
)

// probe is a command, and what its answer must match: the untagged lines and the tagged one.
type probe struct{ command, answer string }

// probes has for every capability what shows that it is there, in the order of one session:
// three messages, the second of which is multi.
var probes = []struct {
	capabilities string
	probes       []probe
}{
	{"IMAP4rev1 SASL-IR LITERAL-", []probe{{"NOOP", `^OK`}, {"LIST {0+}\r\n {1+}\r\n*", `\* LIST .* INBOX\n`}, {"LIST {5000+}\r\n" + strings.Repeat("x", 5000), `^BAD \[TOOBIG\]`}}},
	{"ID", []probe{{`ID ("name" "probe" "vendor" NIL)`, `^\* ID \(.*\nOK`}, {"ID NIL", `^\* ID`}}},
	{"NAMESPACE", []probe{{"NAMESPACE", `^\* NAMESPACE \(\("" "/"\)\) NIL NIL\nOK`}}},
	{"CHILDREN LIST-EXTENDED", []probe{
		{"CREATE a/b", "^OK"}, {`LIST "" ("a" "Sent") RETURN (CHILDREN)`, `^\* LIST \(\\HasNoChildren \\Sent\) "/" Sent\n\* LIST \(\\HasChildren\) "/" a\nOK`},
		{"UNSUBSCRIBE a", "^OK"}, {`LIST (SUBSCRIBED RECURSIVEMATCH) "" a`, `\* LIST .* "/" a \("CHILDINFO" \("SUBSCRIBED"\)\)\nOK`}, {`LIST (RECURSIVEMATCH) "" a`, "^BAD"},
		{`LIST (REMOTE) "" a`, `\* LIST .* a\nOK`}, {`LIST (SUBSCRIBED) "" a`, `^OK`}, {`LIST "" () RETURN ()`, "^BAD|^OK"}}},
	{"LIST-STATUS STATUS=SIZE", []probe{{`LIST "" INBOX RETURN (STATUS (MESSAGES SIZE))`, `^\* LIST .* INBOX\n\* STATUS INBOX \(MESSAGES 3 SIZE \d+\)\nOK`}}},
	{"SPECIAL-USE CREATE-SPECIAL-USE", []probe{
		{`LIST (SPECIAL-USE) "" *`, `(?s)^(\* LIST \(.*\\(Archive|Drafts|Junk|Sent|Trash)\) "/" \w+\n){5}OK`}, {`LIST "" Sent RETURN (SPECIAL-USE)`, `\\Sent`},
		{`CREATE x (USE (\Sent))`, `^NO \[USEATTR\]`}, {`CREATE x (USE (\All))`, `^NO \[USEATTR\]`}, {"DELETE Junk", "^OK"}, {`CREATE Spam (USE (\Junk))`, "^OK"}, {`LIST "" Spam`, `\\Junk`}}},
	{"OBJECTID", []probe{{"CREATE o", `^OK \[MAILBOXID \(F\d+\)\]`}, {"STATUS o (MAILBOXID)", `MAILBOXID \(F\d+\)`}, {"SELECT INBOX", `\[MAILBOXID \(F\d+\)\]`},
		{"FETCH 1 (EMAILID THREADID)", `EMAILID \(M\d+\) THREADID \([A-Z]\d+\)|EMAILID \(M\d+\) THREADID NIL`}, {"SEARCH EMAILID M1", `^\* SEARCH\nOK`}}},
	{"APPENDLIMIT", []probe{{"STATUS INBOX (APPENDLIMIT)", `APPENDLIMIT 52428800\)`}, {"APPEND INBOX {52428801}", `^NO \[TOOBIG\]`}}},
	{"UNSELECT UIDPLUS", []probe{{"SELECT o", "READ-WRITE"}, {"APPEND o {3+}\r\nabc", `^(\* .*\n)*OK \[APPENDUID \d+ 1\]`}, {"APPEND o {3+}\r\nabc", `OK \[APPENDUID \d+ 2\]`},
		{`STORE 1:2 +FLAGS.SILENT (\Deleted)`, "OK"}, {"UID EXPUNGE 2", `^\* 2 EXPUNGE\nOK`}, {"UNSELECT", "^OK"}, {"STATUS o (MESSAGES DELETED)", `MESSAGES 1 DELETED 1`},
		{"SELECT INBOX", "READ-WRITE"}, {"COPY 1 o", `^OK \[COPYUID \d+ 1 3\]`}}},
	{"MOVE", []probe{{"SELECT o", "READ-WRITE"}, {"UID MOVE 3 a", `^\* OK \[COPYUID \d+ 3 1\].*\n\* 2 EXPUNGE\nOK`}, {"MOVE 1 o", `\[COPYUID`}, {"CLOSE", "^OK"}}},
	{"MULTIAPPEND", []probe{{"APPEND o (\\Seen) {3+}\r\nabc {3+}\r\ndef", `^OK \[APPENDUID \d+ \d+:\d+\]`}}},
	{"ESEARCH SEARCHRES", []probe{{"SELECT INBOX", "READ-WRITE"}, {"SEARCH RETURN (MIN COUNT) ALL", `^\* ESEARCH \(TAG "t\d+"\) MIN 1 COUNT 3\nOK`}, {"SEARCH RETURN (SAVE) 2:3", "^OK"},
		{"FETCH $ UID", `^\* 2 FETCH \(UID 2\)\n\* 3 FETCH \(UID 3\)\nOK`}, {"UID SEARCH NOT $", `^\* SEARCH 1\nOK`}, {"SEARCH RETURN (SAVE) CHARSET X-NONE TEXT x", `^NO \[BADCHARSET`}, {"FETCH $ UID", "^OK"}}},
	{"SORT ESORT", []probe{{"SORT (REVERSE ARRIVAL) UTF-8 ALL", `^\* SORT 3 2 1\nOK`}, {"UID SORT RETURN (ALL MAX) (REVERSE ARRIVAL) UTF-8 1:2", `^\* ESEARCH \(TAG "t\d+"\) UID MAX 1 ALL 2,1\nOK`}}},
	{"THREAD=REFERENCES", []probe{{"THREAD REFERENCES UTF-8 ALL", `^\* THREAD \(`}}},
	{"BINARY", []probe{{"FETCH 2 BINARY.SIZE[1]", `BINARY.SIZE\[1\] 13\)`}, {"FETCH 2 BINARY.PEEK[1]<0.4>", `\[1\]<0> \{4\}`}, {"APPEND o ~{3+}\r\nabc", "^OK"}, {"APPEND o ~{3+}\r\na\x00c", `^NO \[UNKNOWN-CTE\]`}}},
	{"QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE", []probe{{"GETQUOTAROOT INBOX", `^\* QUOTAROOT INBOX mailbox\n\* QUOTA mailbox \(STORAGE \d+ 1024 MESSAGE \d+ 100\)\nOK`}, {"SETQUOTA mailbox (STORAGE 1)", `^NO \[NOPERM\]`}}},
	{"ENABLE CONDSTORE", []probe{{"ENABLE CONDSTORE", `^\* ENABLED CONDSTORE\nOK`}, {"FETCH 1 FLAGS", `MODSEQ|FLAGS`}, {"STORE 1 (UNCHANGEDSINCE 0) +FLAGS (x)", `^OK \[MODIFIED 1\]`}, {"STATUS INBOX (HIGHESTMODSEQ)", `HIGHESTMODSEQ \d`}}},
	{"QRESYNC", []probe{{"ENABLE QRESYNC", `^\* ENABLED QRESYNC\nOK`}, {"SELECT INBOX (QRESYNC (1 1))", `(?s)^\* OK \[CLOSED\].*\nOK`}, {"UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", `\* \d FETCH \(UID`}}},
	{"UTF8=ACCEPT", []probe{{"UNSELECT", "^OK"}, {"ENABLE UTF8=ACCEPT", `^\* ENABLED UTF8=ACCEPT\nOK`}, {"CREATE \"نامه\u200cها\"", "^OK"}, {`LIST "" "نامه*"`, "\"نامه\u200cها\"\\nOK"}, {"SEARCH CHARSET UTF-8 ALL", "^BAD"}}},
	{"IMAP4rev2", []probe{{"ENABLE IMAP4rev2", `^\* ENABLED IMAP4rev2\nOK`}, {"SELECT INBOX", `(?s)\* LIST \(\) "/" "INBOX"\n.*OK`}, {"SEARCH ALL", `^\* ESEARCH`}, {"EXAMINE INBOX", `^\* OK \[CLOSED\]`}}},
	{"IDLE", []probe{{"IDLE\r\nDONE", `OK`}}},
	{"COMPRESS=DEFLATE", nil}, // TestCompress
}

// TestExtensions: what is announced is there, and what is there is announced.
func TestExtensions(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	m.QuotaBytes, m.QuotaMessages = 1<<20, 100
	if err := h.accounts.UpdateMailbox(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{first, multi, first} {
		h.Deliver(t, []byte(text), m.ID)
	}
	c := h.login(t)
	announced := map[string]bool{}
	for _, name := range strings.Fields(c.ok("CAPABILITY")[0])[2:] {
		name, _, _ = strings.Cut(name, "=5")
		announced[name] = true
	}
	for _, p := range probes {
		for name := range strings.FieldsSeq(p.capabilities) {
			if !announced[name] {
				t.Errorf("%s is not announced", name)
			}
			delete(announced, name)
		}
		for _, probe := range p.probes {
			untagged, tagged := c.do(probe.command)
			got := strings.Join(append(untagged, tagged), "\n")
			if !regexp.MustCompile(probe.answer).MatchString(got) {
				t.Errorf("%s, %.60s:\n%s\ndoes not match %s", p.capabilities, probe.command, got, probe.answer)
			}
		}
	}
	for name := range announced {
		t.Errorf("%s is announced and not tried", name)
	}
}

// TestNames: the INBOX in any case, renaming it and trees, names that are refused.
func TestNames(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	h.Deliver(t, []byte(first), m.ID)
	c := h.login(t)
	c.want("STATUS iNbOx (MESSAGES)", "OK", "* STATUS INBOX (MESSAGES 1)")
	c.ok("CREATE InBox/sub")
	c.want(`LIST "" "inbox/%"`, "OK", `* LIST (\HasNoChildren) "/" INBOX/sub`)
	c.ok("CREATE inboxes")
	c.want("STATUS INBOXES (MESSAGES)", "NO [NONEXISTENT]")
	// RFC 9051, section 6.3.6: renaming INBOX moves what is in it, and it stays.
	c.ok("RENAME INBOX old")
	c.want("STATUS INBOX (MESSAGES)", "OK", "* STATUS INBOX (MESSAGES 0)")
	c.want("STATUS old (MESSAGES)", "OK", "* STATUS old (MESSAGES 1)")
	c.ok("CREATE a/b/c")
	c.ok("RENAME a/b z/y")
	c.want(`LIST "" z*`, "OK", `* LIST (\HasChildren) "/" z`, `* LIST (\HasChildren) "/" z/y`, `* LIST (\HasNoChildren) "/" z/y/c`)
	c.want("RENAME a z", "NO [ALREADYEXISTS]")
	c.want("RENAME z z/y/w", "NO [CANNOT]")
	for _, name := range []string{`"a\tb"`, `"a` + "\x7f" + `b"`, `"a//b"`, `"/a"`, `"a%"`, `""`, `"` + strings.Repeat("n", 600) + `"`, `"` + strings.Repeat("a/", 60) + `a"`, `"&ABA-"`, `"../../etc/x"`, `"&Jjo"`} {
		if untagged, tagged := c.do("CREATE " + name); strings.HasPrefix(tagged, "OK") && name != `"../../etc/x"` {
			t.Errorf("CREATE %.40s: %q %s", name, untagged, tagged)
		}
	}
}
