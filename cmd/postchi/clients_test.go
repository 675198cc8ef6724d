package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// runProgram starts a program and returns what it printed; its failure ends the test.
func runProgram(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, tail(out.String(), 2000), tail(errs.String(), 2000))
	}
	return out.String()
}

// client is a mail program that is set up with what the set-up page says. Send and read end
// the test if the program is not content.
type client struct {
	name string
	send func(t testing.TB, subject string)
	read func(t testing.TB) string // every message as it came
}

const pythonSend = `
import smtplib, ssl, sys
from email.message import EmailMessage
how, port, ca, user, password, to, subject, file = sys.argv[1:]
m = EmailMessage()
m["From"], m["To"], m["Subject"] = user, to, subject
m.set_content("Salam!\n.\n..two dots\n")
if file:
    m.add_attachment(open(file, "rb").read(), maintype="application", subtype="octet-stream", filename="attachment.bin")
tls = ssl.create_default_context(cafile=ca)
if how == "tls":
    s = smtplib.SMTP_SSL("localhost", int(port), context=tls)
else:
    s = smtplib.SMTP("localhost", int(port))
    s.starttls(context=tls)
s.login(user, password)
refused = s.send_message(m)
s.quit()
sys.exit(1 if refused else 0)
`

const pythonRead = `
import poplib, ssl, sys
how, port, ca, user, password = sys.argv[1:]
poplib._MAXLINE = 1 << 20
tls = ssl.create_default_context(cafile=ca)
if how == "tls":
    p = poplib.POP3_SSL("localhost", int(port), context=tls)
else:
    p = poplib.POP3("localhost", int(port))
    p.stls(context=tls)
p.user(user)
p.pass_(password)
count, size = p.stat()
for n in range(1, count + 1):
    sys.stdout.buffer.write(b"\r\n".join(p.retr(n)[1]) + b"\r\n")
p.quit()
`

const (
	saraAddress = "sara@example.com"
	omidAddress = "omid@example.com"
)

// clients are the programs, each over both kinds of TLS; scripts reach Python on its stdin.
func (in *instance) clients(t testing.TB) []client {
	swaks, curl, python := needProgram(t, "swaks"), needProgram(t, "curl"), needProgram(t, "python3")
	ca, port := filepath.Join(in.dir, "ca.pem"), func(service string) string { return strconv.Itoa(in.ports[service]) }
	var all []client
	for _, way := range []struct {
		name, send, read string // of the listeners
		swaks            []string
		smtp, pop        string // of the address for curl
	}{
		{"tls", "submissions", "pop3s", []string{"--tls-on-connect", "--auth", "PLAIN"}, "smtps", "pop3s"},
		{"starttls", "submission", "pop3", []string{"--tls", "--auth", "LOGIN"}, "smtp", "pop3"},
	} {
		all = append(all, client{"swaks " + way.name, func(t testing.TB, subject string) {
			runProgram(t, "", append([]string{swaks, "--server", "localhost", "--port", port(way.send), "--tls-verify", "--tls-ca-path", ca,
				"--auth-user", saraAddress, "--auth-password", testPassword, "--from", saraAddress, "--to", omidAddress,
				"--header", "Subject: " + subject, "--body", "Salam!"}, way.swaks...)...)
		}, nil})
		all = append(all, client{"curl " + way.name, func(t testing.TB, subject string) {
			m := "From: <" + saraAddress + ">\r\nTo: <" + omidAddress + ">\r\nSubject: " + subject + "\r\n\r\nSalam!\r\n"
			runProgram(t, m, curl, "-sS", "--ssl-reqd", "--cacert", ca, "--url", way.smtp+"://localhost:"+port(way.send), "--user", saraAddress+":"+testPassword,
				"--mail-from", saraAddress, "--mail-rcpt", omidAddress, "--upload-file", "-")
		}, func(t testing.TB) string {
			args := []string{curl, "-sS", "--ssl-reqd", "--cacert", ca, "--user", omidAddress + ":" + testPassword}
			base := way.pop + "://localhost:" + port(way.read) + "/"
			var mail strings.Builder
			for n := range strings.Count(runProgram(t, "", append(args, base)...), "\n") {
				mail.WriteString(runProgram(t, "", append(args, base+strconv.Itoa(n+1))...))
			}
			return mail.String()
		}})
		all = append(all, client{"python " + way.name, func(t testing.TB, subject string) {
			runProgram(t, pythonSend, python, "-", way.name, port(way.send), ca, saraAddress, testPassword, omidAddress, subject, "")
		}, func(t testing.TB) string {
			return runProgram(t, pythonRead, python, "-", way.name, port(way.read), ca, omidAddress, testPassword)
		}})
	}
	return all
}

