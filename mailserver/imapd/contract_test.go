package imapd_test

import (
	"bufio"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/imapd"
	"github.com/postchi/postchi/models/db/dbtest"
)

// dovecotProgram is Debian's. Where make interop has installed it, the test asks it anew; with
// -record its answers are written down for make test:
//
//	POSTCHI_INTEROP=1 go test -run TestContract ./mailserver/imapd -record
const dovecotProgram = "/usr/lib/dovecot/imap"

const recorded = "testdata/dovecot.txt"

var recording = flag.Bool("record", false, "TestContract writes Dovecot's answers to "+recorded)

// contract are commands whose answers are compared with Dovecot's. They run in one session;
// "{...}" is sent as a literal without waiting.
var contract = []string{
	// Folders.
	"SELECT INBOX", "CREATE work", "CREATE work", "CREATE inbox", "CREATE above/below", "LIST \"\" above*", "DELETE above/below", "LIST \"\" above*",
	"CREATE work/deep", "CREATE work/deep/er", "LIST \"\" work%", "LIST \"\" work/*", "LIST work/ %", "LSUB \"\" nothing", "CREATE work/", "CREATE work&",
	"SUBSCRIBE work", "LSUB \"\" work", "LIST (SUBSCRIBED) \"\" work*", "UNSUBSCRIBE work", "UNSUBSCRIBE nothing", "RENAME work/deep job", "LIST \"\" job*", "LIST \"\" \"\"",
	"RENAME nothing else", "RENAME work job", "RENAME job job/under", "DELETE nothing", "DELETE INBOX", "SELECT nothing", "FETCH 1 FLAGS", "SELECT INBOX", "STATUS nothing (MESSAGES)",
	"STATUS job (MESSAGES UNSEEN)", "STATUS job (FOO)",
	// Messages and their parts.
	"APPEND nothing {3+}\r\nabc", "APPEND INBOX (\\Seen) \" 1-Feb-2006 15:04:05 +0000\" {MESSAGE}", "APPEND INBOX (\\Flagged) \" 2-Feb-2006 15:04:05 +0000\" {MULTI}",
	"APPEND INBOX \" 3-Feb-2006 15:04:05 +0000\" {MESSAGE}", "NOOP", "STATUS INBOX (MESSAGES UNSEEN SIZE)",
	"FETCH 1 FLAGS", "FETCH 1 (UID)", "FETCH 1 INTERNALDATE", "FETCH 1 RFC822.SIZE", "FETCH 1 FAST", "FETCH 1 ENVELOPE", "FETCH 2 ENVELOPE", "FETCH 1 BODYSTRUCTURE", "FETCH 2 BODYSTRUCTURE", "FETCH 2 BODY",
	"FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "FETCH 1 BODY.PEEK[HEADER.FIELDS (X-NONE)]", "FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT FROM TO DATE)]", "FETCH 1 BODY.PEEK[TEXT]<2.4>",
	"FETCH 1 BODY.PEEK[TEXT]<900.4>", "FETCH 1 BODY.PEEK[1]", "FETCH 1 BODY.PEEK[1.MIME]", "FETCH 1 BODY.PEEK[2]", "FETCH 1 BODY.PEEK[]", "FETCH 2 BODY.PEEK[2.HEADER]", "FETCH 2 BODY.PEEK[2.TEXT]",
	"FETCH 2 BODY.PEEK[2.1]", "FETCH 2 BODY.PEEK[1.MIME]", "FETCH 2 BODY.PEEK[2.MIME]", "FETCH 2 BODY.PEEK[3]", "FETCH 2 BODY.PEEK[1.HEADER]", "FETCH 2 BODY.PEEK[0]", "FETCH 2 RFC822.HEADER",
	"FETCH 2 BINARY.PEEK[1]", "FETCH 2 BINARY.PEEK[1]<2.5>", "FETCH 2 BINARY.SIZE[1]", "FETCH 2 BINARY.SIZE[2]", "FETCH 9 FLAGS", "FETCH 0 FLAGS", "FETCH 1:* FOO", "FETCH 1", "UID FETCH 999 FLAGS",
	"UID FETCH 999:* (UID)", "FETCH *:2 (UID)", "FETCH 1,1 (UID)",
	// Search, sort, thread.
	"SEARCH ALL", "SEARCH SEEN", "SEARCH UNSEEN", "SEARCH FLAGGED NOT SEEN", "SEARCH OR SEEN FLAGGED", "SEARCH NOT NOT SEEN", "SEARCH (SEEN) (ALL)", "SEARCH FROM ali", "SEARCH TO sara", "SEARCH SUBJECT one",
	"SEARCH SUBJECT \"\"", "SEARCH CC x", "SEARCH BODY hello", "SEARCH TEXT hello", "SEARCH BODY inner", "SEARCH TEXT \"Subject: one\"", "SEARCH HEADER Message-ID 1@example", "SEARCH HEADER X-None \"\"",
	"SEARCH HEADER Date \"\"", "SEARCH SINCE 2-Feb-2006", "SEARCH BEFORE 2-Feb-2006", "SEARCH ON 2-Feb-2006", "SEARCH SENTON 2-Jan-2006", "SEARCH SENTBEFORE 2-Jan-2006", "SEARCH SENTSINCE 2-Jan-2006",
	"SEARCH LARGER 300", "SEARCH SMALLER 300", "SEARCH 2:*", "SEARCH UID 1,3", "SEARCH NOT 1", "SEARCH KEYWORD nothing", "SEARCH UNKEYWORD nothing", "SEARCH FOO", "SEARCH",
	"SEARCH CHARSET UTF-8 SUBJECT {4+}\r\nدو", "SEARCH CHARSET X-NONE SUBJECT x", "SEARCH 99", "SEARCH UID 99", "SEARCH RETURN (MIN MAX COUNT) ALL", "SEARCH RETURN () UNSEEN",
	"SEARCH RETURN (ALL) KEYWORD nothing", "SEARCH RETURN (COUNT) KEYWORD nothing", "SEARCH RETURN (FOO) ALL", "SEARCH RETURN (SAVE) SEEN", "FETCH $ (UID)", "SEARCH $",
	"SORT (DATE) UTF-8 ALL", "SORT (REVERSE SUBJECT) UTF-8 ALL", "SORT (SIZE) UTF-8 ALL", "SORT (FROM) UTF-8 ALL", "SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "SORT (FOO) UTF-8 ALL", "SORT () UTF-8 ALL",
	"UID SORT (REVERSE ARRIVAL) UTF-8 UNSEEN", "SORT RETURN (MIN ALL COUNT) (REVERSE SIZE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "UID THREAD REFERENCES UTF-8 UNSEEN", "THREAD FOO UTF-8 ALL",
	// Flags, and messages that move.
	"STORE 1 +FLAGS (\\Answered)", "STORE 1 -FLAGS (\\Answered)", "STORE 2 FLAGS (\\Draft)", "STORE 2 FLAGS.SILENT (\\Seen)", "STORE 9 +FLAGS (\\Seen)", "STORE 1 +FLAGS (\\Recent)", "STORE 1 +FLAGS (\\Foo)",
	"STORE 1 +FLAGS \\Seen", "STORE 1 +FLAGS ()", "UID STORE 999 +FLAGS (\\Seen)", "FETCH 3 BODY[TEXT]", "FETCH 3 FLAGS", "COPY 1 job", "COPY 1 nothing", "COPY 9 job", "UID COPY 999 job", "MOVE 2 job", "MOVE 9 job",
	"STATUS job (MESSAGES UNSEEN)", "STORE 1 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 99", "EXPUNGE", "FETCH 1:* (UID)", "EXAMINE job", "STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "UID EXPUNGE 1", "COPY 1 work",
	"CLOSE", "FETCH 1 FLAGS", "FOO", "NAMESPACE", "CHECK", "UNSELECT", "LIST \"\" job RETURN (STATUS (MESSAGES))",
	// Conditional store; from here on each answer with flags has a modseq.
	"SELECT job (CONDSTORE)", "FETCH 1:* (MODSEQ)", "FETCH 1:* (FLAGS) (CHANGEDSINCE 1)", "STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)", "STORE 1 (UNCHANGEDSINCE 999999999) +FLAGS (\\Answered)",
	"STORE 1 +FLAGS.SILENT (\\Flagged)", "SEARCH MODSEQ 1", "SEARCH RETURN (ALL) MODSEQ 1", "SELECT job (QRESYNC (1 1))", "CLOSE",
	"ENABLE FOO", "ENABLE QRESYNC CONDSTORE", "SELECT job", "STORE 1 +FLAGS.SILENT (\\Deleted)", "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)", "EXPUNGE", "UNSELECT",
	"DELETE job", "LIST \"\" job",
}

