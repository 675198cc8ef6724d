package imapd_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// idle begins IDLE and returns a function that ends it.
func (c *client) idle() func() []string {
	c.t.Helper()
	c.tag++
	tag := "t" + itoa(c.tag)
	c.send(tag + " IDLE\r\n")
	for line := c.line(); !strings.HasPrefix(line, "+"); line = c.line() {
	}
	return func() []string {
		c.t.Helper()
		c.send("DONE\r\n")
		untagged, tagged := c.answer(tag)
		if !strings.HasPrefix(tagged, "OK") {
			c.t.Fatalf("IDLE: %q", tagged)
		}
		return untagged
	}
}

// hear reads a line and compares it.
func (c *client) hear(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		if got := c.line(); got != want {
			c.t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

func TestIdle(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		h := open(t, config)
		m := h.mailbox(t)
		other := open(t, config) // another process
		c := h.login(t)
		c.ok("SELECT INBOX")
		done := c.idle()
		h.Deliver(t, []byte(first), m.ID)
		c.hear("* 1 EXISTS", "* 1 RECENT")
		start := time.Now()
		other.Deliver(t, []byte(multi), m.ID)
		c.hear("* 2 EXISTS", "* 2 RECENT")
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("a change of another process was heard after %v", took)
		}
		d := other.login(t)
		d.ok("SELECT INBOX")
		d.ok(`STORE 1 +FLAGS.SILENT (\Deleted)`)
		c.hear(`* 1 FETCH (FLAGS (\Deleted \Recent))`)
		d.want("EXPUNGE", "OK", "* 1 EXPUNGE")
		c.hear("* 1 EXPUNGE")
		if rest := done(); len(rest) != 0 {
			t.Errorf("after all: %q", rest)
		}
		c.want("FETCH 1 UID", "OK", "* 1 FETCH (UID 2)")
	})
}

// TestNumbersStayTrue holds RFC 9051, section 7.5.1: nothing is announced as expunged while a
// client's message numbers are in use.
func TestNumbersStayTrue(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	for range 4 {
		h.Deliver(t, []byte(first), m.ID)
	}
	a, b := h.login(t), h.login(t)
	a.ok("SELECT INBOX")
	b.ok("SELECT INBOX")
	b.ok(`UID STORE 2 +FLAGS.SILENT (\Deleted)`)
	b.ok("UID EXPUNGE 2")
	a.want("FETCH 3 (UID)", "OK", "* 3 FETCH (UID 3)")
	a.want("FETCH 2 (UID)", "NO [EXPUNGEISSUED]")
	a.want("SEARCH ALL", "OK", "* SEARCH 1 3 4")
	a.want(`STORE 3 +FLAGS (\Flagged)`, "OK", `* 3 FETCH (FLAGS (\Flagged \Recent))`)
	h.Deliver(t, []byte(first), m.ID)
	a.wantSoon([]string{"* 5 EXISTS", "* 5 RECENT"}, "STORE 4 -FLAGS.SILENT (x)", "OK")
	b.want("NOOP", "OK", "* 4 EXISTS", "* 1 RECENT", `* 2 FETCH (FLAGS (\Flagged))`)
	a.want("NOOP", "OK", "* 2 EXPUNGE")
	a.want("FETCH 2:* (UID)", "OK", "* 2 FETCH (UID 3)", "* 3 FETCH (UID 4)", "* 4 FETCH (UID 5)")

	// A list that is first needed after others changed the folder is that of the SELECT.
	c := h.login(t)
	c.ok("EXAMINE INBOX")
	b.ok(`UID STORE 1,4 +FLAGS.SILENT (\Deleted)`)
	b.ok("EXPUNGE")
	h.Deliver(t, []byte(first), m.ID)
	c.wantSoon([]string{"* 5 EXISTS", "* 2 RECENT"}, "FETCH 1:4 (UID)", "NO [EXPUNGEISSUED]", "* 2 FETCH (UID 3)", "* 4 FETCH (UID 5)")
	c.want("CHECK", "OK", "* 1 EXPUNGE", "* 2 EXPUNGE")
	c.want(`STORE 1 FLAGS (\Seen)`, "NO [READ-ONLY]")
}

func TestRemovedFolder(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	a, b := h.login(t), h.login(t)
	a.ok("CREATE x")
	a.append("x", "", first)
	a.ok("SELECT x")
	b.ok("SELECT x")
	b.ok("RENAME x y")
	b.want("FETCH 1 UID", "OK", "* 1 FETCH (UID 1)")
	b.want("DELETE y", "OK")
	b.want("FETCH 1 UID", "BAD")
	a.send("x NOOP\r\n")
	if rest := a.closed(); !strings.HasPrefix(rest, "* BYE") {
		t.Errorf("the other session got %q", rest)
	}
}

