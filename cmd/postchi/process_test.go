package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExitStatus is the contract with scripts: 0 done, 1 refused, 2 wrong usage, 75 try later.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.populate("exit.example", "sara")
	gone := newInstance(t, "mysql://root@/postchi?socket="+filepath.Join(t.TempDir(), "nobody-listens"))
	for _, c := range []struct {
		in     *instance
		status int
		words  string // on standard output with --json
		stdin  string
		args   string
	}{
		{in, exitDone, "version", "", "version"},
		{in, exitDone, "sara@exit.example", "", "mailbox list"},
		{in, exitDone, "sara@exit.example", "", "mailbox show SARA@EXIT.EXAMPLE"},
		{in, exitDone, "ok", testPassword + "2\n", "mailbox passwd sara@exit.example --password-stdin"},

		{in, exitRefused, "not_found", "", "mailbox show omid@exit.example"},
		{in, exitRefused, "not_found", "", "domain show nowhere.example"},
		{in, exitRefused, "mailbox.taken", testPassword + "\n", "mailbox add sara@exit.example --password-stdin"},
		{in, exitRefused, "password", "short\n", "mailbox add omid@exit.example --password-stdin"},
		{in, exitRefused, "conflict", "", "domain rm exit.example"},
		{in, exitRefused, "invalid", "", "domain add not_a_domain --customer Example"},

		{in, exitRefused, "trace.none", "", "trace nobody@exit.example"},
		{in, exitRefused, "not_found", "", "queue show 1"},
		{in, exitDone, "recipients", "", "queue retry --domain nowhere.example"},

		{in, exitUsage, "usage", "", "queue retry"}, // never the whole queue by mistake
		{in, exitUsage, "usage", "", "queue rm 1 --yes"},
		{in, exitUsage, "usage", "", "queue rm 1 --notice"}, // nobody to ask
		{in, exitUsage, "usage", "", "trace x@exit.example --day yesterday"},
		{in, exitUsage, "usage", "", "mailbox show"},
		{in, exitUsage, "usage", "", "mailbox list --no-such-flag"},
		{in, exitUsage, "usage", "", "mailbox fly sara@exit.example"},
		{in, exitUsage, "usage", "", "fly"},
		{in, exitUsage, "usage", "", "mailbox rm sara@exit.example --purge"}, // nobody to ask
		{in, exitUsage, "usage", "", "mailbox quota sara@exit.example --bytes many"},
		{in, exitUsage, "usage", "", "user add x@exit.example --role king --password-stdin"},

		{gone, exitLater, "unavailable", "", "mailbox list"},
		{gone, exitLater, "unavailable", "", "serve"},
	} {
		out, status := c.in.command(c.stdin, append([]string{"--json"}, strings.Fields(c.args)...)...)
		if status != c.status || !strings.Contains(out, c.words) {
			t.Errorf("postchi %s: status %d, want %d and %q in\n%s", c.args, status, c.status, c.words, out)
		}
	}
}

// TestSecondServer starts a server where one runs: on its folder, on its database, on its ports.
func TestSecondServer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		t.Parallel()
		first := newInstance(t, url)
		first.start()
		same := newInstance(t, url, "POSTCHI_DATA_DIR="+first.dir)
		same.refused(t, "runs on this data folder already")
		if url != "sqlite" {
			key := "POSTCHI_SECRETS_KEY_FILE=" + filepath.Join(first.dir, "server.key")
			newInstance(t, url, key).refused(t, "uses this database with another data folder")
		}
		ports := newInstance(t, "sqlite")
		for _, service := range []string{"submission", "pop3s"} {
			ports.env = append(ports.env, fmt.Sprintf("POSTCHI_LISTEN_%s=%s", strings.ToUpper(service), first.addr(service)))
		}
		ports.refused(t, first.addr("submission")+" is in use", "POSTCHI_LISTEN_SUBMISSION", first.addr("pop3s")+" is in use", "POSTCHI_LISTEN_POP3S")
		// A command beside the server is never refused, and the server is none the worse.
		first.populate("second.example", "sara")
		first.lets(t, "sara@second.example", testPassword)
		// Once the first is gone, however it went, the folder is free at once.
		first.kill()
		same.start()
		same.ready()
	})
}

