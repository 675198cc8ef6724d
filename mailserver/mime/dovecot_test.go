package mime

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dovecotEnv names Dovecot's imap program, in Debian /usr/lib/dovecot/imap.
const dovecotEnv = "POSTCHI_DOVECOT_IMAP"

// nobody is the user that Dovecot runs as if the test is run by root, which it refuses to serve.
const nobody = 65534

// TestRecordDovecot asks Dovecot about all messages and writes its answers to testdata/*.dovecot. The messages lie in a
// mailbox of the test's own, and Dovecot talks on standard input: no port, no other file. Record again with
//
//	POSTCHI_DOVECOT_IMAP=/usr/lib/dovecot/imap go test -run TestRecordDovecot ./mailserver/mime
func TestRecordDovecot(t *testing.T) {
	program := os.Getenv(dovecotEnv)
	if program == "" {
		t.Skip(dovecotEnv + " is not set")
	}
	names := names(t)
	out := askDovecot(t, program, names)
	for i, name := range names {
		msg := readFile(t, name+".eml")
		answers := out[i+1]
		if whole := answers["BODY[]"]; !bytes.Equal(whole.str, crlf(msg)) && !bytes.Contains(msg, []byte{0}) {
			t.Fatalf("%s: Dovecot has another message under that number", name)
		}
		var b strings.Builder
		for _, key := range [...]string{"ENVELOPE", "BODY", "BODYSTRUCTURE"} {
			fmt.Fprintf(&b, "%s %s\n", key, answers[key])
		}
		for _, s := range sectionsOf(t, msg) {
			fmt.Fprintf(&b, "BODY[%s] %s\n", s.name, digest(answers["BODY["+s.name+"]"].str))
		}
		if err := os.WriteFile(filepath.Join("testdata", name+".dovecot"), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// crlf is what Dovecot makes of a message's line ends.
func crlf(msg []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(msg, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

func sectionsOf(t *testing.T, msg []byte) []sectionName {
	root, err := BuildStructure(bytes.NewReader(msg), int64(len(msg)))
	if err != nil {
		t.Fatal(err)
	}
	return sections(root)
}

// askDovecot returns the items that Dovecot gives for each message number.
func askDovecot(t *testing.T, program string, names []string) map[int]map[string]value {
	dir, err := os.MkdirTemp("", "mime-dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var script strings.Builder
	script.WriteString("a SELECT INBOX\r\n")
	for i, name := range names {
		msg := readFile(t, name+".eml")
		put(t, filepath.Join(dir, "mail", "cur", fmt.Sprintf("%d.M1.host:2,S", 1000000000+i)), msg)
		items := "ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[]"
		for _, s := range sectionsOf(t, msg) {
			items += " BODY.PEEK[" + s.name + "]"
		}
		for _, item := range strings.Fields(items) { // one by one: after a BAD the others still answer
			fmt.Fprintf(&script, "b FETCH %d (%s)\r\n", i+1, item)
		}
	}
	script.WriteString("c LOGOUT\r\n")
	put(t, filepath.Join(dir, "mail", "new", ".keep"), nil)
	put(t, filepath.Join(dir, "mail", "tmp", ".keep"), nil)
	put(t, filepath.Join(dir, "conf"), []byte("ssl = no\nprotocols = imap\nbase_dir = "+dir+"\nmail_location = maildir:"+dir+"/mail\n"))
	return runDovecot(t, program, dir, script.String())
}

func put(t *testing.T, path string, b []byte) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func runDovecot(t *testing.T, program, dir, script string) map[int]map[string]value {
	cmd := exec.CommandContext(t.Context(), program, "-c", filepath.Join(dir, "conf"))
	cmd.WaitDelay = 30 * time.Second
	cmd.Env = []string{"USER=test", "HOME=" + dir, "MAIL=maildir:" + dir + "/mail", "PATH=/usr/bin:/bin"}
	cmd.Stdin = strings.NewReader(script)
	if os.Geteuid() == 0 {
		if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, nobody, nobody)
		}); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%.2000s", program, err, out)
	}
	return fetched(t, out)
}

// fetched reads the FETCH answers in what Dovecot wrote.
func fetched(t *testing.T, out []byte) map[int]map[string]value {
	all := map[int]map[string]value{}
	for len(out) > 0 {
		var n int
		at := bytes.Index(out, []byte(" FETCH ("))
		eol := bytes.IndexByte(out, '\n')
		if _, err := fmt.Sscanf(string(out[:min(len(out), 20)]), "* %d FETCH", &n); err != nil || at < 0 || at > eol {
			out = out[eol+1:]
			if eol < 0 {
				break
			}
			continue
		}
		v, rest, err := parseValue(out[at+len(" FETCH "):])
		if err != nil || len(v.list)%2 != 0 {
			t.Fatalf("answer for %d: %v %d", n, err, len(v.list))
		}
		if all[n] == nil {
			all[n] = map[string]value{}
		}
		for i := 0; i < len(v.list); i += 2 {
			all[n][v.list[i].atom] = v.list[i+1]
		}
		out = rest
	}
	return all
}
