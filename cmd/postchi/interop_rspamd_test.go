package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rspamdConfig is a rspamd that only looks at signatures, with the DNS of the test.
const rspamdConfig = `
options {
  pidfile = "%[1]s/rspamd.pid"; dbdir = "%[1]s"; rundir = "%[1]s"; tempdir = "%[1]s"; hs_cache_dir = "%[1]s"; url_tld = "%[1]s/tld.dat";
  control_socket = "%[1]s/control.sock mode=0600";
  filters = "dkim"; local_addrs = ["192.0.2.0/24"];
  dns { nameserver = ["%[2]s"]; timeout = 1s; retransmits = 1; }
}
dkim { check_local = true; check_authed = true; }
logging { type = "console"; level = "warning"; }
worker "normal" { bind_socket = "%[3]s"; count = 1; }
actions { reject = 15; add_header = 6; greylist = 4; }
`

// rspamd starts Debian's in a folder of its own and returns its address.
func (w *world) rspamd(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	write(t, filepath.Join(dir, "rspamd.conf"), fmt.Sprintf(rspamdConfig, dir, w.dns.Addr(), addr))
	write(t, filepath.Join(dir, "tld.dat"), "test\n")
	var log syncBuffer
	cmd := exec.Command("rspamd", "--no-fork", "--insecure", "--config", filepath.Join(dir, "rspamd.conf"))
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("rspamd:\n%s", tail(log.String(), 3000))
		}
	})
	within(t, 20*time.Second, "rspamd answers", func() bool {
		r, err := http.Get("http://" + addr + "/ping")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	return addr
}

// rspamdSays returns the symbols that rspamd finds in a message, each with its options.
func rspamdSays(t *testing.T, addr string, message []byte, sender, helo, ip string) map[string]string {
	t.Helper()
	q, err := http.NewRequest(http.MethodPost, "http://"+addr+"/checkv2", bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("From", sender)
	q.Header.Set("Helo", helo)
	q.Header.Set("IP", ip)
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Symbols map[string]struct {
			Options []string `json:"options"`
		} `json:"symbols"`
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for name, s := range answer.Symbols {
		found[name] = strings.Join(s.Options, " ")
	}
	return found
}

// TestInteropRspamd lets rspamd look at what we sign, after Postfix has taken it.
func TestInteropRspamd(t *testing.T) {
	w, one, p := besidePostfix(t)
	addr := w.rspamd(t)
	one.send(t, "sara@one.test", "for rspamd", "omid@three.test")
	m := p.arrival(t, "omid", "Subject: for rspamd")
	got := rspamdSays(t, addr, m, "sara@one.test", "mx.one.test", "127.0.0.2")
	t.Logf("%v", got)
	if n := strings.Count(got["R_DKIM_ALLOW"], "one.test"); n != 2 {
		t.Errorf("%d signatures hold before rspamd, of two: %v", n, got)
	}
	broken := rspamdSays(t, addr, bytes.Replace(m, []byte("Subject: for"), []byte("Subject: For the"), 1), "sara@one.test", "mx.one.test", "127.0.0.2")
	if _, ok := broken["R_DKIM_ALLOW"]; ok {
		t.Errorf("a changed subject passes: %v", broken)
	}
}
