package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// BenchmarkStart starts the program on a store of 10,000 messages, and of 1,000,000 in the long
// form, until it is ready (aim: 2 s). MiB is the resident memory of the process then, MiB-reading
// that with a POP3 session on half of all messages.
func BenchmarkStart(b *testing.B) {
	counts := []int{10_000}
	if dbtest.Long() {
		counts = append(counts, 1_000_000)
	}
	for _, base := range []string{"sqlite", "mysql"} {
		b.Run(base, func(b *testing.B) {
			url := "sqlite"
			if base == "mysql" {
				url = dbtest.MySQL(b).URL
			}
			in := filledInstance(b, url)
			for _, count := range counts {
				mailstoretest.Fill(b, db.Config{URL: url, DataDir: in.dir}, count)
				b.Run(fmt.Sprintf("messages=%d", count), func(b *testing.B) { benchStart(b, in) })
			}
		})
	}
}

// filledInstance has two mailboxes with a hundred messages, and is not running.
func filledInstance(b *testing.B, url string) *instance {
	b.Helper()
	in := newInstance(b, url)
	in.start()
	in.populate("start.example", "one", "two")
	l := in.startLoad(4, 8<<10, "one@start.example", "two@start.example")
	within(b, 20*time.Second, "mail accepted", func() bool { return l.accepted.Load() >= 100 })
	l.stop()
	if err := in.stop(); err != nil {
		b.Fatal(err)
	}
	return in
}

func benchStart(b *testing.B, in *instance) {
	var slowest time.Duration
	for b.Loop() {
		began := time.Now()
		in.start()
		slowest = max(slowest, time.Since(began))
		b.StopTimer()
		b.ReportMetric(float64(resident(b, in))/(1<<20), "MiB")
		c := in.popTalk(b, "")
		if line := c.popLogin("one@start.example", testPassword); !strings.HasPrefix(line, "+OK") {
			b.Fatal(line)
		}
		b.ReportMetric(float64(resident(b, in))/(1<<20), "MiB-reading")
		c.Close()
		if err := in.stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(slowest.Seconds(), "s-slowest")
}

// resident is the memory of the process in bytes.
func resident(b *testing.B, in *instance) (kB int64) {
	b.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(in.cmd.Process.Pid), "status"))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscanf(rest, "%d kB", &kB); err != nil {
		b.Fatal(err)
	}
	return kB << 10
}