func modseqOf(t *testing.T, lines []string) string {
	t.Helper()
	for _, l := range lines {
		if _, rest, ok := strings.Cut(l, "[HIGHESTMODSEQ "); ok {
			n, _, _ := strings.Cut(rest, "]")
			return n
		}
	}
	t.Fatalf("no HIGHESTMODSEQ in %q", lines)
	return ""
}

func TestCondStoreAndQResync(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		h := open(t, config)
		m := h.mailbox(t)
		for range 5 {
			h.Deliver(t, []byte(first), m.ID)
		}
		a, b := h.login(t), h.login(t)
		opened := a.ok("SELECT INBOX (CONDSTORE)")
		before := modseqOf(t, opened)
		validity := ""
		for _, l := range opened {
			if _, rest, ok := strings.Cut(l, "[UIDVALIDITY "); ok {
				validity, _, _ = strings.Cut(rest, "]")
			}
		}
		b.ok("SELECT INBOX")
		b.ok(`STORE 2 +FLAGS.SILENT (\Flagged)`)
		heard := a.ok("NOOP")
		if len(heard) != 1 || !strings.HasPrefix(heard[0], "* 2 FETCH (MODSEQ (") {
			t.Errorf("a change is told as %q", heard)
		}
		if got := a.ok("FETCH 1:* (FLAGS) (CHANGEDSINCE " + before + ")"); len(got) != 1 || !strings.HasPrefix(got[0], "* 2 FETCH (MODSEQ (") {
			t.Errorf("CHANGEDSINCE: %q", got)
		}
		if _, tagged := a.do("STORE 1,2 (UNCHANGEDSINCE " + before + `) +FLAGS.SILENT (\Seen)`); !strings.HasPrefix(tagged, "OK [MODIFIED 2]") {
			t.Errorf("UNCHANGEDSINCE: %q", tagged)
		}
		b.ok(`UID STORE 4:5 +FLAGS.SILENT (\Deleted)`)
		b.ok("EXPUNGE")
		heard = a.ok("ENABLE QRESYNC")
		if len(heard) != 2 || heard[1] != "* VANISHED 4:5" {
			t.Errorf("expunges are told as %q", heard)
		}
		c := h.login(t)
		c.want("SELECT INBOX (QRESYNC (1 1))", "BAD")
		c.ok("ENABLE QRESYNC")
		got := c.ok(fmt.Sprintf("SELECT INBOX (QRESYNC (%s %s 1:5))", validity, before))
		all := strings.Join(got, "\n")
		if !strings.Contains(all, "* VANISHED (EARLIER) 4:5\n") || strings.Count(all, "FETCH (UID") != 2 {
			t.Errorf("QRESYNC:\n%s", all)
		}
		vanished := c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE " + before + " VANISHED)")
		if len(vanished) != 3 || vanished[0] != "* VANISHED (EARLIER) 4:5" {
			t.Errorf("VANISHED: %q", vanished)
		}
		found := c.ok("SEARCH MODSEQ " + before)
		if len(found) != 1 || !strings.Contains(found[0], " (MODSEQ ") {
			t.Errorf("SEARCH MODSEQ: %q", found)
		}
	})
}

