package imapd_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/postchi/postchi/models/db/dbtest"
)

// program runs a client that Debian packages; without it the test is skipped.
func program(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=dumb")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// interop skips a test whose client only make interop installs.
func interop(t *testing.T) {
	t.Helper()
	if os.Getenv("POSTCHI_INTEROP") == "" {
		t.Skip("make interop runs it")
	}
}

func TestCurl(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	h.Deliver(t, []byte(first), m.ID)
	ca := caFile(t)
	_, port, _ := net.SplitHostPort(h.secure)
	_, plain, _ := net.SplitHostPort(h.plain)
	dir := t.TempDir()
	user := sara + ":" + secret
	if got := program(t, dir, "curl", "-sS", "--cacert", ca, "-u", user, "imaps://localhost:"+port+"/INBOX;MAILINDEX=1"); got != first {
		t.Errorf("curl got %q", got)
	}
	file := filepath.Join(dir, "message")
	if err := os.WriteFile(file, []byte(multi), 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, dir, "curl", "-sS", "--ssl-reqd", "--cacert", ca, "-u", user, "-T", file, "imap://localhost:"+plain+"/INBOX")
	if got := program(t, dir, "curl", "-sS", "--ssl-reqd", "--cacert", ca, "-u", user, "imap://localhost:"+plain+"/INBOX;UID=2"); got != multi {
		t.Errorf("curl got %q", got)
	}
}

func TestMutt(t *testing.T) {
	interop(t)
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	h.Deliver(t, []byte(first), m.ID)
	h.Deliver(t, []byte(multi), m.ID)
	_, port, _ := net.SplitHostPort(h.secure)
	dir := t.TempDir()
	rc := fmt.Sprintf("set folder=imaps://localhost:%s/\nset spoolfile=+INBOX\nset imap_user=%q\nset imap_pass=%q\nset ssl_ca_certificates_file=%q\n"+
		"set confirmappend=no\nset confirmcreate=no\nset wait_key=no\nset quit=yes\nset delete=yes\nset mark_old=no\nset sleep_time=0\nset move=no\nset imap_qresync=yes\nset header_cache=%q\n", port, sara, secret, caFile(t), dir+"/cache")
	if err := os.WriteFile(dir+"/muttrc", []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	c := h.login(t)
	c.ok("SELECT INBOX")
	mutt(t, dir, "push '<flag-message><next-entry><delete-message><quit>'")
	c.want("NOOP", "OK", "* 2 EXPUNGE", `* 1 FETCH (FLAGS (\Flagged \Recent))`)
	// The second run reads its cache, and what changed since through QRESYNC.
	h.Deliver(t, []byte(first), m.ID)
	c.ok("STORE 1 -FLAGS.SILENT (\\Flagged)")
	mutt(t, dir, "push '<next-entry><save-message>=Archive<enter><quit>'")
	c.want("STATUS Archive (MESSAGES)", "OK", "* STATUS Archive (MESSAGES 1)", "* 2 EXPUNGE")
}

func mutt(t *testing.T, dir, push string) {
	t.Helper()
	program(t, dir, "script", "-qec", fmt.Sprintf("stty rows 24 cols 80; mutt -n -F %s/muttrc -e \"%s\"", dir, push), "/dev/null")
}

// TestMbsync synchronizes both ways, twice, and the last run finds nothing to do.
func TestMbsync(t *testing.T) {
	interop(t)
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	const n = 60
	for i := range n {
		h.Deliver(t, []byte(fmt.Sprintf("From: a@example.org\r\nSubject: number %d\r\nMessage-ID: <n%d@example.org>\r\n\r\ntext %d\r\n", i, i, i)), m.ID)
	}
	_, port, _ := net.SplitHostPort(h.secure)
	dir := t.TempDir()
	rc := fmt.Sprintf("IMAPAccount a\nHost localhost\nPort %s\nUser %s\nPass \"%s\"\nSSLType IMAPS\nSystemCertificates no\nCertificateFile %s\n\n"+
		"IMAPStore far\nAccount a\n\nMaildirStore near\nPath %s/mail/\nInbox %s/mail/INBOX\nSubFolders Verbatim\n\n"+
		"Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n", port, sara, secret, caFile(t), dir, dir)
	if err := os.WriteFile(dir+"/rc", []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/mail", 0o700); err != nil {
		t.Fatal(err)
	}
	sync := func() string { return program(t, dir, "mbsync", "-c", dir+"/rc", "-V", "c") }
	files := func() []string {
		a, _ := filepath.Glob(dir + "/mail/INBOX/cur/*")
		b, _ := filepath.Glob(dir + "/mail/INBOX/new/*")
		return append(a, b...)
	}
	sync()
	if got := len(files()); got != n {
		t.Fatalf("%d messages came", got)
	}
	// Here one is removed and one made, there one is flagged and two are removed.
	list := files()
	if err := os.Remove(list[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/mail/INBOX/cur/1.new:2,S", []byte(strings.ReplaceAll(first, "\r\n", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := h.login(t)
	c.ok("SELECT INBOX")
	c.ok(`UID STORE 50 +FLAGS.SILENT (\Flagged)`)
	c.ok(`UID STORE 51,52 +FLAGS.SILENT (\Deleted)`)
	c.ok("EXPUNGE")
	sync()
	c.ok("NOOP")
	c.want("STATUS INBOX (MESSAGES)", "OK", fmt.Sprintf("* STATUS INBOX (MESSAGES %d)", n-2))
	if got := len(files()); got != n-2 {
		t.Errorf("%d messages are here", got)
	}
	if flagged, _ := filepath.Glob(dir + "/mail/INBOX/cur/*:2,*F*"); len(flagged) != 1 {
		t.Errorf("flagged here: %q", flagged)
	}
	if got := c.ok("SEARCH HEADER Message-ID 1@example.org SEEN"); len(got) != 1 || got[0] == "* SEARCH" {
		t.Errorf("the new message is not there: %q", got)
	}
	before := c.ok("STATUS INBOX (HIGHESTMODSEQ)")
	sync()
	if after := c.ok("STATUS INBOX (HIGHESTMODSEQ)"); after[0] != before[0] {
		t.Errorf("a run with nothing to do changed %q into %q", before, after)
	}
}

func TestGoIMAP(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	h.Deliver(t, []byte(multi), m.ID)
	c, err := imapclient.DialTLS(h.secure, &imapclient.Options{TLSConfig: &tls.Config{InsecureSkipVerify: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Login(sara, secret).Wait())
	list, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true}, ReturnSpecialUse: true}).Collect()
	must(err)
	if len(list) != 6 || list[0].Mailbox != "INBOX" || *list[0].Status.NumMessages != 1 {
		t.Errorf("LIST: %+v", list)
	}
	selected, err := c.Select("INBOX", nil).Wait()
	must(err)
	if selected.NumMessages != 1 || selected.UIDNext != 2 {
		t.Errorf("SELECT: %+v", selected)
	}
	cmd := c.Append("INBOX", int64(len(first)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}})
	_, err = cmd.Write([]byte(first))
	must(err)
	must(cmd.Close())
	added, err := cmd.Wait()
	must(err)
	if added.UID != 2 {
		t.Errorf("APPEND: %+v", added)
	}
	section := &imap.FetchItemBodySection{Peek: true}
	got, err := c.Fetch(imap.SeqSetNum(1, 2), &imap.FetchOptions{UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	must(err)
	if len(got) != 2 || got[0].Envelope.Subject != "دو" || string(got[1].FindBodySection(section)) != first || got[1].RFC822Size != int64(len(first)) ||
		got[0].BodyStructure.MediaType() != "multipart/mixed" {
		t.Errorf("FETCH: %+v", got)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Body: []string{"HELLO"}}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	must(err)
	if found.Count != 1 || found.AllUIDs()[0] != 2 {
		t.Errorf("SEARCH: %+v", found)
	}
	moved, err := c.Move(imap.UIDSetNum(2), "Archive").Wait()
	must(err)
	if moved.DestUIDs.String() != "1" {
		t.Errorf("MOVE: %+v", moved)
	}
	idle, err := c.Idle()
	must(err)
	must(idle.Close())
	must(idle.Wait())
	must(c.Logout().Wait())
}
