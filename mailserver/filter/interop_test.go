package filter

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

	"github.com/postchi/postchi/mailserver/resolver/resolvertest"
)

// rspamdConfig is the smallest configuration that judges messages: no Redis, no statistics, no
// lists, and a DNS server of the test. Three top-level domains do: compiling all takes minutes.
const rspamdConfig = `
options {
  pidfile = "%[1]s/rspamd.pid";
  dbdir = "%[1]s";
  rundir = "%[1]s";
  tempdir = "%[1]s";
  url_tld = "%[1]s/tld.dat";
  hs_cache_dir = "%[1]s";
  control_socket = "%[1]s/control.sock mode=0600";
  filters = "";
  gtube_patterns = "all";
  enable_test_patterns = true;
  dns { nameserver = ["%[2]s"]; timeout = 1s; retransmits = 1; }
}
logging { type = "console"; level = "warning"; }
worker "normal" { bind_socket = "%[3]s"; count = 1; }
actions { reject = 15; rewrite_subject = 8; add_header = 6; greylist = 4; }
`

// startRspamd runs a rspamd of the test's own on loopback and returns its address.
func startRspamd(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dns := resolvertest.New(t).Addr()
	config := filepath.Join(dir, "rspamd.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, rspamdConfig, dir, dns, addr), 0o600); err != nil {
		t.Fatal(err)
	}
	if err = os.WriteFile(filepath.Join(dir, "tld.dat"), []byte("com\nnet\norg\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command("rspamd", "--no-fork", "--insecure", "--config", config)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return addr
		} else if time.Now().After(deadline) {
			t.Fatalf("rspamd does not listen: %v", err)
		}
	}
}

// TestRspamd asks Debian's rspamd about messages with its test patterns, one for each action.
func TestRspamd(t *testing.T) {
	if os.Getenv("POSTCHI_INTEROP") == "" {
		t.Skip("POSTCHI_INTEROP is not set")
	}
	r, err := NewRspamd("http://" + startRspamd(t))
	if err != nil {
		t.Fatal(err)
	}
	const pattern = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
	large := "\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(strings.Repeat("AbCd", 19)+"\r\n", 40<<10) + "--b--"
	tests := []struct{ body, want string }{
		{"Salam, how are you?", "fine"},
		{"X" + pattern, "refuse denied"},
		{"Y" + pattern, "junk"},
		{"Z" + pattern, "junk"},
		{"X" + pattern + large, "refuse denied"},
	}
	for _, tt := range tests {
		text := "From: Sara <sara@example.com>\r\nTo: b@example.net\r\nSubject: test\r\nMessage-ID: <1@example.com>\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700\r\n" +
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + tt.body + "\r\n"
		m := message("8.8.8.8")
		m.Body, m.Size = strings.NewReader(text), int64(len(text))
		v, err := (&Chain{Entries: []Entry{{Filter: r, Closed: true}}}).Check(t.Context(), m)
		if got := outcome(v, err); got != tt.want {
			t.Errorf("%.30q: %s (%v), want %s", tt.body, got, err, tt.want)
		}
		t.Logf("%.30q: %s %q", tt.body, v.Summary, v.Fields)
	}
}
