package pop3d_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// program skips the test where a program that it needs is missing.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// byName turns an address into one of localhost, which the certificate names.
func byName(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return "localhost:" + port
}

func TestCurl(t *testing.T) {
	curl := program(t, "curl")
	h := newHouse()
	h.person(sara, "secret", first, second)
	d := start(t, h)
	run := func(args ...string) string {
		t.Helper()
		args = append([]string{"-sS", "--max-time", "15", "--cacert", caFile(t), "-u", sara + ":secret"}, args...)
		out, err := exec.Command(curl, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	starttls, implicit := "pop3://"+byName(d.plain), "pop3s://"+byName(d.secure)
	for _, url := range []string{starttls, implicit} {
		if got := run("--ssl-reqd", url+"/1"); got != first {
			t.Errorf("%s/1: %q", url, got)
		}
		if got := run("--ssl-reqd", url+"/"); got != fmt.Sprintf("1 %d\r\n2 %d\r\n", len(first), len(second)) {
			t.Errorf("%s/: %q", url, got)
		}
	}
	run("--ssl-reqd", "-l", "-X", "DELE", implicit+"/2", "-I")
	if left := d.left(sara); len(left) != 1 || left[0] != first {
		t.Errorf("left: %q", left)
	}
	out, err := exec.Command(curl, "-sS", "--max-time", "15", "-u", sara+":secret", starttls+"/1").CombinedOutput()
	if err == nil {
		t.Errorf("curl logged in in the clear: %q", out)
	}
}

// dialogue is what a Python user does; its output is compared.
const dialogue = `
import poplib, ssl, sys
host, plain, secure, ca, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
p = poplib.POP3(host, int(plain), timeout=15)
assert 'STLS' in p.capa(), p.capa()
p.stls(context)
p.user(user); p.pass_(password)
print(p.stat())
print(p.list()[1], p.uidl()[1])
print(p.retr(1)[1])
print(p.top(2, 1)[1])
p.dele(1); p.rset(); p.dele(2); p.quit()
p = poplib.POP3_SSL(host, int(secure), context=context, timeout=15)
p.user(user)
try:
    p.pass_('wrong')
except poplib.error_proto as e:
    print(e)
p.user(user); p.pass_(password)
print(p.stat())
p.close()
`

func TestPoplib(t *testing.T) {
	python := program(t, "python3")
	h := newHouse()
	h.person(sara, "secret", first, second)
	d := start(t, h)
	_, plain, _ := net.SplitHostPort(d.plain)
	_, secure, _ := net.SplitHostPort(d.secure)
	out, err := exec.Command(python, "-c", dialogue, "localhost", plain, secure, caFile(t), sara, "secret").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		fmt.Sprintf("(2, %d)", len(first)+len(second)),
		fmt.Sprintf("[b'1 %d', b'2 %d'] [b'1 42.1', b'2 42.11']", len(first), len(second)),
		"[b'From: a@example.com', b'Subject: one', b'', b'.dot', b'..dots', b'end']",
		"[b'Subject: two', b'', b'line 1']",
		"b'-ERR [AUTH] Name or password is wrong.'",
		fmt.Sprintf("(1, %d)", len(first)),
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
