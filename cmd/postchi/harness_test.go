package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// binary is the program as people run it, built once for the tests that need a process.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "postchi-test-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "postchi")
	cmd := exec.Command("go", "build", "-o", file, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return file, os.Chmod(dir, 0o755)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built {
		if file, err := binary(); err == nil {
			os.RemoveAll(filepath.Dir(file))
		}
	}
	os.Exit(code)
}

// built says that binary has something to clean up.
var built bool

// instance is a running postchi serve --dev in a process of its own, on free ports.
type instance struct {
	t     testing.TB
	dir   string // data folder
	env   []string
	ports map[string]int
	cmd   *exec.Cmd
	out   *syncBuffer
	ended chan error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// services are the listeners of an instance.
var services = []string{"mx", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http", "https", "metrics"}

// newInstance prepares an instance on a fresh database; extra is more of the environment.
func newInstance(t testing.TB, databaseURL string, extra ...string) *instance {
	t.Helper()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	built = file != ""
	in := &instance{t: t, dir: t.TempDir(), ports: map[string]int{}, out: &syncBuffer{}}
	in.env = append(os.Environ(), "POSTCHI_DATA_DIR="+in.dir, "POSTCHI_DATABASE_URL="+databaseURL,
		"POSTCHI_DNS_RESOLVER=127.0.0.1:9") // no test asks the world
	for _, name := range services {
		in.ports[name] = freePort(t)
		in.env = append(in.env, fmt.Sprintf("POSTCHI_LISTEN_%s=127.0.0.1:%d", strings.ToUpper(name), in.ports[name]))
	}
	in.env = append(in.env, extra...)
	t.Cleanup(func() {
		in.kill()
		if t.Failed() {
			t.Logf("output of the server:\n%s", tail(in.out.String(), 6000))
		}
	})
	return in
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// freePort finds a port below those that the kernel gives to clients, so that none takes it
// before the server does, and that no other test of the process was given.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12000 + rand.IntN(20000)
		if _, taken := givenPorts.LoadOrStore(port, true); taken {
			continue
		}
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

var givenPorts sync.Map

// start runs serve and waits until it is ready.
func (in *instance) start() {
	in.t.Helper()
	file, _ := binary()
	in.cmd = exec.Command(file, "serve", "--dev")
	in.cmd.Env = in.env
	in.cmd.Stdout, in.cmd.Stderr = in.out, in.out
	in.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := in.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	ended := make(chan error, 1)
	in.ended = ended
	go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(in.cmd)
	began := time.Now()
	for !in.ready() {
		select {
		case err := <-ended:
			ended <- err
			in.t.Fatalf("serve ended: %v\n%s", err, tail(in.out.String(), 4000))
		case <-time.After(10 * time.Millisecond):
		}
		if time.Since(began) > 90*time.Second {
			in.t.Fatalf("not ready after %v\n%s", time.Since(began), tail(in.out.String(), 4000))
		}
	}
}

func (in *instance) ready() bool {
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get(in.url() + "/readyz")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (in *instance) url() string { return fmt.Sprintf("http://127.0.0.1:%d", in.ports["http"]) }

func (in *instance) addr(service string) string {
	return fmt.Sprintf("127.0.0.1:%d", in.ports[service])
}

// kill ends the process as a power cut would.
func (in *instance) kill() {
	if in.cmd == nil {
		return
	}
	in.cmd.Process.Signal(syscall.SIGKILL)
	<-in.ended
	in.cmd = nil
}

// stop ends the process as an administrator does, and returns what it exited with.
func (in *instance) stop() error {
	in.cmd.Process.Signal(syscall.SIGTERM)
	err := <-in.ended
	in.cmd = nil
	return err
}

// password is the one the first start printed.
func (in *instance) password() string {
	in.t.Helper()
	for line := range strings.SplitSeq(in.out.String(), "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "Password"); ok {
			return strings.TrimSpace(rest)
		}
	}
	in.t.Fatalf("no password printed:\n%s", in.out.String())
	return ""
}

// command runs another command of the program beside the server.
func (in *instance) command(stdin string, args ...string) (stdout string, status int) {
	in.t.Helper()
	file, err := binary()
	if err != nil {
		in.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, append(args, "--dev")...)
	cmd.Env = in.env
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		in.t.Fatal(err)
	}
	if errs.Len() > 0 {
		in.t.Logf("postchi %s: %s", strings.Join(args, " "), errs.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that has to succeed, and decodes its JSON into v unless v is nil.
func (in *instance) must(v any, stdin string, args ...string) {
	in.t.Helper()
	out, status := in.command(stdin, append(args, "--json")...)
	if status != 0 {
		in.t.Fatalf("postchi %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(out), v); err != nil {
			in.t.Fatalf("postchi %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// testPassword is of no list and long enough.
const testPassword = "korax-velum-73-tide"

// populate makes customer, domain and mailboxes.
func (in *instance) populate(domain string, locals ...string) {
	in.t.Helper()
	in.must(nil, "", "customer", "add", "Example")
	in.must(nil, "", "domain", "add", domain, "--customer", "Example")
	for _, local := range locals {
		in.must(nil, testPassword+"\n", "mailbox", "add", local+"@"+domain, "--password-stdin")
	}
}

// tls trusts the instance's own authority and nobody else.
func (in *instance) tls() *tls.Config {
	in.t.Helper()
	pem, err := os.ReadFile(filepath.Join(in.dir, "ca.pem"))
	if err != nil {
		in.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		in.t.Fatal("ca.pem holds no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// eachDatabase runs fn as a subtest with the URL of a fresh database of each kind. The schema is not
// there yet: the program makes it.
func eachDatabase(t *testing.T, fn func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, "sqlite") })
	t.Run("mysql", func(t *testing.T) { fn(t, dbtest.MySQL(t).URL) })
}

// openDatabase opens an instance's database beside it.
func (in *instance) openDatabase(url string) *db.DB {
	in.t.Helper()
	d, err := db.Open(context.Background(), db.Config{URL: url, DataDir: in.dir})
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { d.Close() })
	return d
}

// within polls until ok, for ten times the bound, and logs how long it took.
func within(t testing.TB, bound time.Duration, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > 10*bound {
			t.Fatalf("%s: not after %v (bound %v)", what, time.Since(began), bound)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%s after %v (bound %v)", what, time.Since(began).Round(time.Millisecond), bound)
}

// drain reads what is left of a response.
func drain(r io.ReadCloser) string {
	defer r.Close()
	b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
	return string(b)
}