// refused runs serve, which must not come up, and checks its words.
func (in *instance) refused(t *testing.T, words ...string) {
	t.Helper()
	began := time.Now()
	out, status := in.serveOnce(t)
	if status != exitRefused {
		t.Errorf("serve: status %d after %v\n%s", status, time.Since(began), out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("serve does not say %q:\n%s", w, out)
		}
	}
}

// serveOnce runs serve until it ends by itself, which it must soon.
func (in *instance) serveOnce(t *testing.T) (output string, status int) {
	t.Helper()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), file, "serve", "--dev")
	cmd.Env = in.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(90*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	cmd.Wait()
	return out.String(), cmd.ProcessState.ExitCode()
}

// TestRootGivesUpItsRights starts serve as an administrator does: by root, with a port below
// 1024, certificate files and a user to become.
func TestRootGivesUpItsRights(t *testing.T) {
	t.Parallel()
	skipUnlessRoot(t)
	dir, err := os.MkdirTemp("", "postchi-root-") // not below t.TempDir, which only root can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	in := newInstance(t, "sqlite")
	in.dir = filepath.Join(dir, "data")
	in.env = append(in.env, "POSTCHI_DATA_DIR="+in.dir, "POSTCHI_USER=nobody", "POSTCHI_LISTEN_POP3="+lowPort(t))
	in.start()
	began := time.Now()
	const nobody = "65534"
	checkStatus(t, in.cmd.Process.Pid, nobody)
	t.Logf("checked %v after readiness", time.Since(began).Round(time.Millisecond))

	// Commands of root become the owner of the folder too, so the server can use what they make.
	in.populate("root.example", "sara")
	owned(t, in.dir, nobody)
	c := in.submission(t, "sara@root.example", testPassword)
	if a := c.submit("sara@root.example", message("sara@root.example", "rights", 2000), "sara@root.example"); a.code != 250 {
		t.Error(a)
	}
	if err := in.stop(); err != nil {
		t.Error(err)
	}
	owned(t, in.dir, nobody)
}

// lowPort finds an address that only root may listen on.
func lowPort(t *testing.T) string {
	t.Helper()
	for port := 1023; port > 600; port-- {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no port below 1024 is free")
	return ""
}

// checkStatus checks the rights of every thread of a process.
func checkStatus(t *testing.T, pid int, uid string) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatal(threads, err)
	}
	ids := strings.Join([]string{uid, uid, uid, uid}, " ")
	none := "0000000000000000"
	want := map[string]string{"Uid": ids, "Gid": ids, "Groups": uid, "CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none, "NoNewPrivs": "1"}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // the thread has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for line := range strings.SplitSeq(string(text), "\n") {
			key, value, _ := strings.Cut(line, ":")
			expected, ok := want[key]
			if !ok {
				continue
			}
			seen++
			if got := strings.Join(strings.Fields(value), " "); got != expected {
				t.Errorf("%s: %s is %q, want %q", name, key, got, expected)
			}
		}
		if seen != len(want) {
			t.Errorf("%s: %d of %d lines found", name, seen, len(want))
		}
	}
	t.Logf("%d threads without rights", len(threads))
}

// owned checks that everything in a folder belongs to a user.
func owned(t *testing.T, dir, uid string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "find", dir, "!", "-uid", uid).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("not of the server's user: %s %v", out, err)
	}
}

// TestServiceUnit holds the hardening of the unit for systemd to its aim.
func TestServiceUnit(t *testing.T) {
	t.Parallel()
	const unit = "../../deploy/postchi.service"
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"NoNewPrivileges=yes", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes",
		"PrivateDevices=yes", "MemoryDenyWriteExecute=yes", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "RestrictNamespaces=yes",
		"SystemCallFilter=@system-service", "SystemCallArchitectures=native", "UMask=0077",
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not installed: exposure not reckoned")
		return
	}
	out, err := exec.CommandContext(t.Context(), tool, "security", "--offline=true", "--no-pager", "--threshold=20", unit).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
	if err != nil {
		t.Errorf("exposure above 2.0: %v\n%s", err, out)
	}
}
