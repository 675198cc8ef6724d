package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // waits for the server
)

// Server is a MariaDB of our own: its own folder and socket, no network, never the system's.
type Server struct {
	Dir   string
	extra []string // arguments
	cmd   *exec.Cmd
	end   chan struct{}
}

// ErrNoServer says that no MariaDB is installed.
var ErrNoServer = errors.New("mariadbd is not installed (Debian: mariadb-server)")

// StartServer makes an empty server in a new folder below the system's temporary one and waits until it
// answers. Run by root it becomes the user mysql, who must be able to enter the folder.
func StartServer() (*Server, error) {
	s, err := newServer()
	if err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		os.RemoveAll(s.Dir)
		return nil, err
	}
	return s, nil
}

// newServer makes the folder of an empty server.
func newServer() (*Server, error) {
	if _, err := exec.LookPath(mariadbd()); err != nil {
		return nil, ErrNoServer
	}
	dir, err := os.MkdirTemp(os.TempDir(), "postchi-mariadb-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir}
	if err := s.prepare(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func mariadbd() string {
	for _, name := range []string{"mariadbd", "/usr/sbin/mariadbd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return "mariadbd"
}

func (s *Server) prepare() error {
	// Servers that share a folder for temporary tables can take each other's names.
	if err := os.Mkdir(s.tmp(), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(s.Dir, 0o755); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		uid, gid, err := mysqlUser()
		if err != nil {
			return err
		}
		if err := errors.Join(os.Chown(s.Dir, uid, gid), os.Chown(s.tmp(), uid, gid)); err != nil {
			return err
		}
	}
	args := append([]string{"--no-defaults", "--datadir=" + s.Dir + "/data", "--skip-test-db", "--auth-root-authentication-method=normal", "--skip-name-resolve"}, s.asUser()...)
	install := exec.Command("mariadb-install-db", args...)
	install.Env = s.env()
	out, err := install.CombinedOutput()
	if err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) tmp() string { return filepath.Join(s.Dir, "tmp") }

func (s *Server) env() []string { return append(os.Environ(), "TMPDIR="+s.tmp()) }

func mysqlUser() (uid, gid int, err error) {
	u, err := user.Lookup("mysql")
	if err != nil {
		return 0, 0, fmt.Errorf("run by root the server needs the user mysql: %w", err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid, nil
}

func (s *Server) asUser() []string {
	if os.Getuid() == 0 {
		return []string{"--user=mysql"}
	}
	return nil
}

// Start starts a server that was stopped or killed, on the same data.
func (s *Server) Start() error { return s.start() }

func (s *Server) start(once ...string) error {
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{"--no-defaults", "--datadir=" + s.Dir + "/data", "--socket=" + s.Socket(), "--pid-file=" + s.Dir + "/pid",
		"--skip-networking", "--skip-name-resolve", "--character-set-server=utf8mb4", "--max-connections=1000",
		"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M", "--innodb-log-file-size=128M"}, s.asUser()...)
	args = append(append(args, s.extra...), once...)
	s.cmd = exec.Command(mariadbd(), args...)
	s.cmd.Env = s.env()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// The server must not outlive its tests, nor take the terminal's interrupt before them.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.end = make(chan struct{})
	go func(cmd *exec.Cmd, end chan struct{}) {
		cmd.Wait()
		close(end)
	}(s.cmd, s.end)
	return s.wait()
}

func (s *Server) wait() error {
	pool, err := sql.Open("mysql", "root@unix("+s.Socket()+")/")
	if err != nil {
		return err
	}
	defer pool.Close()
	for deadline := time.Now().Add(60 * time.Second); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := pool.PingContext(ctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-s.end:
			out, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			return fmt.Errorf("mariadbd ended: %s", out)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("mariadbd does not answer: %w", err)
		}
	}
}

// Socket is the path of the server's socket.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "sock") }

// URL is the form of the database's address that db.Config takes; name may be empty.
func (s *Server) URL(name string) string {
	return "mysql://root@/" + name + "?socket=" + url.QueryEscape(s.Socket())
}

// Signal sends a signal to the server and waits until it has ended, if it ends by that.
func (s *Server) Signal(sig syscall.Signal) {
	s.cmd.Process.Signal(sig)
	if sig == syscall.SIGTERM || sig == syscall.SIGKILL {
		<-s.end
	}
}

// Close stops the server and removes its folder.
func (s *Server) Close() {
	defer os.RemoveAll(s.Dir)
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.end:
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		<-s.end
	}
}
