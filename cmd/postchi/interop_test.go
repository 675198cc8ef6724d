package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postchi/postchi/panel/clientsetup"
)

// interop skips a test of programs that only make interop installs.
func interop(t *testing.T) {
	t.Helper()
	if os.Getenv("POSTCHI_INTEROP") == "" {
		t.Skip("make interop runs it")
	}
}

// told is what postchi settings --json tells a person to type into a mail program: the first
// line of reading, which must be IMAP under TLS, and the authority to trust.
func (in *instance) told(t *testing.T, address string) (line clientsetup.Line, ca string) {
	t.Helper()
	out, status := in.command("", "settings", address, "--json")
	var s clientsetup.Settings
	if err := json.Unmarshal([]byte(out), &s); status != 0 || err != nil {
		t.Fatalf("settings: status %d, %v\n%s", status, err, out)
	}
	line = s.Lines[0]
	if line.Protocol != clientsetup.IMAP || line.Security != clientsetup.TLS || !line.Preferred {
		t.Fatalf("the first line is %+v", line)
	}
	return line, s.ImportCA
}

// reader is an instance with one mailbox, and what its owner is told.
func reader(t *testing.T) (in *instance, line clientsetup.Line, ca string) {
	interop(t)
	in = newInstance(t, "sqlite")
	in.start()
	in.populate("example.com", "sara")
	line, ca = in.told(t, saraAddress)
	return in, line, ca
}

// inFolder runs a program whose home is a folder.
func inFolder(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return runProgram(t, "", append([]string{"env", "HOME=" + dir, "TERM=dumb"}, args...)...)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestInteropCurl(t *testing.T) {
	in, line, ca := reader(t)
	c := in.imapTalk(t, saraAddress, testPassword)
	c.fill(t, "INBOX", 1, 1)
	base := fmt.Sprintf("imaps://%s:%d/INBOX", line.Host, line.Port)
	curl := []string{"curl", "-sS", "--cacert", ca, "-u", line.Username + ":" + testPassword}
	if got := runProgram(t, "", append(curl, base+";UID=1")...); got != numbered(1) {
		t.Errorf("curl got %q", got)
	}
	file := filepath.Join(t.TempDir(), "message")
	write(t, file, numbered(2))
	runProgram(t, "", append(curl, "-T", file, base)...)
	if got := runProgram(t, "", append(curl, base, "-X", `SEARCH SUBJECT "number 2"`)...); got != "* SEARCH 2\r\n" {
		t.Errorf("curl found %q", got)
	}
}

// TestInteropMutt flags, deletes, and in a second run, which reads its cache and what changed
// since through QRESYNC, saves into another folder.
func TestInteropMutt(t *testing.T) {
	in, line, ca := reader(t)
	c := in.imapTalk(t, saraAddress, testPassword)
	c.fill(t, "INBOX", 1, 2)
	dir := t.TempDir()
	write(t, dir+"/muttrc", fmt.Sprintf("set folder=imaps://%s:%d/\nset spoolfile=+INBOX\nset imap_user=%q\nset imap_pass=%q\nset ssl_ca_certificates_file=%q\n"+
		"set confirmappend=no\nset confirmcreate=no\nset wait_key=no\nset quit=yes\nset delete=yes\nset mark_old=no\nset sleep_time=0\nset move=no\nset imap_qresync=yes\nset header_cache=%q\n",
		line.Host, line.Port, line.Username, testPassword, ca, dir+"/cache"))
	mutt := func(push string) {
		inFolder(t, dir, "script", "-qec", fmt.Sprintf("stty rows 24 cols 80; mutt -n -F %s/muttrc -e \"push '%s'\"", dir, push), "/dev/null")
	}
	mutt("<flag-message><next-entry><delete-message><quit>")
	c.ok(t, "SELECT INBOX")
	if got := c.searched(t, "FLAGGED"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("flagged: %v", got)
	}
	if got := c.searched(t, "ALL"); !slices.Equal(got, []string{"1"}) {
		t.Errorf("left: %v", got)
	}
	c.fill(t, "INBOX", 3, 1)
	c.ok(t, `STORE 1 -FLAGS.SILENT (\Flagged)`)
	mutt("<next-entry><save-message>=Archive<enter><quit>")
	c.ok(t, "SELECT Archive")
	if got := c.searched(t, `SUBJECT "number 3"`); len(got) != 1 {
		t.Errorf("in Archive: %v", got)
	}
}

// TestInteropMbsync synchronizes 5,000 messages both ways, twice with changes on both sides in
// between; a run with nothing to do changes nothing.
func TestInteropMbsync(t *testing.T) {
	in, line, ca := reader(t)
	c := in.imapTalk(t, saraAddress, testPassword)
	const n = 5000
	c.fill(t, "INBOX", 1, n)
	m := newMaildir(t)
	write(t, m.dir+"/rc", fmt.Sprintf("IMAPAccount a\nHost %s\nPort %d\nUser %s\nPass \"%s\"\nSSLType IMAPS\nSystemCertificates no\nCertificateFile %s\n\n"+
		"IMAPStore far\nAccount a\n\nMaildirStore near\nPath %s/mail/\nInbox %s/mail/INBOX\nSubFolders Verbatim\n\n"+
		"Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n", line.Host, line.Port, line.Username, testPassword, ca, m.dir, m.dir))
	sync := func() { inFolder(t, m.dir, "mbsync", "-c", m.dir+"/rc", "c") }
	sync()
	c.ok(t, "SELECT INBOX")
	m.compare(t, c, n)
	for round := range 2 {
		// Here 100 are removed, 100 flagged and 20 made; there 100 are flagged and 100 removed.
		at := 1 + round*1000
		m.remove(t, at, 100)
		m.flag(t, at+100, 100)
		m.add(t, n+round*100, 20)
		c.ok(t, `UID STORE %d:%d +FLAGS.SILENT (\Answered)`, at+200, at+299)
		c.ok(t, `UID STORE %d:%d +FLAGS.SILENT (\Deleted)`, at+300, at+399)
		c.ok(t, "EXPUNGE")
		sync()
		c.ok(t, "NOOP")
		m.compare(t, c, n-180*(round+1))
	}
	before, here := c.ok(t, "STATUS INBOX (HIGHESTMODSEQ UIDNEXT)"), m.messages(t)
	sync()
	if after := c.ok(t, "STATUS INBOX (HIGHESTMODSEQ UIDNEXT)"); after[0] != before[0] {
		t.Errorf("a run with nothing to do changed %q into %q", before, after)
	}
	if !maps.Equal(here, m.messages(t)) {
		t.Error("a run with nothing to do changed messages here")
	}
}

// maildir is what mbsync keeps here.
type maildir struct{ dir string }

func newMaildir(t *testing.T) maildir {
	m := maildir{t.TempDir()}
	if err := os.Mkdir(m.dir+"/mail", 0o700); err != nil {
		t.Fatal(err)
	}
	return m
}

// files returns the files of the inbox by the number of their message.
func (m maildir) files(t *testing.T) map[int]string {
	t.Helper()
	found, err := filepath.Glob(m.dir + "/mail/INBOX/[cn][ue][rw]/*")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[int]string, len(found))
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "Subject: number ")
		var number int
		if _, err := fmt.Sscan(rest, &number); err != nil || all[number] != "" {
			t.Fatalf("%s: %v, or there twice\n%s", file, err, text)
		}
		all[number] = file
	}
	return all
}