// asked returns what a server answers to every command of the contract, in the form of the
// record: the command behind a mark, and the lines of its answer.
func asked(c *client) string {
	var b strings.Builder
	c.SetDeadline(time.Now().Add(3 * time.Minute))
	for _, command := range contract {
		full := strings.NewReplacer("{MESSAGE}", literal(first), "{MULTI}", literal(multi)).Replace(command)
		untagged, tagged := c.do(full)
		b.WriteString(mark + strconv.Quote(command) + "\n" + normal(untagged, tagged) + "\n")
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

const mark = ">>> "

func literal(text string) string { return "{" + itoa(len(text)) + "+}\r\n" + text }

// answers parts a record by command.
func answers(record string) (all []string) {
	for _, block := range strings.Split(record, mark)[1:] {
		all = append(all, strings.TrimSpace(block))
	}
	return all
}

var (
	noise   = regexp.MustCompile(`^\* (OK |FLAGS |\d+ RECENT)`)
	words   = regexp.MustCompile(`^(\* OK \[COPYUID [^]]*\]).*`)
	numbers = regexp.MustCompile(`(?i)(APPENDUID|COPYUID|HIGHESTMODSEQ|UIDVALIDITY|UIDNEXT) [0-9]+`)
	taken   = regexp.MustCompile(`^(OK|NO|BAD)( \[([A-Z-]+))?.*$`)
	modseqs = regexp.MustCompile(`MODSEQ (\(?)[0-9]+`)
	tagged  = regexp.MustCompile(`TAG "[^"]*"`)
	recent  = regexp.MustCompile(` ?\\Recent`)
	listed  = regexp.MustCompile(`^\* (LIST|LSUB) \(([^)]*)\)`)
)

// normal leaves out what servers are free to choose.
func normal(untagged []string, last string) string {
	var out []string
	for _, l := range untagged {
		if noise.MatchString(l) && !strings.Contains(l, "COPYUID") {
			continue
		}
		l = numbers.ReplaceAllString(l, "$1 N")
		l = words.ReplaceAllString(l, "$1")
		l = modseqs.ReplaceAllString(l, "MODSEQ ${1}N")
		l = tagged.ReplaceAllString(l, `TAG "T"`)
		l = recent.ReplaceAllString(l, "")
		l = strings.ReplaceAll(l, "FLAGS ( ", "FLAGS (")
		l = strings.TrimRight(l, " ")
		l = listed.ReplaceAllStringFunc(l, func(s string) string {
			for _, attr := range []string{`\HasNoChildren`, `\HasChildren`, `\UnMarked`, `\Marked`, `\Noinferiors`} {
				s = strings.ReplaceAll(strings.ReplaceAll(s, attr+" ", ""), attr, "")
			}
			return strings.ReplaceAll(s, " )", ")")
		})
		out = append(out, l)
	}
	return strings.Join(append(out, taken.ReplaceAllString(last, "$1 $3")), "\n")
}

// TestContract compares our answers with Dovecot's: each difference must be one that was judged.
func TestContract(t *testing.T) {
	raw, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	record := string(raw)
	if os.Getenv("POSTCHI_INTEROP") != "" {
		record = asked(dovecot(t, dovecotProgram))
		if record != string(raw) {
			t.Logf("Dovecot does not answer as in %s: -record writes it down", recorded)
		}
	}
	if *recording {
		if err := os.WriteFile(recorded, []byte(record), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h := open(t, dbtest.SQLite(t), func(c *imapd.Config) { c.MaxErrors = len(contract) })
	h.mailbox(t)
	theirs, ours := answers(record), answers(asked(h.login(t)))
	if len(theirs) != len(contract) {
		t.Fatalf("%d answers are recorded for %d commands: make interop asks anew", len(theirs), len(contract))
	}
	times, judged := map[string]int{}, map[string]bool{}
	for i, command := range contract {
		if times[command]++; times[command] > 1 {
			command += " #" + itoa(times[command])
		}
		_, theirs, _ := strings.Cut(theirs[i], "\n")
		_, ours, _ := strings.Cut(ours[i], "\n")
		if theirs == ours {
			continue
		}
		judged[command] = true
		if differences[command].ours != ours {
			t.Errorf("%s\nDovecot:\n%s\nPostchi:\n%s", command, theirs, ours)
		}
	}
	for command, d := range differences {
		if !judged[command] || d.why == "" {
			t.Errorf("%s: there is no difference to be judged any more", command)
		}
	}
}

// dovecot runs Dovecot on its standard input and output, with an empty mailbox of its own.
func dovecot(t *testing.T, program string) *client {
	t.Helper()
	dir, err := os.MkdirTemp("", "imapd-dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := "ssl = no\nprotocols = imap\nbase_dir = " + dir + "\nmail_location = maildir:" + dir + "/mail:LAYOUT=fs\nnamespace inbox {\n inbox = yes\n separator = /\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-c", filepath.Join(dir, "conf"))
	cmd.Env = []string{"USER=test", "HOME=" + dir, "PATH=/usr/bin:/bin"}
	if os.Geteuid() == 0 {
		const nobody = 65534 // Dovecot refuses to serve root
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	c := &client{t: t, Conn: pipes{Reader: out, Writer: in}, r: bufio.NewReader(out)}
	c.line() // * PREAUTH
	return c
}

// pipes is as much of a connection as a client needs.
type pipes struct {
	net.Conn
	io.Reader
	io.Writer
}

func (p pipes) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p pipes) Write(b []byte) (int, error) { return p.Writer.Write(b) }
func (p pipes) Close() error                { return nil }
func (p pipes) SetDeadline(time.Time) error { return nil }
