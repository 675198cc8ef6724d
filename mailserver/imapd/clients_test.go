package imapd_test

import (
	"bufio"
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
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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

// TestOfflineIMAP synchronizes both ways, twice.
func TestOfflineIMAP(t *testing.T) {
	interop(t)
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	for range 3 {
		h.Deliver(t, []byte(first), m.ID)
	}
	_, port, _ := net.SplitHostPort(h.secure)
	dir := t.TempDir()
	rc := fmt.Sprintf("[general]\naccounts = a\nmetadata = %s/meta\n[Account a]\nlocalrepository = near\nremoterepository = far\n[Repository near]\ntype = Maildir\nlocalfolders = %s/mail\n"+
		"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = %s\nremoteuser = %s\nremotepass = %s\nssl = yes\nsslcacertfile = %s\n", dir, dir, port, sara, secret, caFile(t))
	if err := os.WriteFile(dir+"/rc", []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	sync := func() { program(t, dir, "offlineimap", "-o", "-u", "basic", "-c", dir+"/rc") }
	files := func(flags string) []string {
		all, _ := filepath.Glob(dir + "/mail/INBOX/[cn][ue][rw]/*" + flags)
		return all
	}
	sync()
	if got := files(""); len(got) != 3 {
		t.Fatalf("%d messages came", len(got))
	}
	if err := os.Remove(files("")[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/mail/INBOX/cur/1.new:2,S", []byte(strings.ReplaceAll(multi, "\r\n", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	c := h.login(t)
	c.ok("SELECT INBOX")
	c.ok(`STORE 1:3 +FLAGS.SILENT (\Flagged)`)
	sync()
	c.ok("NOOP")
	c.want("STATUS INBOX (MESSAGES UNSEEN)", "OK", "* STATUS INBOX (MESSAGES 3 UNSEEN 2)")
	if all, flagged := files(""), files(":2,*F*"); len(all) != 3 || len(flagged) != 2 {
		t.Errorf("here are %d messages, %d of them flagged", len(all), len(flagged))
	}
	before := c.ok("STATUS INBOX (HIGHESTMODSEQ UIDNEXT)")
	sync()
	if after := c.ok("STATUS INBOX (HIGHESTMODSEQ UIDNEXT)"); after[0] != before[0] {
		t.Errorf("a run with nothing to do changed %q into %q", before, after)
	}
}

// TestFetchmail empties the mailbox, over STARTTLS and over TLS.
func TestFetchmail(t *testing.T) {
	interop(t)
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	ca := caFile(t)
	for _, way := range []struct{ addr, option string }{{h.secure, "ssl"}, {h.plain, "sslproto TLS1.2+"}} {
		h.Deliver(t, []byte(first), m.ID)
		h.Deliver(t, []byte(multi), m.ID)
		dir := t.TempDir()
		_, port, _ := net.SplitHostPort(way.addr)
		rc := fmt.Sprintf("poll localhost protocol IMAP port %s user %q password %q %s sslcertck sslcertfile %q fetchall mda \"cat >>%s/mail\"\n", port, sara, secret, way.option, ca, dir)
		if err := os.WriteFile(dir+"/rc", []byte(rc), 0o600); err != nil {
			t.Fatal(err)
		}
		out := program(t, dir, "fetchmail", "-v", "--nosyslog", "--pidfile", dir+"/pid", "-f", dir+"/rc")
		mail, err := os.ReadFile(dir + "/mail")
		if err != nil || strings.Count(string(mail), "Hello Sara,") != 1 || strings.Count(string(mail), "inner text") != 1 {
			t.Errorf("%v\n%s\n%s", err, mail, out)
		}
		h.login(t).want("STATUS INBOX (MESSAGES)", "OK", "* STATUS INBOX (MESSAGES 0)")
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

// imapflowScript uses what that client negotiates by itself: ID, COMPRESS, CONDSTORE, QRESYNC,
// IDLE, MOVE.
const imapflowScript = `
const { ImapFlow } = require('imapflow');
(async () => {
  const c = new ImapFlow({host: 'localhost', port: +process.env.PORT, secure: true, auth: {user: process.env.NAME, pass: process.env.PASS},
    tls: {rejectUnauthorized: false}, logger: false, qresync: true});
  await c.connect();
  const box = await c.mailboxOpen('INBOX');
  const out = {exists: box.exists, compressed: !!c._deflate, enabled: [...c.enabled]};
  out.subjects = [];
  for await (const m of c.fetch('1:*', {uid: true, flags: true, envelope: true, bodyStructure: true, source: true})) out.subjects.push(m.envelope.subject + '/' + m.source.length);
  await c.messageFlagsAdd('1', ['\\Seen']);
  await c.append('Archive', Buffer.from('Subject: x\r\n\r\nbody\r\n'), ['\\Seen']);
  out.found = await c.search({body: 'hello'}, {uid: true});
  out.moved = await c.messageMove('2', 'Archive');
  out.status = await c.status('Archive', {messages: true});
  out.quota = await c.getQuota('INBOX');
  const news = new Promise(r => c.on('exists', r));
  c.idle();
  setTimeout(() => console.log('READY'), 300);
  const e = await news;
  out.news = e.count;
  await c.logout();
  out.map = undefined; out.moved = out.moved.destination; out.status = out.status.messages;
  console.log(JSON.stringify(out));
})().catch(e => { console.error(e); process.exit(1); });
`

// imapflowDir is where make interop has installed that module of npm's.
const imapflowDir = "../../.cache/imapflow"

func TestImapflow(t *testing.T) {
	interop(t)
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	h.Deliver(t, []byte(first), m.ID)
	h.Deliver(t, []byte(multi), m.ID)
	_, port, _ := net.SplitHostPort(h.secure)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "-e", imapflowScript)
	cmd.Dir = imapflowDir
	cmd.Env = append(os.Environ(), "PORT="+port, "NAME="+sara, "PASS="+secret)
	var problems strings.Builder
	cmd.Stderr = &problems
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	if lines.Scan(); lines.Text() == "READY" {
		// Two: after VANISHED this client does not count down, and takes the first for no news.
		h.Deliver(t, []byte(first), m.ID)
		h.Deliver(t, []byte(first), m.ID)
		lines.Scan()
	}
	got := lines.Text()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	for _, want := range []string{`"exists":2`, `"compressed":true`, fmt.Sprintf(`"subjects":["One/%d","دو/%d"]`, len(first), len(multi)), `"found":[1]`,
		`"moved":"Archive"`, `"status":2`, `"news":3`, "QRESYNC"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}
