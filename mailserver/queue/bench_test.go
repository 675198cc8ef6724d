package queue

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postchi/postchi/mailserver/mailstore/mailstoretest"
	"github.com/postchi/postchi/mailserver/outbound"
	"github.com/postchi/postchi/mailserver/outbound/mxtest"
	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/models/db"
	"github.com/postchi/postchi/models/db/dbtest"
)

const (
	benchDomains  = 1000
	benchHosts    = 20  // addresses that the domains which work share
	benchHanging  = 100 // domains of them that hang, each at an address of its own
	benchMessages = 100_000
	benchSize     = 8 << 10
)

// world is a DNS of d0.example, d1.example ..., of which the first few hang.
type world struct{ hanging int }

func (w world) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	return []*net.MX{{Host: "mx." + name, Pref: 10}}, nil
}

func (w world) LookupIPAddr(_ context.Context, host string) ([]net.IPAddr, error) {
	var n int
	if _, err := fmt.Sscanf(host, "mx.d%d.example", &n); err != nil {
		return nil, err
	}
	if n < w.hanging {
		return []net.IPAddr{{IP: net.IPv4(127, 2, 0, byte(n+1))}}, nil
	}
	return []net.IPAddr{{IP: net.IPv4(127, 1, 0, byte(n%benchHosts+1))}}, nil
}

// benchSite is a queue on a real store that sends to hosts on loopback.
type benchSite struct {
	b    *testing.B
	in   *mailstoretest.Instance
	q    *Queue
	sink []*mxtest.Server
	port int
}

func openBench(b *testing.B, config db.Config, hanging int) *benchSite {
	s := &benchSite{b: b, in: mailstoretest.Seg(b, config)}
	first := mxtest.New(b, mxtest.Config{Addr: "127.1.0.1:0", Discard: true})
	s.port, s.sink = first.Port(), []*mxtest.Server{first}
	for i := 1; i < benchHosts; i++ {
		s.sink = append(s.sink, mxtest.New(b, mxtest.Config{Addr: fmt.Sprintf("127.1.0.%d:%d", i+1, s.port), Discard: true}))
	}
	for i := range hanging {
		mxtest.New(b, mxtest.Config{Addr: fmt.Sprintf("127.2.0.%d:%d", i+1, s.port), Script: func(string, string) string { return mxtest.Hang }})
	}
	client := outbound.New(outbound.Config{Resolver: world{hanging}, Hostname: "mail.ours.example", Port: s.port, Private: true})
	b.Cleanup(client.Close)
	s.q = New(Config{
		DB: s.in.DB, Blobs: s.in.Blobs, Send: client, Hostname: "mail.ours.example", Alone: true,
		Open: func(ctx context.Context, id models.ID) (Message, error) { return s.in.Blobs.Open(ctx, id) },
		Post: func(ctx context.Context, l Letter) error {
			return s.in.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error { return l.Also(ctx, tx) })
		},
	})
	return s
}

// fill queues n messages of n/100 senders, all the same blob, which has a prefix as DKIM makes it.
func (s *benchSite) fill(n, from, domains int) {
	s.b.Helper()
	staged, _ := s.in.Put(s.b, mailstoretest.Message(1, benchSize))
	ctx := s.b.Context()
	err := s.in.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error { return s.in.Blobs.Insert(ctx, tx, int64(n), staged) })
	if err != nil {
		s.b.Fatal(err)
	}
	s.in.Blobs.Settle(staged)
	prefix := bytes.Repeat([]byte("DKIM-Signature: v=1; a=rsa-sha256; b="+strings.Repeat("x", 400)+"\r\n"), 2)
	for start := 0; start < n; start += 200 {
		err := s.in.DB.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			for i := start; i < min(start+200, n); i++ {
				item := models.QueueItem{Kind: models.QueueSubmitted, BlobID: staged.ID, MailboxID: models.ID(i%100 + 1), Sender: "a@ours.example", Prefix: prefix, Size: benchSize}
				to := fmt.Sprintf("x%d@d%d.example", i, from+i%domains)
				if err := s.q.Insert(ctx, tx, &item, []models.QueueRecipient{{Address: to}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.b.Fatal(err)
		}
	}
}

func (s *benchSite) taken() (n int) {
	for _, mx := range s.sink {
		n += mx.Count()
	}
	return n
}

// drain runs the queue until the sink has so many, and returns the time and the most memory that
// was in use.
func (s *benchSite) drain(n int) (took time.Duration, heap uint64) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	start := time.Now()
	go func() { defer close(done); s.q.Run(ctx) }()
	var m runtime.MemStats
	for s.taken() < n {
		time.Sleep(20 * time.Millisecond)
		runtime.ReadMemStats(&m)
		heap = max(heap, m.HeapInuse)
		if time.Since(start) > 20*time.Minute {
			s.b.Fatalf("%d of %d taken", s.taken(), n)
		}
	}
	took = time.Since(start)
	cancel()
	<-done
	return took, heap
}

var benchDatabases = []struct {
	name   string
	config func(testing.TB) db.Config
}{{"sqlite", dbtest.SQLite}, {"mysql", dbtest.MySQL}}

// BenchmarkSend sends messages of 8 KiB, with signatures made before, to hosts on loopback over
// TLS; syncs is how many appends with fdatasync a second the same disk makes in the same run.
func BenchmarkSend(b *testing.B) {
	for _, base := range benchDatabases {
		for _, domains := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/domains=%d", base.name, domains), func(b *testing.B) {
				s := openBench(b, base.config(b), 0)
				const n = 5000
				s.fill(n, benchHanging, domains)
				b.ResetTimer()
				took, _ := s.drain(n)
				b.StopTimer()
				b.ReportMetric(n/took.Seconds(), "messages/s")
				b.ReportMetric(syncsPerSecond(b), "syncs/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkDrain drains messages for 1,000 domains, first with none that hangs and then with a
// tenth of them hanging beside; ratio is the second time by the first, for the same messages that
// can be delivered.
func BenchmarkDrain(b *testing.B) {
	for _, base := range benchDatabases {
		b.Run(base.name, func(b *testing.B) {
			n := benchMessages
			if testing.Short() {
				n /= 10
			}
			good := n * (benchDomains - benchHanging) / benchDomains
			alone := openBench(b, base.config(b), 0)
			alone.fill(good, benchHanging, benchDomains-benchHanging)
			without, small := alone.drain(good)
			beside := openBench(b, base.config(b), benchHanging)
			beside.fill(n, 0, benchDomains)
			with, large := beside.drain(good)
			b.ReportMetric(float64(good)/without.Seconds(), "messages/s")
			b.ReportMetric(with.Seconds()/without.Seconds(), "ratio")
			b.ReportMetric(float64(small)/(1<<20), "MB-without")
			b.ReportMetric(float64(large)/(1<<20), "MB-with")
			b.ReportMetric(syncsPerSecond(b), "syncs/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// syncsPerSecond measures the bare disk.
func syncsPerSecond(b *testing.B) float64 {
	f, err := os.Create(filepath.Join(b.TempDir(), "syncs"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, benchSize)
	start, n := time.Now(), 0
	for ; time.Since(start) < 500*time.Millisecond; n++ {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(start).Seconds()
}