func TestQuota(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	m.QuotaBytes, m.QuotaMessages = 4096, 3
	if err := h.accounts.UpdateMailbox(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	c := h.login(t)
	c.append("INBOX", "", first)
	c.append("INBOX", "", first)
	c.want("GETQUOTA mailbox", "OK", "* QUOTA mailbox (STORAGE 1 4 MESSAGE 2 3)")
	c.want("GETQUOTA x", "NO [NONEXISTENT]")
	c.want("SETQUOTA mailbox (STORAGE 9)", "NO [NOPERM]")
	c.want("APPEND INBOX {5000}", "NO [OVERQUOTA]")
	c.ok("SELECT INBOX")
	c.want("COPY 1:2 Sent", "NO [OVERQUOTA]")
	c.want("COPY 1 Sent", "OK [COPYUID")
	c.want("APPEND INBOX {5}", "NO [OVERQUOTA]")
	c.want("STATUS Sent (MESSAGES DELETED-STORAGE)", "OK", "* STATUS Sent (MESSAGES 1 DELETED-STORAGE 0)")
	// What the panel shows is the same, but for the unit.
	row, err := h.accounts.MailboxByID(t.Context(), models.Everything(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if row.Usage != (models.MailboxUsage{Bytes: 3 * int64(len(first)), Messages: 3}) {
		t.Errorf("the panel shows %+v", row.Usage)
	}
	c.want("GETQUOTAROOT Sent", "OK", "* QUOTAROOT Sent mailbox", fmt.Sprintf("* QUOTA mailbox (STORAGE %d 4 MESSAGE %d 3)", (row.Usage.Bytes+1023)/1024, row.Usage.Messages))
}

func TestMultiAppend(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	h.mailbox(t)
	c := h.login(t)
	c.tag++
	tag := "t" + itoa(c.tag)
	large := first + strings.Repeat("x\r\n", 200_000) // more than is held in memory
	c.send(fmt.Sprintf("%s APPEND INBOX (\\Seen) {%d}\r\n", tag, len(first)))
	c.hear("+ Go on")
	c.send(fmt.Sprintf("%s {%d}\r\n", first, len(large)))
	c.hear("+ Go on")
	c.send(large + " (\\Flagged) {3+}\r\na\r\n\r\n")
	if _, tagged := c.answer(tag); !strings.HasPrefix(tagged, "OK [APPENDUID ") || !strings.HasSuffix(strings.Fields(tagged)[3], "1:3]") {
		t.Errorf("APPEND: %q", tagged)
	}
	c.ok("SELECT INBOX")
	c.want("FETCH 2 BODY.PEEK[]", "OK", "* 2 FETCH (BODY[] {"+itoa(len(large))+"}\r\n"+large+")")
	c.want("FETCH 3 BODY.PEEK[]", "OK", "* 3 FETCH (BODY[] {3}\r\na\r\n)")
	c.want("APPEND INBOX {60000000}", "NO [TOOBIG]")
	c.want("APPEND INBOX {3+}\r\na\x00b", "NO [UNKNOWN-CTE]")
	c.want("APPEND INBOX (\\Seen {3+}\r\nabc", "BAD")
	c.want("APPEND nothing {3+}\r\nabc", "NO [TRYCREATE]")
	c.want("APPEND INBOX {3+}\r\nabc {2+}\r\nde {99999999}", "NO [TOOBIG]")
	c.want("STATUS INBOX (MESSAGES)", "OK", "* STATUS INBOX (MESSAGES 3)")
	c.want("ENABLE UTF8=ACCEPT", "NO")
	c.ok("UNSELECT")
	c.want("ENABLE UTF8=ACCEPT", "OK", "* ENABLED UTF8=ACCEPT")
	c.want("APPEND INBOX UTF8 (~{3+}\r\nabc)", "OK")
	c.want("CREATE \"پوشه\"", "OK")
	c.want("LIST \"\" \"پ*\"", "OK", `* LIST (\HasNoChildren) "/" "پوشه"`)
}

func TestRev2(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	h.Deliver(t, []byte(first), m.ID)
	c := h.login(t)
	c.want("ENABLE IMAP4rev2", "OK", "* ENABLED IMAP4rev2")
	opened := strings.Join(c.ok("SELECT INBOX"), "\n")
	if strings.Contains(opened, "RECENT") || !strings.Contains(opened, `* LIST () "/" "INBOX"`) {
		t.Errorf("SELECT:\n%s", opened)
	}
	c.want("SEARCH ALL", "OK", `* ESEARCH (TAG "t`+itoa(c.tag+1)+`") ALL 1`)
	if got := c.ok("SELECT Sent"); got[0] != "* OK [CLOSED] The previous mailbox is closed" {
		t.Errorf("another SELECT: %q", got)
	}
}

func TestEnds(t *testing.T) {
	dbtest.EachConfig(t, func(t *testing.T, config db.Config) {
		h := open(t, config)
		m := h.mailbox(t)
		c, d := h.login(t), h.login(t)
		c.ok("SELECT INBOX")
		c.idle()
		m.LoginOff, m.Reason = true, "moved\r\naway"
		if err := h.accounts.UpdateMailbox(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*client{c, d} {
			if rest := c.closed(); !strings.HasPrefix(rest, "* BYE ") || !strings.Contains(rest, "moved  away") {
				t.Errorf("a suspended account's session got %q", rest)
			}
		}
		e := h.dialTLS(t)
		e.want("LOGIN "+sara+" \""+secret+"\"", "NO [AUTHORIZATIONFAILED]")
		e.want("LOGIN "+sara+" wrong", "NO [AUTHENTICATIONFAILED]")
	})
}
