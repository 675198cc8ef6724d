package mailstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/blob"
	"github.com/postchi/postchi/mailserver/blob/seg"
	"github.com/postchi/postchi/mailserver/mailstore"
	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

// BenchmarkDeliverFull delivers as BenchmarkDeliver does, in turns to 960 mailboxes of a store
// that holds 10,000 messages, and 1,000,000 in the long form, and says how many times slower
// that is (aim: 1.2). written/byte is what the disk gets for each byte of a message. Then it opens
// the store: s/start until the first folder is read, and the memory that takes.
func BenchmarkDeliverFull(b *testing.B) {
	counts := []int{10_000}
	if dbtest.Long() {
		counts = append(counts, 1_000_000)
	}
	for _, base := range []struct {
		name   string
		config func(testing.TB) db.Config
	}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}} {
		b.Run(base.name, func(b *testing.B) {
			first := map[int]float64{} // rates with the fewest messages, by writers
			for _, count := range counts {
				f := newFull(b, base.config(b), count)
				for _, writers := range []int{1, 8, 32} {
					b.Run(fmt.Sprintf("messages=%d/writers=%d", count, writers), func(b *testing.B) {
						rate := f.bench(b, writers)
						if first[writers] == 0 || count == counts[0] {
							first[writers] = rate
						}
						f.slower = first[writers] / rate
					})
					if count != counts[0] {
						b.Logf("%d writers: with %d messages %.2f times slower than with %d", writers, count, f.slower, counts[0])
					}
				}
				b.Run(fmt.Sprintf("messages=%d/start", count), f.start)
			}
		})
	}
}

// full is a store with many messages.
type full struct {
	config    db.Config
	mailboxes []models.ID
	inboxes   []models.ID
	slower    float64
}

func newFull(b *testing.B, config db.Config, count int) *full {
	f := &full{config: config}
	began := time.Now()
	// Its own life: the store is opened anew by each benchmark.
	b.Run("fill", func(b *testing.B) {
		if f.mailboxes != nil {
			return
		}
		in := mailstoretest.Seg(b, config)
		f.mailboxes, f.inboxes = benchMailboxes(b, in, 960)
		var all sync.WaitGroup
		for part := range 32 {
			all.Go(func() {
				for i := part; i < len(f.mailboxes); i += 32 {
					in.Deliver(b, mailstoretest.Message(i, benchSize), f.mailboxes[i])
				}
			})
		}
		all.Wait()
	})
	mailstoretest.Fill(b, config, count)
	b.Logf("%d messages in %v", count, time.Since(began).Round(time.Second))
	return f
}

func (f *full) bench(b *testing.B, writers int) (rate float64) {
	var bare float64
	b.Run("yardstick", func(b *testing.B) {
		bare = benchYardstickOf(b, mailstoretest.Seg(b, f.config), writers, f.mailboxes, f.inboxes)
	})
	b.Run("store", func(b *testing.B) {
		in := mailstoretest.Seg(b, f.config)
		disk := diskOf(b, in, f.config)
		before := disk()
		rate = benchStoreOf(b, in, writers, f.mailboxes)
		b.ReportMetric(float64(disk()-before)/float64(b.N*benchSize), "written/byte")
		if bare > 0 {
			b.ReportMetric(100*rate/bare, "%-of-yardstick")
		}
	})
	return rate
}

// diskOf returns what this process and the database's have given to the disk, in bytes.
func diskOf(b *testing.B, in *mailstoretest.Instance, config db.Config) func() int64 {
	b.Helper()
	processes := []string{"self"}
	if in.DB.Dialect() == db.MySQL {
		var file string
		if err := in.DB.SQL().QueryRow("SELECT @@pid_file").Scan(&file); err != nil {
			b.Fatal(err)
		}
		pid, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		processes = append(processes, strings.TrimSpace(string(pid)))
	}
	return func() (sum int64) {
		for _, p := range processes {
			status, err := os.ReadFile("/proc/" + p + "/io")
			if err != nil {
				b.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(status), "\nwrite_bytes: ")
			line, _, _ := strings.Cut(rest, "\n")
			n, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += n
		}
		return sum
	}
}

// start opens the store as a process does that begins.
func (f *full) start(b *testing.B) {
	for b.Loop() {
		d, err := db.Open(context.Background(), f.config)
		if err != nil {
			b.Fatal(err)
		}
		driver, err := seg.Open(seg.Config{Dir: mailstoretest.SegDir(f.config), Node: d.IDs().Node(), MinFree: -1})
		if err != nil {
			b.Fatal(err)
		}
		blobs, err := blob.New(blob.Config{DB: d, Drivers: []blob.Driver{driver}})
		if err != nil {
			b.Fatal(err)
		}
		store := mailstore.New(mailstore.Config{DB: d, Blobs: blobs})
		if _, err := store.Folder(context.Background(), f.mailboxes[0], mailstore.Inbox); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapInuse)/(1<<20), "MiB-heap")
		store.Close()
		blobs.Close()
		d.Close()
		b.StartTimer()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/start")
}

// BenchmarkCompact compacts a store of 8,000 messages of 8 KiB of which three in four are dead.
// disk-before, -peak and -after are what a byte that is alive takes meanwhile.
func BenchmarkCompact(b *testing.B) {
	for _, base := range []struct {
		name   string
		config func(testing.TB) db.Config
	}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}} {
		b.Run(base.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				in := mailstoretest.SegWith(b, base.config(b), seg.Config{SegmentSize: 8 << 20})
				halfDead(b, in)
				before := space(b, in)
				b.StartTimer()
				c, err := in.Blobs.Compact(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				if c.Moved == 0 {
					b.Fatalf("%+v", c)
				}
				if _, err := in.Blobs.Compact(context.Background()); err != nil { // removes what was left
					b.Fatal(err)
				}
				b.StopTimer()
				after := space(b, in)
				live := float64(after.Live) // before, dead ones have rows as well
				b.ReportMetric(float64(c.MovedBytes)/(1<<20), "MiB-moved")
				b.ReportMetric(float64(before.Disk)/live, "disk-before")
				b.ReportMetric((float64(before.Disk)+float64(c.MovedBytes))/live, "disk-peak")
				b.ReportMetric(float64(after.Disk)/live, "disk-after")
				b.StartTimer()
			}
		})
	}
}

// halfDead fills a store and expunges three messages in four, spread over all segments.
func halfDead(b *testing.B, in *mailstoretest.Instance) {
	mailboxes, inboxes := benchMailboxes(b, in, 32)
	message := mailstoretest.Message(1, benchSize)
	var all sync.WaitGroup
	for w := range mailboxes {
		all.Go(func() {
			var gone []mailstore.UID
			for n := range 250 {
				body, err := in.Blobs.Prepare(context.Background(), bytes.NewReader(message), benchSize)
				if err == nil {
					err = in.Store.Deliver(context.Background(), mailstore.Arrival{Body: body, Targets: []mailstore.Target{{Mailbox: mailboxes[w]}}})
				}
				if err != nil {
					b.Error(err)
					return
				}
				if n%4 > 0 {
					gone = append(gone, mailstore.UID(n+1))
				}
			}
			if _, err := in.Store.Expunge(context.Background(), mailstore.Place{Mailbox: mailboxes[w], Folder: inboxes[w]}, mailstore.SetOf(gone...), false); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
}

func space(b *testing.B, in *mailstoretest.Instance) blob.Space {
	s, err := in.Blobs.Space(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return s
}