// TestClients lets programs that others wrote send and read over 587, 465, 110 and 995.
func TestClients(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	in.populate("example.com", "sara", "omid")
	all := in.clients(t)
	for _, c := range all {
		c.send(t, "from "+c.name+".")
	}
	readers := 0
	for _, c := range all {
		if c.read == nil {
			continue
		}
		readers++
		mail := c.read(t)
		for _, from := range all {
			if strings.Count(mail, "\r\nSubject: from "+from.name+".\r\n") != 1 {
				t.Errorf("%s does not find what %s sent", c.name, from.name)
			}
		}
		if n := strings.Count(mail, "Salam!\r\n"); n != len(all) {
			t.Errorf("%s finds %d bodies of %d", c.name, n, len(all))
		}
		if !strings.Contains(mail, "\r\n.\r\n..two dots\r\n") {
			t.Errorf("%s: lines that begin with a dot are not as they were:\n%s", c.name, tail(mail, 1500))
		}
	}
	if readers != 4 {
		t.Errorf("%d ways to read", readers)
	}
}

const pythonAttachment = `
import email, email.policy, hashlib, sys
m = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.SMTP)
for part in m.iter_attachments():
    data = part.get_content()
    print(len(data), hashlib.sha256(data).hexdigest())
`

// TestLargeAttachment: 20 MiB arrive as they were, whoever fetches them.
func TestLargeAttachment(t *testing.T) {
	t.Parallel()
	python, curl := needProgram(t, "python3"), needProgram(t, "curl")
	in := newInstance(t, "sqlite")
	in.start()
	in.populate("example.com", "sara", "omid")
	data := make([]byte, 20<<20)
	rand.Read(data)
	sum := sha256.Sum256(data)
	want := fmt.Sprintf("%d %s", len(data), hex.EncodeToString(sum[:]))
	file := filepath.Join(t.TempDir(), "attachment.bin")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(in.dir, "ca.pem")
	runProgram(t, pythonSend, python, "-", "tls", strconv.Itoa(in.ports["submissions"]), ca, saraAddress, testPassword, omidAddress, "large", file)
	script := filepath.Join(t.TempDir(), "attachment.py")
	if err := os.WriteFile(script, []byte(pythonAttachment), 0o600); err != nil {
		t.Fatal(err)
	}
	byPython := runProgram(t, pythonRead, python, "-", "starttls", strconv.Itoa(in.ports["pop3"]), ca, omidAddress, testPassword)
	byCurl := runProgram(t, "", curl, "-sS", "--cacert", ca, "--user", omidAddress+":"+testPassword, "--url", fmt.Sprintf("pop3s://localhost:%d/1", in.ports["pop3s"]))
	if byPython != byCurl {
		t.Errorf("Python got %d bytes and curl %d, or other ones", len(byPython), len(byCurl))
	}
	if got := strings.TrimSpace(runProgram(t, byPython, python, script)); got != want {
		t.Errorf("attachment %s, want %s", got, want)
	}
}

// fenced is a block of code of the README behind a mark, or the one that holds a text.
func fenced(t testing.TB, find string) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^(<!-- [a-z-]+ -->\n)?```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(string(readme), -1) {
		if strings.Contains(m[1]+m[2], find) {
			return m[2]
		}
	}
	t.Fatalf("README.md has no block with %s", find)
	return ""
}

// defaultPorts are those of --dev.
func defaultPorts() map[string]int {
	c := defaults()
	c.dev()
	ports := map[string]int{}
	for service, addrs := range c.Listen.all() {
		for _, addr := range addrs {
			_, port, _ := net.SplitHostPort(addr)
			ports[service], _ = strconv.Atoi(port)
		}
	}
	return ports
}

// TestReadme runs the lines of the README in a shell: those that make the first mailboxes and
// those that send and read the first mail. They are run as they stand; only where the ports of
// --dev are in use by somebody else are their numbers replaced.
func TestReadme(t *testing.T) {
	t.Parallel()
	needProgram(t, "curl")
	dir := t.TempDir()
	in := newInstance(t, "sqlite")
	lines := fenced(t, "customer add Example") + fenced(t, "<!-- first-mail -->")
	if portsFree() {
		for service, port := range defaultPorts() {
			in.ports[service] = port
			in.env = append(in.env, fmt.Sprintf("POSTCHI_LISTEN_%s=127.0.0.1:%d", strings.ToUpper(service), port))
		}
	} else {
		t.Log("the ports of --dev are in use; others are put into the lines")
		for service, port := range defaultPorts() {
			lines = strings.ReplaceAll(lines, fmt.Sprintf("localhost:%d", port), fmt.Sprintf("localhost:%d", in.ports[service]))
		}
	}
	in.start()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"data": in.dir, "bin/postchi": file} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-eu", "-c", lines)
	cmd.Dir, cmd.Env = dir, in.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, lines, out)
	}
	if !bytes.Contains(out, []byte("Subject: Hello\r\n")) || !bytes.Contains(out, []byte("\r\n\r\nSalam!\r\n")) {
		t.Errorf("the first mail did not arrive:\n%s", out)
	}
}

func portsFree() bool {
	for _, port := range defaultPorts() {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		ln.Close()
	}
	return true
}
