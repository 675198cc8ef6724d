package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/models/db/dbtest"
)

var faultsLocked = flag.Duration("faults.locked", 7*time.Second, "how long TestDatabaseLocked keeps SQLite locked")

// TestDatabaseStopped stops, kills and stalls a MariaDB in mid-load. Whatever is asked meanwhile
// is answered as temporary; afterwards everything works again without a restart and nothing is
// lost.
func TestDatabaseStopped(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	in := newInstance(t, server.URL("postchi"))
	in.start()
	in.populate("away.example", "one", "two", "probe", "reader", "quiet")
	panel := in.browser(t)
	if p := panel.login("admin@localhost", in.password()); p.status != http.StatusSeeOther {
		t.Fatalf("panel log-in: %d", p.status)
	}
	if a := in.probe(t, "away.example", 4000, "reader@away.example"); a.code != 250 {
		t.Fatal(a)
	}
	l := in.startLoad(3, 16<<10, "one@away.example", "two@away.example")
	restart := func() {
		if err := server.Start(); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name      string
		down, up  func()
		whileItIs func(t *testing.T, in *instance, open *talk, panel *browser)
	}{
		{"stopped", func() { server.Signal(syscall.SIGTERM) }, restart, refusedWhileAway},
		{"killed", func() { server.Signal(syscall.SIGKILL) }, restart, refusedWhileAway},
		{"stalled", func() { server.Signal(syscall.SIGSTOP) }, func() { server.Signal(syscall.SIGCONT) }, slowWhileStalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			accepted := l.accepted.Load()
			within(t, 10*time.Second, "mail accepted", func() bool { return l.accepted.Load() >= accepted+50 })
			open, sending := in.submission(t, "probe@away.example", testPassword), in.submission(t, "probe@away.example", testPassword)
			folder := in.imapTalk(t, "reader@away.example", testPassword)
			folder.ok(t, "SELECT INBOX")
			c.down()
			// What was read half a second ago is still believed, so this may come to the end of its
			// DATA; and behind a lost COMMIT whose outcome is looked for it may wait until the
			// database is back.
			sent := make(chan answer, 1)
			go func() {
				sent <- sending.submit("probe@away.example", message("probe@away.example", "away", 2000), "probe@away.example")
			}()
			c.whileItIs(t, in, open, panel)
			if c.name != "stalled" {
				for _, command := range []string{"STATUS INBOX (MESSAGES)", "FETCH 1 FLAGS", `STORE 1 +FLAGS (\Seen)`, "APPEND INBOX {3+}\r\nabc", "COPY 1 Archive"} {
					if _, tagged, err := folder.imap("%s", command); err != nil || !strings.HasPrefix(tagged, "NO [UNAVAILABLE]") {
						t.Errorf("%s: %q, %v", command, tagged, err)
					}
				}
			}
			c.up()
			accepted = l.accepted.Load()
			within(t, recovery, "mail accepted again", func() bool { return in.probe(t, "away.example", 4000, "probe@away.example").code == 250 })
			within(t, recovery, "load accepted again", func() bool { return l.accepted.Load() > accepted+20 })
			within(t, recovery, "mail read again", func() bool { n, _ := in.count(t, "reader@away.example"); return n == 1 })
			within(t, recovery, "folder open again", func() bool { _, tagged, _ := folder.imap("FETCH 1 FLAGS"); return strings.HasPrefix(tagged, "OK") })
			within(t, recovery, "panel back", func() bool { return panel.get("/").status == http.StatusOK })
			if a := <-sent; a.code != 250 {
				temporary(t, a)
			}
			if !in.ready() {
				t.Error("not ready")
			}
		})
	}
	l.stop()
	checkLoad(t, l)
	checkCounters(t, in, l.to)
	checkReferences(t, in, server.URL("postchi"))
}

