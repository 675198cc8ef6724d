package imapd_test

import (
	"strings"
	"testing"

	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

const (
	first = "From: Ali <ali@example.org>\r\nTo: sara@example.com\r\nSubject: One\r\nDate: Mon, 2 Jan 2006 15:04:05 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nHello Sara,\r\n\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85\r\n"
	multi = "From: b@example.org\r\nTo: sara@example.com\r\nSubject: =?UTF-8?B?2K/ZiA==?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" +
		"pre\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n2YXYqtmGINin2YTZhQ==\r\n--x\r\n" +
		"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: c@example.org\r\n\r\ninner text\r\n--x--\r\n"
)

func TestDialogue(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		h := open(t, config)
		h.mailbox(t)
		c := h.login(t)
		c.want("LIST \"\" \"\"", "OK", `* LIST (\Noselect) "/" ""`)
		c.want("LIST \"\" *", "OK", `* LIST (\HasNoChildren) "/" INBOX`, `* LIST (\HasNoChildren \Archive) "/" Archive`, `* LIST (\HasNoChildren \Drafts) "/" Drafts`,
			`* LIST (\HasNoChildren \Junk) "/" Junk`, `* LIST (\HasNoChildren \Sent) "/" Sent`, `* LIST (\HasNoChildren \Trash) "/" Trash`)
		c.want("CREATE a/b/c/", "OK [MAILBOXID (F")
		c.want("CREATE A&BjM-", "OK")
		c.want("LIST \"\" a%", "OK", `* LIST (\HasChildren) "/" a`)
		c.want("LIST a/ % RETURN (SUBSCRIBED)", "OK", `* LIST (\HasChildren \Subscribed) "/" a/b`)
		c.want("LIST \"\" A&BjM-", "OK", `* LIST (\HasNoChildren) "/" A&BjM-`)
		c.want("DELETE a/b", "OK")
		c.want("LIST \"\" a/*", "OK", `* LIST (\HasChildren \NonExistent \Noselect) "/" a/b`, `* LIST (\HasNoChildren) "/" a/b/c`)
		c.want("RENAME a z", "OK")
		c.want("UNSUBSCRIBE z", "OK")
		c.want("LSUB \"\" %", "OK", `* LSUB (\HasNoChildren) "/" INBOX`, `* LSUB (\HasNoChildren \Archive) "/" Archive`, `* LSUB (\HasNoChildren) "/" A&BjM-`, `* LSUB (\HasNoChildren \Drafts) "/" Drafts`,
			`* LSUB (\HasNoChildren \Junk) "/" Junk`, `* LSUB (\HasNoChildren \Sent) "/" Sent`, `* LSUB (\HasNoChildren \Trash) "/" Trash`, `* LSUB (\Noselect) "/" z`)
		c.want("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" z", "OK", `* LIST (\HasChildren) "/" z ("CHILDINFO" ("SUBSCRIBED"))`)
		c.want("CREATE inbox", "NO [ALREADYEXISTS]")
		c.want("DELETE INBOX", "NO [CANNOT]")
		c.want("DELETE nothing", "NO [NONEXISTENT]")
		c.want("CREATE x* ", "BAD")
		c.want("CREATE \"x*\"", "NO [CANNOT]")
		c.want("CREATE x (USE (\\Sent))", "NO [USEATTR]")
		c.want("SELECT nothing", "NO [NONEXISTENT]")
		c.want("APPEND nothing {3}", "NO [TRYCREATE]")
		c.want("NAMESPACE", "OK", `* NAMESPACE (("" "/")) NIL NIL`)

		c.append("INBOX", `(\Seen $Label) " 1-Feb-2006 15:04:05 +0330" `, first)
		c.append("INBOX", "", multi)
		c.want("STATUS INBOX (MESSAGES UNSEEN UIDNEXT RECENT SIZE)", "OK", "* STATUS INBOX (MESSAGES 2 RECENT 2 UIDNEXT 3 UNSEEN 1 SIZE "+itoa(len(first)+len(multi))+")")
		opened := strings.Join(c.ok("SELECT INBOX"), "\n")
		for _, part := range []string{"* 2 EXISTS", "* 2 RECENT", "[UIDNEXT 3]", "[HIGHESTMODSEQ ", `FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label)`, `$Label \*)]`} {
			if !strings.Contains(opened, part) {
				t.Errorf("SELECT has no %q:\n%s", part, opened)
			}
		}
		c.want("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE)", "OK", `* 1 FETCH (UID 1 FLAGS (\Seen $Label \Recent) INTERNALDATE " 1-Feb-2006 11:34:05 +0000" RFC822.SIZE `+itoa(len(first))+")")
		c.want("FETCH 1 ENVELOPE", "OK", `* 1 FETCH (ENVELOPE ("Mon, 2 Jan 2006 15:04:05 +0000" "One" (("Ali" NIL "ali" "example.org")) (("Ali" NIL "ali" "example.org")) (("Ali" NIL "ali" "example.org")) ((NIL NIL "sara" "example.com")) NIL NIL NIL "<1@example.org>"))`)
		c.want("FETCH 2 BODY", "OK", `* 2 FETCH (BODY (("text" "plain" ("charset" "utf-8") NIL NIL "base64" 20 0)("message" "rfc822" NIL NIL NIL "7bit" 49 (NIL "inner" ((NIL NIL "c" "example.org")) ((NIL NIL "c" "example.org")) ((NIL NIL "c" "example.org")) NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 0) 3) "mixed"))`)
		c.want("FETCH 1 BODY.PEEK[]", "OK", "* 1 FETCH (BODY[] {"+itoa(len(first))+"}\r\n"+first+")")
		c.want("FETCH 1 BODY.PEEK[]<5.3>", "OK", "* 1 FETCH (BODY[]<5> {3}\r\n"+first[5:8]+")")
		c.want("FETCH 1 BODY.PEEK[]<5000.3>", "OK", "* 1 FETCH (BODY[]<5000> {0}\r\n)")
		c.want("FETCH 1 BODY.PEEK[HEADER.FIELDS (subject DATE)]", "OK", "* 1 FETCH (BODY[HEADER.FIELDS (subject DATE)] {54}\r\nSubject: One\r\nDate: Mon, 2 Jan 2006 15:04:05 +0000\r\n\r\n)")
		c.want("FETCH 2 BODY.PEEK[2.HEADER]", "OK", "* 2 FETCH (BODY[2.HEADER] {39}\r\nSubject: inner\r\nFrom: c@example.org\r\n\r\n)")
		c.want("FETCH 2 BODY.PEEK[2.1]", "OK", "* 2 FETCH (BODY[2.1] {10}\r\ninner text)")
		c.want("FETCH 2 BODY.PEEK[1.MIME]", "OK", "* 2 FETCH (BODY[1.MIME] {78}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n)")
		c.want("FETCH 2 BODY.PEEK[9]", "OK", "* 2 FETCH (BODY[9] NIL)")
		c.want("FETCH 2 (BINARY.PEEK[1] BINARY.SIZE[1])", "OK", "* 2 FETCH (BINARY[1] {13}\r\nمتن الم BINARY.SIZE[1] 13)")
		c.want("UID FETCH 2 BODY[1]", "OK", "* 2 FETCH (UID 2 BODY[1] {20}\r\n2YXYqtmGINin2YTZhQ==)", `* 2 FETCH (UID 2 FLAGS (\Seen \Recent))`)
		c.want("FETCH 3 FLAGS", "BAD")
		c.want("UID FETCH 30 FLAGS", "OK")
		c.want("FETCH 1 FOO", "BAD")

		c.want("SEARCH ALL", "OK", "* SEARCH 1 2")
		c.want("SEARCH FROM ALI", "OK", "* SEARCH 1")
		c.want("SEARCH CHARSET UTF-8 BODY {8+}\r\nسلام", "OK", "* SEARCH 1")
		c.want("SEARCH SUBJECT دو", "BAD")
		c.want("SEARCH SUBJECT \"دو\"", "OK", "* SEARCH 2")
		c.want("SEARCH CHARSET UTF-8 TEXT {6+}\r\nمتن", "OK", "* SEARCH 2")
		c.want("SEARCH BODY inner", "OK", "* SEARCH 2")
		c.want("SEARCH TEXT One", "OK", "* SEARCH 1")
		c.want("SEARCH BODY One", "OK", "* SEARCH")
		c.want("SEARCH HEADER Message-ID 1@", "OK", "* SEARCH 1")
		c.want("SEARCH HEADER MIME-Version \"\"", "OK", "* SEARCH 2")
		c.want("SEARCH SENTON 2-Jan-2006 NOT DELETED", "OK", "* SEARCH 1")
		c.want("SEARCH BEFORE 2-Feb-2006", "OK", "* SEARCH 1")
		c.want("SEARCH KEYWORD $label", "OK", "* SEARCH 1")
		c.want("SEARCH UNKEYWORD $label OR SMALLER 10 LARGER 11", "OK", "* SEARCH 2")
		c.want("SEARCH CHARSET X-NONE TEXT a", "NO [BADCHARSET")
		c.want("UID SEARCH RETURN (MIN MAX COUNT ALL) ALL", "OK", `* ESEARCH (TAG "t`+itoa(c.tag+1)+`") UID MIN 1 MAX 2 ALL 1:2 COUNT 2`)
		c.want("SEARCH RETURN (SAVE) FROM ali", "OK")
		c.want("FETCH $ UID", "OK", "* 1 FETCH (UID 1)")
		c.want("UID SORT (REVERSE ARRIVAL) UTF-8 ALL", "OK", "* SORT 2 1")
		c.want("SORT (SUBJECT) UTF-8 ALL", "OK", "* SORT 1 2")
		c.want("THREAD REFERENCES UTF-8 ALL", "OK", "* THREAD (1)(2)")

		c.want(`STORE 1 +FLAGS (\Deleted)`, "OK", `* 1 FETCH (FLAGS (\Deleted \Seen $Label \Recent))`)
		c.want(`STORE 2 FLAGS.SILENT (\Flagged new)`, "OK", `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label new)`, `* OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label new \*)] Flags that are kept`)
		c.want("COPY 1:2 z", "OK [COPYUID ")
		c.want("COPY 1 nothing", "NO [TRYCREATE]")
		c.want("EXPUNGE", "OK", "* 1 EXPUNGE")
		uids := c.ok("UID MOVE 2 Archive")
		if len(uids) != 2 || !strings.HasPrefix(uids[0], "* OK [COPYUID ") || uids[1] != "* 1 EXPUNGE" {
			t.Errorf("MOVE: %q", uids)
		}
		c.want("FETCH 1:* FLAGS", "OK")
		c.want("CLOSE", "OK")
		c.want("FETCH 1 FLAGS", "BAD")
		c.want("GETQUOTAROOT INBOX", "OK", "* QUOTAROOT INBOX mailbox", "* QUOTA mailbox ()")
		c.want("ENABLE CONDSTORE FOO", "OK", "* ENABLED CONDSTORE")
		c.want("ID NIL", "OK", `* ID ("name" "Postchi")`)
		c.want("LOGOUT", "OK", "* BYE Goodbye")
		if rest := c.closed(); rest != "" {
			t.Errorf("after LOGOUT: %q", rest)
		}
	})
}
