package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// recovery is within what time everything works again once a fault is gone, without a restart.
const recovery = 5 * time.Second

// TestDiskFull fills the file system of the data folder under load: down to what is kept free
// for the database, and to the last byte. Mail is refused for the time being and nothing is
// lost; what is there can be read.
func TestDiskFull(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    int // MB of the file system
		minFree string
		left    uint64
	}{
		{"reserve", 160, "64MB", 60 << 20},
		{"last byte", 96, "1", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := tmpfs(t, c.size)
			in := newInstance(t, "sqlite", "POSTCHI_DATA_DIR="+dir, "POSTCHI_BLOB_MIN_FREE="+c.minFree)
			in.dir = dir
			in.start()
			in.populate("full.example", "one", "two", "probe", "reader")
			l := in.startLoad(3, 16<<10, "one@full.example", "two@full.example")
			within(t, 10*time.Second, "mail accepted", func() bool { return l.accepted.Load() >= 50 })
			if a := in.probe(t, "full.example", 4000, "reader@full.example"); a.code != 250 {
				t.Fatal(a)
			}

			empty := fill(t, dir, c.left)
			within(t, time.Second, "mail refused", func() bool { return in.probe(t, "full.example", 4000, "probe@full.example").code != 250 })
			for _, size := range []int{2000, 60 << 10, 600 << 10} {
				if a := in.probe(t, "full.example", size, "reader@full.example"); !a.is(452, "4.3.1") {
					t.Errorf("message of %d bytes on a full disk: %s", size, a)
				}
			}
			for range 2 { // the lock is given back, too
				if n, line := in.count(t, "reader@full.example"); n != 1 {
					t.Errorf("reading on a full disk: %d messages, %s", n, line)
				}
			}

			accepted := l.accepted.Load()
			empty()
			within(t, recovery, "mail accepted again", func() bool { return in.probe(t, "full.example", 4000, "probe@full.example").code == 250 })
			within(t, recovery, "load accepted again", func() bool { return l.accepted.Load() > accepted+20 })
			l.stop()
			checkLoad(t, l)
			checkCounters(t, in, l.to)
			checkReferences(t, in, "sqlite")
		})
	}
}

// checkLoad verifies what a load left behind after a fault that the server lived through.
func checkLoad(t *testing.T, l *load) {
	t.Helper()
	d := l.verify(t)
	t.Logf("%s", d)
	t.Logf("answers that were no success:\n  %s", l.refusals(t))
	if d.unheard > 0 {
		t.Errorf("%d messages got no answer though the server lived", d.unheard)
	}
	if d.refusedKept > 0 {
		t.Errorf("%d messages were refused and stored nevertheless", d.refusedKept)
	}
}

// probe sends one message of probe@ by a connection of its own, and returns the last answer;
// one that is neither good nor temporary fails.
func (in *instance) probe(t *testing.T, domain string, size int, to string) answer {
	t.Helper()
	c, err := dial(in.addr("submissions"), "", in.tls())
	if err != nil {
		t.Error(err)
		return answer{err: err}
	}
	defer c.Close()
	from := "probe@" + domain
	a := c.login(from, testPassword)
	if a.code == 235 {
		a = c.submit(from, message(from, "probe", size), to)
	}
	if a.code != 250 {
		temporary(t, a)
	}
	return a
}

// temporary fails unless an answer says that it is worth trying again.
func temporary(t *testing.T, a answer) {
	t.Helper()
	if a.code/100 != 4 {
		t.Errorf("not a temporary refusal: %s", a)
	}
}

// count returns how many messages POP3 shows, or 0 with the answer that was in the way.
func (in *instance) count(t *testing.T, mailbox string) (n int, line string) {
	t.Helper()
	c := in.popTalk(t, "")
	defer c.Close()
	if line = c.popLogin(mailbox, testPassword); !strings.HasPrefix(line, "+OK") {
		return 0, line
	}
	line = c.pop("STAT")
	fmt.Sscanf(line, "+OK %d", &n)
	for i := 1; i <= n; i++ {
		if line := c.pop("RETR %d", i); !strings.HasPrefix(line, "+OK") {
			return 0, line
		}
		if _, err := c.popBody(); err != nil {
			return 0, err.Error()
		}
	}
	c.pop("QUIT")
	return n, line
}

// tmpfs mounts a small file system and returns its folder.
func tmpfs(t *testing.T, megabytes int) string {
	t.Helper()
	skipUnlessRoot(t)
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", megabytes))
	if errors.Is(err, unix.EPERM) && os.Getenv("CI") != "true" {
		t.Skip("this root may not mount file systems")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file until the file system has at most so many bytes left.
func fill(t *testing.T, dir string, left uint64) (empty func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 64<<10); len(chunk) > 0; {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		if st.Bavail*uint64(st.Bsize) <= left {
			break
		}
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}