// ownServer starts a MariaDB that a test may stop, with a database in it.
func ownServer(t *testing.T) *dbtest.Server {
	t.Helper()
	if os.Getenv(dbtest.Env) == "" && os.Getenv("CI") != "true" {
		t.Skip(dbtest.Env + " is not set: run make test")
	}
	server, err := dbtest.StartServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	root, err := sql.Open("mysql", "root@unix("+server.Socket()+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := root.Exec("CREATE DATABASE postchi CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"); err != nil {
		t.Fatal(err)
	}
	return server
}

// refusedWhileAway asks at every door while there is no database: nobody is told that a
// password is wrong or an address unknown, since nobody can know.
func refusedWhileAway(t *testing.T, in *instance, _ *talk, panel *browser) {
	t.Helper()
	for _, c := range []struct{ what, user, password string }{
		{"right password", "one@away.example", testPassword},
		{"wrong password", "one@away.example", "certainly-not-it-1"},
		{"unknown user", "nobody@away.example", testPassword},
	} {
		s := in.smtpTalk(t, "")
		if a := s.login(c.user, c.password); !a.is(454, "4.7.0") {
			t.Errorf("AUTH with %s: %s", c.what, a)
		}
		p := in.popTalk(t, "")
		if line := p.popLogin(c.user, c.password); !strings.HasPrefix(line, "-ERR [SYS/TEMP]") {
			t.Errorf("POP3 with %s: %s", c.what, line)
		}
		if _, err := in.dialIMAP(c.user, c.password); err == nil || !strings.Contains(err.Error(), `"NO [UNAVAILABLE]`) {
			t.Errorf("IMAP with %s: %v", c.what, err)
		}
	}
	mx, err := dial(in.addr("mx"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mx.Close()
	mx.answer()
	mx.smtp("EHLO elsewhere.example")
	mx.smtp("MAIL FROM:<somebody@elsewhere.example>")
	for _, to := range []string{"quiet@away.example", "unknown@away.example", "somebody@nowhere.example"} {
		if a := mx.smtp("RCPT TO:<%s>", to); !a.is(451, "4.") {
			t.Errorf("RCPT of %s: %s", to, a)
		}
	}
	if p := panel.get("/"); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "</html>") {
		t.Errorf("panel: %d\n%s", p.status, p.body)
	}
	if p := in.browser(t).login("admin@localhost", "certainly-not-it-1"); p.status != http.StatusServiceUnavailable {
		t.Errorf("panel log-in: %d", p.status)
	}
	if in.ready() {
		t.Error("ready without a database")
	}
}

// slowWhileStalled lets clients wait at a database that does not answer, some of whom hang up.
func slowWhileStalled(t *testing.T, in *instance, open *talk, _ *browser) {
	t.Helper()
	impatient := in.smtpTalk(t, "")
	impatient.SetDeadline(time.Now().Add(time.Second))
	impatient.Write([]byte("EHLO client.example\r\nAUTH PLAIN " + plain("one@away.example", testPassword) + "\r\n"))
	time.Sleep(2 * time.Second)
	impatient.Close()
	if _, err := open.Write([]byte("NOOP\r\n")); err != nil {
		t.Error(err)
	}
	if a := open.answer(); a.code != 250 {
		t.Errorf("NOOP while the database stalls: %s", a)
	}
}

// TestDatabaseLocked has another connection keep SQLite locked in mid-load, for longer than
// anybody waits for the lock.
func TestDatabaseLocked(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "sqlite")
	in.start()
	in.populate("locked.example", "one", "two", "probe", "reader")
	l := in.startLoad(3, 16<<10, "one@locked.example", "two@locked.example")
	within(t, 10*time.Second, "mail accepted", func() bool { return l.accepted.Load() >= 50 })
	unlock := lockSQLite(t, in)
	var doors sync.WaitGroup
	doors.Go(func() {
		if a := in.probe(t, "locked.example", 4000, "reader@locked.example"); a.code == 250 {
			t.Error("accepted while nothing can be written")
		}
	})
	doors.Go(func() {
		s := in.smtpTalk(t, "")
		if a := s.login("one@locked.example", "certainly-not-it-1"); !a.is(535, "5.7.8") {
			t.Errorf("wrong password while the row can be read: %s", a)
		}
	})
	doors.Go(func() {
		if _, line := in.count(t, "reader@locked.example"); !strings.HasPrefix(line, "-ERR [SYS/TEMP]") {
			t.Errorf("POP3, whose lock cannot be written: %s", line)
		}
	})
	doors.Go(func() {
		if p := in.browser(t).login("admin@localhost", in.password()); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "</html>") {
			t.Errorf("panel log-in: %d", p.status)
		}
	})
	doors.Go(func() {
		if out, status := in.command("", "customer", "add", "Another"); status != exitLater {
			t.Errorf("command: status %d, %s", status, out)
		}
	})
	time.Sleep(*faultsLocked)
	doors.Wait()
	accepted := l.accepted.Load()
	unlock()
	within(t, recovery, "mail accepted again", func() bool { return in.probe(t, "locked.example", 4000, "probe@locked.example").code == 250 })
	within(t, recovery, "load accepted again", func() bool { return l.accepted.Load() > accepted+20 })
	within(t, recovery, "mail read again", func() bool { _, line := in.count(t, "probe@locked.example"); return strings.HasPrefix(line, "+OK") })
	l.stop()
	checkLoad(t, l)
	checkCounters(t, in, l.to)
	checkReferences(t, in, "sqlite")
}

// lockSQLite takes the exclusive lock until it is told to let go.
func lockSQLite(t *testing.T, in *instance) (unlock func()) {
	t.Helper()
	ctx := context.Background()
	pool, err := sql.Open("sqlite", "file:"+filepath.Join(in.dir, "postchi.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		_, err := conn.ExecContext(ctx, "ROLLBACK")
		if err := errors.Join(err, conn.Close(), pool.Close()); err != nil {
			t.Error(err)
		}
	}
}