// flagsOf are the flags of a file in the order of IMAP's letters, of those that are compared.
func flagsOf(file string) (flags string) {
	_, letters, _ := strings.Cut(file, ":2,")
	for _, l := range "FRS" {
		if strings.ContainsRune(letters, l) {
			flags += string(l)
		}
	}
	return flags
}

// messages returns the flags of all messages by their number.
func (m maildir) messages(t *testing.T) map[int]string {
	t.Helper()
	all := m.files(t)
	for number, file := range all {
		all[number] = flagsOf(file)
	}
	return all
}

func (m maildir) remove(t *testing.T, first, n int) {
	t.Helper()
	files := m.files(t)
	for i := first; i < first+n; i++ {
		if err := os.Remove(files[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func (m maildir) flag(t *testing.T, first, n int) {
	t.Helper()
	files := m.files(t)
	for i := first; i < first+n; i++ {
		name, letters, _ := strings.Cut(filepath.Base(files[i]), ":2,")
		all := strings.Split(letters+"F", "")
		slices.Sort(all)
		if err := os.Rename(files[i], m.dir+"/mail/INBOX/cur/"+name+":2,"+strings.Join(all, "")); err != nil {
			t.Fatal(err)
		}
	}
}

func (m maildir) add(t *testing.T, first, n int) {
	t.Helper()
	for i := first + 1; i <= first+n; i++ {
		write(t, fmt.Sprintf("%s/mail/INBOX/cur/%d.new:2,S", m.dir, i), strings.ReplaceAll(numbered(i), "\r\n", "\n"))
	}
}

// compare looks whether the selected folder and the maildir hold the same messages with the
// same flags, and how many.
func (m maildir) compare(t *testing.T, c *talk, n int) {
	t.Helper()
	there := map[int]string{}
	for _, line := range c.ok(t, "UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])") {
		_, subject, ok := strings.Cut(line, "Subject: number ")
		if !ok {
			continue
		}
		var number int
		fmt.Sscan(subject, &number)
		for i, flag := range []string{`\Flagged`, `\Answered`, `\Seen`} {
			if strings.Contains(line, flag) {
				there[number] += "FRS"[i : i+1]
			} else {
				there[number] += ""
			}
		}
	}
	here := m.messages(t)
	if len(here) != n || len(there) != n {
		t.Errorf("%d messages here, %d there, want %d", len(here), len(there), n)
	}
	for number, flags := range here {
		if other, ok := there[number]; !ok || other != flags {
			t.Errorf("message %d has flags %q here, %q there (%v)", number, flags, other, ok)
		}
	}
}
